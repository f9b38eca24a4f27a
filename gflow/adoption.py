"""What a fork takes over from the run that it is a fork of: a pure function of that run's state.

It takes over what is completed and not ordered after the step at which it forks; so nothing that it takes
over was made from what it makes anew. Values are not copied: they stay in the run in which they were made.
"""

from __future__ import annotations

from collections.abc import Sequence

from gflow.events import Adopted, Outline
from gflow.rollback import Order
from gflow.state import Slot, State


def adopted(state: State, run: str, steps: Sequence[Outline], at: str) -> list[Adopted]:
    """Return what a fork of `run` at the step `at` takes over.

    `steps` are those of the workflow as it is now. What came after `at` when the run was made is left, too:
    it was made from what will be made anew.
    """
    left = {name for outline in (steps, state.outline) for name in _after(outline, at)}
    before = {step.name: step for step in state.outline}
    shared = [step for step in steps if step.name not in left and state.is_done(step.name)]
    return [_adopted(run, step, state.slots[step.name], before.get(step.name)) for step in shared]


def _after(steps: Sequence[Outline], at: str) -> set[str]:
    known = any(step.name == at for step in steps)
    return Order(steps).after(at, inclusive=True) if known else set()


def _adopted(run: str, step: Outline, slot: Slot, last: Outline | None) -> Adopted:
    """Return a completed step as another run takes it over; a fork of a fork names the first of them."""
    was = slot.outline or last
    return Adopted(
        step.name,
        slot.ref,
        slot.preview or "",
        slot.seconds or 0.0,
        slot.degraded,
        slot.origin or run,
        slot.generation,
        slot.attempt,
        None if was == step else was,
    )
