"""The real engine in one thread: random graphs, failures, interrupts and crashes, replayable by seed.

    python -m tests.crash.simulation SEED [MUTATION]

Journal, state, agenda, bodies and the scheduler's turn are gflow's own. What is simulated is the world
around them: the order in which bodies run, the store, which may die before or after it has written,
other bodies that run while it writes, and processes that believe they still own the run.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from gflow import compensation as compensation_module
from gflow import rollback
from gflow.compensation import Compensation
from gflow.errors import GflowError, JournalMoved
from gflow.events import (
    Claimed,
    Event,
    Reset,
    StatusChanged,
)
from gflow.journal import Journal
from gflow.rollback import START
from gflow.state import Slot, State
from gflow.stores import RunRow
from tests.crash import ledger, mutations
from tests.crash.ledger import Made
from tests.crash.proof import Proof, Violation
from tests.crash.world import KEYS, RUN, Crash, Process, World, bodies_of

MOST_LIVES: Final = 200
MOST_TURNS: Final = 2000

# ---------------------------------------------------------------- playing


def play(world: World) -> None:
    """Live again and again until the run has completed; raise Violation where a promise is broken."""
    ledger.write_to(world.write)
    for life in range(MOST_LIVES):
        state = _folded(world)
        if state.status == "completed" and world.rollbacks == 0:
            return
        world.story.append(f"life {life + 1}, {state.status}")
        try:
            if _goes_back(world, state):
                _roll_back(world, state)
            else:
                _live(world)
        except Crash:
            pass
        finally:
            world.process = None
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


# ---------------------------------------------------------------- going back


def _goes_back(world: World, state: State) -> bool:
    """Tell whether somebody rolls the run back now, or a rollback has to be finished."""
    if state.status in ("rolling_back", "rollback_incomplete"):
        return True
    if world.rollbacks == 0 or state.status not in ("completed", "failed", "interrupted"):
        return False
    return state.status == "completed" or world.dice.random() < 0.5


def _roll_back(world: World, state: State) -> None:
    """Take back what comes after a random step, or go on with that."""
    force = state.status == "rollback_incomplete" and world.dice.random() < 0.5
    world.forced = world.forced or force
    journal = Journal(world.store, RUN, KEYS)
    state = State().fold(journal.load())
    events: list[Event] = [Claimed("simulated", 1)]
    if state.status != "rolling_back":
        world.rollbacks = max(0, world.rollbacks - 1)
        events += [_reset(world, state), StatusChanged("rolling_back")]
    compensation = Compensation(
        world.graph, state, journal, bodies_of(world, journal, state), world.clock,
        row=lambda: RunRow(RUN, world.graph.name, "simulated", state.status, 0.0),
    )  # fmt: skip
    world.clock.skips = True
    try:
        _driven(compensation.commit(events))
        _driven(compensation.finish(force=force))
    finally:
        world.clock.skips = False
    _check_undone(world, state)


def _reset(world: World, state: State) -> Reset:
    """Return a new rollback, or one that is incomplete, once more."""
    if state.reset is not None:
        return state.reset._replace(generation=state.generation + 1)
    to = world.dice.choice([START, *state.slots])
    plan = rollback.plan(state, to, inclusive=to != START and world.dice.random() < 0.3)
    world.taken_back = set(plan.steps)
    return Reset("rollback", to, state.generation + 1, list(plan.steps))


async def _inline(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _driven(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine that waits for nothing but threads, which are this one."""
    with patch.object(compensation_module, "to_thread", SimpleNamespace(run_sync=_inline)):
        try:
            coroutine.send(None)
        except StopIteration:
            return
    raise Violation("a rollback waits for something")


def _check_undone(world: World, state: State) -> None:
    """After a rollback to a step nothing stands that comes after it and has an undo."""
    if world.forced:
        return  # what was passed over may stand
    standing = world.standing() & world.taken_back
    if state.status == "rolled_back" and standing:
        raise Violation(f"rolled back, and these stand: {', '.join(standing)}")


# ---------------------------------------------------------------- judging


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
        if not world.forced:
            world.standing()
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
    last = {line.step: line.token for line in world.lines if line.act == "do"}
    values = _values(world)
    for name, made in values.items():
        if made.token != last[name]:
            raise Violation(f"{name} stands with {made.token}, but ran last as {last[name]}")
        if made.marks or any(values[producer].token != token for producer, token in made.seen.items()):
            raise Violation(f"{name} was made from other values than those that stand")


def _values(world: World) -> dict[str, Made]:
    state, journal = _folded(world), Journal(world.store, RUN, KEYS)
    bodies = bodies_of(world, journal, state)
    found = {path: bodies.values.value(path) for path in state.slots if state.is_done(path)}
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
    "simulation", "seeds", check, tiny=100, short=2000,
    mutations=(
        mutations.body_before_commit, mutations.no_started_record, mutations.open_attempts_survive,
        mutations.done_forgotten_by_claim, mutations.limit_ignored, mutations.shared_values,
        mutations.no_fence, mutations.undo_ascending, mutations.undo_of_completed_only,
        mutations.one_key_for_two_generations, mutations.consumers_kept,
    ),
)  # fmt: skip


def main(seed: str, mutation: str = "") -> None:
    """Tell the story of one seed."""
    mutations.apply_for_good([mutation] if mutation else [])
    with tempfile.TemporaryDirectory() as folder:
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
    main(*sys.argv[1:])
