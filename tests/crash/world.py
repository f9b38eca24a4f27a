"""The world of the simulation, and one process in it: gflow's own engine, driven in one thread."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from gflow import Context, runner
from gflow.agenda import Agenda
from gflow.bodies import Bodies, Job
from gflow.checkpoint import Keys, Place
from gflow.clock import VirtualClock
from gflow.context import StepCancelled
from gflow.events import (
    Claimed,
    Created,
    Done,
    Event,
    Ref,
    Reverted,
    Started,
    StatusChanged,
    Undone,
    decode,
)
from gflow.journal import Journal
from gflow.model import Graph
from gflow.progress import outline
from gflow.scheduler import Opening, Scheduler
from gflow.state import State
from gflow.stores import Round, RunRow
from gflow.stores.memory import MemoryStore
from gflow.values import Values
from tests.crash import ledger
from tests.crash.authors import Author, written
from tests.crash.ledger import Line, Made
from tests.crash.proof import Violation

RUN: Final = "k3f9"
KEYS: Final = Keys((bytes(32),))
BALLASTS: Final = (0, 0, 0, 0, 5_000, 70_000)
"""Bytes: small values stay in memory, others are read from their round, or from a file of their own."""

SECONDS: Final = (0.0001, 0.001, 0.1)
"""How long bodies seem to take."""


class Crash(BaseException):
    """The process is gone."""


class SimulatedClock(VirtualClock):
    """Time that passes, like the wall's: nobody can skip it, unless nothing else happens."""

    skips = False

    def skip_to(self, moment: float) -> bool:
        return self.skips and super().skip_to(moment)


class SimulatedStore(MemoryStore):
    """A store in which the process may die, before or after a round is written."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def append(self, run: str, added: Round, values: bytes, row: RunRow | None = None) -> None:
        self.world.meanwhile()
        self.world.maybe_die("before a commit")
        super().append(run, added, values, row)
        self.world.acknowledge(decode(added.records))
        self.world.meanwhile()
        self.world.maybe_die("after a commit")


class World:
    """Everything outside of the process: store, ledger, chance."""

    def __init__(self, seed: int, folder: Path, *, calm: bool = False) -> None:
        self.dice = random.Random(seed)
        random.seed(seed)  # the jitter of retries is drawn from here
        self.folder = folder
        self.story: list[str] = []
        self.text = Author(self.dice).text()
        self.graph = written(self.text, act=self.act, aact=self.aact, undo=self.undo, aundo=self.aundo)
        self.store = SimulatedStore(self)
        self.clock = SimulatedClock()
        self.lines: list[Line] = []
        self.done: set[str] = set()
        self.process: Process | None = None
        self.dying = False
        self.broken = ""
        self.rollbacks = 0 if calm else self.dice.choice([0, 0, 1, 3])
        self.taken_back: set[str] = set()
        self.forced = False
        self.patience = 0 if calm else self.dice.choice([0, 5, 20, 60])
        self.danger = self.dice.choice([0.01, 0.05, 0.15])
        self.failing = self.dice.choice([0.0, 0.1, 0.3])
        self.undo_failing = self.dice.choice([0.0, 0.1, 0.9])
        self.threads = self.dice.choice([1, 2, 4, 64])

    def disturbs(self, probability: float) -> bool:
        """Tell whether something goes wrong now; after a while nothing does, so that runs end."""
        if self.patience <= 0 or self.dice.random() >= probability:
            return False
        self.patience -= 1
        return True

    def maybe_die(self, where: str) -> None:
        if self.dying or self.disturbs(self.danger):
            self.story.append(f"dies {where}")
            self.dying = False
            raise Crash

    def meanwhile(self) -> None:
        """While the disk is busy, some of the bodies that were admitted before run."""
        while self.process and self.process.runnable() and self.dice.random() < 0.3:
            self.process.run_one()

    def acknowledge(self, events: Iterable[Event]) -> None:
        """A round is written: from now on what it says is done stays done."""
        for event in events:
            self.story.append(f"  {event!r:.150}")
            match event:
                case Started(path):
                    self._check_begin(path)
                case Done(path) if path in self.done:
                    raise Violation(f"{path} completed twice")
                case Done(path):
                    self.done.add(path)
                case Undone(path, None):
                    self.done.discard(path)
                case Reverted(paths):
                    self.done.difference_update(paths)
                case _:
                    pass

    def _check_begin(self, path: str) -> None:
        late = [each for each in self.graph.nodes[path].after if each not in self.done]
        if late:
            raise Violation(f"{path} began before {', '.join(late)} had ended")

    def standing(self) -> set[str]:
        """Judge the undos; return the steps with an undo that stand."""
        undoable = {name for name, node in self.graph.nodes.items() if node.undo}
        return ledger.audit_undos(self.lines, ledger.later_steps(self.graph), undoable)

    # ------------------------------------------------------------ bodies

    async def aact(self, ctx: Context, *given: Made | None) -> Made:
        return self.act(ctx, *given)

    def act(self, ctx: Context, *given: Made | None) -> Made:
        """Be the body of any step."""
        if ctx.step in self.done:
            self.broken = f"{ctx.step} began again after its completion was written"
        made = ledger.perform(ctx, *given, ballast=self.dice.choice(BALLASTS))
        if self.disturbs(self.danger):
            self.dying = True  # it cannot die here: a body's exception is its failure
        ctx.check_cancelled()
        if self.disturbs(self.failing):
            raise self.dice.choice([ConnectionError, ConnectionError, ValueError])("chance")
        return made

    async def aundo(self, ctx: Context, value: Made | None) -> None:
        self.undo(ctx, value)

    def undo(self, ctx: Context, value: Made | None) -> None:
        """Be the undo of any step."""
        if self.disturbs(self.undo_failing):
            raise ConnectionError("chance")
        ledger.take_back(ctx, value)
        if self.disturbs(self.danger):
            self.dying = True

    def write(self, line: Line) -> None:
        self.story.append(
            f"{line.act} {line.step}, attempt {line.attempt}, made {line.token} from {line.seen}"
        )
        self.lines.append(line)


# ---------------------------------------------------------------- one process


class Process:
    """One life of a process that owns the run: what `runner` and the scheduler's threads do, in one thread.

    The scheduler's insides are touched here and nowhere else.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = Journal(world.store, RUN, KEYS)
        self.state = State().fold(self.journal.load())
        self.bodies = bodies_of(world, self.journal, self.state)
        opening = self._opening()
        for event in opening.events:
            self.state.apply(opening.at, event)
        self.scheduler = Scheduler(
            Agenda(world.graph, self.state), self.journal, self.bodies, world.clock,
            opening=opening, on_status=self._row, threads=world.threads,
        )  # fmt: skip

    def _opening(self) -> Opening:
        claim, running = Claimed("simulated", 1), StatusChanged("running")
        if self.state.created is not None:
            return Opening(self.world.clock.now(), [claim, running], [])
        ref, payload = runner._sealed_inputs(self.journal, {})
        graph = self.world.graph
        created = Created(
            graph.name, "1", "simulated", outline(graph), list(graph.results), ref, {}, "0", "3"
        )
        return Opening(self.world.clock.now(), [created, claim, running], [payload])

    def _row(self) -> RunRow:
        return RunRow(RUN, self.world.graph.name, "simulated", self.state.status, 0.0)

    # ------------------------------------------------------------ what threads do

    def turn(self) -> None:
        """Take the baton."""
        self.scheduler._turn()
        self._check_limits()

    def owes_a_turn(self) -> bool:
        return bool(self.scheduler._outcomes)

    def is_over(self) -> bool:
        return self.scheduler._over

    def runnable(self) -> bool:
        return bool(self.scheduler._jobs or self.scheduler._loop_jobs)

    def let_time_pass(self) -> None:
        """Nothing runs: the next thing that happens is that a time comes."""
        timers = self.scheduler.agenda.places.timers
        if timers:
            self.world.clock.moment = max(self.world.clock.moment, timers[0][0])

    def run_one(self) -> None:
        """Run one of the bodies that are queued, and post its outcome."""
        scheduler = self.scheduler
        queue = self.world.dice.choice([q for q in (scheduler._jobs, scheduler._loop_jobs) if q])
        job = queue[self.world.dice.randrange(len(queue))]
        queue.remove(job)
        if queue is scheduler._loop_jobs:
            self._on_loop(job)
        outcome = scheduler._advance(job)
        job.seconds = self.world.dice.choice(SECONDS)  # it decides how many are admitted ahead
        if outcome is not None:
            scheduler._outcomes.append(outcome)

    def _on_loop(self, job: Job) -> None:
        if job.cancelled:
            job.called = True
            return
        try:
            self.bodies.acall(job).send(None)
        except StopIteration:
            return
        except StepCancelled as error:
            job.error = error

    def interrupt(self, *, ask: bool) -> None:
        """Let a signal arrive; `ask` the running bodies to end, too."""
        self.world.story.append(f"interrupted, {'asking' if ask else 'waiting'}")
        self.scheduler.stop("interrupted", "SIGINT")
        if ask:
            self.scheduler.cancel_attempts()

    def _check_limits(self) -> None:
        graph = self.world.graph
        for group in (node for node in graph.nodes.values() if node.limit):
            inside = [path for path in self.state.open if group.name in _around(graph, path)]
            if len(inside) > (group.limit or 0):
                raise Violation(f"{group.name} has a limit of {group.limit}, but {inside} run at once")


def _around(graph: Graph, path: str) -> Iterator[str]:
    """Yield a step and the groups around it."""
    name: str | None = path
    while name is not None:
        yield name
        name = graph.nodes[name].group


def bodies_of(world: World, journal: Journal, state: State) -> Bodies:
    """Return what calls bodies for one process."""

    def ref_of(path: str) -> tuple[Ref | None, Place]:
        slot = state.slot(path)
        return slot.ref, Place(RUN, path, slot.generation, slot.attempt)

    values = Values(world.graph, journal, {}, ref_of, state.slots.get)
    return Bodies(RUN, journal, values, folder=world.folder)
