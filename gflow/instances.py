"""What the instances of each step come to: items and rounds folded into one state per step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from gflow.events import Outline, coordinates, depth, step_of
from gflow.model import GROUPS, Items, ItemState, Status, StepError, StepState
from gflow.state import Slot, State
from gflow.tally import Shape, shapes

NOTHING: Final = Slot()
SHOWN: Final = 100
"""The most instances of a step that are shown one by one; of more, only those that need somebody's eyes."""
MOST_ERRORS: Final = 10
"""The most instances of one step whose errors are told."""
ENDED: Final[tuple[Status, ...]] = ("completed", "failed", "skipped")
URGENT: Final[tuple[Status, ...]] = ("failed", "running", "waiting", "interrupted", "cancelled")
"""What one instance makes of the whole while that has no outcome, the gravest first."""


class Instance(NamedTuple):
    """One instance of a step, and how it stands in a run that may have ended."""

    path: str
    slot: Slot
    status: Status


class Instances:
    """The instances of the steps of a run; `run` is the status of that."""

    def __init__(self, state: State, run: Status) -> None:
        self.state = state
        self.run = run
        self.shapes = shapes(state.outline)
        self._of: dict[str, list[tuple[str, Slot]]] = {}
        self._last: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._inside: dict[str, dict[str, Status]] = {}
        self._failed = {error.step for error in state.failures()}
        for path, slot in state.slots.items():
            shape = self.shapes.get(step_of(path))
            if shape is not None and shape.scopes:
                self._note(shape, path, slot)
        self._groups = self._group_statuses()

    def _note(self, shape: Shape, path: str, slot: Slot) -> None:
        self._of.setdefault(shape.step.name, []).append((path, slot))
        parts = coordinates(path)
        if not parts:
            return
        outermost = shape.scopes[0]
        if slot.started is not None:
            self._began[outermost] = min(slot.started, self._began.get(outermost, slot.started))
        place = ""
        for scope, part in zip(shape.scopes, parts, strict=False):
            if part.startswith("~"):
                self._last[scope + place] = max(int(part[1:]), self._last.get(scope + place, 0))
            place += part
            if scope != shape.step.name and self.shapes[scope].members:
                self._weigh(scope, place, path, slot)

    def _weigh(self, scope: str, place: str, path: str, slot: Slot) -> None:
        """Let an instance count for the item or round of a group that it is in."""
        status = self.status_of(slot)
        if status in ENDED and path not in self._failed:
            status = self.begun
        if status != "pending":
            items = self._inside.setdefault(scope, {})
            items[place] = _gravest([status, items.get(place, status)])

    def states(self) -> dict[str, StepState]:
        """Return the state of every step, in the order of the plan."""
        return {name: self._state(shape) for name, shape in self.shapes.items()}

    # ------------------------------------------------------------ statuses

    @property
    def begun(self) -> Status:
        """What a group is that has begun, and of which nothing runs now."""
        return self.run if self.run in ("running", "waiting") else "interrupted"

    def status_of(self, slot: Slot) -> Status:
        """Return how an instance stands: none runs in a run that does not."""
        return "interrupted" if slot.status == "running" and self.run != "running" else slot.status

    def _group_statuses(self) -> dict[str, Status]:
        """A group whose body has not run is what is inside makes it: failed, waiting, begun, or nothing."""
        found: dict[str, Status] = {}
        for path, slot in self.state.slots.items():
            shape = self.shapes.get(step_of(path))
            if shape is None or slot.status == "pending":
                continue
            status = self.begun
            if path in self._failed:
                status = "failed"
            group = shape.step.group
            while group is not None and found.get(group) not in ("failed", status):
                found[group] = status
                group = self.shapes[group].step.group
        return found

    def _skipped_with(self, shape: Shape) -> str | None:
        """Return the group around a step that was skipped with all inside, if one was."""
        group = shape.step.group
        while group is not None:
            if self.state.slots.get(group, NOTHING).status == "skipped":
                return group
            group = self.shapes[group].step.group
        return None

    # ------------------------------------------------------------ one step

    def _state(self, shape: Shape) -> StepState:
        name = shape.step.name
        slot = self.state.slots.get(name, NOTHING)
        if shape.scopes:
            return self._folded(shape, slot)
        status = self.status_of(slot)
        if shape.step.kind in GROUPS and status == "pending":
            status = self._groups.get(name, "pending")
        return _with_slot(shape.step, slot, status)

    def _folded(self, shape: Shape, whole: Slot) -> StepState:
        """Fold the items and rounds of a step; `whole` is what the journal says of all of them."""
        last = list(self._instances(shape))
        status = self._status(shape, whole, last)
        if status == "skipped" and whole.status != "skipped":
            around = self._skipped_with(shape)
            why = f"{around} was skipped" if around else None
            return _with_slot(shape.step, NOTHING, status, preview=why)
        items = self._items(shape, last)
        rounds_only = len(last) == 1 and "[" not in last[0].path
        if rounds_only and not shape.is_scope:
            return _with_slot(shape.step, last[0].slot, status, items=items)
        first, end = self._span(shape, whole, last, status)
        took = None if first is None or end is None else end - first
        failing = [i for i in last if i.path in self._failed]
        error = failing[0].slot.error if failing else None
        return StepState(
            shape.step.name, shape.step.kind, status, shape.step.role, shape.step.group,
            attempts=max((i.slot.attempt for i in last), default=whole.attempt),
            degraded=_degraded(last),
            error=(whole.error or error) if status == "failed" else None,
            preview=self._preview(shape, whole, last, items, status),
            started=utc(first),
            ended=utc(end),
            seconds=took,
            kept=self._is_kept(shape, last),
            stand_in=_stand_ins(shape.step, last),
            items=items,
        )  # fmt: skip

    def _instances(self, shape: Shape) -> Iterator[Instance]:
        """Yield the instances of a step in all items, of rounds the last."""
        for path, slot in self._of.get(shape.step.name, ()):
            if depth(path) == len(shape.scopes) and ("~" not in path or self._is_last(shape, path)):
                yield Instance(path, slot, self.status_of(slot))
        name = shape.step.name
        if shape.is_scope and shape.members and not shape.step.repeats:  # its body comes last in each item
            for place, status in self._inside.get(name, {}).items():
                if self.state.slots.get(name + place) is None:
                    yield Instance(name + place, NOTHING, status)

    def _is_last(self, shape: Shape, path: str) -> bool:
        """Tell whether an instance is of the last round, of each group around it that is repeated."""
        place = ""
        for scope, part in zip(shape.scopes, coordinates(path), strict=True):
            if part.startswith("~") and int(part[1:]) != self._last.get(scope + place):
                return False
            place += part
        return True

    def _status(self, shape: Shape, whole: Slot, last: list[Instance]) -> Status:
        if shape.is_scope and len(shape.scopes) == 1 and whole.status != "pending":
            return self.status_of(whole)
        if self._skipped_with(shape):
            return "skipped"
        open_ones: list[Status] = [i.status for i in last if not self._has_outcome(i)]
        if any(status in URGENT for status in open_ones):
            return _gravest(open_ones)
        around = shape.scopes[0]
        is_over = around != shape.step.name and self.state.has_ended(around)
        statuses: list[Status] = [i.status for i in last if self._has_outcome(i)]
        if is_over or (statuses and len(statuses) == self._total(shape, last)):
            return self._outcome(statuses)
        group = self._groups.get(shape.step.name, "pending") if shape.members else "pending"
        if statuses or whole.items is not None or group != "pending":
            return group if group == "failed" else self.begun
        return "pending"

    def _is_kept(self, shape: Shape, last: list[Instance]) -> bool:
        whole = self.state.slots.get(shape.scopes[0], NOTHING)
        return whole.kept or (bool(last) and all(i.slot.kept for i in last))

    def _has_outcome(self, instance: Instance) -> bool:
        """Tell whether an instance has ended: with a failure, too, if that was tolerated or is a value."""
        failed = instance.slot.status == "failed" and instance.path not in self._failed
        return failed or instance.slot.has_ended

    @staticmethod
    def _outcome(statuses: list[Status]) -> Status:
        """Return how the instances of a step have ended; "pending" if none has begun."""
        for status in ENDED:
            if status in statuses:
                return status
        return "pending"

    def _total(self, shape: Shape, last: list[Instance]) -> int:
        """Return how many items there are, as far as is known; of rounds, how many have begun."""
        innermost = self.shapes[shape.scopes[-1]]
        if innermost.step.repeats:
            return len(last)
        wholes = self._of.get(innermost.step.name, ())
        around = len(innermost.scopes) - 1
        return sum(slot.items for path, slot in wholes if slot.items and depth(path) == around)

    def _items(self, shape: Shape, last: list[Instance]) -> Items:
        shown = last
        if self.shapes[shape.scopes[-1]].step.repeats:  # all rounds, not just the last one
            every = self._of.get(shape.step.name, ())
            shown = [
                Instance(path, slot, self.status_of(slot))
                for path, slot in every
                if depth(path) == len(shape.scopes)
            ]
        if len(shown) > SHOWN:
            shown = [i for i in shown if i.status in URGENT][:SHOWN]
        statuses = [i.status for i in last]
        return Items(
            self._total(shape, last),
            completed=statuses.count("completed"),
            failed=statuses.count("failed"),
            skipped=statuses.count("skipped"),
            running=statuses.count("running"),
            waiting=statuses.count("waiting"),
            states={i.path: _item(shape.step, i) for i in shown},
        )

    def _span(
        self, shape: Shape, whole: Slot, last: list[Instance], status: Status
    ) -> tuple[float | None, float | None]:
        """Return when the first instance began and, if all have ended, the last one did."""
        starts = [i.slot.started for i in last if i.slot.started is not None]
        ends = [i.slot.ended for i in last if i.slot.ended is not None]
        if shape.is_scope and len(shape.scopes) == 1:
            starts += [time for time in (self._began.get(shape.step.name), whole.started) if time is not None]
            ends = [whole.ended] if whole.ended is not None else []
        return min(starts, default=None), max(ends, default=None) if status in ENDED else None

    def _preview(
        self, shape: Shape, whole: Slot, last: list[Instance], items: Items, status: Status
    ) -> str | None:
        asking = [i.slot.asked.text for i in last if i.status == "waiting" and i.slot.asked]
        if asking:
            return asking[0] if len(asking) == 1 else f"{asking[0]} ({len(asking) - 1} more)"
        if whole.preview:
            return whole.preview
        if shape.step.repeats and len(shape.scopes) == 1:
            number = self._last.get(shape.step.name)
            return f"round {number}" if number and status != "completed" else None
        return str(items) if items.total else None


# ---------------------------------------------------------------- errors, questions


def errors(state: State) -> tuple[StepError, ...]:
    """Return what stopped a run, in the order of the plan; of a run that is aborted, why it was.

    A fan-out, or a repeat group, that failed has one error for all inside; of one that goes on these are the
    errors of its items, at most ten of each step.
    """
    if state.status == "completed":
        return ()
    found: dict[str, list[StepError]] = {step.name: [] for step in state.outline}
    around = {step.name: step.scope[0] for step in state.outline if step.scope}
    for error in state.failures():
        name = step_of(error.step)
        if name in found and (not _has_failed(state, around.get(name)) or error.step == around[name]):
            found[name].append(error)
    return tuple(error for told in found.values() for error in told[:MOST_ERRORS]) or state.causes


def first_failures(state: State) -> dict[str, str]:
    """Return, for each fan-out or repeat group that failed, the first instance inside that did."""
    around = {step.name: step.scope[0] for step in state.outline if step.scope}
    first: dict[str, str] = {}
    for error in state.failures():
        scope = around.get(step_of(error.step))
        if scope is not None and error.step != scope and _has_failed(state, scope):
            first.setdefault(scope, error.step)
    return first


def _has_failed(state: State, scope: str | None) -> bool:
    return scope is not None and state.slots.get(scope, NOTHING).status == "failed"


def _gravest(statuses: Iterable[Status]) -> Status:
    every = list(statuses)
    return min(every, key=lambda status: URGENT.index(status) if status in URGENT else len(URGENT))


# ---------------------------------------------------------------- one instance


def _with_slot(
    step: Outline, slot: Slot, status: Status, *, preview: str | None = None, items: Items | None = None
) -> StepState:
    shown = slot.asked.text if status == "waiting" and slot.asked else slot.preview
    return StepState(
        name=step.name,
        kind=step.kind,
        status=status,
        role=step.role,
        group=step.group,
        attempts=slot.attempt,
        degraded=slot.degraded,
        error=slot.error if status != "completed" else None,
        preview=shown if preview is None else preview,
        started=utc(slot.started),
        ended=utc(slot.ended),
        seconds=slot.seconds,
        kept=slot.kept,
        stand_in=_stand_in(step, slot),
        items=items,
    )


def _item(step: Outline, instance: Instance) -> ItemState:
    slot, status = instance.slot, instance.status
    asked = slot.asked.text if status == "waiting" and slot.asked else None
    error = slot.error if status != "completed" else None
    return ItemState(
        status, slot.attempt, error, asked or slot.preview, slot.seconds, slot.degraded, _stand_in(step, slot)
    )


def _stand_in(step: Outline, slot: Slot) -> str | None:
    """Return the label of the fallback that made a result; None if the step's own body did."""
    if slot.status != "completed" or not 0 < slot.rung <= len(step.rungs or ()):
        return None
    return (step.rungs or [])[slot.rung - 1]


def _stand_ins(step: Outline, instances: list[Instance]) -> str | None:
    labels = {_stand_in(step, instance.slot): None for instance in instances}
    return ", ".join(label for label in labels if label) or None


def _degraded(instances: list[Instance]) -> str | None:
    reasons = [i.slot.degraded for i in instances if i.slot.degraded]
    if len(reasons) < 2:
        return reasons[0] if reasons else None
    return f"{len(reasons)} of {len(instances)} items: {reasons[0]}"


def utc(seconds: float | None) -> datetime | None:
    """Return Unix seconds as a moment in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def left_standing(state: State) -> Mapping[str, str]:
    """Return the steps that a rollback did not take back, each with the reason."""
    found: dict[str, str] = {}
    for step in state.outline:
        begun, undone = state.begun.get(step.name, 0), state.undone.get(step.name, 0)
        if begun <= undone or step.effects == "none" or (step.kind in GROUPS and step.undo is None):
            continue
        found[step.name] = _why_left(state, step, begun, undone)
    return found


def _why_left(state: State, step: Outline, begun: int, undone: int) -> str:
    if step.effects == "irreversible":
        return "irreversible"
    if step.undo is None:
        return "no undo"
    slots = (slot for path, slot in state.slots.items() if step_of(path) == step.name)
    failed = next((slot.undo_error for slot in slots if slot.undo_error), None)
    why = f"its undo failed: {failed}" if failed else "not undone"
    return f"{undone} of {begun} undone; {why}" if undone else why
