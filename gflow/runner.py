"""The main path: compile, bind, claim, schedule, conclude. Every door to a run leads here."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

import anyio

from gflow import __version__, compiler, failure, inputs, ownership, progress, project, rollback
from gflow.agenda import Agenda
from gflow.bodies import Bodies
from gflow.checkpoint import Keys, Place, dumps, unpickle
from gflow.clock import Clock, WallClock
from gflow.compensation import Compensation
from gflow.decorators import Step
from gflow.errors import UsageError
from gflow.events import Claimed, Created, Event, Outline, Ref, Reset, StatusChanged
from gflow.journal import Journal, Listener
from gflow.logs import RunLog
from gflow.model import Durability, Graph, Run, StepError
from gflow.scheduler import THREADS, Opening, Scheduler
from gflow.state import State
from gflow.stores import RunRow, Store
from gflow.stores.memory import MemoryStore
from gflow.stores.sqlite import SqliteStore
from gflow.suggest import did_you_mean

Target = ModuleType | Step[..., Any] | str
"""What can be compiled and run: a module, its dotted name or file, or a step with all it needs."""

GRACE: Final = 10.0
"""Seconds that running steps have to end by themselves after the first Ctrl-C or SIGTERM."""
LAST_GRACE: Final = 8.0
"""Seconds that they have after that, when they were asked to end and their commands were killed."""
LETTERS: Final = "23456789abcdefghjkmnpqrstvwxyz"
INPUTS: Final = "@inputs"


@dataclass(frozen=True)
class Settings:
    """Where and how runs are kept; `folder` None keeps them in memory.

    `listeners` make, from a session, what is told every round after it was written. `threads` bounds
    the sync bodies that run at once. `signals` lets Ctrl-C and SIGTERM interrupt the run in order.
    """

    folder: Path | None = field(default_factory=project.state_folder)
    durability: Durability | None = None
    clock: Clock = field(default_factory=WallClock)
    listeners: Sequence[Callable[[Session], Listener]] = ()
    threads: int = THREADS
    signals: bool = False


@dataclass(frozen=True)
class Session:
    """One process's work on one run."""

    run: str
    graph: Graph
    state: State
    journal: Journal
    bodies: Bodies
    known: progress.Medians
    settings: Settings

    @property
    def clock(self) -> Clock:
        """The clock of the run."""
        return self.settings.clock

    def listen(self) -> None:
        """Let the listeners be told from here on; called again it does nothing."""
        if not self.journal.listeners:
            self.journal.listeners.extend(listen(self) for listen in self.settings.listeners)

    def load(self, step: str) -> Any:
        """Return the value of a completed step, also when the run has ended and its store is closed."""
        if self.settings.folder is None or self.state.status == "running":
            return self.bodies.value(step)
        with _opened(self.settings, "read") as (store, keys):
            return self.bodies.value(step, Journal(store, self.run, keys))

    def snapshot(self) -> Run:
        """Return the run as it is now, with values that load when they are asked for."""
        return progress.snapshot(
            self.run,
            self.state,
            self.clock.now(),
            alive=self.state.status in ("running", "rolling_back"),
            known=self.known,
            load=self.load,
            exceptions=self.bodies.exceptions,
        )


# ---------------------------------------------------------------- the doors


def compile(workflow: Target) -> Graph:  # noqa: A001  # gflow.compile is the word for it
    """Return the graph of a workflow: a module, its dotted name or file, or a step with all it needs.

    Raises CompileError, whose text shows every finding.
    """
    return compiler.compile(project.load(workflow) if isinstance(workflow, str) else workflow)


def run(workflow: Target, /, **given: Any) -> Run:
    """Run a workflow to its end and return the run, whatever became of it.

    `given` are its inputs. `run(…).raise_for_status()` raises what the first failed step raised.
    Raises CompileError, BadInputs and StoreError; nothing has run then.
    """
    return in_own_loop(lambda: start(compile(workflow), given, Settings(signals=True)))


async def arun(workflow: Target, /, **given: Any) -> Run:
    """Run a workflow as `run` does, from async code; if it is cancelled, the run can be resumed."""
    return await start(compile(workflow), given, Settings())


def resume(run_id: str, /, **changed: Any) -> Run:
    """Go on with a run, named by its id or a unique prefix: what is complete is kept, the rest is done.

    `changed` replaces inputs that no completed step has taken. Raises UsageError for an unknown id, and
    RunOwned if another process has the run.
    """
    return in_own_loop(lambda: go_on(run_id, changed, Settings(signals=True)))


def in_own_loop(main: Callable[[], Awaitable[Run]]) -> Run:
    """Drive a run in a loop of its own; inside a running loop that would block it, so say what to write."""
    if is_in_loop():
        raise RuntimeError("a loop is running here: in async code write `await gflow.arun(…)`")
    return anyio.run(main)


def is_in_loop() -> bool:
    """Tell whether this is async code."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


# ---------------------------------------------------------------- a new run, and one that goes on


async def start(graph: Graph, given: Mapping[str, object], settings: Settings) -> Run:
    """Create a run of `graph` and drive it to its end."""
    values = inputs.bind(graph, given)
    with _opened(settings, "create", graph.durability) as (store, keys), ExitStack() as stack:
        run_id = _new_id(store)
        _claim(settings, run_id, stack)
        journal = Journal(store, run_id, keys)
        ref, payload = _sealed_inputs(journal, run_id, values)
        created = Created(
            graph.name, graph.version, graph.module, progress.outline(graph), list(graph.results),
            ref, _previews(values), __version__, platform.python_version(),
        )  # fmt: skip
        session = _session(
            settings, stack, store, journal, run=run_id, graph=graph, state=State(), values=values
        )
        return await _drive(session, [created, _claimed(), StatusChanged("running")], [payload])


async def go_on(
    run_id: str,
    changed: Mapping[str, object],
    settings: Settings,
    *,
    workflow: Target | None = None,
    rerun: str | None = None,
) -> Run:
    """Claim a run that stopped or died, and drive what is left; a completed one is returned as it is.

    A rollback that was under way is finished, and nothing more. `rerun` takes a step back first, with all
    that comes after it.
    """
    with _taken_over(run_id, settings, workflow) as session:
        state = session.state
        if state.status == "rolling_back":
            return await _finish_rollback(session, [_claimed()], force=False)
        if state.status == "rollback_incomplete" and state.reset:
            raise UsageError(
                f"the rollback of run {session.run} to {state.reset.to} is incomplete: {state.reason}",
                f"gflow rollback {session.run} --to {state.reset.to} tries it again, --force passes over it",
            )
        if rerun is not None:
            plan = _planned(session, rerun, inclusive=True)
            ended = await _roll_back(session, plan, "rerun", force=False)
            if ended.status != "rolled_back":
                return ended
        if state.status == "completed" and not changed:
            return session.snapshot()
        return await _drive(session, *_taking_up(session, changed))


async def roll_back(
    run_id: str,
    to: str,
    settings: Settings,
    *,
    force: bool = False,
    agreed: Callable[[rollback.Plan], bool] = bool,
    workflow: Target | None = None,
) -> Run:
    """Take back what the graph orders after a step, or everything for "start", and return the run.

    `agreed` is shown the plan first; if it says no, nothing is touched. Raises UsageError for a step that
    the run does not have, and for an irreversible one among those to take back, unless `force`.
    """
    with _taken_over(run_id, settings, workflow) as session:
        reset = session.state.reset
        if session.state.status == "rolling_back" and reset is not None and reset.to != to:
            raise UsageError(
                f"run {session.run} is being rolled back to {reset.to}",
                f"gflow resume {session.run} finishes that",
            )
        plan = _planned(session, to)
        blocking = plan.having("irreversible")
        if blocking and not force:
            names = ", ".join(f"`{entry.path}`" for entry in blocking)
            raise UsageError(f"{names} cannot be undone; nothing was touched", "--force passes over it")
        if not agreed(plan):
            return session.snapshot()
        return await _roll_back(session, plan, "rollback", force=force)


def _planned(session: Session, to: str, *, inclusive: bool = False) -> rollback.Plan:
    return rollback_plan(session.state, session.run, to, inclusive=inclusive)


def rollback_plan(state: State, run_id: str, to: str, *, inclusive: bool = False) -> rollback.Plan:
    """Return the plan of a rollback. Raises UsageError if the run has no step `to`."""
    names = [step.name for step in state.outline]
    if to != rollback.START and to not in names:
        near = did_you_mean(to, [*names, rollback.START])
        raise UsageError(f"run {run_id} has no step `{to}`", near or f"steps: {', '.join(names)}, or start")
    return rollback.plan(state, to, inclusive=inclusive)


async def _roll_back(session: Session, plan: rollback.Plan, why: str, *, force: bool) -> Run:
    generation = session.state.generation + 1
    reset = Reset(why, plan.to, generation, list(plan.steps))
    events: list[Event] = [_claimed(), reset, StatusChanged("rolling_back", f"to {plan.to}")]
    return await _finish_rollback(session, events, force=force)


async def _finish_rollback(session: Session, events: Sequence[Event], *, force: bool) -> Run:
    session.listen()
    compensation = Compensation(
        session.graph,
        session.state,
        session.journal,
        session.bodies,
        session.clock,
        row=lambda: _row(session),
    )
    await compensation.commit(events)
    await compensation.finish(force=force)
    return session.snapshot()


def _taking_up(session: Session, changed: Mapping[str, object]) -> tuple[list[Event], list[bytes]]:
    """Return the events that begin this session's work, and the values that they refer to."""
    outline = progress.outline(session.graph)
    claim = _claimed(None if outline == session.state.outline else outline)
    payloads: list[bytes] = []
    if changed:
        values = _with_changes(session.graph, session.state, session.bodies.inputs, changed)
        ref, payload = _sealed_inputs(session.journal, session.run, values)
        claim, payloads = claim._replace(inputs=ref, previews=_previews(values)), [payload]
        session.bodies.inputs = values
    return [claim, StatusChanged("running", "resumed")], payloads


@contextmanager
def _taken_over(run_id: str, settings: Settings, workflow: Target | None) -> Iterator[Session]:
    """Claim an existing run and fold its journal; the module is the one that the journal names."""
    with _opened(settings, "resume") as (store, keys), ExitStack() as stack:
        row = find(store, run_id)
        _claim(settings, row.id, stack)
        journal = Journal(store, row.id, keys)
        state = State().fold(journal.load())
        assert state.created is not None, "a journal begins with the creation of its run"
        graph = compile(workflow or state.created.module)
        values = _stored_inputs(state, journal, row.id)
        yield _session(settings, stack, store, journal, run=row.id, graph=graph, state=state, values=values)


def find(store: Store, run_id: str) -> RunRow:
    """Return the run that `run_id` names: an id, a unique prefix, or `last`."""
    rows = store.runs(1) if run_id == "last" else store.find(run_id)
    rows = [row for row in rows if row.id == run_id] or rows
    if len(rows) == 1:
        return rows[0]
    if rows:
        names = ", ".join(f"{row.id} ({row.workflow}, {row.status})" for row in rows[:5])
        raise UsageError(f"`{run_id}` names {len(rows)} runs: {names}", "write more of the id")
    if run_id == "last":
        raise UsageError("there is no run yet", "gflow run MODULE makes one")
    raise UsageError(f"there is no run `{run_id}`", "gflow runs lists them")


def _new_id(store: Store) -> str:
    while True:
        run_id = "".join(secrets.choice(LETTERS) for _ in range(4))
        if not store.find(run_id):
            return run_id


def _claimed(steps: list[Outline] | None = None) -> Claimed:
    return Claimed(socket.gethostname(), os.getpid(), steps)


def _sealed_inputs(journal: Journal, run_id: str, values: Mapping[str, Any]) -> tuple[Ref, bytes]:
    sealed = journal.seal(_inputs_place(run_id, journal.next_round), dumps(dict(values), "inputs"))
    return journal.place_values([sealed])[0], sealed.payload


def _stored_inputs(state: State, journal: Journal, run_id: str) -> dict[str, Any]:
    assert state.inputs is not None, "a journal begins with the inputs of its run"
    place = _inputs_place(run_id, state.inputs.round)
    values: dict[str, Any] = unpickle(place, journal.read(state.inputs, place))  # type: ignore[assignment]
    return values


def _previews(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: inputs.describe(value) for name, value in values.items()}


def _inputs_place(run_id: str, number: int) -> Place:
    return Place(run_id, INPUTS, 0, number)


def _with_changes(
    graph: Graph, state: State, values: Mapping[str, Any], changed: Mapping[str, object]
) -> dict[str, Any]:
    """Return the inputs with some replaced; one that a completed step has taken cannot be."""
    for name in changed:
        spec = graph.inputs.get(name)
        used = [step for step in (spec.consumers if spec else ()) if state.is_done(step)]
        if used:
            steps = ", ".join(f"`{step}`" for step in used)
            raise UsageError(f"`{name}` cannot be changed: {steps} completed with it", "start a new run")
    kept = {name: value for name, value in values.items() if name in graph.inputs}
    return inputs.bind(graph, kept | dict(changed))


# ---------------------------------------------------------------- the shared middle


def _session(
    settings: Settings, stack: ExitStack, store: Store, journal: Journal,
    *, run: str, graph: Graph, state: State, values: Mapping[str, Any],
) -> Session:  # fmt: skip
    def ref_of(path: str) -> tuple[Ref | None, Place]:
        slot = state.slot(path)
        return slot.ref, Place(run, path, slot.generation, slot.attempt)

    log: RunLog | None = None
    if settings.folder is not None:
        log = RunLog(log_path(settings.folder, run), run)
        stack.callback(log.close)
    folder = (settings.folder or Path.cwd() / project.STATE) / "work" / run
    bodies = Bodies(run, journal, values, ref_of, folder=folder, log=log)
    known = progress.medians(store.durations(graph.name))
    return Session(run, graph, state, journal, bodies, known, settings)


def log_path(folder: Path, run_id: str) -> Path:
    """Return where a run's log lies."""
    return folder / "logs" / f"{run_id}.jsonl"


async def _drive(session: Session, events: list[Event], payloads: list[bytes]) -> Run:
    settings = session.settings
    opening = Opening(session.clock.now(), events, payloads)
    for event in events:
        session.state.apply(opening.at, event)
    session.listen()
    scheduler = Scheduler(
        Agenda(session.graph, session.state),
        session.journal,
        session.bodies,
        session.clock,
        opening=opening,
        on_status=lambda: _row(session),
        threads=settings.threads,
    )
    try:
        async with _interruptible(scheduler, settings.signals):
            await scheduler.run()
    except BaseExceptionGroup as group:
        raise failure.unwrapped(group) from None
    return _noted(session.snapshot())


def _row(session: Session) -> RunRow:
    state = session.state
    assert state.created is not None
    assert state.started is not None
    return RunRow(
        id=session.run,
        workflow=state.created.workflow,
        module=state.created.module,
        status=state.status,
        created=state.started,
        ended=state.ended,
        summary=progress.summary(state),
    )


def _noted(run: Run) -> Run:
    """Cut the exceptions down to the user's frames, and note where they happened and how to go on."""
    for error in run.errors:
        if error.step in run.exceptions:
            exception = failure.trimmed(run.exceptions[error.step])
            exception.add_note(_note(run, error))
    return run


def _note(run: Run, error: StepError) -> str:
    return f"step {error.step}, {error.place}, attempt {error.attempt}, run {run.id} · gflow resume {run.id}"


# ---------------------------------------------------------------- store, lock, signals


Purpose = Literal["create", "resume", "read"]


@contextmanager
def _opened(
    settings: Settings, purpose: Purpose, durability: Durability | None = None
) -> Iterator[tuple[Store, Keys]]:
    store, keys = open_store(settings, purpose, durability)
    try:
        yield store, keys
    finally:
        if settings.folder is not None:  # what is in memory lives as long as somebody looks at it
            store.close()


def open_store(
    settings: Settings, purpose: Purpose, durability: Durability | None = None
) -> tuple[Store, Keys]:
    """Open the store of these settings, with the keys that sign it; only "create" makes them.

    Raises UsageError if there is none yet, StoreError if it cannot be used.
    """
    if settings.folder is None:
        return MemoryStore(), Keys((secrets.token_bytes(32),))
    if purpose == "create":
        return SqliteStore(settings.folder, _durability(settings, durability)), _keys()
    wanted = _durability(settings, durability) if purpose == "resume" else None
    store = SqliteStore.existing(settings.folder, wanted)
    if store is None:
        raise UsageError(f"there is no run in {settings.folder}", "gflow run MODULE makes one")
    return store, _keys(create=False)


def _keys(*, create: bool = True) -> Keys:
    return Keys.load(os.environ, Path.home(), create=create)


def _durability(settings: Settings, durability: Durability | None) -> Durability:
    wanted = settings.durability or os.environ.get("GFLOW_DURABILITY") or durability or "full"
    if wanted not in ("full", "process"):
        raise UsageError(f"GFLOW_DURABILITY is `{wanted}`", "it is `full` or `process`")
    return "process" if wanted == "process" else "full"


def _claim(settings: Settings, run_id: str, stack: ExitStack) -> None:
    if settings.folder is not None:
        stack.callback(ownership.claim(settings.folder, run_id).release)


@asynccontextmanager
async def _interruptible(scheduler: Scheduler, signals: bool) -> AsyncIterator[None]:
    if not signals or threading.current_thread() is not threading.main_thread():
        yield
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_obey_signals, scheduler)
        yield
        tasks.cancel_scope.cancel()


async def _obey_signals(scheduler: Scheduler) -> None:
    """The first signal lets running steps end within a grace period; a second one ends at once."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as numbers:
        async with anyio.create_task_group() as tasks:
            asked = False
            async for number in numbers:
                if asked:
                    scheduler.cancel_attempts()
                    os._exit(128 + number)
                asked = True
                tasks.start_soon(scheduler.interrupt, signal.Signals(number).name, GRACE, LAST_GRACE)
