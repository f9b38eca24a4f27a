"""What every drawing has to know about a step: what it takes from whom, what it waits for and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from gflow.inputs.spelling import flag_of, quoted
from gflow.model import ConstantSource, ContextSource, Graph, InputSource, Node, Param, StepSource

AFTER: Final = "after="
"""The reason to wait for a step that is only named there."""


def around(graph: Graph, name: str) -> Iterator[str]:
    """Yield the groups that a step is inside of, the innermost first."""
    group = graph.nodes[name].group
    while group is not None:
        yield group
        group = graph.nodes[group].group


def taken(params: Iterable[Param]) -> list[tuple[Param, StepSource]]:
    """Return the parameters whose values come from steps."""
    return [(param, param.source) for param in params if isinstance(param.source, StepSource)]


def in_plan_order(graph: Graph, names: Collection[str]) -> list[str]:
    """Return steps in the order of the plan."""
    return [name for name in graph.nodes if name in names] if len(names) > 1 else list(names)


def reasons(graph: Graph, node: Node) -> dict[str, list[str]]:
    """Return the steps that must have ended before one begins, in the order of the plan, with the reasons."""
    undo_params = node.undo.params if node.undo else ()
    group = graph.nodes[node.group] if node.group else None
    in_turn = group.params if group and group.kind == "stage" else ()
    waits = {
        "data": {source.step for _, source in taken(node.params)} - node.joins,
        "data of its undo": {source.step for _, source in taken(undo_params)},
        f"place in the stage {node.group}": {source.step for _, source in taken(in_turn)},
    }
    return {
        name: [why for why, steps in waits.items() if name in steps] or [AFTER]
        for name in in_plan_order(graph, node.after)
    }


def only_after(graph: Graph, node: Node) -> list[str]:
    """Return the steps that one waits for because of `after=` alone."""
    return [name for name, why in reasons(graph, node).items() if why == [AFTER]]


def brief_source(param: Param) -> str:
    """Return where a value comes from: `build`, `deploy.url`, `--part`, `wheel=build`; "" for the context."""
    match param.source:
        case StepSource(step, field):
            origin, known_as = (f"{step}.{field}", field) if field else (step, step.rpartition("/")[2])
        case InputSource(name):
            origin, known_as = flag_of(name), name
        case ConstantSource(value):
            return f"{param.name}={quoted(value)}"
        case ContextSource():
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
