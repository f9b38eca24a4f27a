"""The real engine in one thread: random graphs, failures, interrupts and crashes, replayable by seed.

    python -m tests.crash.simulation SEED [MUTATION]

Journal, state, agenda, bodies and the scheduler's turn are gflow's own. What is simulated is the world
around them: the order in which bodies run, the store, which may die before or after it has written,
other bodies that run while it writes, and processes that believe they still own the run.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from gflow import Context, runner
from gflow.agenda import Agenda
from gflow.bodies import Bodies, Job
from gflow.checkpoint import Keys, Place
from gflow.clock import VirtualClock
from gflow.context import StepCancelled
from gflow.errors import GflowError, JournalMoved
from gflow.events import Claimed, Created, Done, Event, Started, StatusChanged, decode
from gflow.journal import Journal
from gflow.model import Graph
from gflow.progress import outline
from gflow.scheduler import Opening, Scheduler
from gflow.state import Slot, State
from gflow.stores import Round, RunRow
from gflow.stores.memory import MemoryStore
from tests.crash import ledger, mutations
from tests.crash.ledger import Line, Made
from tests.crash.proof import Proof, Violation

RUN: Final = "k3f9"
KEYS: Final = Keys((bytes(32),))
MOST_LIVES: Final = 200
MOST_TURNS: Final = 2000
BALLASTS: Final = (0, 0, 0, 0, 5_000, 70_000)
"""Bytes: small values stay in memory, others are read from their round, or from a file of their own."""


class Crash(BaseException):
    """The process is gone."""


# ---------------------------------------------------------------- random workflows


@dataclass
class Group:
    """A group of a random workflow while it is being made up."""

    name: str
    kind: str
    members: list[str] = field(default_factory=list)


class Author:
    """Writes a random workflow: nested groups, data edges to what comes earlier, limits, retries."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.lines: list[str] = []
        self.readable: list[str] = []
        self.steps = dice.randint(3, 10)
        self.count = 0

    def text(self) -> str:
        """Return the source of a workflow."""
        self._group(depth=0)
        return "\n".join(["from gflow import Context, Retry, parallel, stage, task", *self.lines])

    def _group(self, depth: int) -> str:
        group = Group(self._name("g"), self.dice.choice(["stage", "parallel"]))
        for _ in range(self.dice.randint(1, 4) if depth else self.steps):
            deeper = depth < 3 and self.dice.random() < 0.25
            group.members.append(self._group(depth + 1) if deeper else self._leaf())
        self._close(group)
        return group.name

    def _close(self, group: Group) -> None:
        limit = f"limit={self.dice.randint(1, 2)}" if self.dice.random() < 0.4 else ""
        params = ", ".join(f"{name}: object" for name in group.members)
        if self.dice.random() < 0.4:
            body = f"def {group.name}({params}) -> None: ..."
        else:
            taken = ", ".join(group.members)
            body = f"def {group.name}(ctx: Context, {params}) -> object: return act(ctx, {taken})"
            self.readable.append(group.name)
        self.lines += [f"@{group.kind}({limit})", body]

    def _leaf(self) -> str:
        name = self._name("s")
        given = self.dice.sample(self.readable, min(len(self.readable), self.dice.choice([0, 1, 1, 2, 3])))
        params = "".join(f", {each}: object" for each in given)
        is_async = self.dice.random() < 0.3
        how = "async def" if is_async else "def"
        call = f"{'await aact' if is_async else 'act'}(ctx, {', '.join(given)})"
        self.lines += [
            f"@task(attempts=Retry({self.dice.randint(1, 3)}, base={self.dice.choice([0.0, 1.0])}))",
            f"{how} {name}(ctx: Context{params}) -> object: return {call}",
        ]
        self.readable.append(name)
        return name

    def _name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"


def written(text: str, act: Any, aact: Any) -> Graph:
    """Return the graph of a workflow whose bodies call `act`, or await `aact`."""
    module = ModuleType("simulated")
    module.__dict__.update(act=act, aact=aact)
    exec(compile(text, "simulated.py", "exec"), module.__dict__)
    return runner.compile(module)


# ---------------------------------------------------------------- the world


class SimulatedClock(VirtualClock):
    """Time that passes, like the wall's: nobody can skip it."""

    def skip_to(self, moment: float) -> bool:
        return False


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
        self.folder = folder
        self.story: list[str] = []
        self.text = Author(self.dice).text()
        self.graph = written(self.text, self.act, self.aact)
        self.store = SimulatedStore(self)
        self.clock = SimulatedClock()
        self.lines: list[Line] = []
        self.done: dict[str, int] = {}
        self.process: Process | None = None
        self.dying = False
        self.broken = ""
        self.patience = 0 if calm else self.dice.choice([0, 5, 20, 60])
        self.danger = self.dice.choice([0.01, 0.05, 0.15])
        self.failing = self.dice.choice([0.0, 0.1, 0.3])
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
            if isinstance(event, Started):
                self._check_begin(event.path)
            if isinstance(event, Done):
                self.done[event.path] = self.done.get(event.path, 0) + 1
                if self.done[event.path] > 1:
                    raise Violation(f"{event.path} completed twice")

    def _check_begin(self, path: str) -> None:
        late = [each for each in self.graph.nodes[path].after if each not in self.done]
        if late:
            raise Violation(f"{path} began before {', '.join(late)} had ended")

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

    def write(self, line: Line) -> None:
        self.story.append(f"{line.step} acts, attempt {line.attempt}, made {line.token} from {line.seen}")
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
        self.bodies = Bodies(RUN, self.journal, {}, self._ref, folder=world.folder)
        opening = self._opening()
        for event in opening.events:
            self.state.apply(opening.at, event)
        self.scheduler = Scheduler(
            Agenda(world.graph, self.state), self.journal, self.bodies, world.clock,
            opening=opening, on_status=self._row, threads=world.threads,
        )  # fmt: skip

    def _ref(self, path: str) -> tuple[Any, Place]:
        slot = self.state.slot(path)
        return slot.ref, Place(RUN, path, slot.generation, slot.attempt)

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
        timers = self.scheduler.agenda.timers
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


# ---------------------------------------------------------------- playing


def play(world: World) -> None:
    """Live again and again until the run has completed; raise Violation where a promise is broken."""
    ledger.write_to(world.write)
    for life in range(MOST_LIVES):
        world.story.append(f"life {life + 1}")
        try:
            _live(world)
        except Crash:
            pass
        finally:
            world.process = None
        state = _folded(world)
        if state.status == "completed":
            return
    raise Violation(f"no end after {MOST_LIVES} lives")


def _live(world: World) -> None:
    process = Process(world)
    process.turn()
    world.process = process
    for _ in range(MOST_TURNS):
        if process.is_over():
            _check_fold(process)
            return
        if world.disturbs(0.02):
            process = world.process = _overtaken(process)
        if world.disturbs(0.02):
            process.interrupt(ask=world.dice.random() < 0.5)
        _step(process)
    raise Violation("the run is stuck: nothing runs, and nothing ends")


def _step(process: Process) -> None:
    world = process.world
    if world.dice.random() < 0.1:
        world.clock.moment += world.dice.choice([0.1, 1.0, 10.0])
    if process.runnable() and (not process.owes_a_turn() or world.dice.random() < 0.6):
        process.run_one()
        if world.dying:
            world.maybe_die("in a body")
        if world.broken:
            raise Violation(world.broken)
        return
    if not process.runnable() and not process.owes_a_turn():
        process.let_time_pass()
    process.turn()
    if world.dice.random() < 0.1:
        _check_fold(process)


def _overtaken(zombie: Process) -> Process:
    """Let another process take the run over; the one that missed that must write nothing any more."""
    world = zombie.world
    world.story.append("another process takes over")
    world.process = None
    successor = Process(world)
    successor.turn()
    before = world.store.rounds(RUN)
    zombie.scheduler.stop("interrupted", "it wakes up")
    patience, world.patience = world.patience, 0
    with contextlib.suppress(JournalMoved):
        zombie.turn()
    world.patience = patience
    if world.store.rounds(RUN) != before:
        raise Violation("a zombie wrote into the journal of a run that another process had taken over")
    return successor


def _folded(world: World) -> State:
    return State().fold(Journal(world.store, RUN, KEYS).load())


def _check_fold(process: Process) -> None:
    """The state that a process goes by is the fold of what is written, and nothing else."""
    live, folded = process.state, _folded(process.world)
    for path in {*live.slots, *folded.slots}:
        for name in Slot.__slots__:
            one, other = getattr(live.slot(path), name), getattr(folded.slot(path), name)
            if one != other:
                raise Violation(f"{path}.{name} is {one!r} in memory and {other!r} in the journal")
    if (live.status, [*live.open]) != (folded.status, [*folded.open]):
        raise Violation(f"the run is {live.status} in memory and {folded.status} in the journal")


def examine(seed: int, folder: Path) -> World:
    """Play one seed and judge it; Violation tells how to see it again."""
    world = World(seed, folder)
    try:
        play(world)
        ledger.audit(world.lines)
        _check_end(world, seed)
    except (Violation, GflowError, AssertionError, LookupError) as error:
        again = f"python -m tests.crash.simulation {seed}"
        told = "\n".join(world.story[-12:])
        raise Violation(f"{type(error).__name__}: {error}\n{told}\n{again}") from error
    return world


def _check_end(world: World, seed: int) -> None:
    """The end is that of the same workflow undisturbed, and every value that stands is the last one made."""
    calm = World(seed, world.folder, calm=True)
    play(calm)
    if shape_of(world) != shape_of(calm):
        raise Violation(f"it ended as {shape_of(world)}, undisturbed as {shape_of(calm)}")
    last = {line.step: line.token for line in world.lines}
    values = _values(world)
    for name, made in values.items():
        if made.token != last[name]:
            raise Violation(f"{name} stands with {made.token}, but ran last as {last[name]}")
        if made.marks or any(values[producer].token != token for producer, token in made.seen.items()):
            raise Violation(f"{name} was made from other values than those that stand")


def _values(world: World) -> dict[str, Made]:
    state, journal = _folded(world), Journal(world.store, RUN, KEYS)
    bodies = Bodies(
        RUN, journal, {}, lambda path: (state.slot(path).ref, Place(RUN, path, 0, state.slot(path).attempt)),
        folder=world.folder,
    )  # fmt: skip
    found = {path: bodies.value(path) for path in state.slots if state.is_done(path)}
    return {path: value for path, value in found.items() if value is not None}


def shape_of(world: World) -> dict[str, frozenset[str]]:
    """Return what a run ended with, without what chance gave it."""
    return ledger.shape(_values(world))


def check(count: int) -> int:
    """Play `count` seeds."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(count):
            examine(seed, Path(folder))
    return count


PROOF = Proof(
    "simulation", "seeds", check, tiny=300, short=6000,
    mutations=(
        mutations.body_before_commit, mutations.no_started_record, mutations.open_attempts_survive,
        mutations.done_forgotten_by_claim, mutations.limit_ignored, mutations.shared_values,
        mutations.no_fence,
    ),
)  # fmt: skip


def main(seed: str, mutation: str = "") -> None:
    """Tell the story of one seed."""
    names = [mutation] if mutation else []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            mutations.ALL[name].applied().__enter__()  # for the rest of this process
        world = World(int(seed), Path(folder))
        print(world.text, end="\n\n")
        try:
            play(world)
            ledger.audit(world.lines)
            _check_end(world, int(seed))
        finally:
            print("\n".join(world.story), flush=True)
    print(f"\nseed {seed} holds")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main(*sys.argv[1:])
