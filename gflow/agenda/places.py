"""Where units wait: in queues for workers, for a time, for a place in a limited group.

Nothing is decided here about what a step's end means; that is the agenda's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from gflow.frames import Frame, Unit, limits
from gflow.model import Graph, Node


class Room(NamedTuple):
    """How many more attempts may be admitted.

    `threads` counts free threads, `ahead` the sync bodies that may be admitted now, which is more when
    they are quick; a step with effects never begins to be ambiguous before there is a thread for it.
    `loop` counts async bodies.
    """

    threads: int
    ahead: int
    loop: int

    def without(self, units: Iterable[Unit]) -> Room:
        """Return the room that is left when some units have been admitted."""
        asyncs = sum(unit.on_loop for unit in units)
        syncs = sum(1 for _ in units) - asyncs
        return Room(self.threads - syncs, self.ahead - syncs, self.loop - asyncs)


class Places:
    """The queues of one run.

    `ready` are units for threads, and for the loop; `flying` those that workers have, by path; `timers` those
    that wait for a time (Unix seconds); `held` those that wait for a place in a limited group.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ready: tuple[deque[Unit], deque[Unit]] = (deque(), deque())
        self.flying: dict[str, Unit] = {}
        self.timers: list[tuple[float, int, Unit]] = []
        self.held: dict[str, deque[Unit]] = {}
        self.in_limit: dict[str, int] = {}
        self._limits = limits(graph)
        self._tie = count()

    def queue(self, unit: Unit, *, first: bool = False) -> None:
        """Let a unit wait for a worker."""
        ready = self.ready[unit.on_loop]
        if first:
            ready.appendleft(unit)
        else:
            ready.append(unit)

    def postpone(self, unit: Unit, until: float) -> None:
        """Let a unit wait until a time (Unix seconds)."""
        heappush(self.timers, (until, next(self._tie), unit))

    def due(self, now: float) -> Unit | None:
        """Return, and take away, a unit whose time has come."""
        return heappop(self.timers)[2] if self.timers and self.timers[0][0] <= now else None

    # ------------------------------------------------------------ workers take and bring

    def take(self, room: Room, is_wanted: Callable[[Unit], bool]) -> list[Unit]:
        """Take from what is ready as much as there is room for; what is not wanted is left out."""
        threads, loop = self.ready
        taken = self._take(threads, room.ahead, room.threads, is_wanted)
        return taken + self._take(loop, room.loop, room.loop, is_wanted) if loop else taken

    def _take(
        self, ready: deque[Unit], most: int, careful: int, is_wanted: Callable[[Unit], bool]
    ) -> list[Unit]:
        taken: list[Unit] = []
        while ready and len(taken) < most:
            unit = ready.popleft()
            if not is_wanted(unit):
                self._let_in(self._limits_around(unit))
            elif (full := self.full_limit(unit.node.name, unit.frame)) is not None:
                self.held.setdefault(full, deque()).append(unit)
            elif len(taken) >= careful and _has_effects(unit.node):
                ready.appendleft(unit)
                break
            else:
                self._enter(unit)
                taken.append(unit)
        return taken

    def leave(self, path: str) -> Unit:
        """A worker is done with a unit: its places in limited groups are free again."""
        unit = self.flying.pop(path)
        around = self._limits_around(unit)
        for group in around:
            self.in_limit[group] -= 1
        self._let_in(around)
        return unit

    def full_limit(self, name: str, frame: Frame) -> str | None:
        """Return a limited group around a step in which there is no place, if there is one."""
        for group in self._limits[name]:
            key = group + frame.holding(group).suffix
            if self.in_limit.get(key, 0) >= (self.graph.nodes[group].limit or 1):
                return key
        return None

    def _limits_around(self, unit: Unit) -> list[str]:
        around = self._limits[unit.node.name]
        return [group + unit.frame.holding(group).suffix for group in around] if around else []

    def _enter(self, unit: Unit) -> None:
        self.flying[unit.path] = unit
        for group in self._limits_around(unit):
            self.in_limit[group] = self.in_limit.get(group, 0) + 1

    def _let_in(self, groups: Iterable[str]) -> None:
        """Let one unit that waits for a place try again, for each of some limited groups."""
        for group in groups:
            if self.held.get(group):
                self.queue(self.held[group].popleft(), first=True)


def _has_effects(node: Node) -> bool:
    return node.undo is not None or node.effects == "irreversible"
