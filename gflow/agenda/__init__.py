"""What happens next in a run: `next_events(…)` decides, and everything else only carries it out.

The agenda is derived from the graph and the fold, never stored: a resumed run builds it anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heappop
from math import inf
from typing import Literal, NamedTuple

from gflow.agenda.outcomes import Answer, Ended, Listed, Outcome, Raised, Succeeded, Worded
from gflow.agenda.places import Places, Room
from gflow.agenda.scopes import NOT_STARTED, Scopes
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
    coordinates,
)
from gflow.frames import FAILED, Fate, Frame, Need, Scope, Unit, everything, last_instance, levels, per_item
from gflow.model import Graph, Node, Status
from gflow.state import Slot, State

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

    def settle(self) -> bool:
        """Let begin, and join, everything that has nothing left to wait for; tell whether there was any."""
        is_due = bool(self._due)
        while self._due:
            what, frame, node = self._due.popleft()
            if what == "begin":
                self._begin(frame, node)
            else:
                self._join(frame, node)
        return is_due

    # ------------------------------------------------------------ a step begins

    def _begin(self, frame: Frame, node: Node) -> None:
        name = node.name
        if name in frame.begun:
            return
        frame.begun.add(name)
        if name in frame.fates:  # it ended before this process; a member may still have to run
            if frame.fates[name] == "done" and not node.is_scope:
                self._open_members(frame, node)
            elif frame.fates[name] == "failed" and node.is_group and not node.is_scope:
                self._give_up(frame, node)  # whoever waits for something in it waits in vain
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
            step, fate = self._first_that_ran(frame, need)
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

    def _first_that_ran(self, frame: Frame, need: Need) -> tuple[str, Fate | None]:
        """Return the first of several steps that was not skipped, or else the first."""
        for step, meant in zip(need.steps, need.meant, strict=True):
            fate = self._fate(frame, step, meant)
            if fate != "skipped":
                return step, fate
        return need.meant[0], "skipped"

    def _fate(self, frame: Frame, step: str, meant: str) -> Fate | None:
        """Return how a step has ended that one waits for, or in its last round the member that is `meant`."""
        fate = frame.fate(step)
        if fate != "done" or step == meant:
            return fate
        slots = self.state.slots
        place = coordinates(frame.suffix)[: len(self.graph.nodes[step].scope)]
        path = last_instance(self.graph, slots.get, meant, place)
        is_skipped = path is not None and path in slots and slots[path].status == "skipped"
        return "skipped" if is_skipped else fate

    def _follows_a_failure(self, frame: Frame, node: Node) -> bool:
        """Tell whether something has failed, and nobody took it as a value, that a step comes after."""
        fates, nodes = frame.fates, self.graph.nodes
        failed = [step for step in node.after if fates.get(step) in FAILED]
        return any(not nodes[step].handled for step in failed) if failed else False

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
            if step.name in frame.fates:  # a rollback has kept it, and not its group
                continue
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
        """Return how a step that does not run has ended.

        The failure of a group is written down as an outcome if all take it; not if nothing in it has failed.
        """
        if not (node.is_group and node.handled) or node.name == frame.level.scope:
            return "never"
        path = node.name + frame.suffix
        kind, message, frames = self.scopes.cause(node, path)
        if kind == NOT_STARTED:  # it is something before it that will be tried again
            return "never"
        self.record(Tripped(path, kind, message, frames, "medium", "handled", None, 0.0))
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
        if unit.purpose != "body" or unit.node.ask is None or self._may_begin(unit):
            self._line_up(unit)

    def _line_up(self, unit: Unit) -> None:
        """Let a unit wait for a worker, or first for the time of its next try."""
        slot = self.state.slots.get(unit.path)
        if slot is not None and slot.retry_at is not None and slot.status == "pending":
            self.places.postpone(unit, slot.retry_at)
        else:
            self.places.queue(unit)

    def _may_begin(self, unit: Unit) -> bool:
        """Tell whether the question before a step is decided with yes; if it is open, ask it or wait."""
        slot, ask = self.state.slot(unit.path), unit.node.ask
        assert ask is not None
        if slot.asked is None and slot.answer is None:
            unit.purpose = "ask"
            self._line_up(unit)
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
        """Wait for a person; the time of a question runs also while no process has the run."""
        self.waiting[unit.path] = unit
        asked = self.state.slot(unit.path).asked
        if asked is None or asked.expires is None:
            return
        if asked.expires <= self.now:
            self._expire(unit.path)
        else:
            expiry = Unit(unit.node, unit.frame, "expiry", unit.scope, unit.index)
            self.places.postpone(expiry, asked.expires)

    def _expire(self, path: str) -> None:
        """A question that nobody has answered in time is answered no."""
        slot = self.state.slot(path)
        assert slot.asked is not None
        self.answer(Answered(path, "expired", "", "", slot.asked.digest, slot.generation))

    def next_timer(self) -> float | None:
        """Return when the next unit falls due (Unix seconds); a question that has been decided does not."""
        timers = self.places.timers
        while timers and self._is_decided(timers[0][2]):
            heappop(timers)
        return timers[0][0] if timers else None

    def _is_decided(self, unit: Unit) -> bool:
        return unit.purpose == "expiry" and unit.path not in self.waiting

    def wake(self) -> None:
        """Make ready what has waited long enough."""
        while (unit := self.places.due(self.now)) is not None:
            if unit.purpose != "expiry":
                self.places.queue(unit)
            elif not self._is_decided(unit):
                self._expire(unit.path)

    def hear(self, event: Answered) -> str:
        """Obey a decision on the question that is open, or the first one to come; else say why not."""
        slot = self.state.slot(event.path)
        if event.generation != slot.generation:
            return "the step began anew since"
        if slot.has_ended or slot.status == "running":
            return f"the step is {slot.status}"
        if slot.answer is not None or (slot.asked is None and self.state.early_answer(event.path)):
            return "it was decided before"
        if event.digest != (slot.asked.digest if slot.asked else "") and not _is_early(event, slot):
            return "it is about another question"
        if slot.asked is not None and (slot.asked.expires or inf) <= self.now:
            return "the time of the question was over"
        self.answer(event)
        return ""

    def answer(self, event: Answered) -> None:
        """A person has decided, or nobody has in time."""
        self.record(event)
        unit = self.waiting.pop(event.path, None)
        if unit is not None:
            unit.purpose = "body"
            self.enqueue(unit)

    # ------------------------------------------------------------ workers

    @property
    def has_ready(self) -> bool:
        """Whether something waits for nothing but a worker."""
        threads, loop = self.places.ready
        return bool(threads or loop or self.scopes.sources)

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
        elif not yes:
            self.scopes.skip_item(unit)
        elif unit.node.is_group:
            self.scopes.begin_frame(scope, unit.index)
        else:
            unit.purpose = "body"
            self.enqueue(unit)

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
            self.answer(early._replace(path=path))


# ---------------------------------------------------------------- the decision


class Turn(NamedTuple):
    """What one turn makes true, what it admits, and the fan-outs of which nobody takes an item any more."""

    events: list[Event]
    admitted: list[Unit]
    over: list[str]


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
    over, agenda.scopes.over = agenda.scopes.over, []
    return Turn(events, admitted, over)


def _admitted(agenda: Agenda, room: Room) -> list[Unit]:
    """Admit until there is no room, or nothing more; giving a step up may let others begin."""
    admitted: list[Unit] = []
    while agenda.has_ready and not agenda.stopping:
        more = agenda.admit(room.without(admitted) if admitted else room)
        admitted += more
        if not agenda.settle() and not more:
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
    if any(unit.purpose != "expiry" for _, _, unit in agenda.places.timers):
        return None
    failed = any(fate in FAILED and not node.handled for node, fate in ends)
    if agenda.waiting and not failed:
        return "waiting"
    return "rejected" if agenda.rejected and _nothing_else_failed(agenda.state) else "failed"


def _is_early(event: Answered, slot: Slot) -> bool:
    """Tell whether a decision was given before a question, and covers the one that was asked meanwhile."""
    return not event.digest and event.verdict == "approved" and slot.questions == 1


def _nothing_else_failed(state: State) -> bool:
    failed = [slot for slot in state.slots.values() if slot.status == "failed" and not slot.handled]
    return all(slot.error is not None and slot.error.type == "Rejected" for slot in failed)
