"""What every drawing has to know about a step: what it takes from whom, what it waits for and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Final

from gflow.inputs.spelling import flag_of, quoted
from gflow.model import (
    ApprovalSource,
    ConstantSource,
    ContextSource,
    EachSource,
    FailureSource,
    FirstOfSource,
    Graph,
    InputSource,
    ItemSource,
    Node,
    Param,
    PreviousSource,
    Source,
    StepSource,
)

AFTER: Final = "after="
"""The reason to wait for a step that is only named there."""


def around(graph: Graph, name: str) -> Iterator[str]:
    """Yield the groups that a step is inside of, the innermost first."""
    group = graph.nodes[name].group
    while group is not None:
        yield group
        group = graph.nodes[group].group


def taken(params: Iterable[Param]) -> list[tuple[Param, StepSource]]:
    """Return the parameters whose values are the results of steps."""
    return [(param, param.source) for param in params if isinstance(param.source, StepSource)]


def read(params: Iterable[Param]) -> list[tuple[Param, str]]:
    """Return the parameters that take a value from steps, in whatever way, each with such a step."""
    return [(param, step) for param in params for step in _steps(param.source)]


def _steps(source: Source) -> tuple[str, ...]:
    match source:
        case StepSource(step) | EachSource(step):
            return (step,)
        case FirstOfSource(steps):
            return steps
        case _:
            return ()


def in_plan_order(graph: Graph, names: Collection[str]) -> list[str]:
    """Return steps in the order of the plan."""
    return [name for name in graph.nodes if name in names] if len(names) > 1 else list(names)


def reasons(graph: Graph, node: Node) -> dict[str, list[str]]:
    """Return the steps that must have ended before one begins, in the order of the plan, with the reasons.

    What runs once per item or round also waits for what anything inside it needs from outside.
    """
    waits = dict(_own_reasons(graph, node))
    if node.is_scope and node.is_group:
        for inner in [inner for inner in graph.nodes.values() if node.name in inner.scope]:
            for why, steps in _own_reasons(graph, inner, level=len(node.scope)):
                waits.setdefault(f"{inner.name} inside it: {why}", set()).update(steps)
    return {
        name: [why for why, steps in waits.items() if name in steps] or [AFTER]
        for name in in_plan_order(graph, node.after)
    }


def _own_reasons(graph: Graph, node: Node, level: int | None = None) -> Iterator[tuple[str, set[str]]]:
    """Yield why a step waits for which others: those at its own level, or at that of a scope around it."""
    group = graph.nodes[node.group] if node.group else None
    rungs = [param for rung in node.rungs for param in rung.call.params]
    found = [
        ("data", node.params),
        ("data of its undo", node.undo.params if node.undo else ()),
        (f"place in the stage {node.group}", group.params if group and group.kind == "stage" else ()),
        ("its condition", node.when.params if node.when else ()),
        ("data of what stands in for it", rungs),
        ("what it asks about", _asked(node)),
    ]
    for why, params in found:
        if level is None:
            steps = {lifted(graph, node, step) for _, step in read(params)}
            yield why, steps - node.joins if why == "data" else steps
        elif not why.startswith("place"):
            yield why, {step for _, step in read(params) if len(graph.nodes[step].scope) <= level}
    if level is not None:
        yield AFTER, {*node.follows}


def _asked(node: Node) -> tuple[Param, ...]:
    if node.ask is None:
        return ()
    return (*node.ask.values, *(node.ask.when.params if node.ask.when else ()))


def lifted(graph: Graph, node: Node, step: str) -> str:
    """Return what a step waits for if it reads another: that, or the outermost scope that only that is in."""
    around = graph.nodes[step].scope if step in graph.nodes else ()
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(node.scope, around, strict=False)))
    return around[common] if len(around) > common else step


def only_after(graph: Graph, node: Node) -> list[str]:
    """Return the steps that one waits for because of `after=` alone."""
    return [name for name, why in reasons(graph, node).items() if why == [AFTER]]


def brief_source(param: Param) -> str:
    """Return where a value comes from: `build`, `deploy.url`, `--part`, `wheel=build`; "" if unsaid."""
    match param.source:
        case StepSource(step, field):
            origin, known_as = (f"{step}.{field}", field) if field else (step, step.rpartition("/")[2])
        case InputSource(name):
            origin, known_as = flag_of(name), name
        case ConstantSource(value):
            return f"{param.name}={quoted(value)}"
        case FirstOfSource(steps):
            return f"{param.name}={'|'.join(steps)}"
        case PreviousSource(step):
            return f"previous {step}"
        case ContextSource() | ApprovalSource() | EachSource() | ItemSource() | FailureSource():
            return ""
        case _:
            return f"{param.name}=?"
    return origin if known_as == param.name else f"{param.name}={origin}"


def first_line(text: str) -> str:
    """Return the first line of a docstring."""
    return text.strip().partition("\n")[0].rstrip()


def aligned(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Return rows of cells as lines whose columns begin below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [f"{indent}{line}".rstrip() for line in lines]
