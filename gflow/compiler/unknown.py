"""A parameter whose name stands for nothing: what may have been meant, and what to write for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Final, get_args

from gflow.compiler.cast import Instance, Link, steps_in
from gflow.compiler.findings import Report
from gflow.compiler.reading import Parameter, Reader, Signature
from gflow.compiler.words import called, line_of, show
from gflow.decorators import AnyStep, From, InputMark
from gflow.diagnostics import Place, locate
from gflow.model import MISSING, ApprovalSource
from gflow.suggest import did_you_mean, near

SHOWN: Final = 6
"""How many steps are listed where no name is near."""


def report_unknown(
    reader: Reader, signature: Signature, parameter: Parameter, inputs: Collection[str], report: Report
) -> None:
    """Report a parameter that is neither a step nor an input."""
    name = parameter.name
    steps = {other: step for other, step in steps_in(signature.names).items() if step.fn is not signature.fn}
    message, places = f"`{name}` is neither a step nor an input", [(locate(signature.fn, name), "")]
    question = did_you_mean(name, [*steps, *inputs])
    there = signature.names.get(name)
    if isinstance(there, FunctionType):
        message += ", but a function that is not decorated"
        places.append((locate(there), "not a step"))
        hints = [f"write `@task` above `def {name}`, if it is to be a step"]
    elif there is not None:
        message += f", but a global of its module: a {type(there).__name__}"
        hints = [f"use `{name}` in the body: a parameter takes the value of a step or of an input"]
    elif question:
        message += f"; {question}"
        hints = [*_near(reader, parameter, steps, inputs)]
    else:
        hints = [*_far(parameter, steps, signature)]
    if name in signature.unevaluated:
        reason = signature.unevaluated[name].reason
        hints.insert(0, f"a mark in its annotation is not seen, which cannot be evaluated: {reason}")
    if _has_inner_mark(parameter.annotation):
        hints = [f"its mark is hidden inside: write the mark around all of it, as in `{_outside(parameter)}`"]
    report.error("GF012", message, *places, hints=hints)


def _has_inner_mark(annotation: object) -> bool:
    marks = getattr(annotation, "__metadata__", ())
    is_marked = any(isinstance(mark, From | InputMark) for mark in marks)
    return is_marked or any(_has_inner_mark(part) for part in get_args(annotation))


def _outside(parameter: Parameter) -> str:
    kind = show(parameter.annotation)
    return f"Input[{kind}]` or `Annotated[{kind}, From(step)]"


def _near(
    reader: Reader, parameter: Parameter, steps: Mapping[str, AnyStep], inputs: Collection[str]
) -> Iterator[str]:
    meant = near(parameter.name, [*steps, *inputs])
    for name in meant:
        if name in steps:
            kind = show(reader.signature(steps[name]).returns)
            yield f"the step: {name} -> {kind}, {line_of(locate(steps[name].fn))}"
        else:
            yield f"the input: {name}"
    first = meant[0]
    kind = show(reader.signature(steps[first]).returns) if first in steps else _type(parameter)
    yield f"write `{first}: {kind}`; if you mean an input of that name, `{_as_input(parameter)}`"


def _far(parameter: Parameter, steps: Collection[str], signature: Signature) -> Iterator[str]:
    if parameter.name in {"ctx", "context"}:
        yield f"for the context of the run, write `{parameter.name}: Context`"
        return
    if steps:
        listed = ", ".join([*steps][:SHOWN]) + (", …" if len(steps) > SHOWN else "")
        yield f"for the result of a step, name the parameter like the step: {listed}"
    if isinstance(signature.names.get("Inputs"), type):
        yield f"for an input, add `{parameter.name}: {_type(parameter)}` to `Inputs`"
    else:
        yield f"for an input, write `{_as_input(parameter)}`"


def _as_input(parameter: Parameter) -> str:
    default = "" if parameter.default is MISSING else " = …"
    return f"{parameter.name}: Input[{_type(parameter)}]{default}"


def _type(parameter: Parameter) -> str:
    return "str" if parameter.annotation is MISSING else show(parameter.annotation)


# ---------------------------------------------------------------- items and rounds


def report_outside(
    signature: Signature,
    link: Link,
    groups: Sequence[Instance],
    sources: Mapping[Instance, str],
    report: Report,
) -> None:
    """Report a parameter that is named like the item of groups that it is not in."""
    name, group = link.parameter.name, groups[0]
    fn = signature.fn
    hints = [f"add `{called(fn)}` to the signature of `{called(group.step.fn)}`"] if group.is_group else []
    if group in sources:
        hints.append(f"for all items take the list: `{name}s: Annotated[list[…], From({sources[group]})]`")
    report.error(
        "GF062",
        f"`{name}` is an item of `{called(group.step.fn)}`, and `{called(fn)}` is outside of it",
        locate(fn, name),
        (locate(group.step.fn, name, "parameter"), "the item"),
        hints=hints,
    )


def report_item_and_input(signature: Signature, link: Link, group: Instance, report: Report) -> None:
    """Report a parameter whose name is that of an item and of an input of its module."""
    name, fn = link.parameter.name, signature.fn
    report.error(
        "GF063",
        f"`{name}` of `{called(fn)}` is an item of `{called(group.step.fn)}` and an input",
        locate(fn, name),
        (locate(group.step.fn, name, "parameter"), "the item"),
        hints=["rename one of them, where it is declared and where it is taken"],
    )


def report_previous(
    signature: Signature, link: Link, group: Instance | None, inside: Sequence[str], report: Report
) -> None:
    """Report a Previous that names nothing of a round before."""
    name = link.parameter.name
    place = locate(signature.fn, name, "parameter")
    if group is None:
        message = (
            f"`{name}` of `{called(signature.fn)}` is of the round before, but no group around it repeats"
        )
        report.error("GF065", message, place, hints=["write `repeat=Until(…)` at the group that has rounds"])
        return
    question = did_you_mean(name, inside)
    report.error(
        "GF065",
        f"`{name}` of `{called(signature.fn)}` is of the round before, but nothing inside"
        f" `{called(group.step.fn)}` is called so{f'; {question}' if question else ''}",
        place,
        locate(group.step.fn),
        hints=[f"inside it: {', '.join(inside)}"],
    )


# ---------------------------------------------------------------- placeholders of a question


def report_unknown_placeholder(step: Instance, link: Link, inputs: Collection[str], report: Report) -> None:
    """Report a placeholder that is neither a step, nor an item or an input."""
    name = link.parameter.name
    steps = [other for other, one in steps_in(step.signature.names).items() if one.fn is not step.step.fn]
    question = did_you_mean(name.partition(".")[0], [*steps, *inputs])
    hint = "a question shows steps, inputs and items: `{step}`, `{step.field}`"
    report.error(
        "GF082",
        f"`{{{name}}}` in the question of `{called(step.step.fn)}` stands for nothing"
        + (f"; {question}" if question else ""),
        place_of_question(step),
        hints=[hint],
    )


def report_shown(step: Instance, link: Link, report: Report) -> None:
    """Report a placeholder that takes a field of what is no step's result, or nothing that can be shown."""
    name = link.parameter.name
    head, _, field = name.partition(".")
    message = f"`{{{name}}}` in the question of `{called(step.step.fn)}` cannot be shown"
    hint = (
        f"write `{{{head}}}`: only the result of a step is taken apart"
        if field
        else "show a step, an input or an item"
    )
    report.error("GF082", message, place_of_question(step), hints=[hint])


def place_of_question(step: Instance) -> Place:
    """Return where a step asks."""
    asking = (one.name for one in step.signature.parameters if isinstance(one.source, ApprovalSource))
    return locate(step.step.fn, next(asking, None), "annotation")
