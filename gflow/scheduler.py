"""Runs what the agenda admits: worker threads for sync bodies, one anyio loop for async ones.

There is no writer thread and no hand-over. A worker that has an outcome and finds nothing more urgent
takes the baton: it lets the agenda decide, commits one round to the journal, and puts the admitted
bodies into the queue, often to run the next one itself. So a chain never leaves its thread, and a crowd
of quick steps shares one commit. A body begins after the commit that says it started: the barrier is a
position in `_turn`. The loop never commits and never pickles.

One idle thread, the sentinel, stays awake while anything is queued or owed: it sees to it that nothing
waits longer than a tick for its commit, and calls all hands when bodies turn out to be slow.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from math import inf
from time import monotonic, thread_time
from typing import Any, Final, Literal, NamedTuple

import anyio

from gflow.agenda import (
    Agenda,
    Answer,
    Ended,
    Listed,
    Outcome,
    Raised,
    Room,
    Succeeded,
    Worded,
    next_events,
)
from gflow.bodies import Bodies, Job, Returned, stuck
from gflow.clock import Clock
from gflow.events import Answered, Event, StatusChanged, Told
from gflow.frames import Unit
from gflow.inbox import Word
from gflow.journal import Journal
from gflow.model import Status
from gflow.stores import RunRow

TICK: Final = 0.002
"""Seconds between two looks of the sentinel."""
AHEAD: Final = 0.02
"""Seconds' worth of quick steps that may be admitted ahead of a thread: what a crash leaves ambiguous."""
CROWD: Final = 512
"""The most steps that one round admits ahead, and the most outcomes that wait for a commit."""
LARGEST_ROUND: Final = 1 << 20
"""Bytes of values in one round: whoever reads one of them reads past the others."""
LISTENING: Final = 0.5
"""Seconds between two looks into the inbox."""
STUCK_GRACE: Final = 10.0
"""Seconds after which Python code that was asked to end is given up as stuck."""
LAST_GRACE: Final = 8.0
"""Seconds that running bodies have to end when the run's caller was cancelled."""
TASKS: Final = 1000
LEAD: Final = "lead"
CALLER: Final = "cancelled by its caller"


Brought = Returned | Raised | Ended | Answer | Listed | Worded
"""What a worker brings of a job."""


class Opening(NamedTuple):
    """What a run's first round begins with: events, applied `at` (Unix seconds), and their values."""

    at: float
    events: list[Event]
    payloads: list[bytes]


class Scheduler:
    """Drives one run from its agenda to a conclusion.

    `opening` is what the first round begins with. `hear` returns what other processes have said to this
    run since it was last called. `outliving` names the steps whose threads went on when
    the run had ended: while they live, nobody else may take the run.
    `on_status` is called under the baton, before the commit, when the run's status changes; what it
    returns goes into the store's list of runs in the same transaction.
    """

    def __init__(
        self,
        agenda: Agenda,
        journal: Journal,
        bodies: Bodies,
        clock: Clock,
        *,
        opening: Opening,
        on_status: Callable[[], RunRow | None] = lambda: None,
        threads: int,
        hear: Callable[[], Sequence[Word]] | None = None,
    ) -> None:
        self.agenda = agenda
        self.journal = journal
        self.bodies = bodies
        self.clock = clock
        self.failure: BaseException | None = None
        self.outliving: set[str] = set()
        self._opening: Opening | None = opening
        self._on_status = on_status
        self._most_threads = threads
        self._hear = hear
        self._heard_at = float("-inf")
        self._cancelling = self._aborted = False
        self._lock = threading.Lock()
        self._wakeup = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._jobs: deque[Job] = deque()
        self._outcomes: list[Brought] = []
        self._flying: dict[str, Job] = {}
        self._deadlines: list[tuple[float, int, Job]] = []
        self._tie = count()
        self._in_threads = self._in_tasks = 0
        self._mean = self._blocking = 0.0
        self._idle = self._popped = 0
        self._leading = self._watched = self._watching = self._due = self._over = False
        self._poked = True
        self._loop_jobs: deque[Job] = deque()
        self._pullers = 0
        self._ring: Callable[[], None] = lambda: None

    # ------------------------------------------------------------ the loop's side

    async def run(self) -> None:
        """Run until the journal holds a conclusion; a store that cannot be written raises its StoreError."""
        bell = _Bell()
        self._ring = bell.ring
        with self._lock:
            self._spawn()
        try:
            async with anyio.create_task_group() as tasks:
                await self._serve(tasks, bell)
                tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._end_early(bell)
            raise
        for thread in self._threads:
            if not self.outliving:
                thread.join()
        if self.failure is not None:
            raise self.failure

    async def _serve(self, tasks: Any, bell: _Bell) -> None:
        while not self._over:
            with anyio.move_on_after(self._until_next()):
                await bell.rung()
            self._start_pullers(tasks)
            self._expire()
            if self._cancelling:
                self._cancelling = False
                tasks.start_soon(self._end_all)
            elif self._hear or (self._due_at() or inf) <= self.clock.now():
                self.poke()

    async def _end_all(self) -> None:
        self.cancel_attempts()
        await anyio.sleep(LAST_GRACE)
        self.abandon()

    async def _end_early(self, bell: _Bell) -> None:
        """The caller was cancelled: interrupt the run, so that it can be resumed."""
        self.stop("interrupted", CALLER)
        self.cancel_attempts()
        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(LAST_GRACE):
                await self._serve(tasks, bell)
            if not self._over:
                self.abandon()
                await self._serve(tasks, bell)

    def poke(self) -> None:
        """Have a turn taken although no attempt has ended: a timer fell due, or somebody wants the end."""
        with self._lock:
            self._poked = True
            self._attend()

    def stop(self, status: Status, reason: str = "") -> None:
        """Admit nothing more; the run ends as `status` when what runs has ended."""
        self.agenda.reason = reason
        self.agenda.stopping = status
        self.poke()

    async def interrupt(self, reason: str, grace: float, last_grace: float) -> None:
        """Stop; after `grace` seconds ask what still runs to end, `last_grace` later conclude without it."""
        self.stop("interrupted", reason)
        await anyio.sleep(grace)
        self.cancel_attempts()
        await anyio.sleep(last_grace)
        self.abandon()

    def cancel_attempts(self) -> None:
        """Ask every running body to end. Call it on the loop."""
        for job in list(self._flying.values()):
            job.cancel()

    def abandon(self) -> None:
        """Conclude although bodies still run; they are lost, as in a crash, and named in `outliving`."""
        self.outliving.update(self._flying)
        self.agenda.abandoned = True
        self.poke()

    def _until_next(self) -> float:
        """Return the seconds until something falls due: a step's next attempt, or an attempt's end."""
        head = min(self._due_at() or inf, self._deadlines[0][0] if self._deadlines else inf)
        wait = min(3600.0, max(0.0, head - self.clock.now()))
        return min(wait, LISTENING) if self._hear else wait

    def _due_at(self) -> float | None:
        timers = self.agenda.places.timers  # read here, changed under the baton
        return timers[0][0] if timers else None

    def _expire(self) -> None:
        """End the attempts whose time is over; one that goes on all the same is given up, as stuck."""
        while self._deadlines and self._deadlines[0][0] <= self.clock.now():
            due, _, job = heappop(self._deadlines)
            if self._flying.get(job.path) is not job:
                continue
            if not job.timed_out:
                job.timed_out = True
                job.cancel()
                heappush(self._deadlines, (due + STUCK_GRACE, next(self._tie), job))
            elif not job.is_async:
                self._give_up(job)

    def _give_up(self, job: Job) -> None:
        with self._lock:
            job.closed = True
            self.outliving.add(job.path)
            self._outcomes.append(stuck(job, STUCK_GRACE))
            self._poked = True
            self._attend()

    def _start_pullers(self, tasks: Any) -> None:
        wanted = min(len(self._loop_jobs), TASKS - self._pullers)
        for _ in range(wanted):
            self._pullers += 1
            tasks.start_soon(self._pull)

    async def _pull(self) -> None:
        """Run async bodies until there are none; a task of the loop is worth keeping."""
        try:
            while self._loop_jobs:
                await self._run_on_loop(self._loop_jobs.popleft())
        finally:
            self._pullers -= 1

    async def _run_on_loop(self, job: Job) -> None:
        try:
            with anyio.CancelScope() as job.cancel_scope:
                if not job.cancelled:
                    await self.bodies.acall(job)
        except anyio.get_cancelled_exc_class():  # not this step alone: whoever runs the whole was cancelled
            self.stop("interrupted", CALLER)
            raise
        finally:
            job.cancel_scope = None
            job.called = True
            with self._lock:
                self._jobs.append(job)
                self._attend()

    # ------------------------------------------------------------ workers

    def _spawn(self, *, resting: bool = False) -> None:
        name = f"gflow-{len(self._threads)}"
        thread = threading.Thread(target=self._work, args=(resting,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, resting: bool) -> None:
        if resting:
            with self._lock:
                self._rest()
        outcome: Brought | None = None
        while True:
            with self._lock:
                if outcome is not None:
                    self._outcomes.append(outcome)
                    outcome = None
                job = self._next()
            if job is None:
                return
            if isinstance(job, str):
                self._lead()
            else:
                try:
                    outcome = self._advance(job)
                except BaseException as error:  # noqa: BLE001  # of the store, not of the step: `run` raises it
                    self._fail(error)
                    return
                if job.closed:
                    job.log("WARNING", "ended after it was given up as stuck; its outcome is dropped")
                    outcome = None

    def _next(self) -> Job | Literal["lead"] | None:
        """Wait for something to do. The lock is held."""
        while not self._over:
            if self._should_lead():
                self._leading = True
                return LEAD
            if self._jobs:
                self._popped += 1
                job = self._jobs.popleft()
                if self._jobs or self._outcomes:
                    self._attend()
                return job
            self._rest()
        return None

    def _should_lead(self) -> bool:
        if self._leading or not (self._outcomes or self._poked):
            return False
        crowded = len(self._outcomes) >= CROWD
        return not self._jobs or crowded or self._due or self._poked or not self._watched

    def _attend(self) -> None:
        """Something is queued or owed: somebody has to see to it. The lock is held."""
        if self._idle == len(self._threads):
            self._wakeup.notify()
        elif not self._watched and (self._idle or len(self._threads) <= self._most_threads):
            self._watched = True
            if self._idle:
                self._wakeup.notify()
            else:
                self._spawn(resting=True)

    def _rest(self) -> None:
        """Wait to be woken, or be the sentinel if one is wanted; who starts too late is woken by nobody."""
        if self._over:
            return
        self._idle += 1
        if not self._watched or self._watching:
            self._wakeup.wait()
        if self._watched and not self._watching:
            self._watch()
        self._idle -= 1

    def _watch(self) -> None:
        """Be the sentinel: look every tick whether a commit is owed, or all hands are needed."""
        self._watching = True
        while self._watched and not self._over:
            before = self._popped
            self._wakeup.wait(TICK)
            stuck = self._popped == before
            if self._outcomes and not self._leading:
                self._due = True
            if (self._jobs and (stuck or self._blocking > 0.5)) or (self._due and stuck):
                self._watched = False
                self._call_all_hands()
            elif not self._jobs and not self._outcomes and not self._leading:
                self._watched = False
        self._watching = False

    def _call_all_hands(self) -> None:
        waiting = len(self._jobs)
        self._wakeup.notify(waiting)
        for _ in range(min(waiting - self._idle, self._most_threads + 1 - len(self._threads))):
            self._spawn()

    def _advance(self, job: Job) -> Brought | None:
        """Take a job one part further: all the way if its body is sync."""
        bodies = self.bodies
        if job.arguments is None and not bodies.prepare(job):
            return bodies.seal(job)
        if job.is_async:
            if not job.called:
                self._loop_jobs.append(job)
                self._ring()
                return None
        else:
            cpu = thread_time()
            bodies.call(job)
            if job.seconds > 0:
                self._blocking += 0.1 * (1 - (thread_time() - cpu) / job.seconds - self._blocking)
        return bodies.seal(job)

    # ------------------------------------------------------------ the baton

    def _lead(self) -> None:
        """Take a turn; whatever goes wrong in it ends the run, for nobody knows what was written."""
        try:
            self._turn()
        except BaseException as error:  # noqa: BLE001  # raised again in `run`
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self.failure = self.failure or error
            self._finish()

    def _turn(self) -> None:
        with self._lock:
            batch = self._take_batch()
            self._due = self._poked = False
        self._measure(batch)
        opening, self._opening = self._opening, None
        now = opening.at if opening else self.clock.now()
        values = opening.payloads if opening else [o.value.payload for o in batch if isinstance(o, Returned)]
        self._listen(now)
        turn = next_events(self.agenda, self._placed(batch), now, self._room())
        events = [*(opening.events if opening else ()), *turn.events]
        over = any(isinstance(event, StatusChanged) for event in turn.events)
        self.bodies.values.let_go(turn.over)
        if events:
            row = self._on_status() if opening or over else None
            self.journal.append(now, events, values, row)  # ← what follows is true from here on
            self.journal.tidy(idle=not (turn.admitted or self._jobs))
        jobs = [self._job(unit) for unit in turn.admitted]
        due = None if over or self._flying else self.agenda.next_timer()
        skipped = due is not None and self.clock.skip_to(due)
        if self.agenda.aborting and not self._aborted:
            self._aborted = self._cancelling = True
        with self._lock:
            self._leading = False
            self._poked = self._poked or skipped
            self._jobs.extend(jobs)
            if over:
                self._finish()
            elif self._cancelling or self.agenda.places.timers or self._deadlines:
                self._ring()

    def _listen(self, now: float) -> None:
        """Hear, now and then, what other processes say, and obey."""
        moment = monotonic()
        if self._hear is None or moment - self._heard_at < LISTENING / 2:
            return
        self._heard_at = moment
        self.agenda.now = now
        for word in self._hear():
            self.agenda.record(Told(word.id, word.kind, word.who))
            if word.kind == "cancel":
                self.agenda.stopping, self.agenda.reason = "cancelled", f"by {word.who}"
                self._cancelling = True
            else:
                verdict = "approved" if word.kind == "approve" else "rejected"
                about = word.path, verdict, word.who, word.comment, word.digest, word.generation
                refused = self.agenda.hear(Answered(*about))
                if refused and self.bodies.log is not None:
                    said = f"{word.who} {verdict} `{word.path}`, which is refused: {refused}"
                    self.bodies.log.write(None, None, "WARNING", said)

    def _take_batch(self) -> list[Brought]:
        """Take what has come in, up to a round's worth of values; the rest waits for the next turn."""
        size = 0
        for number, outcome in enumerate(self._outcomes):
            size += len(outcome.value.payload) if isinstance(outcome, Returned) else 0
            if size > LARGEST_ROUND and number:
                batch, self._outcomes = self._outcomes[:number], self._outcomes[number:]
                return batch
        batch, self._outcomes = self._outcomes, []
        return batch

    def _finish(self) -> None:
        self._over = True
        self._wakeup.notify_all()
        self._ring()

    def _room(self) -> Room:
        ahead = min(CROWD, int(AHEAD / self._mean)) if self._mean else 0
        threads = self._most_threads - self._in_threads
        return Room(threads, max(threads, ahead - self._in_threads), TASKS - self._in_tasks)

    def _job(self, unit: Unit) -> Job:
        job = self.bodies.job(unit, self.agenda.state.slot(unit.path))
        self._flying[unit.path] = job
        if unit.node.timeout is not None and unit.purpose == "body":
            heappush(self._deadlines, (self.clock.now() + unit.node.timeout, next(self._tie), job))
        if job.is_async:
            self._in_tasks += 1
        else:
            self._in_threads += 1
        return job

    def _measure(self, batch: Sequence[Brought]) -> None:
        for outcome in batch:
            job = self._flying.pop(outcome.path)
            if job.is_async:
                self._in_tasks -= 1
            else:
                self._in_threads -= 1
                self._mean += 0.2 * (job.seconds - self._mean) if self._mean else job.seconds

    def _placed(self, batch: Sequence[Brought]) -> list[Outcome]:
        """Give each value its place in the round that is about to be written."""
        refs = iter(self.journal.place_values([o.value for o in batch if isinstance(o, Returned)]))
        return [
            Succeeded(o.path, next(refs), o.preview, o.seconds, o.degraded) if isinstance(o, Returned) else o
            for o in batch
        ]


class _Bell:
    """Wakes the loop from any thread, on asyncio and on trio."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._call = _caller_into_loop()

    def ring(self) -> None:
        self._call(self._set)

    def _set(self) -> None:
        self._event.set()

    async def rung(self) -> None:
        await self._event.wait()
        self._event = anyio.Event()


def _caller_into_loop() -> Callable[[Callable[[], None]], object]:
    if "trio" in sys.modules:
        import trio  # noqa: PLC0415  # only if the caller runs on it

        try:
            return trio.lowlevel.current_trio_token().run_sync_soon
        except RuntimeError:
            pass
    return asyncio.get_running_loop().call_soon_threadsafe
