"""What a fork takes over from the run that it is a fork of: a pure function of that run's state.

It takes over what is completed and not ordered after the step at which it forks; so nothing that it takes
over was made from what it makes anew. Values are not copied: they stay in the run in which they were made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gflow.events import Adopted, Decided, Event, Opened, Outline, Skipped, step_of
from gflow.rollback import Order
from gflow.state import Slot, State


def adopted(state: State, run: str, steps: Sequence[Outline], at: str) -> list[Adopted]:
    """Return what a fork of `run` at the step `at` takes over.

    `steps` are those of the workflow as it is now. What came after `at` when the run was made is left, too:
    it was made from what will be made anew.
    """
    kept = _kept(state, steps, at)
    before = {step.name: step for step in state.outline}
    place = {name: number for number, name in enumerate(kept)}
    done = [
        path for path, slot in state.slots.items() if slot.status == "completed" and step_of(path) in kept
    ]
    return [
        _adopted(run, path, kept[step_of(path)], state.slots[path], before.get(step_of(path)))
        for path in sorted(done, key=lambda path: place[step_of(path)])
    ]


def settled(state: State, steps: Sequence[Outline], at: str) -> list[Event]:
    """Return what else was settled before the step `at`: lists of items, conditions, skips, rounds."""
    kept = _kept(state, steps, at)
    return [
        event for path, slot in state.slots.items() if step_of(path) in kept for event in _settled(path, slot)
    ]


def _kept(state: State, steps: Sequence[Outline], at: str) -> dict[str, Outline]:
    left = {name for outline in (steps, state.outline) for name in _after(outline, at)}
    return {step.name: step for step in steps if step.name not in left}


def _settled(path: str, slot: Slot) -> Iterator[Event]:
    if slot.items is not None:
        yield Opened(path, slot.items, slot.keys)
    if slot.when is not None:
        yield Decided(path, "when", slot.when)
    if slot.until is not None:
        yield Decided(path, "until", slot.until)
    if slot.status == "skipped":
        yield Skipped(path, slot.preview or "")


def _after(steps: Sequence[Outline], at: str) -> set[str]:
    known = any(step.name == at for step in steps)
    return Order(steps).after(at, inclusive=True) if known else set()


def _adopted(run: str, path: str, step: Outline, slot: Slot, last: Outline | None) -> Adopted:
    """Return a completed step as another run takes it over; a fork of a fork names the first of them."""
    was = slot.outline or last
    return Adopted(
        path,
        slot.ref,
        slot.preview or "",
        slot.seconds or 0.0,
        slot.degraded,
        slot.origin or run,
        slot.generation,
        slot.attempt,
        None if was == step else was,
    )
