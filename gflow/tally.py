"""How much of a run is done, counted in steps, while it is told: fan-outs fill with their items.

A step counts when it has ended, or a group around it has. What is inside a repeated group counts when that
has ended. Within a generation the count never falls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gflow.events import (
    Adopted,
    Done,
    Event,
    Opened,
    Outline,
    Reverted,
    Skipped,
    Tripped,
    Undone,
    coordinates,
    depth,
    step_of,
)
from gflow.model import GROUPS
from gflow.state import State

ALMOST: Final = 1 - 1e-9
"""What the shares of all items come to at most: a step is whole when its end was told."""


class Shape(NamedTuple):
    """Where a step stands: `scopes` repeat it, outermost first, itself included if it is one of them."""

    step: Outline
    scopes: list[str]
    members: list[str]
    counted: bool

    @property
    def is_scope(self) -> bool:
        """Whether the step itself runs once per item or round."""
        return self.scopes[-1:] == [self.step.name]


def shapes(steps: Sequence[Outline]) -> dict[str, Shape]:
    """Return the shapes of the steps of a workflow, in the order of the plan."""
    alone = all(step.kind in GROUPS for step in steps)
    found = {s.name: Shape(s, s.scope or [], [], alone or s.kind not in GROUPS) for s in steps}
    for step in steps:
        if step.group in found:
            found[step.group].members.append(step.name)
    return found


class Fill:
    """An open fan-out: it has `n` items, and so many have ended."""

    __slots__ = ("completed", "failed", "n", "skipped")

    def __init__(self, n: int) -> None:
        self.n = n
        self.completed = self.failed = self.skipped = 0

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.skipped


class Tally:
    """Counts what has ended, as events tell it; `fills` are the open fan-outs, by path.

    Nothing is kept of an item that has ended.
    """

    def __init__(self, steps: Sequence[Outline]) -> None:
        self.shapes = shapes(steps)
        self.total = sum(shape.counted for shape in self.shapes.values())
        self.completed = 0
        self.fills: dict[str, Fill] = {}
        self._partial: dict[str, float] = {}
        self._frames: dict[str, dict[str, float]] = {}

    @classmethod
    def of(cls, state: State) -> Tally:
        """Return the tally of what a state knows."""
        tally = cls(state.outline)
        ended: list[tuple[int, bool, str]] = []
        for path, slot in state.slots.items():
            shape = tally.shapes.get(step_of(path))
            if shape is None:
                continue
            inside = depth(path)
            if inside and shape.scopes and state.has_ended(shape.scopes[0]):
                continue
            if slot.items is not None and not slot.has_ended:
                tally.fills[path] = Fill(slot.items)
            if slot.has_ended:
                ended.append((-inside, bool(shape.members), path))
        for _, _, path in sorted(ended):  # what is inside, before what it is in
            tally.ended(path, state.slots[path].status)
        return tally

    @property
    def partly(self) -> float:
        """What fan-outs under way have done, in steps."""
        return sum(self._partial.values())

    def is_whole(self, name: str) -> bool:
        """Tell whether a step, with all its items and rounds, has ended."""
        return self._frames.get("", {}).get(name, 0.0) >= 1.0

    # ------------------------------------------------------------ what is told

    def hear(self, event: Event) -> None:
        """Let one event count."""
        match event:
            case Opened():
                self.fills[event.path] = Fill(event.n)
            case Done() | Adopted():
                self.ended(event.path, "completed")
            case Skipped():
                self.ended(event.path, "skipped")
            case Tripped(decision="handled"):
                self.ended(event.path, "failed")
            case Undone(error=None):
                self.forget([event.path])
            case Reverted():
                self.forget(event.paths)
            case _:
                pass

    def ended(self, path: str, how: str) -> None:
        """An instance of a step has an outcome: "completed", "failed" or "skipped"."""
        name = step_of(path)
        shape, suffix = self.shapes.get(name), path[len(name) :]
        if shape is None:
            return
        if suffix and shape.is_scope and depth(suffix) == len(shape.scopes):
            self._item_ended(shape, suffix, coordinates(path)[-1], how)
            return
        self.fills.pop(path, None)
        self._complete(name, suffix)

    def _item_ended(self, shape: Shape, suffix: str, last: str, how: str) -> None:
        fill = self.fills.get(f"{shape.step.name}{suffix[: -len(last)]}")
        if fill is not None:
            setattr(fill, how, getattr(fill, how) + 1)
        for member in shape.members:
            self._complete(member, suffix)
        self._frames.pop(suffix, None)
        if shape.counted:
            self._pass_on(shape, suffix, 1.0)

    def _complete(self, name: str, suffix: str) -> None:
        """A step has ended at a place, with all that is in it."""
        frame = self._frames.setdefault(suffix, {})
        waiting = [name]
        while waiting:
            step = waiting.pop()
            before = frame.get(step, 0.0)
            if before >= 1.0:
                continue
            frame[step] = 1.0
            shape = self.shapes[step]
            waiting += shape.members
            if shape.counted and suffix:
                self._pass_on(shape, suffix, 1.0 - before)
            elif shape.counted:
                self._partial.pop(step, None)
                self.completed += 1

    def _pass_on(self, shape: Shape, suffix: str, share: float) -> None:
        """Add what is done of a step at a place to what is done of it around: its share of the items."""
        for level, last in reversed(list(enumerate(coordinates(shape.step.name + suffix)))):
            suffix = suffix[: -len(last)]
            fill = self.fills.get(f"{shape.scopes[level]}{suffix}")
            frame = self._frames.setdefault(suffix, {})
            before = frame.get(shape.step.name, 0.0)
            if fill is None or before >= 1.0:  # rounds fill nothing: their group counts as a whole
                return
            share /= max(fill.n, 1)
            frame[shape.step.name] = min(before + share, ALMOST)
        self._partial[shape.step.name] = self._frames[""][shape.step.name]

    def forget(self, paths: Iterable[str]) -> None:
        """Steps begin anew, with all their items and rounds."""
        names = {step_of(path) for path in paths}
        for name in names:
            shape = self.shapes.get(name)
            if shape is not None and shape.counted and self.is_whole(name):
                self.completed -= 1
            self._partial.pop(name, None)
            for frame in self._frames.values():
                frame.pop(name, None)
        for path in [path for path in self.fills if step_of(path) in names]:
            del self.fills[path]
