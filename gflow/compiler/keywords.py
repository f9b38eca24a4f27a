"""What may be wrong with what decorators, marks, `using()` and `Workflow` were given."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import iscoroutinefunction, unwrap
from math import inf
from types import CodeType
from typing import Any, Final, get_args

from gflow.compiler.asides import truth
from gflow.compiler.cast import Cast, Edge, Instance, Link, binder, steps_in
from gflow.compiler.findings import Report
from gflow.compiler.reading import CONTEXT, MARKS, Fn, Signature
from gflow.compiler.words import binding_place, called, plain, show
from gflow.decorators import Copy, Each, FirstOf, From, Member, Options, Previous
from gflow.diagnostics import Place, locate
from gflow.errors import Severity
from gflow.model import Effects, Isolation, Orphans, Policy, Retry
from gflow.suggest import did_you_mean

COMMANDS: Final = frozenset({"sh", "ash"})
DEAF_HINTS: Final = (
    "take a `Context` and call `ctx.check_cancelled()` now and then",
    'or write `policy=Policy(isolation="process")`: a child process can be ended',
)


def report_keywords(cast: Cast, names: Mapping[Instance, str], report: Report) -> None:
    """Report keywords of decorators, marks and bindings that cannot be used."""
    for step in {id(step.step.fn): step for step in reversed(cast.links)}.values():
        _report_options(cast, step, report)
    for step in cast.links:
        for fn, edges in _calls(cast, step):
            for link, target in edges:
                if target is None and link.source is not None:
                    _report_mark(cast, step, fn, link, report)
        if isinstance(step.step, Copy):
            _report_bindings(cast, step, names, report)


def _calls(cast: Cast, step: Instance) -> Iterator[tuple[Fn | None, Iterable[Edge]]]:
    """Yield the functions of a step with the sources of their parameters."""
    yield step.step.fn, cast.edges(step)
    if step in cast.undos:
        yield step.step.undo_fn, cast.undo_edges(step)
    for aside in cast.asides.get(step, ()) if cast.asides else ():
        if not aside.is_own and aside.signature.fn is not truth:
            yield aside.signature.fn, cast.found(aside.links)


# ---------------------------------------------------------------- decorators


def _report_options(cast: Cast, step: Instance, report: Report) -> None:
    options = step.step.options
    if _says_nothing(options):
        return
    fn, name = step.step.fn, called(step.step.fn)
    for keyword, what in _unusable(options, fn):
        report.error(
            "GF008",
            f"`{keyword}=` of `{name}` cannot be {_shown(getattr(options, keyword))}",
            locate(fn, keyword, "keyword"),
            hints=[what],
        )
    if is_duration(options.timeout) and _is_deaf(step.signature, options):
        report.note(
            "GF090",
            f"`timeout=` of `{name}` cannot act: Python in a thread is only asked, and this does not listen",
            locate(fn, "timeout", "keyword"),
            hints=DEAF_HINTS,
        )
    for given in options.after:
        if cast.find(given, step.inside) is None:
            place = locate(fn, "after", "keyword")
            report_no_step(f"`after=` of `{name}`", given, place, step.signature.names, report)


def _is_deaf(signature: Signature, options: Options) -> bool:
    """Tell whether nothing in a body can notice a timeout, as far as its own code shows.

    A function that it calls may run commands, which are killed: that is not seen here.
    """
    if signature.code is None or signature.is_async or signature.is_empty:
        return False
    in_a_process = isinstance(options.policy, Policy) and options.policy.isolation == "process"
    listens = any(parameter.source is CONTEXT for parameter in signature.parameters)
    return not (in_a_process or listens or COMMANDS & _names_in(signature.code))


def _names_in(code: CodeType) -> set[str]:
    """Return the global names and attributes that a code uses, with the functions inside it."""
    inside = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*map(_names_in, inside))


def _says_nothing(options: Options) -> bool:
    """Whether none of the keywords that are looked at here was given."""
    if options.after or options.attempts is not None or options.effects is not None:
        return False
    return options.policy is None and options.timeout is None and options.limit is None


def _unusable(options: Options, fn: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Yield the keywords whose value cannot be used, and what could be."""
    if not (options.attempts is None or isinstance(options.attempts, Retry) or is_count(options.attempts)):
        yield "attempts", "a number of calls from 1 on, or `Retry(3, base=…, factor=…, max=…)`"
    if not (options.timeout is None or is_duration(options.timeout)):
        yield "timeout", "a number of seconds above 0"
    if options.effects not in (None, *get_args(Effects)):
        yield "effects", f'"none" or "irreversible"{question(options.effects, get_args(Effects))}'
    if not (options.limit is None or is_count(options.limit)):
        yield "limit", "how many attempts may run at once, from 1 on"
    if problem := _problem_of_policy(options.policy, fn):
        yield "policy", problem


def _problem_of_policy(policy: object, fn: Callable[..., Any]) -> str | None:
    if policy is None:
        return None
    if not isinstance(policy, Policy):
        return "a `Policy(severity={…})`"
    if not _is_severity_map(policy.severity):
        return 'severity maps exception types to "low", "medium" or "high"'
    if policy.orphans not in get_args(Orphans):
        return 'orphans is "wait", "kill" or "fail"'
    if policy.isolation not in get_args(Isolation):
        return 'isolation is "thread" or "process"'
    return _problem_of_isolation(fn) if policy.isolation == "process" else None


def _problem_of_isolation(fn: Callable[..., Any]) -> str | None:
    if iscoroutinefunction(unwrap(fn)):
        return 'isolation="process" is for sync steps; a cancelled async step ends at its next await'
    if "<locals>" in getattr(fn, "__qualname__", ""):
        return "a child process imports its body by name: write it at the top level of a module"
    return None


def _shown(value: object) -> str:
    return reprlib.repr(value) if isinstance(value, int | float | str) else "used"


def is_count(value: object) -> bool:
    """Whether something is a number from 1 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_duration(value: object) -> bool:
    """Whether something is a number of seconds above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf


def _is_severity_map(given: Mapping[Any, object]) -> bool:
    return all(
        isinstance(kind, type) and issubclass(kind, BaseException) and severity in get_args(Severity)
        for kind, severity in given.items()
    )


def question(given: object, words: Iterable[str]) -> str:
    """Return "; did you mean …?" if something near was given."""
    question = did_you_mean(given, words) if isinstance(given, str) else ""
    return f"; {question}" if question else ""


def report_no_step(where: str, given: object, place: Place, names: Mapping[str, Any], report: Report) -> None:
    """Report something that should be a step: its name as a string, a plain function, anything else."""
    steps = steps_in(names)
    if isinstance(given, Member):
        copy = next((name for name, value in names.items() if value is given.group), called(given.group.fn))
        what, hint = (
            f"`{copy}.{given.name}`, which is no member",
            "a member is a step that the group's signature names",
        )
    elif isinstance(given, str):
        what, hint = f"the string {given!r}", f"name the step itself: `{given}`" if given in steps else ""
        hint = hint or did_you_mean(given, steps)
    elif callable(given) and hasattr(given, "__name__"):
        what, hint = (
            f"`{given.__name__}`, which is not decorated",
            f"write `@task` above `def {given.__name__}`",
        )
    else:
        what, hint = reprlib.repr(given), "name a step that is defined above or imported"
    report.error("GF011", f"{where} takes a step, not {what}", place, hints=[hint])


# ---------------------------------------------------------------- marks and bindings


def _report_mark(cast: Cast, step: Instance, fn: Fn | None, link: Link, report: Report) -> None:
    """Report a mark that names no step."""
    name, copy, mark = link.parameter.name, binder(step, link.parameter.name), link.source
    place = binding_place(cast, copy, name) if copy else locate(fn or step.step.fn, name, "annotation")
    bare = FirstOf if mark == FirstOf() else next((kind for kind in MARKS if mark is kind), None)
    if bare is not None:
        kind, inside = show(link.parameter.annotation), "" if bare is Previous else "step"
        hints = [f"write `{name}: Annotated[{kind}, {bare.__name__}({inside})]`"]
        report.error("GF011", f"the {bare.__name__} of `{name}` names no step", place, hints=hints)
    for given in _named(cast, link, mark):
        where = f"`{name}=`" if copy else f"the {type(mark).__name__} of `{name}`"
        report_no_step(where, given, place, step.signature.names, report)


def _named(cast: Cast, link: Link, mark: object) -> Iterator[object]:
    """Yield what a mark names that is no step."""
    match mark:
        case From() | Each():
            yield mark.step
        case FirstOf():
            yield from (one for one in mark.steps if cast.find(one, link.scope) is None)
        case Member():
            yield mark
        case _:
            return


def _report_bindings(cast: Cast, copy: Instance, names: Mapping[Instance, str], report: Report) -> None:
    """Report bindings of names that no parameter of the copied step, or of a member, has."""
    inside = [step for step in cast.links if copy in _scopes(step)]
    signatures = [step.signature for step in inside]
    signatures += [aside.signature for step in inside for aside in cast.asides.get(step, ())]
    undo = cast.reader.undo(copy.step)
    known = {
        parameter.name for signature in (*signatures, undo) if signature for parameter in signature.parameters
    }
    for name in copy.step.bindings:
        if name not in known:
            question = did_you_mean(name, known)
            report.error(
                "GF015",
                f"`{plain(names[copy])}` binds `{name}`, but no parameter has that name"
                + (f"; {question}" if question else ""),
                binding_place(cast, copy, name),
                hints=[f"its parameters: {', '.join(sorted(known))}" if known else "it has no parameters"],
            )


def _scopes(step: Instance) -> Iterator[Instance]:
    scope: Instance | None = step
    while scope is not None:
        yield scope
        scope = scope.scope
