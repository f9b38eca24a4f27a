"""What a node says beside its body: condition, stand-ins, items, rounds, question, whose failure is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gflow.annotations import item_type, union_members
from gflow.compiler.asides import question_of
from gflow.compiler.cast import Cast, Instance, Link
from gflow.compiler.reading import Signature
from gflow.compiler.resolve import Wiring, says_failed
from gflow.compiler.scopes import Scopes
from gflow.compiler.words import called
from gflow.decorators import Each
from gflow.errors import Rejected
from gflow.model import (
    ApprovalSource,
    Call,
    EachSource,
    FanOut,
    FirstOfSource,
    Node,
    Param,
    PreviousSource,
    Question,
    Repeat,
    Rung,
    Source,
    StepSource,
)

Fn = Callable[..., Any]


def practised(
    node: Node,
    cast: Cast,
    names: Mapping[Instance, str],
    scopes: Scopes,
    wiring: Wiring,
    step: Instance,
) -> Node:
    """Return a node with what its step says beside its body."""
    calls = {aside.role: _call(aside.signature, params) for aside, params in wiring.beside.get(step, ())}
    repeat, link = step.step.options.repeat, scopes.each.get(step)
    return replace(
        node,
        follows=_follows(cast, names, scopes, step),
        scope=tuple([names[group] for group in scopes.around(step)]),
        when=calls.get("when"),
        rungs=tuple(_rungs(step, wiring)),
        each=None if link is None else _fan_out(cast, names, link),
        repeat=Repeat(calls["until"], repeat.max) if repeat is not None and "until" in calls else None,
        ask=_question(step, wiring, calls.get("ask")),
    )


def _call(signature: Signature, params: tuple[Param, ...]) -> Call:
    return Call(signature.fn, params, signature.is_async)


def _follows(cast: Cast, names: Mapping[Instance, str], scopes: Scopes, step: Instance) -> frozenset[str]:
    place = scopes.around(step)
    return frozenset(names[scopes.meet(place, step, other)[1]] for other in cast.after(step))


def _rungs(step: Instance, wiring: Wiring) -> Iterator[Rung]:
    """Yield what stands in for a body, in order; what would call again what has failed is left out."""
    failed: list[Fn] = [step.step.fn]
    for aside, params in wiring.beside.get(step, ()):
        fn = aside.signature.fn
        if aside.role in ("fallback", "degraded") and fn not in failed:
            failed.append(fn)
            yield Rung(_call(aside.signature, params), called(fn), aside.role == "degraded")


def _fan_out(cast: Cast, names: Mapping[Instance, str], link: Link) -> FanOut | None:
    target = cast.find(link.step, link.scope) if link.step else None
    if target is None or not isinstance(link.source, Each):
        return None
    mark = link.source
    tolerate = share(mark.tolerate)
    return FanOut(
        names[target], link.parameter.name, mark.limit, mark.key, 0 if tolerate is None else tolerate
    )


def share(given: object) -> int | float | None:
    """Return how many failures are tolerated: a number, or a share of all ("10%" as 0.1); None if unclear."""
    if isinstance(given, int) and not isinstance(given, bool):
        return given if given >= 0 else None
    if not isinstance(given, str) or not given.endswith("%"):
        return None
    try:
        percent = float(given[:-1])
    except ValueError:
        return None
    return percent / 100 if 0 <= percent <= 100 else None


def _question(step: Instance, wiring: Wiring, when: Call | None) -> Question | None:
    params = (param for param in wiring.params[step] if isinstance(param.source, ApprovalSource))
    param = next(params, None)
    if param is None:
        return None
    parameter = next(given for given in step.signature.parameters if given.name == param.name)
    ask = question_of(parameter)
    shown = [params for aside, params in wiring.beside.get(step, ()) if aside.role == "shown"]
    return Question(
        (ask.text if ask else "") or _default_question(step),
        param.name,
        shown[0] if shown else (),
        when,
        ask.timeout if ask else None,
        any(kind is Rejected for kind in union_members(param.annotation)),
    )


def _default_question(step: Instance) -> str:
    doc = (step.step.fn.__doc__ or "").strip().partition("\n")[0].rstrip()
    return doc or f"Go on with {called(step.step.fn)}?"


# ---------------------------------------------------------------- who reads whom


def read(source: Source) -> tuple[str, ...]:
    """Return the steps whose values a parameter may take."""
    match source:
        case StepSource(step) | EachSource(step):
            return (step,)
        case FirstOfSource(steps):
            return steps
        case _:
            return ()


def readers(wiring: Wiring) -> set[str]:
    """Return the steps whose values somebody takes."""
    sources = [param.source for params in wiring.params.values() for param in params]
    taken = {source.step for source in sources if type(source) is StepSource}
    sources += [param.source for found in wiring.beside.values() for _, params in found for param in params]
    return taken.union(*(read(source) for source in sources)) if wiring.beside else taken


def handled(names: Mapping[Instance, str], scopes: Scopes, wiring: Wiring) -> set[str]:
    """Return the steps whose failure is taken as a value by everyone who reads them."""
    if not wiring.takes_failed:
        return set()
    steps = {name: step for step, name in names.items()}
    verdicts: dict[str, bool] = {}
    for step, param in _all_readers(wiring):
        previous = (param.source.step,) if isinstance(param.source, PreviousSource) else ()
        for name in (*read(param.source), *previous):
            if steps[name] is not step:
                takes = _takes_failed(scopes, step, param, steps[name])
                verdicts[name] = verdicts.get(name, True) and takes
    return {name for name, is_handled in verdicts.items() if is_handled}


def _all_readers(wiring: Wiring) -> Iterator[tuple[Instance, Param]]:
    for step, params in (*wiring.params.items(), *wiring.undos.items()):
        for param in params:
            yield step, param
    for step, found in wiring.beside.items():
        for _, params in found:
            for param in params:
                yield step, param


def _takes_failed(scopes: Scopes, reader: Instance, param: Param, step: Instance) -> bool:
    """Whether a parameter takes the failure of a step, through the lists of the scopes between them."""
    if isinstance(param.source, EachSource):
        return False
    kind = param.annotation
    around = scopes.around(step)
    for scope in scopes.crossed(scopes.inside(reader), step):
        if scope in around and scope in scopes.each:
            kind = item_type(kind)
    return says_failed(kind)
