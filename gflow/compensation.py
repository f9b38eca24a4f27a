"""Carrying out a rollback: one undo after another, each written down when it has ended.

An undo is at-least-once, under a key of its own: after a crash the one that ran is called again, and
those before it are not. One that stays failed holds back what its step was built on; the rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import anyio
from anyio import to_thread

from gflow import failure
from gflow.attempt import At, Failure, Ladder, TryAgain, decide, jitter
from gflow.bodies import Bodies, Job
from gflow.clock import Clock
from gflow.events import Event, Reverted, StatusChanged, Undone, step_of
from gflow.journal import Journal
from gflow.model import Graph, Retry, Status
from gflow.rollback import Entry, Order, entries, reach
from gflow.state import State
from gflow.stores import RunRow

LADDER: Final = Ladder(Retry(3))


class Compensation:
    """Takes back the steps of one run. `row` makes the run's entry in the list of runs."""

    def __init__(
        self,
        graph: Graph,
        state: State,
        journal: Journal,
        bodies: Bodies,
        clock: Clock,
        *,
        row: Callable[[], RunRow],
    ) -> None:
        self.graph = graph
        self.state = state
        self.journal = journal
        self.bodies = bodies
        self.clock = clock
        self._row = row

    async def finish(self, *, force: bool = False) -> Status:
        """Take back what the rollback under way has left, and return how it ended.

        `force` passes over what has no way back: irreversible steps, unfinished ones that may have acted,
        undos that stay failed. One with which the process has died again and again is not even tried.
        """
        reset = self.state.reset
        assert reset is not None, "a rollback is under way"
        order = Order(self.state.outline)
        held: set[str] = set()
        for entry in entries(self.state, reset.steps, reset.to):
            step = step_of(entry.path)
            if step in held or await self._take_back(entry, force=force) or force:
                continue
            passed_over = entry.treatment == "irreversible" and reset.why == "abort"
            held |= {step} if passed_over else order.before(step)
        is_reached = reach(self.state.outline, reset.steps, reset.to)
        rest = [
            path
            for path, slot in self.state.slots.items()
            if is_reached(path) and step_of(path) not in held and not slot.origin  # as adopted, it stays
        ]
        again = entries(self.state, reset.steps, reset.to)
        left = [e.path for e in again if step_of(e.path) in held and not e.stays]
        status: Status = "rollback_incomplete" if left else "rolled_back"
        said = self.state.reason if reset.why == "abort" else reset.goal
        reason = f"{said}; left: {', '.join(left)}" if left else said
        await self.commit([Reverted(rest), StatusChanged(status, reason)])
        return status

    async def commit(self, events: Sequence[Event]) -> None:
        """Let events become true, in a thread: the loop never commits."""
        now = self.clock.now()
        for event in events:
            self.state.apply(now, event)
            if isinstance(event, Undone) and event.error is None:
                self.bodies.values.forget([event.path])
            if isinstance(event, Reverted):
                self.bodies.values.forget(event.paths)
        row = self._row() if any(isinstance(event, StatusChanged) for event in events) else None
        await to_thread.run_sync(lambda: self.journal.append(now, list(events), [], row))

    async def _take_back(self, entry: Entry, *, force: bool) -> bool:
        """Return whether a step is taken back, or needs nothing."""
        if entry.treatment != "undo":
            return entry.stays
        if force and self.state.slot(entry.path).deadly:
            return False
        error = await self._undo(entry.path)
        await self.commit([Undone(entry.path, error)])
        return error is None

    async def _undo(self, path: str) -> str | None:
        """Call a step's undo until it succeeds or stays failed; return what it said then."""
        node = self.graph.nodes.get(step_of(path))
        if node is None or node.undo is None:
            return "the module no longer has this step's undo"
        failures = 0
        while True:
            job = await to_thread.run_sync(
                self.bodies.undo_job, node, node.undo, path, self.state.slot(path), failures + 1
            )
            await self._call(job)
            if job.error is None:
                return None
            failures += 1
            self.bodies.exceptions[path] = job.error
            decision = decide(LADDER, Failure("low"), At(0, failures), jitter())
            if not isinstance(decision, TryAgain):
                return f"{failure.type_name(job.error)}: {failure.message(job.error)}"
            await self._wait(decision.delay)

    async def _call(self, job: Job) -> None:
        if job.error is not None:
            return
        if job.is_async:
            await self.bodies.acall(job)
        else:
            await to_thread.run_sync(self.bodies.call, job)

    async def _wait(self, seconds: float) -> None:
        if not self.clock.skip_to(self.clock.now() + seconds):
            await anyio.sleep(seconds)
