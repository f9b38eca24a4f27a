"""The state of a run: a pure fold of its journal. No clock, no threads, no input or output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from gflow.events import (
    Adopted,
    Answered,
    Asked,
    Claimed,
    Created,
    Decided,
    Done,
    Event,
    Forked,
    Opened,
    Outline,
    Ref,
    Reset,
    Reverted,
    Skipped,
    Started,
    StatusChanged,
    Stopped,
    Told,
    Tripped,
    Undone,
    coordinates,
    step_of,
)
from gflow.model import Frame, Status, StepError


class Slot:
    """What the journal says about one step in its generation: how often it was rolled back and begun anew.

    `began` and `done` are the places in the journal of its last start and of its completion. `handled` says
    that its failure is an outcome, which others take as a value. `when` and `until` are what its conditions
    answered; `items` and `keys` are those of an open fan-out; `asked` is the question that a person was
    asked, `answer` what became of it, `questions` how often it was asked in this generation.

    `origin` is the run in which it completed, if that is another one: then it belongs to that run, and so
    does its value. `deadly` says that its undo never ended, because the process died with it again and again.
    `outline` is what a completed step was like when it completed, None if that is the outline of the run.

    There is one for every item of a fan-out, so what few of them have takes no room in the others.
    """

    __slots__ = (
        "__dict__", "attempt", "began", "degraded", "done", "ended", "error", "failures", "generation",
        "kept", "preview", "ref", "retry_at", "rung", "seconds", "started", "status",
    )  # fmt: skip

    origin: str | None = None
    outline: Outline | None = None
    undo_error: str | None = None
    deadly: bool = False
    handled: bool = False
    when: bool | None = None
    until: bool | None = None
    items: int | None = None
    keys: list[str] | None = None
    asked: Asked | None = None
    answer: Answered | None = None
    answered: float | None = None
    questions: int = 0

    def __init__(self, generation: int = 0) -> None:
        self.status: Status = "pending"
        self.attempt = 0
        self.generation = generation
        self.began: int | None = None
        self.done: int | None = None
        self.rung = 0
        self.failures = 0
        self.retry_at: float | None = None
        self.ref: Ref | None = None
        self.preview: str | None = None
        self.degraded: str | None = None
        self.error: StepError | None = None
        self.started: float | None = None
        self.ended: float | None = None
        self.seconds: float | None = None
        self.kept = False

    @property
    def has_ended(self) -> bool:
        """Whether it has an outcome that stays when the run goes on."""
        return self.status in ("completed", "skipped") or (self.status == "failed" and self.handled)


class State:
    """Everything that is true of a run; `apply` is the only way in which it changes.

    `slots` holds the steps that the journal has spoken of, by path; `open` those whose attempt runs.
    `session` counts how often a process has taken the run over, `lost` how often in a row one died
    without any progress, and `suspects` names the steps that ran each time. `reset` is the rollback that is
    under way, or was left incomplete, `reopened` the groups in which it keeps something. `early` are
    approvals that were given before their question, `anew` the generations of the steps that were reset.
    `causes` are the errors for which a run was aborted; `begun` and
    `undone` count, for the last rollback, what there was of each step and what of it was taken back.
    """

    def __init__(self) -> None:
        self.created: Created | None = None
        self.owner: Claimed | None = None
        self.outline: list[Outline] = []
        self.inputs: Ref | None = None
        self.previews: dict[str, str] = {}
        self.status: Status = "pending"
        self.reason = ""
        self.slots: dict[str, Slot] = {}
        self.open: dict[str, None] = {}
        self.session = 0
        self.lost = 0
        self.suspects: set[str] = set()
        self.heard = 0
        self.forked: Forked | None = None
        self.reset: Reset | None = None
        self.early: dict[str, Answered] = {}
        self.anew: dict[str, int] = {}
        self.reopened: set[str] = set()
        self.causes: tuple[StepError, ...] = ()
        self.begun: Counter[str] = Counter()
        self.undone: Counter[str] = Counter()
        self.generation = 0
        self._events = 0
        self.started: float | None = None
        self.ended: float | None = None

    def slot(self, path: str) -> Slot:
        """Return what is known of a step; a step that nothing is known of is pending."""
        found = self.slots.get(path)
        if found is None:
            generation = self.anew.get(path) or self.anew.get(step_of(path), 0) if self.anew else 0
            found = self.slots[path] = Slot(generation)
        return found

    def is_done(self, path: str) -> bool:
        slot = self.slots.get(path)
        return slot is not None and slot.status == "completed"

    def has_ended(self, path: str) -> bool:
        """Tell whether a step has an outcome that stays when the run goes on."""
        slot = self.slots.get(path)
        return slot is not None and slot.has_ended

    def early_answer(self, path: str) -> Answered | None:
        """Return the approval that was given for a step before it asked, for one instance or for all.

        It is for the first question of its generation; a rollback of the step makes it void.
        """
        if path in self.slots and self.slots[path].questions > 0:
            return None
        return self.early.get(path) or self.early.get(step_of(path))

    def fold(self, rounds: Iterable[tuple[int, float, list[Event]]]) -> State:
        """Apply all rounds of a journal and return this state."""
        for _, at, events in rounds:
            for event in events:
                self.apply(at, event)
        return self

    def apply(self, at: float, event: Event) -> None:  # noqa: C901, PLR0912  # one case for each event
        """Let one event, written at `at` (Unix seconds), become true."""
        self._events += 1
        match event:
            case Started():
                self._started(at, event)
            case Done():
                self._done(at, event)
            case Tripped():
                self._tripped(at, event)
            case Stopped():
                self._end(at, event.path, None).status = event.status  # type: ignore[assignment]  # as above
            case Decided():
                self._decided(event)
            case Skipped():
                self._skipped(event)
            case Opened():
                slot = self.slot(event.path)
                slot.items, slot.keys = event.n, event.keys
                slot.started = at
            case Asked():
                slot = self.slot(event.path)
                slot.status, slot.asked = "waiting", event
                slot.questions += 1
            case Answered():
                self._answered(at, event)
            case StatusChanged():
                self._status(at, event)
            case Told():
                self.heard = event.id
            case Claimed():
                self._claimed(event)
            case Created():
                self._created(at, event)
            case Reset():
                self._reset(event)
            case Undone():
                self._undone(event)
            case Reverted():
                self._reverted(event)
            case Forked():
                self.forked = event
            case Adopted():
                self._adopted(event)

    # ------------------------------------------------------------ one method per event

    def _created(self, at: float, event: Created) -> None:
        self.created = event
        self.started = at
        self.outline = event.steps
        self.inputs = event.inputs
        self.previews = event.previews

    def _claimed(self, event: Claimed) -> None:
        """Attempts that were open when the last process ended are lost; their number stays."""
        self.session += 1
        if self.status in ("running", "rolling_back"):
            self.suspects = self.suspects.intersection(self.open) if self.lost else set(self.open)
            self.lost += 1
        else:
            self.lost = 0
        self.owner = event
        if event.steps is not None:
            self._changed(event.steps)
        self.inputs = event.inputs or self.inputs
        self.previews = event.previews or self.previews
        for path in self.open:
            self.slots[path].status = "pending"
        self.open.clear()
        for slot in self.slots.values():
            slot.kept = slot.has_ended

    def _changed(self, steps: list[Outline]) -> None:
        """The workflow has changed: what completed was what it was."""
        before = {step.name: step for step in self.outline}
        for path, slot in self.slots.items():
            if slot.status == "completed" and slot.outline is None and path in before:
                slot.outline = before[path]
        self.outline = steps

    def _status(self, at: float, event: StatusChanged) -> None:
        self.status = event.status  # type: ignore[assignment]  # the journal holds nothing but statuses
        self.reason = event.reason
        self.ended = None if event.status in ("running", "rolling_back") else at
        if event.status == "running":
            self.causes = ()
            self.begun, self.undone = Counter(), Counter()
            self._go_on()
        if event.status == "rolled_back":
            self.reset = None

    def _go_on(self) -> None:
        """What has failed or was ended is tried anew, at the first rung; not in an item that has ended."""
        scopes = {step.name: step.scope for step in self.outline if step.scope}
        for path, slot in self.slots.items():
            is_open = slot.status in ("failed", "interrupted", "cancelled") and not slot.handled
            if is_open and not self._has_ended_around(path, scopes.get(step_of(path), ())):
                slot.status = "pending"
                slot.rung = slot.failures = 0
                if slot.answer and slot.answer.verdict in ("rejected", "expired"):
                    slot.asked = slot.answer = None

    def _reset(self, event: Reset) -> None:
        if self.status != "rolling_back":  # the deaths of the run are not those of its rollback
            self.lost = 0
        self.reset = event
        self.causes = tuple(self.failures()) if event.why == "abort" else ()
        self.begun, self.undone = Counter(self._begun_of(event.steps)), Counter()
        self.generation = event.generation
        self.anew |= dict.fromkeys(event.steps, event.generation)
        self.reopened = self._reopened_by(event)
        self._make_void(set(event.steps))

    def _reopened_by(self, event: Reset) -> set[str]:
        """Return the groups that have to end anew, and do not begin anew: something inside them is kept."""
        outlines, steps = {step.name: step for step in self.outline}, set(event.steps)
        to = outlines.get(step_of(event.to))
        found = set(to.scope or ()) if to is not None and to.name != event.to else set[str]()
        for name in outlines.keys() - steps:
            around = outlines[name].group
            while around is not None and around not in found:
                found.add(around)
                around = outlines[around].group
        return found & steps

    def _make_void(self, begun_anew: Collection[str]) -> None:
        """An early yes is for one generation of its step."""
        kept = [path for path in self.early if path not in begun_anew and step_of(path) not in begun_anew]
        self.early = {path: self.early[path] for path in kept}

    def failures(self) -> Iterator[StepError]:
        """Yield the errors of what has failed and was neither taken as a value nor tolerated."""
        scopes = {step.name: step.scope for step in self.outline if step.scope}
        for path, slot in self.slots.items():
            is_open = slot.status == "failed" and not slot.handled
            if is_open and slot.error and not self._has_ended_around(path, scopes.get(step_of(path), ())):
                yield slot.error

    def _has_ended_around(self, path: str, scopes: Iterable[str]) -> bool:
        """Tell whether a fan-out or repeat group around an instance, or its item or round, has an outcome."""
        place = ""
        for scope, part in zip(scopes, coordinates(path), strict=False):
            whole, place = scope + place, place + part
            if self.has_ended(whole) or self.has_ended(scope + place):
                return True
        return False

    def _begun_of(self, steps: Iterable[str]) -> Iterator[str]:
        """Yield the name of a step for each instance of it that has begun in this run."""
        chosen = set(steps)
        for path, slot in self.slots.items():
            if slot.began is not None and not slot.origin and step_of(path) in chosen:
                yield step_of(path)

    def _reverted(self, event: Reverted) -> None:
        if event.generation is not None:  # a run goes on: this is no rollback
            self.generation = event.generation
            self._make_void({step_of(path) for path in event.paths})
        self._begin_anew(event.paths)

    def _undone(self, event: Undone) -> None:
        if event.error is None:
            self.lost = 0
            self.undone[step_of(event.path)] += 1
            self._begin_anew([event.path])
        else:  # that is no progress: it fails again whenever the rollback goes on
            slot = self.slot(event.path)
            slot.undo_error, slot.deadly = event.error, event.deadly

    def _adopted(self, event: Adopted) -> None:
        slot = self.slot(event.path)
        slot.status = "completed"
        slot.kept = True
        slot.done = self._events
        slot.origin, slot.generation, slot.attempt = event.run, event.generation, event.attempt
        slot.outline = event.outline
        slot.ref = event.value
        slot.preview = event.preview
        slot.seconds = event.seconds
        slot.degraded = event.degraded

    def _begin_anew(self, paths: Iterable[str]) -> None:
        for path in paths:
            before, anew = self.slots.get(path), Slot(self.generation)
            if before is not None and self._is_reopened(path):
                anew.when, anew.items, anew.keys = before.when, before.items, before.keys
            self.slots[path] = anew
            if self.early:
                self._make_void({path, step_of(path)})

    def _is_reopened(self, path: str) -> bool:
        """Tell whether a group that has to end anew is in the items and the round that the rollback keeps."""
        if self.reset is None or step_of(path) not in self.reopened:
            return False
        scopes = {step.name: step.scope or [] for step in self.outline}
        kept = coordinates(self.reset.to)
        around = scopes.get(step_of(self.reset.to), [])
        own = zip(scopes.get(step_of(path), []), coordinates(path), strict=False)
        for depth, (scope, place) in enumerate(own):
            if around[depth : depth + 1] != [scope]:
                break
            first = "~1" if place.startswith("~") else place  # a step without a round is that of the first
            if place != (kept[depth] if depth < len(kept) else first):
                return False
        return True

    def _started(self, at: float, event: Started) -> None:
        slot = self.slot(event.path)
        slot.status = "running"
        slot.attempt = event.attempt
        slot.rung = event.rung
        slot.retry_at = None
        slot.started = at
        slot.ended = None
        slot.began = self._events
        self.open[event.path] = None

    def _done(self, at: float, event: Done) -> None:
        slot = self._end(at, event.path, event.seconds)
        self.lost = 0
        slot.status = "completed"
        slot.done = self._events
        slot.ref = event.value
        slot.preview = event.preview
        slot.degraded = event.degraded
        slot.error = None

    def _decided(self, event: Decided) -> None:
        slot = self.slot(event.path)
        if event.question == "when":
            slot.when = event.answer
        else:
            slot.until = event.answer

    def _skipped(self, event: Skipped) -> None:
        slot = self.slot(event.path)
        slot.status = "skipped"
        slot.preview = event.why

    def _answered(self, at: float, event: Answered) -> None:
        slot = self.slots.get(event.path)
        if event.verdict == "not asked" or (slot is not None and slot.status == "waiting"):
            slot = self.slot(event.path)
            slot.answer, slot.answered = event, at
            slot.status = "pending"
        else:
            self.early[event.path] = event

    def _tripped(self, at: float, event: Tripped) -> None:
        slot = self._end(at, event.path, event.seconds)
        slot.status = "pending" if event.decision in ("retry", "next") else "failed"
        slot.handled = event.decision == "handled"
        slot.failures = 0 if event.decision == "next" else slot.failures + 1
        slot.rung += event.decision == "next"
        slot.retry_at = event.retry_at
        frames = tuple(Frame(*frame) for frame in event.frames)
        slot.error = StepError(event.path, event.type, event.message, slot.attempt, frames)

    def _end(self, at: float, path: str, seconds: float | None) -> Slot:
        self.open.pop(path, None)
        slot = self.slot(path)
        slot.ended = at
        slot.seconds = seconds
        if slot.started is None:  # the empty body of a group
            slot.started = at
        return slot
