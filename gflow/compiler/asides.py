"""What stands beside a step, with parameters like the step's own: conditions, stand-ins, questions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gflow.compiler.cast import Aside, Instance, Link, Role, binder
from gflow.compiler.reading import FAILURE, Parameter, Reader, Signature, is_step, replaces, step_of
from gflow.decorators import Ask, Copy, Each, FirstOf, From, Member, Options, Previous
from gflow.model import ApprovalSource, ConstantSource

PLACEHOLDER: Final = re.compile(r"\{([^\W\d]\w*)(?:\.([^\W\d]\w*))?\}")
"""What a question shows: `{step}` or `{step.field}`; other braces are text."""

MARKED: Final = (From, Each, FirstOf, Previous)

OWN: Final[Mapping[type, Role]] = {
    FirstOf: "first",
    Each: "each",
    Previous: "previous",
    ApprovalSource: "asks",
}
"""What a parameter of the step itself says."""


def truth(answer: bool) -> bool:
    """Return the answer of a bool step that is a condition."""
    return answer


# ---------------------------------------------------------------- links


def bound_links(step: Instance, signature: Signature) -> tuple[Link, ...]:
    """Return the links of a function's parameters: what the nearest `using()` binds, else what they say.

    `signature` is the step's own, or that of a function beside it.
    """
    scope = step.inside
    if scope is None and not isinstance(step.step, Copy):
        return tuple([Link(given, given.source, given.step, None) for given in signature.parameters])
    return tuple(_bound(step, parameter) for parameter in signature.parameters)


def _bound(step: Instance, parameter: Parameter) -> Link:
    """Resolve `using()`: the binding that stands nearest wins, and names steps where the copy was made."""
    holder = binder(step, parameter.name)
    value = holder.step.bindings[parameter.name] if holder else None
    if holder is None or (isinstance(value, Each) and not _fans_out(step, holder, parameter)):
        return Link(parameter, parameter.source, parameter.step, step.inside)
    named = step_of(value)
    source = value if named or isinstance(value, MARKED) else ConstantSource(value)
    return Link(parameter, source, named, holder.scope)


def _fans_out(step: Instance, holder: Instance, parameter: Parameter) -> bool:
    """Whether an Each that a copy binds is for this parameter: else it takes the item by its name."""
    if parameter not in step.signature.parameters:
        return False
    return step is holder or all(other.name != parameter.name for other in holder.signature.parameters)


# ---------------------------------------------------------------- what stands beside a step


def asides(step: Instance, links: tuple[Link, ...], reader: Reader) -> tuple[Aside, ...] | None:
    """Return what stands beside a step; None for most, where nothing was even tried."""
    options = step.step.options
    found = [*_functions(step, links, reader)] if _has_functions(options) else []
    for link in links:
        if link.source is not link.step and (role := OWN.get(type(link.source))) is not None:
            found.append(Aside(role, step.signature, (link,)))
            if role == "asks":
                found += _question(step, link, links, reader)
    return tuple(found) if found or _has_functions(options) else None


def _has_functions(options: Options) -> bool:
    if options.when is not None or options.fallback:
        return True
    return options.degraded is not None or options.repeat is not None


def _functions(step: Instance, links: tuple[Link, ...], reader: Reader) -> Iterator[Aside]:
    options = step.step.options
    if options.when is not None:
        yield from _condition("when", step, options.when, reader)
    for fn in options.fallback:
        yield from _stand_in("fallback", step, fn, links, reader)
    if options.degraded is not None:
        yield from _stand_in("degraded", step, options.degraded, links, reader)
    if options.repeat is not None:
        yield from _condition("until", step, getattr(options.repeat, "condition", None), reader)


def _condition(role: Role, step: Instance, given: object, reader: Reader) -> Iterator[Aside]:
    if is_step(given) or isinstance(given, Member):
        answer = Parameter("answer", bool, source=given, step=given)
        names: Mapping[str, Any] = step.signature.names
        signature = Signature(truth, truth, names, (answer,), bool)
        yield Aside(role, signature, (Link(answer, given, given, step.inside),))
    elif callable(given):
        signature = reader.beside(step.step, given)
        yield Aside(role, signature, bound_links(step, signature))


def _stand_in(
    role: Role, step: Instance, given: object, links: tuple[Link, ...], reader: Reader
) -> Iterator[Aside]:
    """Yield a function that stands in: what is called like a parameter of the step is the same."""
    if isinstance(given, str) or is_step(given) or not callable(given):
        return
    signature, own = reader.beside(step.step, given), {link.parameter.name: link for link in links}
    found: list[Link] = []
    for link in bound_links(step, signature):
        same = own.get(link.parameter.name)
        if replaces(link.parameter) and same is None:
            found.append(link._replace(source=FAILURE, step=None))
        elif same is not None and not link.parameter.marks:
            found.append(same._replace(parameter=link.parameter))
        else:
            found.append(link)
    yield Aside(role, signature, tuple(found))


def _question(step: Instance, link: Link, links: tuple[Link, ...], reader: Reader) -> Iterator[Aside]:
    ask = question_of(link.parameter)
    if ask is None:
        return
    if ask.when is not None:
        yield from _condition("ask", step, ask.when, reader)
    own = {other.parameter.name: other for other in links}
    shown = [_placeholder(step, name, field, own.get(name)) for name, field in placeholders(ask.text)]
    if shown:
        signature = step.signature._replace(parameters=tuple(one.parameter for one in shown))
        yield Aside("shown", signature, tuple(shown))


def placeholders(text: object) -> list[tuple[str, str]]:
    """Return what a question shows: names with fields, or without."""
    found = PLACEHOLDER.findall(text) if isinstance(text, str) else []
    return list(dict.fromkeys(found))


def question_of(parameter: Parameter) -> Ask | None:
    """Return the Ask that a parameter is marked with."""
    return next((mark for mark in parameter.marks if isinstance(mark, Ask)), None)


def _placeholder(step: Instance, name: str, field: str, own: Link | None) -> Link:
    """Return a link that is called like the placeholder, and takes what a parameter of its name would."""
    written = f"{name}.{field}" if field else name
    if own is not None and own.step is not None:
        known = own
    else:
        named = step.signature.names.get(name)
        parameter = Parameter(name, source=named, step=named) if is_step(named) else Parameter(name)
        known = own or bound_links(step, step.signature._replace(parameters=(parameter,)))[0]
    parameter = Parameter(written, source=known.source, step=known.step)
    is_whole = known.source is known.step or (isinstance(known.source, From) and known.source.field is None)
    if field and known.step is not None and is_whole:
        return Link(parameter, From(known.step, field), known.step, known.scope)
    return Link(parameter, known.source, known.step, known.scope)
