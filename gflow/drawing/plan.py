"""What a run would do, for `--plan`: nothing of the workflow is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter

from gflow.drawing.edges import aligned, first_line
from gflow.drawing.practice import practice, stand_ins
from gflow.drawing.tree import title
from gflow.model import Graph, Node


def plan(graph: Graph, inputs: Mapping[str, str]) -> str:
    """Return what would run, numbered by turns, who does it and what would undo it.

    `inputs` are the values by name, as text. What stands in one turn, in one bracket, does not wait for each
    other and may run at once.
    """
    turns = _turns(graph)
    rows = [row for number, turn in enumerate(turns, 1) for row in _rows(number, turn)]
    first, *about = title(graph)
    lines = [f"plan of {first}", *about, ""]
    if inputs:
        lines += ["inputs", *aligned(list(inputs.items()), "  "), ""]
    lines += [*aligned(rows), *_limits(graph), "", "nothing was run"]
    return "\n".join(lines)


def _turns(graph: Graph) -> list[list[Node]]:
    """Return the steps by the earliest turn in which each can run; groups, if they have a body, for it."""
    ends = _ends(graph)
    turns: dict[int, list[Node]] = {}
    for node in graph.nodes.values():
        if not (node.is_group and node.is_empty):
            turns.setdefault(ends[node.name], []).append(node)
    return [turns[number] for number in sorted(turns)]


def _ends(graph: Graph) -> dict[str, int]:
    """Return after how many turns each step has ended: the longest way to it.

    A group is two points: it begins before its members do, and its body ends it.
    """
    before: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for name, node in graph.nodes.items():
        before["begin", name] = {("end", other) for other in node.after}
        if node.group is not None:
            before["begin", name].add(("begin", node.group))
        before["end", name] = {("begin", name), *(("end", other) for other in node.joins)}
    turn: dict[tuple[str, str], int] = {}
    for point in TopologicalSorter(before).static_order():
        kind, name = point
        node = graph.nodes[name]
        works = kind == "end" and not (node.is_group and node.is_empty)
        turn[point] = max((turn[other] for other in before[point]), default=0) + works
    return {name: turn["end", name] for name in graph.nodes}


def _rows(number: int, nodes: list[Node]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of one turn."""
    for place, node in enumerate(nodes):
        bracket = " " if len(nodes) == 1 else "┌" if place == 0 else "└" if place == len(nodes) - 1 else "│"
        turn = str(number) if place == 0 else ""
        yield turn.rjust(3), bracket, node.name, _player(node), " · ".join(_notes(node))


def _player(node: Node) -> str:
    if node.is_group:
        return f"{node.kind}: its body"
    return f"{node.role}: its Python body" if node.role else "Python"


def _notes(node: Node) -> Iterator[str]:
    if not node.is_group:
        yield from practice(node)
    if node.retry:
        yield f"{node.retry.attempts} attempts"
    yield from stand_ins(node)
    if node.undo:
        yield f"undo: {first_line(node.undo.doc) or getattr(node.undo.fn, '__name__', 'a function')}"
    elif node.effects == "none":
        yield "nothing to undo"
    elif node.effects == "irreversible":
        yield "irreversible"
    elif not node.is_group:
        yield "no undo"


def _limits(graph: Graph) -> Iterator[str]:
    """Yield what holds for all that is inside a group."""
    for node in graph.nodes.values():
        if node.is_group and (said := [*practice(node)]):
            yield f"all in {node.name}: {' · '.join(said)}"
        if node.limit is not None:
            yield f"at most {node.limit} at once in {node.name}"
