"""What had run on a failure that is tried again: teardown, salvage. Whoever goes on begins it anew.

A step that takes a `Failed` may run although its group fails with what it took. When the run goes on, the
failed step is tried again; so what was made of its failure does not stand, nor what was made of that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from gflow.events import Reverted, step_of
from gflow.frames import seen_from
from gflow.model import EachSource, FirstOfSource, Graph, Node, Param, StepSource
from gflow.state import Slot, State
from gflow.values import Where, where


class Edge(NamedTuple):
    """One instance took a value of another, or its failure too, if it `admits_failed`."""

    source: str
    reader: str
    admits_failed: bool = False


def begun_anew(graph: Graph, state: State) -> list[Reverted]:
    """Return the event by which a resumed run begins anew what had run on a failure; none if nothing had."""
    paths = ran_on_failures(graph, state)
    return [Reverted(paths, state.generation + 1)] if paths else []


def ran_on_failures(graph: Graph, state: State) -> list[str]:
    """Return the instances that took the failure of a step that is tried again, and all made from them."""
    if not any(slot.status == "failed" and not slot.handled for slot in state.slots.values()):
        return []
    if not any(param.admits_failed for node in graph.nodes.values() for param in _params(node)):
        return []
    begun = [path for path, slot in state.slots.items() if _has_taken(slot)]
    edges = [edge for path in begun for edge in _edges(graph, state, path)]
    readers: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        readers[edge.source].append(edge.reader)
    front = [e.reader for e in edges if e.admits_failed and _is_tried_again(graph, state, e.source)]
    found: set[str] = set()
    while front:
        path = front.pop()
        if path not in found:
            found.add(path)
            front += readers[path]
    return [path for path in state.slots if path in found]


def _has_taken(slot: Slot) -> bool:
    """Tell whether values came to an instance; what was adopted from another run stays as it is."""
    touched = slot.began is not None or slot.has_ended or slot.when is not None or slot.asked is not None
    return (touched or slot.items is not None) and not slot.origin


def _is_tried_again(graph: Graph, state: State, path: str) -> bool:
    """Tell whether a step has yet to have an outcome, and so has everything that it is inside of."""
    return not any(state.has_ended(each) for each in (path, *_around(graph, path)))


def _around(graph: Graph, path: str) -> Iterator[str]:
    """Yield the groups, items and rounds that an instance is inside of, and the whole of its own fan-out."""
    node = graph.nodes[step_of(path)]
    coordinates = where(node, path).coordinates
    if len(coordinates) > len(node.scope):
        yield node.name + "".join(coordinates[:-1])
    while node.group is not None:
        node = graph.nodes[node.group]
        if node.is_scope:
            yield node.name + "".join(coordinates[: len(node.scope) + 1])
        yield node.name + "".join(coordinates[: len(node.scope)])


# ---------------------------------------------------------------- who took what


def _edges(graph: Graph, state: State, path: str) -> Iterator[Edge]:
    """Yield whose values an instance took, and what has ended around it, which took its."""
    node = graph.nodes.get(step_of(path))
    if node is None:  # the workflow has changed
        return
    for outer in _around(graph, path):
        if state.has_ended(outer):
            yield Edge(path, outer)
    at = where(node, path)
    for depth, scope in enumerate(at.chain):
        if (each := graph.nodes[scope].each) is not None:
            yield Edge(_seen(graph, at.chain[:depth], at, each.step), path)
    slot = state.slots[path]
    has_body = slot.began is not None or slot.has_ended
    for param in _params(node):
        for step in _sources(graph, state, param, at):
            source = _seen(graph, at.chain, at, step)
            if source != path and (has_body or step not in node.joins):
                yield Edge(source, path, param.admits_failed)


def _params(node: Node) -> Iterator[Param]:
    """Yield all through which a value may have come to a step."""
    yield from node.params
    calls = [rung.call for rung in node.rungs]
    calls += [node.when] if node.when else []
    calls += [node.repeat.until] if node.repeat else []
    calls += [node.ask.when] if node.ask and node.ask.when else []
    for call in calls:
        yield from call.params
    if node.ask:
        yield from node.ask.values


def _sources(graph: Graph, state: State, param: Param, at: Where) -> tuple[str, ...]:
    match param.source:
        case StepSource(step) | EachSource(step):
            return (step,)
        case FirstOfSource(steps):
            ran = [step for step in steps if not _is_skipped(state, _seen(graph, at.chain, at, step))]
            return tuple((ran or steps)[:1])
        case _:
            return ()


def _is_skipped(state: State, path: str) -> bool:
    slot = state.slots.get(path)
    return slot is not None and slot.status == "skipped"


def _seen(graph: Graph, chain: tuple[str, ...], at: Where, step: str) -> str:
    """Return the instance that one waits for who reads a step from a place."""
    node = graph.nodes[seen_from(graph, chain, step)]
    return node.name + "".join(at.coordinates[: len(node.scope)])
