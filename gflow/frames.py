"""What waits for what: counters for a workflow, and for each item and round of what it repeats.

A frame is one instance of a level of the graph: the whole workflow, or the members of a fan-out or repeat
group for one item or round. Frames are derived from the graph and the fold, never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gflow.events import coordinate
from gflow.model import MISSING, EachSource, FirstOfSource, Graph, ItemSource, Node, Param, StepSource
from gflow.state import Slot, State

Fate = Literal["done", "skipped", "failed", "never"]
"""How a step ended for those who wait for it: "never" is one that did not start, since others had failed."""

Purpose = Literal["when", "open", "ask", "body", "until", "expiry"]
"""What a worker is asked to do for a step: its condition, its list of items, its question, its body, or
whether the round was the last. Nobody does anything for an "expiry": it is the end of a question's time."""

Chain = tuple[str, ...]


class Need(NamedTuple):
    """A value that a step takes, by the steps that it waits for; `optional` if it does without.

    Of several, the first that was not skipped gives it. `meant` are the steps whose values they are: members
    of a repeat group are awaited with the group, and seen in its last round.
    """

    steps: tuple[str, ...]
    optional: bool
    admits_failed: bool
    meant: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """The steps of one level: `scope` is the group that repeats it, None for the whole workflow.

    `first` begin with the level. `begins` and `joins` count what a step, and a group's body, wait for;
    `waiters` are the other end. `needs` are the values that a step takes when it begins, `inside` those that
    a group's body takes from its members.
    """

    scope: str | None
    nodes: Mapping[str, Node]
    first: tuple[Node, ...]
    begins: Mapping[str, int]
    joins: Mapping[str, int]
    waiters: Mapping[str, tuple[list[str], list[str]]]
    needs: Mapping[str, tuple[Need, ...]]
    inside: Mapping[str, tuple[Need, ...]]


def levels(graph: Graph) -> dict[Chain, Level]:
    """Return the levels of a graph by the scopes around them, outermost first."""
    found: dict[Chain, dict[str, Node]] = {(): {}}
    for node in graph.nodes.values():
        if node.is_scope and node.is_group:
            found[(*node.scope, node.name)] = {node.name: node}
    for node in graph.nodes.values():
        found[node.scope][node.name] = node
    return {chain: _level(graph, chain, nodes) for chain, nodes in found.items()}


def _level(graph: Graph, chain: Chain, nodes: Mapping[str, Node]) -> Level:
    scope = chain[-1] if chain else None
    waiters: dict[str, tuple[list[str], list[str]]] = {name: ([], []) for name in nodes}
    begins, joins = dict.fromkeys(nodes, 0), dict.fromkeys(nodes, 0)
    for name, node in nodes.items():
        for earlier in node.after if name != scope else ():
            if earlier in nodes:
                waiters[earlier][0].append(name)
                begins[name] += 1
        for member in node.joins if name == scope or not node.is_scope else ():
            if member in nodes:
                waiters[member][1].append(name)
                joins[name] += 1
    return Level(
        scope,
        nodes,
        tuple(node for node in nodes.values() if node.name == scope or (not chain and node.group is None)),
        begins,
        joins,
        waiters,
        {name: _needs(graph, node, members=False) for name, node in nodes.items()},
        {name: _needs(graph, node, members=True) for name, node in nodes.items() if node.is_group},
    )


def _needs(graph: Graph, node: Node, *, members: bool) -> tuple[Need, ...]:
    """Return what a step takes as it begins, or what a group's body takes from its members."""
    chain = (*node.scope, node.name) if members and node.is_scope else node.scope
    params: tuple[Param, ...] = node.params
    if not members and node.when is not None and not per_item(node):
        params = (*params, *node.when.params)
    shown = node.ask.values if node.ask is not None and not members else ()
    if node.ask is not None and node.ask.when is not None and not members:
        params = (*params, *node.ask.when.params)
    needs: list[Need] = []
    for param in (*params, *shown):
        named = _named(param)
        if named and (node.is_group and any(step in node.joins for step in named)) == members:
            optional = param.admits_none or param.default is not MISSING or param in shown
            steps = tuple([seen_from(graph, chain, step) for step in named])
            needs.append(Need(steps, optional, param.admits_failed, named))
    return tuple(needs)


def _named(param: Param) -> tuple[str, ...]:
    match param.source:
        case StepSource(step) | EachSource(step):
            return (step,)
        case FirstOfSource(steps):
            return steps
        case _:
            return ()


def per_item(node: Node) -> bool:
    """Tell whether the condition of a fan-out is asked for each item: whether it takes the item."""
    params = node.when.params if node.when is not None and node.each is not None else ()
    return any(isinstance(p.source, ItemSource) and p.source.group == node.name for p in params)


def seen_from(graph: Graph, chain: Chain, step: str) -> str:
    """Return whom one waits for who reads a step from a place: the step, or the outermost scope around it."""
    around = graph.nodes[step].scope
    for depth, scope in enumerate(around):
        if depth >= len(chain) or chain[depth] != scope:
            return scope
    return step


def last_instance(
    graph: Graph, find: Callable[[str], Slot | None], step: str, coordinates: Sequence[str]
) -> str | None:
    """Return the instance of a step that is seen from outside of the repeat groups around it.

    It is that of the last round. `coordinates` are those of the place from which it is seen. None if there is
    a list of instances.
    """
    node, at = graph.nodes[step], tuple(coordinates)
    while len(at) < len(node.scope):
        scope = graph.nodes[node.scope[len(at)]]
        if scope.repeat is None:
            return None
        at = (*at, f"~{last_round(scope, find, scope.name + ''.join(at))}")
    return node.name + "".join(at)


def last_round(scope: Node, find: Callable[[str], Slot | None], path: str) -> int:
    """Return the number of the last round of a repeat group that has ended, 1 if none has."""
    assert scope.repeat is not None
    rounds = range(1, scope.repeat.max + 1)
    ended = (k for k in rounds if (slot := find(f"{path}~{k}")) is not None and slot.has_ended)
    return max(ended, default=1)  # one that was taken back has a slot, and has not ended


class Frame:
    """One instance of a level: what has begun, what has ended how, and what the rest still waits for.

    `suffix` is what its place adds to the names of its steps; `scope` and `index` are the open fan-out or
    repeat group and the number of the item or round, None for the whole workflow.
    """

    __slots__ = ("arrived", "begins", "begun", "closed", "fates", "index", "joins", "level", "parent",
                 "scope", "suffix")  # fmt: skip

    def __init__(
        self, level: Level, state: State, suffix: str = "", scope: Scope | None = None, index: int = 0
    ) -> None:
        self.level = level
        self.suffix = suffix
        self.scope = scope
        self.parent: Frame | None = scope.frame if scope else None
        self.index = index
        self.begins = dict(level.begins)
        self.joins = dict(level.joins)
        self.arrived: set[str] = set()
        self.begun: set[str] = set()
        self.closed: set[str] = set()
        self.fates: dict[str, Fate] = {}
        if state.slots:
            self._remember(state)

    def _remember(self, state: State) -> None:
        """Take over what ended before: in an earlier process, or before the item was opened again."""
        for name in self.level.nodes:
            slot = state.slots.get(name + self.suffix)
            if slot is not None and slot.has_ended:
                self.fates[name] = FATES[slot.status]
                begins, joins = self.level.waiters[name]
                for waiter in begins:
                    self.begins[waiter] -= 1
                for waiter in joins:
                    self.joins[waiter] -= 1

    def fate(self, name: str) -> Fate | None:
        """Return how a step of this frame, or of one around it, has ended."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.level.nodes and name != frame.level.scope:
                return frame.fates.get(name)
            frame = frame.parent
        return None

    def holding(self, group: str) -> Frame:
        """Return the frame in which an instance of a group around this frame lives."""
        frame = self
        while group not in frame.level.nodes and frame.parent is not None:
            frame = frame.parent
        return frame


FAILED: Final = frozenset[Fate | None](("failed", "never"))
FATES: Final[Mapping[str, Fate]] = {"completed": "done", "skipped": "skipped", "failed": "failed"}


class Scope:
    """An open fan-out, or the rounds of a group: what is still to come, what runs, what has failed.

    `path` is that of the whole. `upcoming` is the number of the next item to begin; nothing is kept for one
    that waits.
    """

    __slots__ = (
        "asks_per_item", "closed", "failed", "first_error", "flying", "frame", "has_ended", "keys", "n",
        "node", "path", "upcoming",
    )  # fmt: skip

    def __init__(self, node: Node, frame: Frame, n: int, keys: list[str] | None) -> None:
        self.node = node
        self.frame = frame
        self.path = node.name + frame.suffix
        self.n = n
        self.keys = keys
        self.upcoming = 0
        self.asks_per_item = per_item(node)
        self.flying = 0
        self.failed = 0
        self.closed = False
        self.has_ended = False
        self.first_error: str | None = None

    @property
    def has_more(self) -> bool:
        """Whether there is another item to begin."""
        return self.upcoming < self.n and not self.closed

    @property
    def allowed(self) -> int:
        """How many items may fail."""
        tolerate = self.node.each.tolerate if self.node.each else 0
        return tolerate if isinstance(tolerate, int) else int(tolerate * self.n)

    def coordinate(self, index: int) -> str:
        """Return what an item or a round adds to the path."""
        return self.place(index, self.keys) if self.node.each else f"~{index}"

    @staticmethod
    def place(index: int, keys: list[str] | None) -> str:
        """Return what an item of a fan-out adds to the path: its key, or its index."""
        return coordinate(keys[index]) if keys is not None else f"[{index}]"

    def suffix(self, index: int) -> str:
        """Return what the place of an item or round adds to the names of the steps in it."""
        return self.frame.suffix + self.coordinate(index)


class Unit:
    """Something that a worker does for an instance of a step; `scope` is the fan-out whose item it is."""

    __slots__ = ("frame", "index", "node", "path", "purpose", "rung", "salvages", "scope", "suffix")

    def __init__(
        self, node: Node, frame: Frame, purpose: Purpose, scope: Scope | None = None, index: int = 0
    ) -> None:
        self.node = node
        self.frame = frame
        self.purpose: Purpose = purpose
        self.scope = scope
        self.index = index
        self.suffix = scope.suffix(index) if scope is not None and purpose != "until" else frame.suffix
        self.path = node.name + self.suffix
        self.rung = 0
        self.salvages = False

    @property
    def on_loop(self) -> bool:
        """Whether it is an async body; conditions, lists and questions are for threads."""
        if self.purpose != "body":
            return False
        return self.node.rungs[self.rung - 1].call.is_async if self.rung else self.node.is_async


def limits(graph: Graph) -> Mapping[str, tuple[str, ...]]:
    """Return the limited groups that each step counts in: those around it, and itself."""
    found: dict[str, tuple[str, ...]] = {}
    for name, node in graph.nodes.items():  # groups come before their members
        around = found.get(node.group, ()) if node.group else ()
        found[name] = (*around, name) if node.limit is not None else around
    return found


def everything(node: Node, nodes: Mapping[str, Node]) -> Iterable[Node]:
    """Yield a step, and all that is inside it on its level."""
    waiting = [node]
    while waiting:
        step = waiting.pop()
        yield step
        waiting += [nodes[member] for member in reversed(step.members) if member in nodes]
