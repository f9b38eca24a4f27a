"""What happens next in a run: `next_events(…)` decides, and everything else only carries it out.

The agenda is derived from the graph and the fold, never stored: a resumed run builds it anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop
from typing import Literal

from gflow.agenda.outcomes import Answer, Ended, Listed, Outcome, Raised, Succeeded, Worded
from gflow.agenda.places import Places, Room
from gflow.agenda.scopes import Scopes
from gflow.attempt import Abort, At, Failure, NextRung, Stop, TryAgain, decide, ladder_of
from gflow.events import (
    START,
    Answered,
    Asked,
    Decided,
    Done,
    Event,
    Opened,
    Reset,
    Skipped,
    Started,
    StatusChanged,
    Stopped,
    Tripped,
)
from gflow.frames import FAILED, Fate, Frame, Need, Scope, Unit, everything, levels, per_item
from gflow.model import Graph, Node, Status
from gflow.state import State

__all__ = [
    "Agenda", "Answer", "Ended", "Listed", "Outcome", "Raised", "Room", "Succeeded", "Turn", "Worded",
    "conclusion", "next_events",
]  # fmt: skip


class Agenda:
    """Which steps may begin now, and what follows when one has ended.

    `places` are the queues, `scopes` the open fan-outs and repeat groups; `waiting` are units that wait for
    a person. `stopping` is the status that the run is to end with, for `reason`; while `aborting` what runs
    is being ended, and it was `abandoned` if that took too long. `events` are those of the turn that is
    being taken.
    """

    def __init__(self, graph: Graph, state: State) -> None:
        self.graph = graph
        self.state = state
        self.now = 0.0
        self.places = Places(graph)
        self.scopes = Scopes(self)
        self.waiting: dict[str, Unit] = {}
        self.stopping: Status | None = None
        self.reason = ""
        self.aborting = False
        self.abandoned = False
        self.rejected = False
        self.levels = levels(graph)
        self.root = Frame(self.levels[()], state)
        self.events: list[Event] = []
        self._due: deque[tuple[Literal["begin", "join"], Frame, Node]] = deque()
        for node in self.root.level.first:
            self.arrive(self.root, node)

    def record(self, event: Event) -> None:
        """Let an event become true here; it is when the journal has written it."""
        self.state.apply(self.now, event)
        self.events.append(event)

    # ------------------------------------------------------------ what waits for what

    def arrive(self, frame: Frame, node: Node) -> None:
        """A step's group has begun (or it has none): it begins as soon as what it comes after has ended."""
        frame.arrived.add(node.name)
        if frame.begins[node.name] == 0:
            self._due.append(("begin", frame, node))

    def _open_members(self, frame: Frame, node: Node) -> None:
        for member in node.members:
            if member not in frame.arrived and member in frame.level.nodes:
                self.arrive(frame, frame.level.nodes[member])

    def ended(self, frame: Frame, node: Node, fate: Fate) -> None:
        """An instance of a step has ended: let go what waited for it."""
        name = node.name
        frame.fates[name] = fate
        if name == frame.level.scope and frame.scope is not None:
            self.scopes.item_ended(frame.scope, frame.index, fate)
            return
        nodes = frame.level.nodes
        begins, joins = frame.level.waiters[name]
        for waiter in joins:
            frame.joins[waiter] -= 1
            if frame.joins[waiter] == 0 and waiter in frame.begun:
                self._due.append(("join", frame, nodes[waiter]))
        for waiter in begins:  # in the order of the plan: a group before its members
            frame.begins[waiter] -= 1
            if frame.begins[waiter] == 0 and waiter in frame.arrived and waiter not in frame.begun:
                self._due.append(("begin", frame, nodes[waiter]))

    def settle(self) -> None:
        """Let begin, and join, everything that has nothing left to wait for."""
        while self._due:
            what, frame, node = self._due.popleft()
            if what == "begin":
                self._begin(frame, node)
            else:
                self._join(frame, node)

    # ------------------------------------------------------------ a step begins

    def _begin(self, frame: Frame, node: Node) -> None:
        name = node.name
        if name in frame.begun:
            return
        frame.begun.add(name)
        if name in frame.fates:  # it ended before this process; a member may still have to run
            if frame.fates[name] == "done" and not node.is_scope:
                self._open_members(frame, node)
            return
        if name == frame.level.scope:
            self._enter_group(frame, node)
            return
        fate, salvages, why = self._prospect(frame, node, frame.level.needs[name])
        if fate == "skipped":
            self._skip(frame, node, why)
        elif fate == "never":
            self._give_up(frame, node)
        else:
            self._consider(frame, node, salvages)

    def _prospect(self, frame: Frame, node: Node, needs: Iterable[Need]) -> tuple[Fate | None, bool, str]:
        """Return how a step ends without having begun, if it does; whether it takes a failure; and why."""
        salvages = False
        skipped = ""
        for need in needs:
            fates = [(step, frame.fate(step)) for step in need.steps]
            step, fate = next(((s, f) for s, f in fates if f != "skipped"), fates[0])
            if fate == "skipped" and not need.optional:
                skipped = skipped or step
            elif fate in FAILED:
                if not need.admits_failed:
                    return "never", False, step
                salvages = True
        for step in node.follows:
            fate = frame.fate(step)
            if fate in FAILED:
                return "never", False, step
            skipped = skipped or (step if fate == "skipped" else "")
        if not salvages and (node.group in frame.closed or self._follows_a_failure(frame, node)):
            return "never", False, ""
        return ("skipped" if skipped else None), salvages, f"{skipped} was skipped"

    def _follows_a_failure(self, frame: Frame, node: Node) -> bool:
        """Tell whether something has failed, and nobody took it as a value, that a step comes after."""
        nodes = self.graph.nodes
        return any(frame.fates.get(s) in FAILED and not nodes[s].handled for s in node.after)

    def _consider(self, frame: Frame, node: Node, salvages: bool) -> None:
        """Ask a step's condition, if it has one; then let it go."""
        if node.when is not None and not per_item(node):
            answer = self.state.slot(node.name + frame.suffix).when
            if answer is None:
                self.enqueue(Unit(node, frame, "when"))
                return
            if not answer:
                self._skip(frame, node, "its condition says no")
                return
        if node.is_scope:
            self.scopes.open(frame, node)
        elif node.is_group:
            self._enter_group(frame, node)
        else:
            unit = Unit(node, frame, "body")
            unit.salvages = salvages
            self.enqueue(unit)

    def _enter_group(self, frame: Frame, node: Node) -> None:
        self._open_members(frame, node)
        if frame.joins[node.name] == 0:
            self._due.append(("join", frame, node))

    def _join(self, frame: Frame, node: Node) -> None:
        """All that a group waits for has ended: its body runs, unless a failure has no place in it."""
        if node.name in frame.fates:  # skipped, or given up, with all inside
            return
        fates = [
            frame.fate(step)
            for need in frame.level.inside[node.name]
            for step in need.steps
            if not need.admits_failed
        ]
        if node.name in frame.closed or not FAILED.isdisjoint(fates):
            self._give_up(frame, node)
        elif node.is_empty:
            self.record(Done(node.name + frame.suffix, None, "", 0.0))
            self.ended(frame, node, "done")
        else:
            self.enqueue(Unit(node, frame, "body"))

    # ------------------------------------------------------------ a step ends without having run

    def _skip(self, frame: Frame, node: Node, why: str) -> None:
        for step in everything(node, frame.level.nodes):
            frame.begun.add(step.name)
            self.record(
                Skipped(step.name + frame.suffix, why if step is node else f"{node.name} was skipped")
            )
            self.ended(frame, step, "skipped")

    def _give_up(self, frame: Frame, node: Node) -> None:
        """A step does not start, or a group's body does not, since others have failed."""
        for step in everything(node, frame.level.nodes):
            if step is node or step.name not in frame.begun:
                frame.begun.add(step.name)
                if step.name not in frame.fates:
                    self.close(frame, step)
                    self.ended(frame, step, self._outcome(frame, step))

    def _outcome(self, frame: Frame, node: Node) -> Fate:
        """Return how a step that does not run has ended; a group's failure that all take is written down."""
        if not (node.is_group and node.handled) or node.name == frame.level.scope:
            return "never"
        path = node.name + frame.suffix
        self.record(Tripped(path, *self.scopes.cause(node, path), "medium", "handled", None, 0.0))
        return "failed"

    def close(self, frame: Frame, node: Node) -> None:
        """In the group of a step that has failed nothing further begins, nor in the groups around it.

        Except where everyone who reads what has failed takes that as a value.
        """
        while not node.handled and node.group is not None and node.name != frame.level.scope:
            frame.closed.add(node.group)
            node = frame.level.nodes[node.group]

    # ------------------------------------------------------------ queues

    def enqueue(self, unit: Unit) -> None:
        slot = self.state.slots.get(unit.path)
        if slot is not None and slot.retry_at is not None and slot.status == "pending":
            self.places.postpone(unit, slot.retry_at)
        elif unit.purpose == "body" and unit.node.ask is not None and not self._may_begin(unit):
            return
        else:
            self.places.queue(unit)

    def _may_begin(self, unit: Unit) -> bool:
        """Tell whether the question before a step is decided with yes; if it is open, ask it or wait."""
        slot, ask = self.state.slot(unit.path), unit.node.ask
        assert ask is not None
        if slot.asked is None and slot.answer is None:
            unit.purpose = "ask"
            self.places.queue(unit)
        elif slot.answer is None:
            self._wait_for_answer(unit)
        elif slot.answer.verdict in ("rejected", "expired") and not ask.admits_rejected:
            self._reject(unit, slot.answer)
        else:
            return True
        return False

    def _reject(self, unit: Unit, answer: Answered) -> None:
        self.rejected = True
        said = "nobody said yes in time" if answer.verdict == "expired" else f"{answer.who} said no"
        asked = self.state.slot(unit.path).asked
        message = f"{said}: {asked.text if asked else ''}" + (
            f" ({answer.comment})" if answer.comment else ""
        )
        word = "handled" if self._is_handled(unit) else "stop"
        self.record(Tripped(unit.path, "Rejected", message, [], "medium", word, None, 0.0))
        self._unit_failed(unit)

    def _wait_for_answer(self, unit: Unit) -> None:
        self.waiting[unit.path] = unit
        asked = self.state.slot(unit.path).asked
        if asked is not None and asked.expires is not None:
            self.places.postpone(unit, asked.expires)

    def next_timer(self) -> float | None:
        """Return when the next unit falls due (Unix seconds); a question that has been decided does not."""
        timers = self.places.timers
        while timers and self._is_decided(timers[0][2]):
            heappop(timers)
        return timers[0][0] if timers else None

    def _is_decided(self, unit: Unit) -> bool:
        return unit.purpose == "ask" and unit.path not in self.waiting

    def wake(self) -> None:
        """Make ready what has waited long enough; a question that nobody has answered is answered no."""
        while (unit := self.places.due(self.now)) is not None:
            if self._is_decided(unit):
                continue
            if unit.path in self.waiting:
                asked = self.state.slot(unit.path).asked
                assert asked is not None
                generation = self.state.slot(unit.path).generation
                self.answer(Answered(unit.path, "expired", "", "", asked.digest, generation))
            else:
                self.places.queue(unit)

    def hear(self, event: Answered) -> None:
        """Somebody has decided: obey, if it is the question that is open, or one still to come."""
        slot = self.state.slot(event.path)
        if event.generation != slot.generation or slot.answer is not None:
            return
        if event.digest == (slot.asked.digest if slot.asked else ""):
            self.answer(event)

    def answer(self, event: Answered) -> None:
        """A person has decided, or nobody has in time."""
        self.record(event)
        unit = self.waiting.pop(event.path, None)
        if unit is not None:
            unit.purpose = "body"
            self.enqueue(unit)

    # ------------------------------------------------------------ workers

    def admit(self, room: Room) -> list[Unit]:
        """Take from what is ready as much as there is room for; what may not start any more is given up."""
        if self.scopes.sources:
            self.scopes.feed(room)
        return self.places.take(room, self._may_start)

    def _may_start(self, unit: Unit) -> bool:
        if not self._is_closed(unit):
            return True
        self.close(unit.frame, unit.node)
        self.ended(unit.frame, unit.node, "never")
        return False

    def _is_closed(self, unit: Unit) -> bool:
        """No further member of a closed group starts; what has started goes on to its end."""
        if unit.scope is not None:
            return False
        if unit.node.is_group and unit.purpose == "body":
            return unit.node.name in unit.frame.closed
        if unit.salvages or unit.node.group not in unit.frame.closed:
            return False
        slot = self.state.slot(unit.path)
        return slot.failures == 0 and slot.rung == 0

    # ------------------------------------------------------------ outcomes

    def judge(self, outcome: Outcome) -> None:
        """Decide what follows from what a worker brings."""
        unit = self.places.leave(outcome.path)
        match outcome:
            case Succeeded(path, ref, preview, seconds, degraded):
                self.record(Done(path, ref, preview, seconds, degraded))
                self._unit_ended(unit, "done")
            case Raised():
                self._after_failure(unit, outcome)
            case Ended(path):
                self.record(Stopped(path, "cancelled" if self.aborting else "interrupted"))
            case Answer(_, yes):
                self._after_answer(unit, yes)
            case Listed(path, n, keys):
                self.record(Opened(path, n, keys))
                self.scopes.go_on_with(Scope(unit.node, unit.frame, n, keys))
            case Worded():
                self._after_question(unit, outcome)

    def _unit_ended(self, unit: Unit, fate: Fate) -> None:
        if unit.scope is not None and unit.purpose != "until":
            self.scopes.item_ended(unit.scope, unit.index, fate)
        else:
            self.ended(unit.frame, unit.node, fate)

    def _unit_failed(self, unit: Unit) -> None:
        if unit.scope is None:
            self.close(unit.frame, unit.node)
        self._unit_ended(unit, "failed")

    def _after_failure(self, unit: Unit, failure: Raised) -> None:
        path, slot = unit.path, self.state.slot(unit.path)
        ladder = ladder_of(unit.node, self.graph.on_exhausted)
        rung = slot.rung if unit.purpose == "body" else ladder.rungs  # nothing stands in for a condition
        what = Failure(failure.severity, failure.kind, failure.asked)
        decision = decide(ladder, what, At(rung, slot.failures + 1), failure.u)
        word, retry_at = "stop", None
        match decision:
            case TryAgain(delay):
                word, retry_at = "retry", self.now + delay
            case NextRung():
                word = "next"
            case Abort():
                word = "abort"
            case Stop():
                word = "handled" if self._is_handled(unit) else "stop"
        told = failure.type, failure.message, failure.frames, failure.severity
        self.record(Tripped(path, *told, word, retry_at, failure.seconds))
        if retry_at is not None:
            self.places.postpone(unit, retry_at)
        elif word == "next":
            self.places.queue(unit, first=True)
        elif word == "abort":
            self._abort(f"{path}: {failure.type}: {failure.message}".rstrip(": "))
        else:
            self._unit_failed(unit)

    def _is_handled(self, unit: Unit) -> bool:
        """Tell whether a failure is an outcome: who read the step take it, or its fan-out tolerates it."""
        if unit.scope is not None and unit.scope.node.each is not None:
            return unit.scope.failed < unit.scope.allowed
        return unit.node.handled

    def _abort(self, reason: str) -> None:
        """Nothing further begins; when no attempt lives, the run is rolled back to its start."""
        self.aborting = True
        self.stopping = "rolling_back"
        self.reason = f"abort: {reason}"

    def _after_answer(self, unit: Unit, yes: bool) -> None:
        scope = unit.scope
        if unit.purpose == "until":
            assert scope is not None
            scope.flying -= 1
            self.record(Decided(scope.node.name + scope.suffix(unit.index), "until", yes))
            self.scopes.after_round(scope, unit.index)
            return
        self.record(Decided(unit.path, "when", yes))
        if scope is None:
            self._consider(unit.frame, unit.node, salvages=False)
        elif yes:
            unit.purpose = "body"
            self.enqueue(unit)
        else:
            self.scopes.skip_item(unit)

    def _after_question(self, unit: Unit, question: Worded) -> None:
        path, slot = unit.path, self.state.slot(unit.path)
        ask = unit.node.ask
        assert ask is not None
        if not question.needed:
            self.record(Answered(path, "not asked", "", "", question.digest, slot.generation))
            unit.purpose = "body"
            self.enqueue(unit)
            return
        expires = None if ask.timeout is None else self.now + ask.timeout
        early = self.state.early_answer(path)
        self.record(Asked(path, question.text, question.digest, expires))
        self._wait_for_answer(unit)
        if early is not None:
            self.answer(early._replace(path=path, digest=question.digest))


# ---------------------------------------------------------------- the decision


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn makes true, and what it admits."""

    events: list[Event]
    admitted: list[Unit]


def next_events(agenda: Agenda, outcomes: Iterable[Outcome], now: float, room: Room) -> Turn:
    """Decide everything that follows from what has just come in.

    `outcomes` are attempts that ended since the last turn; `room` says how many more may run. The
    returned events have been applied to the state; they become true when the journal has written them.
    """
    agenda.now = now
    for outcome in outcomes:
        agenda.judge(outcome)
    agenda.wake()
    agenda.settle()
    admitted = _admitted(agenda, room)
    for unit in admitted:
        if unit.purpose == "body":
            slot = agenda.state.slot(unit.path)
            agenda.record(Started(unit.path, slot.attempt + 1, slot.rung))
    if (agenda.abandoned or not agenda.places.flying) and (status := conclusion(agenda)):
        if status == "rolling_back":
            names = list(agenda.graph.nodes)
            agenda.record(Reset("abort", START, agenda.state.generation + 1, names))
        agenda.record(StatusChanged(status, agenda.reason if status == agenda.stopping else ""))
    events, agenda.events = agenda.events, []
    return Turn(events, admitted)


def _admitted(agenda: Agenda, room: Room) -> list[Unit]:
    """Admit until there is no room, or nothing more; giving a step up may let others begin."""
    admitted: list[Unit] = []
    while not agenda.stopping:
        more = agenda.admit(room.without(admitted) if admitted else room)
        admitted += more
        agenda.settle()
        if not more:
            break
    return admitted


def conclusion(agenda: Agenda) -> Status | None:
    """Return how the run ends, or None while something can still happen. Nothing is running."""
    root = agenda.root
    ends = [(node, root.fates.get(node.name)) for node in root.level.first]
    if all(fate in ("done", "skipped") or (fate == "failed" and node.handled) for node, fate in ends):
        return "completed"
    if agenda.stopping:
        return agenda.stopping
    if agenda.next_timer() is not None and any(
        u.path not in agenda.waiting for _, _, u in agenda.places.timers
    ):
        return None
    failed = any(fate in FAILED and not node.handled for node, fate in ends)
    if agenda.waiting and not failed:
        return "waiting"
    return "rejected" if agenda.rejected and _nothing_else_failed(agenda.state) else "failed"


def _nothing_else_failed(state: State) -> bool:
    failed = [slot for slot in state.slots.values() if slot.status == "failed" and not slot.handled]
    return all(slot.error is not None and slot.error.type == "Rejected" for slot in failed)
