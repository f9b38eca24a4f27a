"""What a rollback takes back, and in which order: a pure function of the journal's state.

What comes "after" a step is what the graph orders after it, by data, `after=`, or place in a stage,
never what happens to be later by the clock: so nothing that is kept was made from what is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gflow.events import START, Outline, coordinates, step_of
from gflow.model import GROUPS
from gflow.state import Slot, State

Treatment = Literal["undo", "stays", "adopted", "irreversible", "unclear"]
"""What becomes of a step: its undo runs; it has none; it belongs to the run that this one is a fork of; it
cannot be undone; or it may have acted, and its undo needs a result that there is not."""


ANY: Final = ""
"""The coordinate of all items."""


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
    If `to` is one item, some of the `steps` stay for the other items: `wholly` are those that do not.
    """

    to: str
    steps: tuple[str, ...]
    entries: tuple[Entry, ...]
    beside: tuple[str, ...] = ()
    wholly: tuple[str, ...] = ()

    def having(self, *treatments: Treatment) -> list[Entry]:
        """Return the entries that are treated in one of these ways."""
        return [entry for entry in self.entries if entry.treatment in treatments]


def plan(state: State, to: str, *, inclusive: bool = False) -> Plan:
    """Return what a rollback to a step, to one instance of it (`check[eu]`), or to "start", would do.

    `inclusive` takes back the step itself too, with all that is in it. Unfinished steps come first, since
    nothing is built on them, then those that have ended in the reverse order of their commits.
    """
    order = Order(state.outline)
    names = [step.name for step in state.outline]
    step = step_of(to)
    steps = set(names) if to == START else order.after(step, inclusive=inclusive)
    before = set(names) if to == START else order.before(step)
    kept = [name for name in names if name not in steps and name not in before and state.is_done(name)]
    chosen = tuple(name for name in names if name in steps)
    scopes = {step.name: step.scope or [] for step in state.outline}
    shared = frozenset[str]() if to == step else frozenset(scopes.get(step, ()))
    wholly = tuple(name for name in chosen if shared.isdisjoint(scopes[name]))
    return Plan(to, chosen, entries(state, chosen, to), tuple(kept), wholly)


def reach(outline: Iterable[Outline], steps: Iterable[str], to: str) -> Callable[[str], bool]:
    """Return what tells of an instance, by its path, whether a rollback of `steps` to `to` takes it back.

    If `to` is one item, that item's instances are, and what follows the fan-out; other items stay. If it is
    one round, all later rounds are taken back. A step in a repeat group that is named without a round is
    that of the first: what was made in later rounds may have been made from it.
    """
    chosen = set(steps)
    scopes = {step.name: step.scope or [] for step in outline}
    repeats = {step.name for step in outline if step.repeats}
    target = coordinates(to)
    around = [scope for scope in scopes.get(step_of(to), ()) if scope != to]
    target += ["~1" if scope in repeats else ANY for scope in around[len(target) :]]
    chain = scopes.get(step_of(to), [])[: len(target)]

    def is_reached(path: str) -> bool:
        name, at = step_of(path), coordinates(path)
        for scope, own, mine, theirs in zip(chain, scopes.get(name, ()), target, at, strict=False):
            if own != scope:
                break
            if mine not in (theirs, ANY):
                return scope in repeats and int(theirs[1:]) > int(mine[1:])
        reopened = name in repeats and name in chain and chain.index(name) == len(at)
        return name in chosen or reopened

    return is_reached


def entries(state: State, steps: Iterable[str], to: str = START) -> tuple[Entry, ...]:
    """Return those of the steps that have begun in their generation, in the order to take them back.

    `to` is where the rollback leads, if that is one item or round. What was adopted from another run has not
    begun here; it comes last, and stays.
    """
    is_reached = reach(state.outline, steps, to)
    outlines = {step.name: step for step in state.outline}
    begun = [
        (path, slot, outlines[name])
        for path, slot in state.slots.items()
        if (slot.began is not None or slot.origin)
        and (name := step_of(path)) in outlines
        and is_reached(path)
    ]
    groups = {step.name: step.group for step in state.outline}
    begun.sort(key=lambda each: _urgency(state, groups, each), reverse=True)
    return tuple(_entry(*each) for each in begun)


def _urgency(
    state: State, groups: Mapping[str, str | None], begun: tuple[str, Slot, Outline]
) -> tuple[bool, int]:
    """What has no outcome comes first, since nothing is built on it.

    A failure has one, that others may have taken as a value; so has what is in a group that has failed.
    """
    path, slot, _ = begun
    if slot.done is not None:
        return False, slot.done
    return slot.status != "failed" and not _is_in_a_failure(state, groups, path), slot.began or 0


def _is_in_a_failure(state: State, groups: Mapping[str, str | None], path: str) -> bool:
    at = coordinates(path)
    group = groups.get(step_of(path))
    while group is not None:
        instances = (group + "".join(at[:depth]) for depth in range(len(at) + 1))
        if any(each in state.slots and state.slots[each].handled for each in instances):
            return True
        group = groups.get(group)
    return False


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
        self._repeats = {step.name for step in steps if step.repeats}
        self._scopes = {step.name: step.scope or [] for step in steps}

    def _add(self, earlier: _Point, later: _Point) -> None:
        if earlier in self._next:
            self._next[earlier].append(later)

    def after(self, step: str, *, inclusive: bool = False) -> set[str]:
        """Return the steps that end after `step` has; `inclusive` adds the step and all inside it."""
        reached = _reach(self._next, (step, not inclusive))
        return {name for name, is_end in reached if is_end} | ({step} if inclusive else set())

    def before(self, step: str) -> set[str]:
        """Return what `step` is built on: all that ends before it does, the groups around it, itself.

        In a repeat group that is all of it: there was a round before.
        """
        rounds = self._repeats.intersection(self._scopes.get(step, ()))
        names = {step, *(name for name, scope in self._scopes.items() if not rounds.isdisjoint(scope))}
        return {name for each in names for name, _ in _reach(self._previous, (each, True))}


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
