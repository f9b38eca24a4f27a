"""What a value is where it is read, in a graph: how often it is a list, and what else is in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from gflow.compiler.skips import Skips
from gflow.model import MISSING, EachSource, FirstOfSource, Graph, ItemSource, Node, Param, StepSource

Place = tuple[str, ...]
"""The groups with items or rounds around something, outermost first."""


def inside(node: Node) -> Place:
    """Return the scopes around the body of a step: with itself, if it is one."""
    return (*node.scope, node.name) if node.is_scope else node.scope


def place_of(reader: Node, step: Node) -> Place:
    """Return where a step is read from: what is inside a group, by its body."""
    return inside(reader) if reader.name in step.scope else reader.scope


def crossed(place: Place, step: Node) -> Place:
    """Return the scopes that a value leaves on its way from a step to a place, outermost first."""
    around = inside(step)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(place, around, strict=False)))
    return around[common:]


class Lists:
    """The fan-outs of a graph, and who may be skipped for an item of them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.skips = _skips(graph)

    def around(self, place: Place, step: Node) -> Iterator[tuple[bool, bool]]:
        """Yield whether an element of each list around a value may be None, or `Failed`; innermost first."""
        inner = step.name
        for scope in reversed(crossed(place, step)):
            each = self.graph.nodes[scope].each
            if each is not None:
                is_skipped = inner != scope and inner in self.skips.within(scope)
                yield scope in self.skips.per_item or is_skipped, bool(each.tolerate)
                inner = scope


def _skips(graph: Graph) -> Skips[str]:
    nodes = graph.nodes
    conditions = {name for name, node in nodes.items() if node.when is not None}
    if not conditions:
        return Skips[str]()
    owner = {name: node.group for name, node in nodes.items() if node.group is not None}
    per_item = {name for name in conditions if _is_per_item(nodes[name])}
    needs = {name: [*_needs(graph, node)] for name, node in nodes.items()}
    return Skips(tuple(nodes), owner, conditions, per_item, needs)


def _is_per_item(node: Node) -> bool:
    return node.when is not None and any(param.source == ItemSource(node.name) for param in node.when.params)


def _needs(graph: Graph, node: Node) -> Iterator[Place]:
    """Yield what a step cannot run without: all of these skipped skip it."""
    yield from ((name,) for name in node.follows)
    own = [param for param in node.params if not (node.is_group and _is_plain(node, param))]
    for param in (*own, *(node.when.params if node.when else ())):
        taken = tuple([_unit(graph, node, name) for name in _read(param)])
        is_stopped = param.admits_none or param.default is not MISSING
        if taken and (isinstance(param.source, EachSource) or not is_stopped):
            yield taken


def _is_plain(node: Node, param: Param) -> bool:
    """Whether a group joins what a parameter takes, rather than begin after it."""
    return isinstance(param.source, StepSource) and param.source.step not in node.after


def _read(param: Param) -> tuple[str, ...]:
    match param.source:
        case StepSource(step) | EachSource(step):
            return (step,)
        case FirstOfSource(steps):
            return steps
        case _:
            return ()


def _unit(graph: Graph, node: Node, step: str) -> str:
    scopes = crossed(node.scope, graph.nodes[step])
    return next((scope for scope in scopes if graph.nodes[scope].each), step)
