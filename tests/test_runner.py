"""The main path from a workflow to a run, in memory and on disk."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated

import anyio
import anyio.lowlevel
import pytest

import gflow
import gflow.project
import gflow.testing
from gflow import Context, From, Refused, Retry, WorkflowError, agent, parallel, runner, session, stage, task
from gflow.clock import VirtualClock
from gflow.errors import BadInputs, CompileError, RunOwned, UsageError
from gflow.journal import Listener
from gflow.model import Run
from gflow.ownership import claim
from gflow.stores.sqlite import SqliteStore
from gflow.testing import run_in_memory

ROOT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a project of its own for a test that writes."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text("")
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    return project


def write(project: Path, name: str, text: str) -> str:
    """Write a workflow and have it imported anew."""
    (project / f"{name}.py").write_text(text)
    sys.modules.pop(name, None)
    return f"{name}.py"


# ---------------------------------------------------------------- values and order


def test_values_flow_along_the_edges() -> None:
    """A step gets the results of the steps its parameters name, sync and async alike."""

    @task
    def one() -> int:
        return 1

    @task
    async def two(one: int) -> int:
        await anyio.lowlevel.checkpoint()
        return one + 1

    @task
    def three(first: Annotated[int, From(one)], two: int) -> int:
        return first + two

    @stage
    def flow(one: int, two: int, three: int) -> str:
        return f"{one}{two}{three}"

    run = run_in_memory(flow)
    assert run.results["flow"] == "123"
    assert [run.value(name) for name in ("one", "two", "three")] == [1, 2, 3]


def test_a_consumer_gets_a_copy_of_its_own() -> None:
    """A consumer that changes what it was given changes nothing for the others."""

    @task
    def items() -> list[int]:
        return [1]

    @task
    def spoil(items: list[int]) -> int:
        items.append(2)
        return len(items)

    @task
    def count(items: list[int], spoil: int) -> int:
        return len(items)

    @stage
    def flow(items: list[int], spoil: int, count: int) -> tuple[int, int]:
        return spoil, count

    assert run_in_memory(flow).results["flow"] == (2, 1)


def test_members_of_a_parallel_group_run_at_once() -> None:
    """Two steps that wait for one another can only end if both run."""
    meet = threading.Barrier(2, timeout=30)

    @task
    def left() -> None:
        meet.wait()

    @task
    def right() -> None:
        meet.wait()

    @parallel
    def flow(left: None, right: None) -> None: ...

    assert run_in_memory(flow).status == "completed"


def test_a_large_value_travels_whole(home: Path) -> None:
    """A value that is kept in a file of its own arrives as it was returned."""
    path = write(home, "large", LARGE)
    run = gflow.run(path)
    assert run.results["flow"] == 3_000_000
    assert run.value("make") == b"x" * 3_000_000


LARGE = """
from gflow import stage, task
@task
def make() -> bytes: return b"x" * 3_000_000
@task
def count(make: bytes) -> int: return len(make)
@stage
def flow(make: bytes, count: int) -> int: return count
"""


# ---------------------------------------------------------------- stages alone


STAGES = """
from gflow import stage
@stage
def fetch() -> int: return 2
@stage
def left(fetch: int) -> int: return fetch + 1
@stage
def right(fetch: int) -> int:
    if not __import__("pathlib").Path("fixed").exists(): raise OSError("not fixed")
    return fetch * 10
@stage
def joined(left: int, right: int) -> int: return left + right
"""


def test_stages_alone_make_a_chain() -> None:
    """A module of stages that name one another is a workflow: the last one is its result."""

    @stage
    def first() -> int:
        return 1

    @stage
    def second(first: int) -> int:
        return first + 1

    @stage
    def third(second: int) -> int:
        return second + 1

    run = run_in_memory(third)
    assert run.results["third"] == 3
    assert run.progress.percent == 100.0
    assert third(5) == 6


def test_stages_alone_make_a_diamond_that_fails_and_is_resumed(home: Path) -> None:
    """A diamond that a last stage joins keeps on resume what it had done."""
    path = write(home, "diamond", STAGES)
    run = gflow.run(path)
    assert run.status == "failed"
    assert run.errors[0].step == "right"
    (home / "fixed").touch()
    again = gflow.resume(run.id)
    assert again.results["joined"] == 23
    assert again.steps["fetch"].attempts == 1
    assert again.steps["fetch"].kept
    assert again.steps["right"].attempts == 2


def test_stages_alone_run_through_the_fixture(gflow_run: gflow.testing.GflowRun, home: Path) -> None:
    """The fixture runs a workflow of stages, and replaces any of them."""
    write(home, "diamond", STAGES)
    run = gflow_run("diamond", overrides={"right": 1})
    assert run.results["joined"] == 4


# ---------------------------------------------------------------- failures


def test_a_failed_run_stops_and_says_where() -> None:
    """A failure carries the step, the user's line and the attempt; what depends on it has not begun."""

    @task
    def build() -> int:
        raise ValueError("no compiler")

    @task
    def publish(build: int) -> int:
        return build

    @stage
    def flow(build: int, publish: int) -> int:
        return publish

    run = run_in_memory(flow)
    assert run.status == "failed"
    (error,) = run.errors
    assert (error.step, error.type, error.message, error.attempt) == ("build", "ValueError", "no compiler", 1)
    assert error.frames[-1].function == "build"
    assert "test_runner.py" in error.place
    assert run.steps["publish"].status == "pending"


def test_raise_for_status_raises_the_steps_own_exception_with_user_frames_only() -> None:
    """The traceback of a failure holds no line of gflow, and a note says how to go on."""

    @task
    def flow() -> int:
        raise KeyError("gone")

    run = run_in_memory(flow)
    with pytest.raises(KeyError) as caught:
        run.raise_for_status()
    files = [frame.path for frame in caught.traceback][2:]  # this test, raise_for_status, and then the user's
    assert all("gflow" not in Path(file).parent.name for file in files)
    assert any(f"gflow resume {run.id}" in note for note in caught.value.__notes__)


def test_what_a_step_cannot_return_fails_the_step_by_name() -> None:
    """A value that cannot be stored is its step's failure, and the message leads to the part to blame."""

    @task
    def flow() -> dict[str, object]:
        return {"lock": threading.Lock()}

    run = run_in_memory(flow)
    assert run.status == "failed"
    assert "flow['lock']" in run.errors[0].message


def test_retries_wait_with_growing_pauses_in_virtual_time() -> None:
    """A low failure is tried again until it succeeds; the waits cost no real time."""
    calls: list[int] = []

    @task(attempts=Retry(4, base=1000, factor=2, max=10_000))
    def flow() -> int:
        calls.append(1)
        if len(calls) < 4:
            raise ValueError("again")
        return len(calls)

    run = run_in_memory(flow)
    assert run.results["flow"] == 4
    assert run.steps["flow"].attempts == 4


def test_refused_is_never_tried_again() -> None:
    """A check that says no is final, whatever `attempts` says, and its blockers are in the message."""

    @task(attempts=5)
    def flow() -> None:
        raise Refused("not fit to ship", blockers=["1 secret"])

    run = run_in_memory(flow)
    assert run.steps["flow"].attempts == 1
    assert run.errors[0].message == "not fit to ship: 1 secret"


def test_a_step_that_exits_has_failed() -> None:
    """SystemExit in a body is the step's failure, sync or async, and not the end of gflow."""

    @task
    def left() -> None:
        raise SystemExit(3)

    @task
    async def right() -> None:
        raise SystemExit(4)

    @parallel
    def flow(left: None, right: None) -> None: ...

    run = run_in_memory(flow)
    assert [(error.step, error.type) for error in run.errors] == [
        ("left", "SystemExit"),
        ("right", "SystemExit"),
    ]


def test_a_degraded_result_is_marked() -> None:
    """What a step says by `ctx.degrade` stands beside its result."""

    @agent("security-auditor")
    def flow(ctx: Context) -> int:
        """Scan."""
        ctx.degrade("no network")
        return 1

    run = run_in_memory(flow)
    assert run.status == "completed"
    assert run.steps["flow"].degraded == "no network"
    assert run.degraded == ("flow",)


def test_an_error_says_its_own_severity() -> None:
    """A WorkflowError that calls itself low is tried again without `attempts`."""
    calls: list[int] = []

    @task
    def flow() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise WorkflowError("busy", severity="low")
        return 1

    assert run_in_memory(flow).status == "completed"


# ---------------------------------------------------------------- resume


LEDGER = """
from pathlib import Path
from gflow import Context, Input, stage, task

def note(word: str) -> None:
    with open("ledger", "a") as file: file.write(word + "\\n")

@task
def first(ctx: Context) -> str:
    note(f"first {ctx.attempt} {ctx.key.split(':', 1)[1]}")
    return "1"
@task
def second(first: str, url: Input[str] = "down") -> str:
    note("second")
    if url == "down": raise OSError("down")
    return first + url
@task
def third(second: str) -> str:
    note("third")
    return second
@stage
def flow(first: str, second: str, third: str) -> str: return third
"""


def test_resume_does_only_what_is_missing(home: Path) -> None:
    """A completed step never runs again; a changed input reaches the steps that have not run."""
    path = write(home, "ledger", LEDGER)
    run = gflow.run(path)
    assert run.status == "failed"
    again = gflow.resume(run.id, url="up")
    assert again.results["flow"] == "1up"
    assert (home / "ledger").read_text().split("\n")[:-1] == ["first 1 first:g0", "second", "second", "third"]
    assert again.inputs["url"] == "up"


def test_an_input_that_was_consumed_cannot_be_changed(home: Path) -> None:
    """`resume` refuses to change what a completed step has taken, and names the step."""
    path = write(home, "ledger", LEDGER)
    run = gflow.run(path, url="up")
    with pytest.raises(UsageError, match=r"`url` cannot be changed: `second` completed with it"):
        gflow.resume(run.id, url="other")


DERIVED = """
from dataclasses import dataclass
from gflow import task

@dataclass
class Inputs:
    url: str = "down"
    public: bool = False

    def __post_init__(self) -> None:
        self.public = self.url.startswith("https")

@task
def ask(public: bool) -> bool:
    return public
@task
def flow(ask: bool, url: str) -> str:
    if url == "down": raise OSError("down")
    return url
"""


def test_what_is_derived_from_an_input_cannot_be_changed_either(home: Path) -> None:
    """A changed input is refused if it changes what `Inputs` derives from it and a completed step took."""
    run = gflow.run(write(home, "derived", DERIVED))
    with pytest.raises(UsageError, match=r"`public` cannot be changed: `ask` completed with it"):
        gflow.resume(run.id, url="https://example.org")
    assert gflow.resume(run.id, url="up").results["flow"] == "up"


def test_resuming_a_completed_run_returns_it(home: Path) -> None:
    """Nothing is done twice: a run that has completed is returned as it is."""
    path = write(home, "ledger", LEDGER)
    run = gflow.run(path, url="up")
    again = gflow.resume(run.id)
    assert again.status == "completed"
    assert again.results["flow"] == "1up"
    assert (home / "ledger").read_text().count("\n") == 3


def test_a_prefix_that_names_two_runs_is_refused(home: Path) -> None:
    """An ambiguous id names the runs that it may mean; an unknown one says how to list them."""
    path = write(home, "ledger", LEDGER)
    settings = session.Settings(folder=home / ".gflow")
    for _ in range(2):
        gflow.run(path)
    with pytest.raises(UsageError, match="names 2 runs"):
        gflow.resume("")
    with pytest.raises(UsageError, match="there is no run `zzzz`"):
        anyio.run(lambda: runner.go_on("zzzz", {}, settings))


CHAIN = """
from pathlib import Path
from gflow import task
@task
def s0() -> int: return 0
"""
LENGTH = 10_000


def test_resume_reads_only_what_the_rest_needs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of 10,000 completed steps with one left is resumed by reading the inputs and one value."""
    monkeypatch.setenv("GFLOW_DURABILITY", "process")
    steps = [f"@task\ndef s{n}(s{n - 1}: int) -> int: return s{n - 1} + 1" for n in range(1, LENGTH)]
    end = f"@task\ndef end(s{LENGTH - 1}: int) -> None:\n    assert Path('calm').exists()"
    path = write(home, "chain", "\n".join([CHAIN, *steps, end]))
    run = gflow.run(path)
    assert [error.step for error in run.errors] == ["end"]
    (home / "calm").touch()
    read: list[int] = []
    value, blob = SqliteStore.value, SqliteStore.blob

    def counted_value(self: SqliteStore, run: str, n: int, offset: int, length: int) -> bytes:
        found = value(self, run, n, offset, length)
        read.extend([len(found)] if found else [])
        return found

    def counted_blob(self: SqliteStore, name: str) -> bytes:
        read.append(-1)
        return blob(self, name)

    monkeypatch.setattr(SqliteStore, "value", counted_value)
    monkeypatch.setattr(SqliteStore, "blob", counted_blob)
    again = gflow.resume(run.id)
    assert (again.status, len(read)) == ("completed", 2)
    assert max(read) < 100


HEAVY = """
from gflow import Input, task
@task
def make(size: Input[int]) -> bytes: return b"x" * size
@task
def take(make: bytes) -> int: return len(make)
"""
MEASURED = """
import resource, sys
from pathlib import Path
import gflow

def peak():
    # ru_maxrss of a process includes what it was before exec (on Linux), so that comes second.
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

size = int(sys.argv[1])
assert gflow.run("heavy.py", size=100_000).status == "completed"
before = peak()
assert gflow.run("heavy.py", size=size).results["take"] == size
print((peak() - before) / size)
"""


def test_a_large_value_takes_little_more_than_itself_twice(home: Path) -> None:
    """A value of 64 MiB that is made, stored and read takes at most 2.2 times its size at the peak."""
    write(home, "heavy", HEAVY)
    words = [sys.executable, "-c", MEASURED, str(64 << 20)]
    measured = subprocess.run(words, cwd=home, capture_output=True, text=True, check=True)
    assert 1.5 < float(measured.stdout) <= 2.2


def test_a_run_belongs_to_one_process(home: Path) -> None:
    """While a run's lock is held, nobody else can resume it."""
    path = write(home, "ledger", LEDGER)
    run = gflow.run(path)
    held = claim(home / ".gflow", run.id)
    with pytest.raises(RunOwned, match="is being run by process"):
        gflow.resume(run.id)
    held.release()
    assert gflow.resume(run.id, url="up").status == "completed"


def test_a_killed_run_is_finished_by_resume(home: Path) -> None:
    """After kill -9 in the middle of a step, resume runs that step again and none that had completed."""
    write(home, "ledger", LEDGER.replace('if url == "down": raise OSError("down")', KILL))
    killed = subprocess.run(
        [sys.executable, "-m", "gflow", "ledger.py", "--url", "up"],
        cwd=home,
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9
    listed = subprocess.run(
        [sys.executable, "-m", "gflow", "runs", "--json"], cwd=home, capture_output=True, check=True
    )
    (row,) = json.loads(listed.stdout)["runs"]
    assert row["status"] == "interrupted"
    (home / "calm").touch()
    again = gflow.resume(row["id"])
    assert again.results["flow"] == "1up"
    words = (home / "ledger").read_text().split("\n")[:-1]
    assert words == ["first 1 first:g0", "second", "second", "third"]
    assert again.steps["second"].attempts == 2


KILL = 'if not Path("calm").exists(): __import__("os").kill(__import__("os").getpid(), 9)'


# ---------------------------------------------------------------- doors


def test_arun_runs_in_the_callers_loop() -> None:
    """`await gflow.arun(…)` is for async code; `gflow.run` there says so."""

    @task
    def flow() -> int:
        return 1

    async def main() -> Run:
        with pytest.raises(RuntimeError, match=r"await gflow\.arun"):
            gflow.run(flow)
        return await runner.start(runner.compile(flow), {}, session.Settings(folder=None))

    assert anyio.run(main).status == "completed"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_engine_runs_on_both_loops(backend: str) -> None:
    """Async steps run on asyncio and on trio."""

    @task
    async def left() -> int:
        await anyio.lowlevel.checkpoint()
        return 1

    @task
    def right() -> int:
        return 2

    @parallel
    def flow(left: int, right: int) -> int:
        return left + right

    graph = runner.compile(flow)
    run = anyio.run(lambda: runner.start(graph, {}, session.Settings(folder=None)), backend=backend)
    assert run.results["flow"] == 3


def test_a_cancelled_caller_leaves_a_run_that_can_be_resumed(home: Path) -> None:
    """Cancelling `arun` interrupts the run: its async steps are cancelled, and resume does them."""
    write(home, "naps", NAPS)

    async def main() -> None:
        with anyio.move_on_after(60) as scope:
            module = gflow.project.load("naps.py")
            module.entered = scope.cancel  # type: ignore[attr-defined]
            await gflow.arun(module)

    anyio.run(main)
    settings = session.Settings(folder=home / ".gflow")
    store, _ = session.open_store(settings, "read")
    (row,) = store.runs()
    store.close()
    assert row.status == "interrupted"
    (home / "rested").touch()
    assert gflow.resume(row.id).results["flow"] == "slept"


NAPS = """
from pathlib import Path
import anyio
from gflow import stage, task
entered = None
@task
async def nap() -> str:
    if not Path("rested").exists():
        entered()
        await anyio.sleep(3600)
    return "slept"
@stage
def flow(nap: str) -> str: return nap
"""


def test_bad_inputs_write_nothing(home: Path) -> None:
    """Inputs that do not fit are refused before a state folder exists."""
    path = write(home, "ledger", LEDGER)
    with pytest.raises(BadInputs, match="did you mean `url`"):
        gflow.run(path, urk="x")
    assert not (home / ".gflow").exists()


def test_findings_stop_a_run_before_it_exists(home: Path) -> None:
    """A workflow with findings is not run, and nothing is written."""
    path = write(home, "wrong", "from gflow import task\n@task\ndef a(b: int) -> int: return b\n")
    with pytest.raises(CompileError, match="GF"):
        gflow.run(path)
    assert not (home / ".gflow").exists()


def test_listeners_are_told_after_the_commit() -> None:
    """What a listener hears is in the journal already."""

    @task
    def flow() -> int:
        return 1

    heard: list[tuple[int, int]] = []

    def listen(at_work: session.Session) -> Listener:
        def tell(at: float, events: object) -> None:
            heard.append((at_work.journal.next_round, len(at_work.journal._store.rounds(at_work.run))))

        return tell

    settings = session.Settings(folder=None, clock=VirtualClock(), listeners=[listen])
    anyio.run(lambda: runner.start(runner.compile(flow), {}, settings))
    assert heard
    assert all(next_round == written + 1 for next_round, written in heard)
