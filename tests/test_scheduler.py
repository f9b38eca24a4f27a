"""Threads, loop and commits: what runs, in what company, and what is written before it runs."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from gflow import ownership, runner, session
from gflow.agenda import Agenda
from gflow.checkpoint import Keys
from gflow.clock import VirtualClock
from gflow.errors import CheckpointTampered, StoreError
from gflow.events import Done, Event, Started, decode
from gflow.journal import Journal
from gflow.model import Graph, Node, Param, Retry, Run, StepSource
from gflow.scheduler import Opening, Scheduler
from gflow.state import State
from gflow.stores import Round, RunRow
from gflow.stores.memory import MemoryStore


def graph_of(*nodes: Node) -> Graph:
    named = {node.name: node for node in nodes}
    sinks = [name for name in named if not any(name in node.after for node in nodes)]
    return Graph("w", "1", "", "m", named, {}, None, tuple(sinks))


def step(name: str, fn: Callable[..., object], *needs: str, is_async: bool = False) -> Node:
    params = tuple(Param(f"p{i}", StepSource(need)) for i, need in enumerate(needs))
    return Node(name, "task", fn, params, after=frozenset(needs), is_async=is_async)


def one(**values: int) -> int:
    return 1 + sum(values.values())


def play(graph: Graph, **settings: object) -> Run:
    chosen = session.Settings(folder=None, clock=VirtualClock(), **settings)  # type: ignore[arg-type]
    return anyio.run(lambda: runner.start(graph, {}, chosen))


# ---------------------------------------------------------------- many steps


def test_a_long_chain_passes_its_values_on() -> None:
    """A chain of two thousand steps counts to two thousand."""
    names = [f"s{i}" for i in range(2000)]
    run = play(graph_of(step("s0", one), *(step(b, one, a) for a, b in pairwise(names))))
    assert run.results["s1999"] == 2000


def test_a_wide_fan_runs_every_step_once() -> None:
    """Three thousand steps side by side run once each, and the last one sees them all."""
    calls: list[int] = []
    lock = threading.Lock()

    def count(**values: int) -> int:
        with lock:
            calls.append(1)
        return 1

    names = [f"s{i}" for i in range(3000)]
    run = play(graph_of(step("a", one), *(step(name, count, "a") for name in names), step("z", one, *names)))
    assert run.results["z"] == 3001
    assert len(calls) == 3000


def test_sync_steps_that_block_all_get_a_thread() -> None:
    """Sixteen steps that wait for one another can only end if sixteen threads run them."""
    meet = threading.Barrier(16, timeout=60)
    run = play(graph_of(*(step(f"s{i}", lambda: meet.wait() and None) for i in range(16))))
    assert run.status == "completed"


def test_async_steps_run_at_once_by_the_hundred() -> None:
    """Five hundred async steps that wait for the last one of them all run."""
    begun: list[int] = []
    everyone = anyio.Event()

    async def meet() -> None:
        begun.append(1)
        if len(begun) == 500:
            everyone.set()
        await everyone.wait()

    run = play(graph_of(*(step(f"s{i}", meet, is_async=True) for i in range(500))))
    assert run.status == "completed"


def test_sync_and_async_steps_feed_one_another() -> None:
    """Layers of alternating kinds pass their values on."""

    async def later(**values: int) -> int:
        await anyio.lowlevel.checkpoint()
        return one(**values)

    nodes = [step("s0", one)]
    nodes += [step(f"s{i}", later if i % 2 else one, f"s{i - 1}", is_async=i % 2 == 1) for i in range(1, 200)]
    assert play(graph_of(*nodes)).results["s199"] == 200


def test_threads_bound_the_sync_bodies_at_once() -> None:
    """With `threads=2` no more than two sync bodies run at a time."""
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()
    turn = threading.Event()

    def body() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        turn.wait(0.002)
        with lock:
            running.pop()

    play(graph_of(*(step(f"s{i}", body) for i in range(40))), threads=2)
    assert max(most) <= 3  # the third is the sentinel, when it lends a hand


# ---------------------------------------------------------------- written first, run second


def test_a_body_begins_after_its_start_was_written() -> None:
    """Every body finds the record of its own start in the store, and its inputs' completion."""
    sessions: list[session.Session] = []
    wrong: list[str] = []

    def listen(at_work: session.Session) -> Callable[[float, Sequence[Event]], None]:
        sessions.append(at_work)
        return lambda at, events: None

    def look(name: str, needs: Sequence[str]) -> Callable[..., int]:
        def body(**values: int) -> int:
            rounds = sessions[0].journal._store.rounds(sessions[0].run)
            events = [event for each in rounds for event in decode(each.records)]
            started = {event.path for event in events if isinstance(event, Started)}
            done = {event.path for event in events if isinstance(event, Done)}
            if name not in started or not set(needs) <= done:
                wrong.append(name)
            return 1

        return body

    nodes = [step("a", look("a", []))]
    nodes += [step(f"s{i}", look(f"s{i}", ["a"]), "a") for i in range(60)]
    nodes += [step("z", look("z", [f"s{i}" for i in range(60)]), *(f"s{i}" for i in range(60)))]
    assert play(graph_of(*nodes), listeners=[listen]).status == "completed"
    assert wrong == []


def test_a_round_holds_about_a_megabyte() -> None:
    """Values of a crowd are spread over rounds: whoever reads one reads past at most a megabyte."""
    sizes: list[int] = []

    class Measured(MemoryStore):
        def append(self, run: str, added: Round, values: bytes, row: RunRow | None = None) -> None:
            sizes.append(len(values))
            super().append(run, added, values, row)

    nodes = [step(f"s{i}", lambda: b"x" * 60_000) for i in range(100)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "MemoryStore", Measured)
        assert play(graph_of(*nodes)).status == "completed"
    assert sum(sizes) > 6_000_000
    assert max(sizes) <= 1 << 20


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("nth", range(1, 8))
def test_a_store_that_fails_stops_the_run(nth: int) -> None:
    """Whenever a commit fails, the run raises StoreError, and no body begins after it."""
    begun_after: list[str] = []
    failed: list[int] = []

    class Failing(MemoryStore):
        def append(self, run: str, added: Round, values: bytes, row: RunRow | None = None) -> None:
            if added.n == nth:
                failed.append(nth)
                raise StoreError("disk full")
            super().append(run, added, values, row)

    def body(**values: int) -> int:
        if failed:
            begun_after.append("late")
        return 1

    nodes = [step("s0", body), *(step(f"s{i}", body, f"s{i - 1}") for i in range(1, 8))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "MemoryStore", Failing)
        with pytest.raises(StoreError, match="disk full"):
            play(graph_of(*nodes))
    assert begun_after == []


def test_a_full_disk_stops_the_run_with_a_store_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When SQLite has no page left, the run ends with StoreError; with room again it is resumed."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def large(**values: bytes) -> bytes:
        return b"x" * 30_000

    graph = graph_of(step("s0", large), *(step(f"s{i}", large, f"s{i - 1}") for i in range(1, 50)))
    real = sqlite3.connect

    def small(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*args, **options)  # type: ignore[call-overload]
        connection.execute("PRAGMA max_page_count = 60")
        return connection

    settings = session.Settings(folder=tmp_path / "state", durability="process")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        with pytest.raises(StoreError):
            anyio.run(lambda: runner.start(graph, {}, settings))
    store, _ = session.open_store(settings, "read")
    (row,) = store.runs()
    store.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "compile", lambda workflow: graph)
        run = anyio.run(lambda: runner.go_on(row.id, {}, settings))
    assert run.status == "completed"


def test_a_blob_that_was_changed_stops_the_run_and_is_no_failure_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large value that is not genuine raises CheckpointTampered: its reader does not run, nor try again."""
    monkeypatch.setenv("HOME", str(tmp_path))
    tried: list[int] = []

    def large() -> bytes:
        return b"x" * 200_000

    def spoil(**values: bytes) -> None:
        for blob in (tmp_path / "state" / "blobs").rglob("*"):
            if blob.is_file():
                content = bytearray(blob.read_bytes())
                content[len(content) // 2] ^= 1
                blob.chmod(0o600)
                blob.write_bytes(content)

    def read(**values: object) -> None:
        tried.append(1)

    last = Node(
        "read", "task", read, (Param("p0", StepSource("large")),), after=frozenset({"large", "spoil"})
    )
    nodes = [step("large", large), Node("spoil", "task", spoil, after=frozenset({"large"})), last]
    settings = session.Settings(folder=tmp_path / "state", durability="process")
    with pytest.raises(CheckpointTampered):
        anyio.run(lambda: runner.start(graph_of(*nodes), {}, settings))
    assert tried == []


def test_a_listener_that_fails_harms_nothing() -> None:
    """What is written is true, whoever cannot bear it."""

    def listen(at_work: session.Session) -> Callable[[float, Sequence[Event]], None]:
        def fail(at: float, events: Sequence[Event]) -> None:
            raise ValueError("cannot draw")

        return fail

    assert play(graph_of(step("a", one), step("b", one, "a")), listeners=[listen]).status == "completed"


def test_independent_branches_end_before_the_run_stops() -> None:
    """In a workflow without groups, what does not depend on a failure goes on to its end."""

    def fail() -> None:
        raise ValueError("no")

    run = play(
        graph_of(
            step("bad", fail), step("a", one), step("b", one, "a"), step("c", one, "b"), step("d", one, "bad")
        )
    )
    assert run.status == "failed"
    assert {name: each.status for name, each in run.steps.items()} == {
        "bad": "failed", "a": "completed", "b": "completed", "c": "completed", "d": "pending",
    }  # fmt: skip


# ---------------------------------------------------------------- timeouts


TIMEOUTS = """
import time
from pathlib import Path
import anyio
from gflow import Context, Retry, ash, parallel, sh, task

@task(timeout=0.2, attempts=1)
async def cancelled() -> None:
    await anyio.sleep(3600)

@task(timeout=0.2, attempts=1)
def killed() -> None:
    sh("sleep", "3600")

@task(timeout=0.2, attempts=1)
def asked(ctx: Context) -> None:
    while True:
        ctx.check_cancelled()
        time.sleep(0.01)

@task(timeout=0.2, attempts=1)
async def command() -> None:
    await ash("sleep", "3600")

@task(timeout=3600, attempts=1)
def quick() -> str:
    return "in time"

@task(timeout=0.2, attempts=Retry(2, base=0))
async def twice() -> None:
    await anyio.sleep(3600)

@parallel
def flow(cancelled: None, killed: None, asked: None, command: None, quick: str, twice: None) -> None: ...
"""


def test_a_timeout_ends_an_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Async bodies are cancelled, commands killed, other code asked; a timeout is tried again like any."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "timeouts_flow.py").write_text(TIMEOUTS)
    graph = runner.compile("timeouts_flow.py")
    run = anyio.run(lambda: runner.start(graph, {}, session.Settings(folder=tmp_path / "state")))
    failed = {error.step: (error.type, error.attempt) for error in run.errors}
    assert failed == {
        "cancelled": ("gflow.errors.StepTimeout", 1),
        "killed": ("gflow.errors.StepTimeout", 1),
        "asked": ("gflow.errors.StepTimeout", 1),
        "command": ("gflow.errors.StepTimeout", 1),
        "twice": ("gflow.errors.StepTimeout", 2),
    }
    assert run.value("quick") == "in time"


def test_a_step_that_cannot_be_ended_is_stuck_and_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is tried beside a thread that goes on; its late outcome is dropped, and the run stays held."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("gflow.scheduler.STUCK_GRACE", 0.1)
    let_go = threading.Event()
    stuck = Node("stuck", "task", let_go.wait, timeout=0.1, retry=Retry(5))
    graph = graph_of(stuck)
    settings = session.Settings(folder=tmp_path / "state", durability="process")
    run = anyio.run(lambda: runner.start(graph, {}, settings))
    assert (run.status, run.errors[0].type, run.steps["stuck"].attempts) == (
        "failed",
        "gflow.errors.StepStuck",
        1,
    )
    owner = ownership.owner(tmp_path / "state", run.id)
    assert owner is not None
    assert owner.alive
    let_go.set()


def test_a_worker_that_starts_when_all_is_over_ends_at_once() -> None:
    """A thread that the system starts late is woken by nobody, so it does not wait."""
    graph, state = graph_of(step("a", one)), State()
    scheduler = Scheduler(
        Agenda(graph, state), Journal(MemoryStore(), "run", Keys((b"k" * 32,))), None, VirtualClock(),  # type: ignore[arg-type]
        opening=Opening(0.0, [], []), threads=1,
    )  # fmt: skip
    with scheduler._lock:
        scheduler._finish()
    late = threading.Thread(target=scheduler._work, args=(True,), daemon=True)
    late.start()
    late.join(timeout=30)
    assert not late.is_alive()
