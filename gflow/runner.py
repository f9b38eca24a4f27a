"""The main path: compile, bind, claim, schedule, conclude. Every door to a run leads here."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import socket
import threading
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any, Final

import anyio
import anyio.abc

from gflow import (
    __version__,
    compiler,
    drift,
    failure,
    inbox,
    inputs,
    poison,
    progress,
    project,
    retention,
    rollback,
    salvage,
    secret,
)
from gflow.adoption import adopted, settled
from gflow.agenda import Agenda
from gflow.checkpoint import Keys, Place, dumps, unpickle
from gflow.compensation import Compensation
from gflow.decorators import Step
from gflow.errors import BadInputs, RunOwned, UsageError
from gflow.events import (
    START,
    Adopted,
    Answered,
    Claimed,
    Created,
    Event,
    Forked,
    Outline,
    Ref,
    Reset,
    StatusChanged,
    step_of,
)
from gflow.journal import Journal
from gflow.model import Graph, Run, Status, StepError
from gflow.notify.outbox import Outbox
from gflow.scheduler import Opening, Scheduler
from gflow.session import Session, Settings, claimed, find, new_id, opened, working
from gflow.state import Slot, State
from gflow.stores import RunRow, Store
from gflow.suggest import did_you_mean

Target = ModuleType | Step[..., Any] | str
"""What can be compiled and run: a module, its dotted name or file, or a step with all it needs."""

GRACE: Final = 10.0
"""Seconds that running steps have to end by themselves after the first Ctrl-C or SIGTERM."""
PATIENCE: Final = 30.0
"""Seconds that `cancel` waits for the process that has the run."""
LAST_GRACE: Final = 8.0
"""Seconds that they have after that, when they were asked to end and their commands were killed."""
INPUTS: Final = "@inputs"
CANCELLABLE: Final[tuple[Status, ...]] = ("running", "waiting", "failed", "interrupted", "rejected")


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


def cancel(run_id: str, /) -> Run:
    """End a run: its process is asked to, or if there is none, it is written down. It can be resumed.

    Nothing is undone. Raises UsageError for an unknown id, and for a run that has ended.
    """
    return in_own_loop(lambda: cancel_run(run_id, Settings()))


def resume(run_id: str, /, **changed: Any) -> Run:
    """Go on with a run, named by its id or a unique prefix: what is complete is kept, the rest is done.

    `changed` replaces inputs that no completed step has taken. Raises UsageError for an unknown id, and
    RunOwned if another process has the run.
    """
    return in_own_loop(lambda: go_on(run_id, changed, Settings(signals=True)))


def fork(run_id: str, /, *, at: str, **changed: Any) -> Run:
    """Begin a new run that shares what `run_id` has completed before the step `at`, and undo nothing.

    `at` and all that comes after it run anew, with the workflow as it is now. `changed` replaces inputs that
    no shared step has taken. Raises UsageError for an unknown id or step.
    """
    return in_own_loop(lambda: fork_run(run_id, at, changed, Settings(signals=True)))


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


async def start(
    graph: Graph, given: Mapping[str, object], settings: Settings, *, approved: Iterable[str] = ()
) -> Run:
    """Create a run of `graph` and drive it to its end; `approved` steps are told yes before they ask."""
    values = inputs.bind(graph, given)
    with opened(settings, "create", graph.durability) as (store, keys):
        run_id = new_id(store)
        with claimed(settings, run_id) as outliving:
            journal = Journal(store, run_id, keys)
            created, payload = _created(graph, journal, values)
            early = [Answered(step, "approved", inbox.sender(), "", "", 0) for step in approved]
            events: list[Event] = [created, _claimed(), StatusChanged("running"), *early]
            async with _at_work(
                settings, store, keys, journal, outliving, graph=graph, state=State(), values=values
            ) as session:
                return await _drive(session, events, [payload])


def _created(graph: Graph, journal: Journal, values: Mapping[str, Any]) -> tuple[Created, bytes]:
    """Return the first event of a run, and the value that it refers to."""
    ref, payload = _sealed_inputs(journal, values)
    created = Created(
        graph.name, graph.version, graph.module, progress.outline(graph), list(graph.results),
        ref, _previews(values), __version__, platform.python_version(),
    )  # fmt: skip
    return created, payload


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
    async with _taken_over(run_id, settings, workflow) as session:
        state = session.state
        await session.settle_orphans()
        if verdict := poison.verdict(state):
            return _give_up(session, verdict)
        if not _is_rerun_under_way(state, rerun):
            if state.status == "rolling_back":
                return await _finish_rollback(session, [_claimed()], force=False)
            if state.status == "rollback_incomplete" and state.reset:
                raise _incomplete(session.run, state.reset, state.reason)
        if state.status == "completed" and not changed and rerun is None:
            return session.snapshot()
        plan = None if rerun is None else _planned(session, rerun, inclusive=True)
        values = _values_from_now_on(session, changed, plan.wholly if plan else ())
        steps = progress.outline(session.graph)
        _heed_drift(session, steps, plan.wholly if plan else ())
        if plan is not None:
            _refuse_adopted(plan)
            _refuse_irreversible(plan, f"gflow rollback {session.run} --to {rerun} --force keeps `{rerun}`")
            ended = await _roll_back(session, plan, "rerun", force=False)
            if ended.status != "rolled_back":
                return ended
        return await _drive(session, *_taking_up(session, steps, values))


def _is_rerun_under_way(state: State, step: str | None) -> bool:
    """Tell whether the rollback that begins a rerun of `step` has not come to its end."""
    return (
        state.status in ("rolling_back", "rollback_incomplete")
        and state.reset is not None
        and (state.reset.why, state.reset.to) == ("rerun", step)
    )


def _incomplete(run_id: str, reset: Reset, reason: str) -> UsageError:
    back = f"gflow rollback {run_id} --to {reset.to}"
    again = f"gflow resume {run_id} --rerun {reset.to}" if reset.why == "rerun" else back
    return UsageError(
        f"the rollback of run {run_id} is incomplete: {reason}",
        f"{again} tries it again; {back} --force passes over it",
    )


def _give_up(session: Session, verdict: Sequence[Event]) -> Run:
    _write(session, [_claimed(), *verdict])
    return session.snapshot()


# ---------------------------------------------------------------- a new run from an old one


async def fork_run(
    run_id: str,
    at: str,
    changed: Mapping[str, object],
    settings: Settings,
    *,
    workflow: Target | None = None,
) -> Run:
    """Create a run that shares what another has completed before the step `at`, and drive it to its end.

    The other run may still be running: what has completed in it is true, and stays. Raises UsageError if
    the workflow has no step `at`, or a shared step has taken an input that is changed.
    """
    with opened(settings, "resume") as (store, keys):
        origin = find(store, run_id).id
        first = Journal(store, origin, keys)
        state = State().fold(first.follow())
        assert state.created is not None, "a journal begins with the creation of its run"
        graph = compile(workflow or state.created.module)
        shared, drifts = _shared(graph, state, origin, at)
        values = _shared_inputs(graph, _stored_inputs(state, first), changed, shared)
        new = new_id(store)
        with claimed(settings, new) as outliving:
            journal = Journal(store, new, keys)
            created, payload = _created(graph, journal, values)
            events: list[Event] = [
                created, Forked(origin, at), *settled(state, created.steps, at), *shared, _claimed(),
                StatusChanged("running", f"forked at {at}"),
            ]  # fmt: skip
            async with _at_work(
                settings, store, keys, journal, outliving, graph=graph, state=State(), values=values
            ) as session:
                with retention.put_off(settings.folder):
                    retention.ensure_kept(store, {step.run for step in shared})
                    _write(session, events, [payload])
                for each in drifts:
                    session.say(drift.warning(origin, each))
                return await _drive(session, [], [])


def _shared(graph: Graph, state: State, origin: str, at: str) -> tuple[list[Adopted], list[drift.Drift]]:
    """Return what a fork takes over, and what of it has changed since. Raises UsageError if it cannot be."""
    if at not in graph.nodes:
        near = did_you_mean(at, graph.nodes)
        raise UsageError(f"{graph.name} has no step `{at}`", near or f"steps: {', '.join(graph.nodes)}")
    if state.status in ("rolling_back", "rollback_incomplete"):
        raise UsageError(
            f"run {origin} is {state.status}: what it has completed may not stand any more",
            f"finish that first: gflow show {origin}",
        )
    steps = progress.outline(graph)
    shared = adopted(state, origin, steps, at)
    kept = {step.path for step in shared}
    return shared, _drifts(state, graph, origin, steps, [name for name in state.slots if name not in kept])


def _shared_inputs(
    graph: Graph, values: Mapping[str, Any], changed: Mapping[str, object], shared: Sequence[Adopted]
) -> dict[str, Any]:
    """Return the inputs of a fork: those of the other run, with some replaced."""
    completed = {step.path for step in shared}
    return _rebound(graph, values, changed, completed.__contains__, "fork at `{}`")


async def cancel_run(run_id: str, settings: Settings) -> Run:
    """Ask the process that has a run to end it, and wait until it has; without one, end it here."""
    with opened(settings, "resume") as (store, keys):
        row = find(store, run_id)
        journal = Journal(store, row.id, keys)
        state = State().fold(journal.follow())
        if state.status not in CANCELLABLE:
            raise UsageError(
                f"run {row.id} is {state.status}", "only what goes on, or could, can be cancelled"
            )
        told: int | None = None
        with anyio.fail_after(PATIENCE):
            while state.status in CANCELLABLE:
                try:
                    with claimed(settings, row.id):
                        retention.ensure_kept(store, [row.id])
                        _write_off(state.fold(journal.follow()), journal, row)
                except RunOwned:
                    if told != state.session:  # a message is for one owner
                        told = state.session
                        inbox.say(store, keys, row.id, "cancel", told)
                    await anyio.sleep(0.1)
                    state.fold(journal.follow())
        return progress.snapshot(row.id, state, settings.clock.now(), alive=False)


def _write_off(state: State, journal: Journal, row: RunRow) -> None:
    if state.status not in CANCELLABLE:  # its process has just ended
        return
    now = time.time()
    event = StatusChanged("cancelled", "no process had it")
    state.apply(now, event)
    journal.append(now, [event], [], replace(row, status="cancelled", ended=now))


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
    async with _taken_over(run_id, settings, workflow) as session:
        reset = session.state.reset
        if session.state.status == "rolling_back" and reset is not None and reset.to != to:
            raise UsageError(
                f"run {session.run} is being rolled back to {reset.to}",
                f"gflow resume {session.run} finishes that",
            )
        if session.state.status == "rolling_back" and (verdict := poison.verdict(session.state)):
            given_up = _give_up(session, verdict)
            if not force:
                return given_up
        plan = _planned(session, to)
        if not force:
            _refuse_irreversible(plan, "--force passes over it")
        if not agreed(plan):
            return session.snapshot()
        await session.settle_orphans()
        why = "rerun" if _is_rerun_under_way(session.state, to) else "rollback"
        return await _roll_back(session, plan, why, force=force)


def _refuse_irreversible(plan: rollback.Plan, remedy: str) -> None:
    names = ", ".join(f"`{entry.path}`" for entry in plan.having("irreversible"))
    if names:
        raise UsageError(f"{names} cannot be undone; nothing was touched", remedy)


def _refuse_adopted(plan: rollback.Plan) -> None:
    for entry in plan.having("adopted")[-1:]:
        raise UsageError(
            f"`{entry.path}` belongs to run {entry.origin} and cannot run again here",
            f"gflow fork {entry.origin} --at {plan.to}",
        )


def _planned(session: Session, to: str, *, inclusive: bool = False) -> rollback.Plan:
    return rollback_plan(session.state, session.run, to, inclusive=inclusive)


def rollback_plan(state: State, run_id: str, to: str, *, inclusive: bool = False) -> rollback.Plan:
    """Return the plan of a rollback. Raises UsageError if the run has no step, item or round `to`.

    `inclusive` takes back `to` as well, and so does what goes on with a rerun of it.
    """
    names = [step.name for step in state.outline]
    step = step_of(to)
    if step not in [*names, START]:
        near = did_you_mean(step, [*names, START])
        raise UsageError(f"run {run_id} has no step `{step}`", near or f"steps: {', '.join(names)}, or start")
    if to != step and (to not in state.slots or all(s.scope is None for s in state.outline)):
        near = did_you_mean(to, [path for path in state.slots if step_of(path) == step and path != step])
        raise UsageError(f"run {run_id} has no `{to}`", near or f"name the step: {step}")
    return rollback.plan(state, to, inclusive=inclusive or _is_rerun_under_way(state, to))


async def _roll_back(session: Session, plan: rollback.Plan, why: str, *, force: bool) -> Run:
    generation = session.state.generation + 1
    reset = Reset(why, plan.to, generation, list(plan.steps))
    events: list[Event] = [_claimed(), reset, StatusChanged("rolling_back", reset.goal)]
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
    if events:
        await compensation.commit(events)
    await compensation.finish(force=force)
    return session.snapshot()


def _values_from_now_on(
    session: Session, changed: Mapping[str, object], taken_back: Collection[str]
) -> dict[str, Any] | None:
    """Return the inputs if some are changed; refuse what cannot be used, before anything is touched.

    `taken_back` are steps that will have completed with nothing.
    """
    if changed:
        return _with_changes(session, changed, taken_back)
    if problems := inputs.unreadable(session.bodies.values.inputs):
        raise BadInputs(problems)
    return None


def _heed_drift(session: Session, steps: Sequence[Outline], anew: Collection[str]) -> None:
    """Say which completed steps have changed. Raises UsageError if a value no longer fits who reads it."""
    for each in _drifts(session.state, session.graph, session.run, steps, anew):
        session.say(drift.warning(session.run, each))


def _drifts(
    state: State, graph: Graph, run_id: str, steps: Sequence[Outline], anew: Collection[str]
) -> list[drift.Drift]:
    drifts = drift.find(state, graph, steps, anew)
    refused = [each for each in drifts if each.is_refused]
    if refused:
        raise UsageError(*drift.refusal(run_id, refused))
    return drifts


def _taking_up(
    session: Session, steps: list[Outline], values: dict[str, Any] | None
) -> tuple[list[Event], list[bytes]]:
    """Return the events that begin this session's work, and the values that they refer to."""
    claim = _claimed(None if steps == session.state.outline else steps)
    payloads: list[bytes] = []
    if values is not None:
        ref, payload = _sealed_inputs(session.journal, values)
        claim, payloads = claim._replace(inputs=ref, previews=_previews(values)), [payload]
        session.bodies.values.inputs = values
    anew = salvage.begun_anew(session.graph, session.state)
    for event in anew:
        session.bodies.values.forget(event.paths)
    return [claim, *anew, StatusChanged("running", "resumed")], payloads


@asynccontextmanager
async def _taken_over(
    run_id: str, settings: Settings, workflow: Target | None
) -> AsyncGenerator[Session, None]:
    """Claim an existing run and fold its journal; the module is the one that the journal names."""
    with opened(settings, "resume") as (store, keys):
        row = find(store, run_id)
        with claimed(settings, row.id) as outliving:
            retention.ensure_kept(store, [row.id])
            journal = Journal(store, row.id, keys)
            state = State().fold(journal.follow())
            assert state.created is not None, "a journal begins with the creation of its run"
            graph = compile(workflow or state.created.module)
            values = _stored_inputs(state, journal)
            inputs.unreadable(values)  # those that can be read are masked; only a step needs the others
            async with _at_work(
                settings, store, keys, journal, outliving, graph=graph, state=state, values=values
            ) as session:
                yield session


@asynccontextmanager
async def _at_work(
    settings: Settings, store: Store, keys: Keys, journal: Journal, outliving: set[str],
    *, graph: Graph, state: State, values: Mapping[str, Any],
) -> AsyncGenerator[Session, None]:  # fmt: skip
    """Set up one process's work on a run; its notifiers hear of it, and are waited for at its end."""
    outbox = Outbox(graph.notify)
    listeners = [*settings.listeners, *([outbox.listener] if graph.notify else [])]
    with working(
        replace(settings, listeners=listeners), store, keys, journal, outliving,
        graph=graph, state=state, values=values,
    ) as session:  # fmt: skip
        yield session
        await outbox.settle()


def _claimed(steps: list[Outline] | None = None) -> Claimed:
    return Claimed(socket.gethostname(), os.getpid(), steps)


def _sealed_inputs(journal: Journal, values: Mapping[str, Any]) -> tuple[Ref, bytes]:
    with secret.storable():  # as references: the values are read anew whenever they are needed
        payload = dumps(dict(values), "inputs")
    sealed = journal.seal(_inputs_place(journal.run, journal.next_round), payload)
    return journal.place_values([sealed])[0], sealed.payload


def _stored_inputs(state: State, journal: Journal) -> dict[str, Any]:
    assert state.inputs is not None, "a journal begins with the inputs of its run"
    place = _inputs_place(journal.run, state.inputs.round)
    values: dict[str, Any] = unpickle(place, journal.read(state.inputs, place))  # type: ignore[assignment]
    return values


def _previews(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: inputs.describe(value) for name, value in values.items()}


def _inputs_place(run_id: str, number: int) -> Place:
    return Place(run_id, INPUTS, 0, number)


def _with_changes(
    session: Session, changed: Mapping[str, object], taken_back: Collection[str]
) -> dict[str, Any]:
    """Return the inputs of a run with some replaced; one that a completed step has taken cannot be."""

    def has_taken(step: str) -> bool:
        return session.state.is_done(step) and step not in taken_back

    return _rebound(session.graph, session.bodies.values.inputs, changed, has_taken, "start a new run")


def _rebound(
    graph: Graph,
    values: Mapping[str, Any],
    changed: Mapping[str, object],
    has_taken: Callable[[str], bool],
    remedy: str,
) -> dict[str, Any]:
    """Return inputs with some replaced, and with what the class `Inputs` derives from them.

    Raises UsageError for one that changes although a step has taken it; `remedy` may name that step.
    """
    kept = {name: value for name, value in values.items() if name in graph.inputs}
    bound = inputs.bind(graph, kept | dict(changed))
    for name, value in bound.items():
        if name not in changed and value == kept.get(name, value):
            continue
        used = [step for step in graph.inputs[name].consumers if has_taken(step)]
        if used:
            steps = ", ".join(f"`{step}`" for step in used)
            raise UsageError(f"`{name}` cannot be changed: {steps} completed with it", remedy.format(used[0]))
    return bound


# ---------------------------------------------------------------- the shared middle


def _write(session: Session, events: Sequence[Event], payloads: Sequence[bytes] = ()) -> None:
    """Let events become true while nothing of the run works yet."""
    now = session.clock.now()
    for event in events:
        session.state.apply(now, event)
    session.listen()
    session.journal.append(now, events, payloads, _row(session))


async def _drive(session: Session, events: list[Event], payloads: list[bytes]) -> Run:
    """Let the run go to its end; on the way ask whoever is there."""
    await _schedule(session, events, payloads)
    while session.state.status == "waiting" and (answers := _answers(session)) is not None:
        await _schedule(session, [*answers, StatusChanged("running", "answered")], [])
    if session.state.status == "rolling_back" and not session.outliving:
        return _noted(await _finish_rollback(session, [], force=False))
    return _noted(session.snapshot())


async def _schedule(session: Session, events: list[Event], payloads: list[bytes]) -> None:
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
        hear=session.hear if session.inbox else None,
    )
    try:
        async with _interruptible(scheduler, settings.signals):
            await scheduler.run()
    except BaseExceptionGroup as group:
        raise failure.unwrapped(group) from None
    finally:
        session.outliving.update(scheduler.outliving)


def _answers(session: Session) -> list[Event] | None:
    """Put the open questions to somebody who is there; None if nobody decides, here or in another process."""
    ask = session.settings.ask
    answers: list[Event] = []
    for path, slot in session.state.slots.items():
        if ask is None or slot.status != "waiting" or slot.asked is None or _is_told(session):
            continue
        said = ask(path, slot.asked.text, lambda: _is_told(session))
        if said is not None and not _is_late(session, slot):
            word = "approved" if said.yes else "rejected"
            answers.append(Answered(path, word, said.who, said.comment, slot.asked.digest, slot.generation))
    is_late = any(_is_late(session, slot) for slot in session.state.slots.values())
    return answers if answers or is_late or _is_told(session) else None


def _is_told(session: Session) -> bool:
    """Tell whether another process has said something to this run."""
    return session.inbox is not None and session.inbox.has_news


def _is_late(session: Session, slot: Slot) -> bool:
    """Tell whether the time of an open question is over: somebody thought about it for too long."""
    if slot.status != "waiting" or slot.asked is None or slot.asked.expires is None:
        return False
    return slot.asked.expires <= session.clock.now()


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


# ---------------------------------------------------------------- signals


@asynccontextmanager
async def _interruptible(scheduler: Scheduler, signals: bool) -> AsyncGenerator[None, None]:
    if not signals or threading.current_thread() is not threading.main_thread():
        yield
        return
    async with anyio.create_task_group() as tasks:
        await tasks.start(_obey_signals, scheduler)  # before any body: whoever sees one may send a signal
        yield
        tasks.cancel_scope.cancel()


async def _obey_signals(
    scheduler: Scheduler, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """The first signal lets running steps end within a grace period; a second one ends at once."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as numbers:
        task_status.started()
        async with anyio.create_task_group() as tasks:
            asked = False
            async for number in numbers:
                if asked:
                    scheduler.cancel_attempts()
                    os._exit(128 + number)
                asked = True
                tasks.start_soon(scheduler.interrupt, signal.Signals(number).name, GRACE, LAST_GRACE)
