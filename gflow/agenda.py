"""What happens next in a run: `next_events(…)` decides, and everything else only carries it out.

The agenda keeps counters of what a step still waits for. It is derived from the graph and the fold,
never stored: a resumed run builds it anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from gflow.attempt import TryAgain, decide
from gflow.errors import Severity
from gflow.events import Done, Event, Ref, Started, StatusChanged, Stopped, Tripped
from gflow.model import Graph, Node, Status
from gflow.state import State


class Succeeded(NamedTuple):
    """An attempt returned: its checkpoint is sealed, its preview written."""

    path: str
    ref: Ref
    preview: str
    seconds: float
    degraded: str | None


class Raised(NamedTuple):
    """An attempt raised; `u` is the jitter that was drawn for a wait, `asked` the server's Retry-After."""

    path: str
    type: str
    message: str
    frames: list[list[object]]
    severity: Severity
    seconds: float
    u: float
    asked: float | None


class Ended(NamedTuple):
    """An attempt was ended from outside."""

    path: str


Outcome = Succeeded | Raised | Ended


class Room(NamedTuple):
    """How many more attempts may be admitted.

    `threads` counts free threads, `ahead` the sync bodies that may be admitted now, which is more when
    they are quick; a step with effects never begins to be ambiguous before there is a thread for it.
    `loop` counts async bodies.
    """

    threads: int
    ahead: int
    loop: int


class Agenda:
    """Which steps may begin now, which wait for a time, and which for a place."""

    def __init__(self, graph: Graph, state: State) -> None:
        self.graph = graph
        self.state = state
        self.ready: tuple[deque[str], deque[str]] = (deque(), deque())  # for threads, for the loop
        self.timers: list[tuple[float, str]] = []
        self.closed: set[str] = set()
        self.stopping: Status | None = None
        self.reason = ""
        self.abandoned = False
        self.in_limit: dict[str, int] = {}
        self.held: dict[str, deque[str]] = {}
        self.limits = _limits(graph)
        self._begins, self._joins = _counters(graph)
        self._waiters = _waiters(graph)
        self._done = {name for name in graph.nodes if state.is_done(name)}
        self._arrived: set[str] = set()
        self._begun: set[str] = set()
        self._empty: deque[str] = deque()
        self._postponed = {
            n: s.retry_at for n, s in state.slots.items() if s.retry_at and s.status == "pending"
        }
        for name in self._done:
            self._release(name)
        for node in graph.nodes.values():
            if node.group is None:
                self._arrive(node)

    # ------------------------------------------------------------ what waits for what

    def _release(self, name: str) -> None:
        begins, joins = self._waiters[name]
        for waiter in begins:
            self._begins[waiter] -= 1
        for waiter in joins:
            self._joins[waiter] -= 1

    def _arrive(self, node: Node) -> None:
        """A step's group has begun (or it has none): it begins as soon as what it comes after has ended."""
        self._arrived.add(node.name)
        if self._begins[node.name] == 0:
            self._begin(node)

    def _begin(self, node: Node) -> None:
        self._begun.add(node.name)
        if node.name in self._done:
            self._open_members(node)
        elif not node.is_group:
            self._enqueue(node)
        elif node.group not in self.closed:
            self._open_members(node)
            if self._joins[node.name] == 0:
                self._join(node)

    def _open_members(self, node: Node) -> None:
        for member in node.members:
            if member not in self._arrived:
                self._arrive(self.graph.nodes[member])

    def _join(self, node: Node) -> None:
        if node.is_empty:
            self._empty.append(node.name)
        else:
            self._enqueue(node)

    def _enqueue(self, node: Node) -> None:
        until = self._postponed.pop(node.name, None)
        if until is not None:
            heappush(self.timers, (until, node.name))
        else:
            self.ready[node.is_async].append(node.name)

    def ended(self, name: str) -> None:
        """A step has completed: let go what waited for it."""
        self._done.add(name)
        begins, joins = self._waiters[name]
        for waiter in joins:
            self._joins[waiter] -= 1
            node = self.graph.nodes[waiter]
            if self._joins[waiter] == 0 and self._is_open(node):
                self._join(node)
        for waiter in begins:
            self._begins[waiter] -= 1
        for waiter in begins:  # in the order of the plan: a group before its members
            if self._begins[waiter] == 0 and waiter in self._arrived and waiter not in self._begun:
                self._begin(self.graph.nodes[waiter])

    def _is_open(self, node: Node) -> bool:
        return node.name in self._begun and node.name not in self.closed

    def close(self, name: str) -> None:
        """A step has failed: in its group, and in every group around it, nothing further begins."""
        group = self.graph.nodes[name].group
        while group is not None:
            self.closed.add(group)
            group = self.graph.nodes[group].group

    def next_empty(self) -> str | None:
        """Return a group without a body of its own that is complete."""
        return self._empty.popleft() if self._empty else None

    # ------------------------------------------------------------ times

    def postpone(self, name: str, until: float) -> None:
        """A step is tried again at `until` (Unix seconds)."""
        heappush(self.timers, (until, name))

    def wake(self, now: float) -> None:
        """Make ready what has waited long enough."""
        while self.timers and self.timers[0][0] <= now:
            name = heappop(self.timers)[1]
            self.ready[self.graph.nodes[name].is_async].append(name)

    # ------------------------------------------------------------ places

    def admit(self, room: Room) -> list[str]:
        """Take from what is ready as much as there is room for."""
        threads, loop = self.ready
        admitted = self._take(threads, room.ahead, room.threads)
        return admitted + self._take(loop, room.loop, room.loop) if loop else admitted

    def _take(self, ready: deque[str], places: int, careful: int) -> list[str]:
        taken: list[str] = []
        while ready and len(taken) < places:
            name = ready.popleft()
            if self._is_closed(name):
                self._let_in(name)
            elif (full := self._full_limit(name)) is not None:
                self.held.setdefault(full, deque()).append(name)
            elif len(taken) >= careful and self._has_effects(name):
                ready.appendleft(name)
                break
            else:
                self._enter(name)
                taken.append(name)
        return taken

    def _has_effects(self, name: str) -> bool:
        node = self.graph.nodes[name]
        return node.undo is not None or node.effects == "irreversible"

    def _is_closed(self, name: str) -> bool:
        """No further member of a closed group starts; what has started goes on to its end."""
        node = self.graph.nodes[name]
        if node.is_group:
            return name in self.closed
        return node.group in self.closed and self.state.slot(name).failures == 0

    def _full_limit(self, name: str) -> str | None:
        for group in self.limits[name]:
            if self.in_limit.get(group, 0) >= (self.graph.nodes[group].limit or 1):
                return group
        return None

    def _enter(self, name: str) -> None:
        for group in self.limits[name]:
            self.in_limit[group] = self.in_limit.get(group, 0) + 1

    def leave(self, name: str) -> None:
        """An attempt has ended: its places in limited groups are free again."""
        for group in self.limits[name]:
            self.in_limit[group] -= 1
        self._let_in(name)

    def _let_in(self, name: str) -> None:
        """Let one step that waits for a place try again, for each limited group around `name`."""
        for group in self.limits[name]:
            if self.held.get(group):
                held = self.held[group].popleft()
                self.ready[self.graph.nodes[held].is_async].appendleft(held)


def _counters(graph: Graph) -> tuple[dict[str, int], dict[str, int]]:
    begins = {name: len(node.after) for name, node in graph.nodes.items()}
    joins = {name: len(node.joins) for name, node in graph.nodes.items()}
    return begins, joins


def _waiters(graph: Graph) -> Mapping[str, tuple[list[str], list[str]]]:
    waiters: dict[str, tuple[list[str], list[str]]] = {name: ([], []) for name in graph.nodes}
    for name, node in graph.nodes.items():
        for earlier in node.after:
            waiters[earlier][0].append(name)
        for member in node.joins:
            waiters[member][1].append(name)
    return waiters


def _limits(graph: Graph) -> Mapping[str, tuple[str, ...]]:
    """Return the limited groups that each step counts in: those around it, and itself."""
    limits: dict[str, tuple[str, ...]] = {}
    for name, node in graph.nodes.items():  # groups come before their members
        around = limits.get(node.group, ()) if node.group else ()
        limits[name] = (*around, name) if node.limit is not None else around
    return limits


# ---------------------------------------------------------------- the decision


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn makes true, and which attempts it admits."""

    events: list[Event]
    admitted: list[str]


def next_events(agenda: Agenda, outcomes: Iterable[Outcome], now: float, room: Room) -> Turn:
    """Decide everything that follows from what has just come in.

    `outcomes` are attempts that ended since the last turn; `room` says how many more may run. The
    returned events have been applied to the state; they become true when the journal has written them.
    """
    events: list[Event] = []

    def record(event: Event) -> None:
        agenda.state.apply(now, event)
        events.append(event)

    for outcome in outcomes:
        record(_judge(agenda, outcome, now))
    agenda.wake(now)
    while (name := agenda.next_empty()) is not None:
        record(Done(name, None, "", 0.0))
        agenda.ended(name)
    admitted = [] if agenda.stopping else agenda.admit(room)
    for name in admitted:
        slot = agenda.state.slot(name)
        record(Started(name, slot.attempt + 1, slot.rung))
    if (agenda.abandoned or not agenda.state.open) and (status := conclusion(agenda)):
        record(StatusChanged(status, agenda.reason if status == agenda.stopping else ""))
    return Turn(events, admitted)


def _judge(agenda: Agenda, outcome: Outcome, now: float) -> Event:
    agenda.leave(outcome.path)
    match outcome:
        case Succeeded(path, ref, preview, seconds, degraded):
            agenda.ended(path)
            return Done(path, ref, preview, seconds, degraded)
        case Raised():
            return _after_failure(agenda, outcome, now)
        case Ended(path):
            return Stopped(path)


def _after_failure(agenda: Agenda, failure: Raised, now: float) -> Tripped:
    path = failure.path
    node = agenda.graph.nodes[path]
    failures = agenda.state.slot(path).failures + 1
    decision = decide(node.retry, failure.severity, failures, failure.u, failure.asked)
    retry_at: float | None = None
    word: Literal["retry", "stop"] = "stop"
    if isinstance(decision, TryAgain):
        word, retry_at = "retry", now + decision.delay
        agenda.postpone(path, retry_at)
    else:
        agenda.close(path)
    return Tripped(
        path, failure.type, failure.message, failure.frames, failure.severity, word, retry_at, failure.seconds
    )


def conclusion(agenda: Agenda) -> Status | None:
    """Return how the run ends, or None while something can still happen. Nothing is running."""
    if all(agenda.state.is_done(name) for name in agenda.graph.nodes):
        return "completed"
    if agenda.stopping:
        return agenda.stopping
    return None if agenda.timers else "failed"
