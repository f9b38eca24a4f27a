"""The state of a run: a pure fold of its journal. No clock, no threads, no input or output."""

from __future__ import annotations

from collections.abc import Iterable

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
    step_of,
)
from gflow.model import Frame, Status, StepError


class Slot:
    """What the journal says about one step in its generation: how often it was rolled back and begun anew.

    `began` and `done` are the places in the journal of its last start and of its completion. `handled` says
    that its failure is an outcome, which others take as a value. `when` and `until` are what its conditions
    answered; `items` and `keys` are those of an open fan-out; `asked` is the question that a person was
    asked, `answer` what became of it.

    `origin` is the run in which it completed, if that is another one: then it belongs to that run, and so
    does its value. `deadly` says that its undo never ended, because the process died with it again and again.
    `outline` is what a completed step was like when it completed, None if that is the outline of the run.
    """

    __slots__ = (
        "answer", "answered", "asked", "attempt", "began", "deadly", "degraded", "done", "ended", "error",
        "failures", "generation", "handled", "items", "kept", "keys", "origin", "outline", "preview", "ref",
        "retry_at", "rung", "seconds", "started", "status", "undo_error", "until", "when",
    )  # fmt: skip

    def __init__(self, generation: int = 0) -> None:
        self.status: Status = "pending"
        self.attempt = 0
        self.generation = generation
        self.began: int | None = None
        self.done: int | None = None
        self.origin: str | None = None
        self.outline: Outline | None = None
        self.undo_error: str | None = None
        self.deadly = False
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
        self.handled = False
        self.when: bool | None = None
        self.until: bool | None = None
        self.items: int | None = None
        self.keys: list[str] | None = None
        self.asked: Asked | None = None
        self.answer: Answered | None = None
        self.answered: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it has an outcome that stays when the run goes on."""
        return self.status in ("completed", "skipped") or (self.status == "failed" and self.handled)


class State:
    """Everything that is true of a run; `apply` is the only way in which it changes.

    `slots` holds the steps that the journal has spoken of, by path; `open` those whose attempt runs.
    `session` counts how often a process has taken the run over, `lost` how often in a row one died
    without any progress, and `suspects` names the steps that ran each time. `reset` is the rollback that is
    under way, or was left incomplete. `early` are approvals that were given before their question.
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
        self.generation = 0
        self._events = 0
        self.started: float | None = None
        self.ended: float | None = None

    def slot(self, path: str) -> Slot:
        """Return what is known of a step; a step that nothing is known of is pending."""
        found = self.slots.get(path)
        if found is None:
            found = self.slots[path] = Slot()
        return found

    def is_done(self, path: str) -> bool:
        slot = self.slots.get(path)
        return slot is not None and slot.status == "completed"

    def has_ended(self, path: str) -> bool:
        """Tell whether a step has an outcome that stays when the run goes on."""
        slot = self.slots.get(path)
        return slot is not None and slot.has_ended

    def early_answer(self, path: str) -> Answered | None:
        """Return the approval that was given for a step before it asked, for one instance or for all."""
        slot = self.slot(path)
        for key in (path, step_of(path)):
            found = self.early.get(key)
            if found is not None and found.generation == slot.generation:
                return found
        return None

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
                self._begin_anew(event.paths)
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

    def _changed(self, steps: list[Outline]) -> None:
        """The workflow has changed: what completed was what it was."""
        before = {step.name: step for step in self.outline}
        for path, slot in self.slots.items():
            if slot.status == "completed":
                slot.outline = slot.outline or before.get(path)
        self.outline = steps

    def _status(self, at: float, event: StatusChanged) -> None:
        self.status = event.status  # type: ignore[assignment]  # the journal holds nothing but statuses
        self.reason = event.reason
        self.ended = None if event.status in ("running", "rolling_back") else at
        if event.status == "running":
            self._go_on()
        if event.status == "rolled_back":
            self.reset = None

    def _go_on(self) -> None:
        """What has failed or was ended is tried anew, at the first rung."""
        for slot in self.slots.values():
            slot.kept = slot.status == "completed"
            if slot.status in ("failed", "interrupted", "cancelled") and not slot.handled:
                slot.status = "pending"
                slot.rung = slot.failures = 0
                if slot.answer and slot.answer.verdict in ("rejected", "expired"):
                    slot.asked = slot.answer = None

    def _reset(self, event: Reset) -> None:
        if self.status != "rolling_back":  # the deaths of the run are not those of its rollback
            self.lost = 0
        self.reset = event
        self.generation = event.generation

    def _undone(self, event: Undone) -> None:
        if event.error is None:
            self.lost = 0
            self._begin_anew([event.path])
        else:  # that is no progress: it fails again whenever the rollback goes on
            slot = self.slot(event.path)
            slot.undo_error, slot.deadly = event.error, event.deadly

    def _adopted(self, event: Adopted) -> None:
        slot = self.slot(event.path)
        slot.status = "completed"
        slot.done = self._events
        slot.origin, slot.generation, slot.attempt = event.run, event.generation, event.attempt
        slot.outline = event.outline
        slot.ref = event.value
        slot.preview = event.preview
        slot.seconds = event.seconds
        slot.degraded = event.degraded

    def _begin_anew(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.slots[path] = Slot(self.generation)

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
