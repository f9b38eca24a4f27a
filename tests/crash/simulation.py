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
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from gflow import compensation as compensation_module
from gflow import rollback, salvage
from gflow.bodies import Bodies
from gflow.compensation import Compensation
from gflow.errors import GflowError, JournalMoved
from gflow.events import Answered, Claimed, Event, Reset, StatusChanged, step_of
from gflow.journal import Journal
from gflow.rollback import START
from gflow.state import Slot, State
from gflow.stores import RunRow
from tests.crash import coverage, ledger, mutations
from tests.crash.ledger import Made
from tests.crash.life import Process, answers, bodies_of, decision
from tests.crash.proof import Proof, Violation
from tests.crash.world import KEYS, RUN, Crash, World

MOST_LIVES: Final = 200
MOST_TURNS: Final = 2000
MANY: Final = 1000
"""So many seeds leave no cell of the table empty."""

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
                _meanwhile(world, state)
                _live(world)
        except Crash:
            pass
        finally:
            world.process = world.job = None
    raise Violation(f"no end after {MOST_LIVES} lives")


def _meanwhile(world: World, state: State) -> None:
    """While no process has the run, somebody answers what it asks, or says yes before it does."""
    said = answers(world)
    if world.disturbs(0.2):
        early = [step for step in world.asking if not world.takes_no(step)]
        said += [each for step in early for each in decision(world, step, yes=True)]
    if state.status != "waiting" and not world.disturbs(0.3):
        return
    if said and not world.disturbs(0.5):
        _write(world, state, world.dice.choice(said))
    elif not said or world.disturbs(0.5):  # nobody says anything, and the time of the questions is over
        waiting = [slot.asked for slot in state.slots.values() if slot.status == "waiting" and slot.asked]
        times = [asked.expires for asked in waiting if asked.expires is not None]
        world.clock.moment = max([world.clock.moment, *times])


def _write(world: World, state: State, answer: Answered) -> None:
    """Write a decision as `gflow approve` does."""
    journal = Journal(world.store, RUN, KEYS)
    state = State().fold(journal.load())
    state.apply(world.clock.now(), answer)
    journal.append(world.clock.now(), [answer])


def _live(world: World) -> None:
    process = Process(world)
    process.turn()
    world.process = process
    for _ in range(MOST_TURNS):
        if process.is_over():
            _check_fold(process)
            _finish_abort(process)
            return
        if world.disturbs(0.02):
            process = world.process = _overtaken(process)
        _disturb(process)
        _step(process)
    raise Violation("the run is stuck: nothing runs, and nothing ends")


def _disturb(process: Process) -> None:
    """Let something come from outside."""
    world = process.world
    if world.disturbs(0.02):
        process.interrupt(ask=world.dice.random() < 0.5)
    if world.disturbs(0.01):
        process.cancel()
    if world.asking and world.dice.random() < 0.2:
        process.decide()


def _finish_abort(process: Process) -> None:
    """The process whose run is aborted takes it back at once, if it lives so long."""
    world = process.world
    if process.state.status != "rolling_back" or world.dice.random() < 0.5:
        return
    if process.runnable():
        raise Violation("a rollback begins while bodies are still to run")
    world.process = None
    _take_back(world, process.journal, process.state, process.bodies, force=False)


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
    if world.rollbacks == 0 or state.created is None or state.status == "running":
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
    bodies = bodies_of(world, journal, state)
    _take_back(world, journal, state, bodies, events, force=force)


def _take_back(
    world: World, journal: Journal, state: State, bodies: Bodies, events: Sequence[Event] = (), *, force: bool
) -> None:
    compensation = Compensation(
        world.graph, state, journal, bodies, world.clock,
        row=lambda: RunRow(RUN, world.graph.name, "simulated", state.status, 0.0),
    )  # fmt: skip
    world.clock.skips = True
    try:
        if events:
            _driven(compensation.commit(events))
        _driven(compensation.finish(force=force))
    finally:
        world.clock.skips = False
    _check_undone(world, state)


def _reset(world: World, state: State) -> Reset:
    """Return a new rollback, or one that is incomplete, once more."""
    if state.reset is not None:
        return state.reset._replace(generation=state.generation + 1)
    to = world.dice.choice([START, *world.graph.nodes])
    is_rerun = to != START and world.dice.random() < 0.3
    plan = rollback.plan(state, to, inclusive=is_rerun)
    return Reset("rerun" if is_rerun else "rollback", to, state.generation + 1, list(plan.steps))


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
    standing = [path for path in world.standing() if step_of(path) in world.taken_back]
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
            if one != other and not (name == "generation" and live.slot(path).began is None):
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
    values = _values(world)
    here, there = shape_of(world, values), shape_of(calm, _values(calm))
    for path in here.keys() | there.keys():
        if here.get(path) != there.get(path):
            raise Violation(f"{path} ended as {here.get(path)}, undisturbed as {there.get(path)}")
    last = {line.step: line.token for line in world.lines if line.act == "do"}
    for path, made in values.items():
        if made.token != last[path]:
            raise Violation(f"{path} stands with {made.token}, but ran last as {last[path]}")
        if made.marks:
            raise Violation(f"{path} has marks: {made.marks}")
        for producer, token in made.seen.items():
            if _stands(world, values, producer) not in ("", token):
                raise Violation(f"{path} was made from {token} of {producer}, which does not stand")


def _stands(world: World, values: Mapping[str, Made], path: str) -> str:
    """Return what a step gives to those who read it: the token of its value, or that it has failed."""
    if path in values:
        return values[path].token
    return "failed" if world.witness.status(path) == "handled" else ""


def _values(world: World) -> dict[str, Made]:
    """Return what every instance gave that has completed; of a list, the item that stands for it."""
    state, journal = _folded(world), Journal(world.store, RUN, KEYS)
    bodies = bodies_of(world, journal, state)
    found = {path: bodies.values._one(path) for path in state.slots if state.is_done(path)}
    first = {path: value[0] if isinstance(value, list) and value else value for path, value in found.items()}
    return {path: value for path, value in first.items() if isinstance(value, Made)}


def shape_of(world: World, values: Mapping[str, Made]) -> dict[str, object]:
    """Return how every instance ended, and from what it was made, without what chance gave it.

    In an item or a group that has failed, chance decides what still began.
    """
    shape: dict[str, object] = {}
    for path, known in world.witness.known.items():
        if known.has_ended and not _is_in_a_failure(world, path):
            seen = values[path].seen if path in values else {}
            words = {name: token if token in ledger.WORDS else "" for name, token in seen.items()}
            shape[path] = known.status, words
    return shape


def _is_in_a_failure(world: World, path: str) -> bool:
    return any(world.witness.status(each) == "handled" for each in salvage._around(world.graph, path))


DEATHS: Final = coverage.Table()
"""How often a process died while its run used a feature, at each point, in all that was examined here."""


def check(count: int) -> int:
    """Play `count` seeds; if they are many, every feature has met every point at which a process can die."""
    DEATHS.clear()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(count):
            DEATHS.update(examine(seed, Path(folder)).deaths)
    if count >= MANY and (cells := coverage.empty(DEATHS)):
        raise Violation(f"nothing died there: {', '.join(cells)}\n{coverage.shown(DEATHS)}")
    return count


PROOF = Proof(
    "simulation", "seeds", check, tiny=100, short=2000,
    mutations=(
        mutations.body_before_commit, mutations.undo_ascending, mutations.condition_not_journaled,
        mutations.skip_not_propagated, mutations.items_beyond_the_limit, mutations.answered_twice,
        mutations.no_started_record, mutations.open_attempts_survive, mutations.done_forgotten_by_claim,
        mutations.limit_ignored, mutations.shared_values, mutations.no_fence,
        mutations.undo_of_completed_only, mutations.one_key_for_two_generations, mutations.consumers_kept,
        mutations.list_not_journaled, mutations.round_asked_again, mutations.handled_failure_tried_again,
        mutations.rung_forgotten, mutations.abort_beside_a_live_attempt,
        mutations.early_yes_for_every_generation, mutations.answer_for_another_question,
        mutations.previous_round_leaks, mutations.teardown_kept, mutations.cancelled_by_an_abort_interrupted,
    ),
    told=lambda: coverage.shown(DEATHS),
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
