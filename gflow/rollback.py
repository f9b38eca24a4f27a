"""What a rollback takes back, and in which order: a pure function of the journal's state.

What comes "after" a step is what the graph orders after it, by data, `after=`, or place in a stage,
never what happens to be later by the clock: so nothing that is kept was made from what is undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gflow.events import START, Outline, step_of
from gflow.model import GROUPS
from gflow.state import Slot, State

Treatment = Literal["undo", "stays", "adopted", "irreversible", "unclear"]
"""What becomes of a step: its undo runs; it has none; it belongs to the run that this one is a fork of; it
cannot be undone; or it may have acted, and its undo needs a result that there is not."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One step that was begun, in the order of the rollback; or that was adopted, from the run `origin`."""

    path: str
    treatment: Treatment
    completed: bool
    is_group: bool = False
    doc: str = ""
    preview: str = ""
    origin: str | None = None

    @property
    def stays(self) -> bool:
        """Whether there is nothing to do: the rollback does not touch what the step has done."""
        return self.treatment in ("stays", "adopted")


@dataclass(frozen=True, slots=True)
class Plan:
    """A rollback to `to`.

    `steps` are all that the graph orders after it, `entries` those of them that have begun, in the order
    in which they are taken back; `beside` are completed steps that are kept, though they are not before it.
    """

    to: str
    steps: tuple[str, ...]
    entries: tuple[Entry, ...]
    beside: tuple[str, ...] = ()

    def having(self, *treatments: Treatment) -> list[Entry]:
        """Return the entries that are treated in one of these ways."""
        return [entry for entry in self.entries if entry.treatment in treatments]


def plan(state: State, to: str, *, inclusive: bool = False) -> Plan:
    """Return what a rollback to a step, or to "start", would do.

    `inclusive` takes back the step itself too, with all that is in it. Unfinished steps come first, since
    nothing is built on them, then completed ones in the reverse order of their commits.
    """
    order = Order(state.outline)
    names = [step.name for step in state.outline]
    steps = set(names) if to == START else order.after(to, inclusive=inclusive)
    before = set(names) if to == START else order.before(to)
    kept = [name for name in names if name not in steps and name not in before and state.is_done(name)]
    return Plan(to, tuple(n for n in names if n in steps), entries(state, steps), tuple(kept))


def entries(state: State, steps: Iterable[str]) -> tuple[Entry, ...]:
    """Return those of the steps that have begun in their generation, in the order to take them back.

    What was adopted from another run has not begun here; it comes last, and stays.
    """
    chosen = set(steps)
    outlines = {step.name: step for step in state.outline if step.name in chosen}
    begun = [
        (path, slot, outlines[name])
        for path, slot in state.slots.items()
        if (slot.began is not None or slot.origin) and (name := step_of(path)) in outlines
    ]
    return tuple(_entry(*each) for each in sorted(begun, key=_urgency, reverse=True))


def _urgency(begun: tuple[str, Slot, Outline]) -> tuple[bool, int]:
    slot = begun[1]
    return (True, slot.began or 0) if slot.done is None else (False, slot.done)


def _entry(path: str, slot: Slot, step: Outline) -> Entry:
    completed = slot.done is not None
    treatment: Treatment = "adopted" if slot.origin else _treatment(step, completed)
    return Entry(
        path, treatment, completed, step.kind in GROUPS, step.undo or "", slot.preview or "", slot.origin
    )


def _treatment(step: Outline, completed: bool) -> Treatment:
    if step.effects == "irreversible":
        return "irreversible"
    if step.undo is None or step.effects == "none":
        return "stays"
    return "undo" if completed or step.takes_none else "unclear"


# ---------------------------------------------------------------- the order of the graph

_Point = tuple[str, bool]  # a step's begin (False) or end (True); a leaf has both as well


class Order:
    """What the graph orders after and before a step, transitively.

    A group begins before its members and ends after those that it joins.
    """

    def __init__(self, steps: Sequence[Outline]) -> None:
        self._groups = {step.name for step in steps if step.kind in GROUPS}
        self._next: dict[_Point, list[_Point]] = {(s.name, end): [] for s in steps for end in (False, True)}
        for step in steps:
            self._add((step.name, False), (step.name, True))
            for earlier in step.after:
                self._add((earlier, True), (step.name, False))
            for member in step.joins:
                self._add((member, True), (step.name, True))
            if step.group:
                self._add((step.group, False), (step.name, False))
        self._previous = _turned(self._next)

    def _add(self, earlier: _Point, later: _Point) -> None:
        if earlier in self._next:
            self._next[earlier].append(later)

    def after(self, step: str, *, inclusive: bool = False) -> set[str]:
        """Return the steps that end after `step` has; `inclusive` adds the step and all inside it."""
        reached = _reach(self._next, (step, not inclusive))
        return {name for name, is_end in reached if is_end} | ({step} if inclusive else set())

    def before(self, step: str) -> set[str]:
        """Return what `step` is built on: all that ends before it does, the groups around it, itself."""
        return {name for name, _ in _reach(self._previous, (step, True))}


def _turned(edges: Mapping[_Point, Sequence[_Point]]) -> dict[_Point, list[_Point]]:
    turned: dict[_Point, list[_Point]] = {point: [] for point in edges}
    for earlier, later in edges.items():
        for point in later:
            turned[point].append(earlier)
    return turned


def _reach(edges: Mapping[_Point, Sequence[_Point]], start: _Point) -> set[_Point]:
    """Return the points that can be reached from `start`, without it."""
    reached: set[_Point] = set()
    front = list(edges[start])
    while front:
        point = front.pop()
        if point not in reached:
            reached.add(point)
            front += edges[point]
    return reached
