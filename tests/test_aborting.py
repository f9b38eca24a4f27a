"""The ladder on the real store: waits, rungs, failures as values and aborts outlive their process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

import gflow
from gflow import cli, runner, session
from gflow.clock import VirtualClock
from gflow.events import Event, Started, Stopped, Tripped
from gflow.journal import Journal
from gflow.model import Run
from gflow.testing import run_in_memory

START = 1_700_000_000.0

HEAD = """
import os, time
from pathlib import Path
import anyio
from gflow import Context, Failed, Retry, Workflow, WorkflowError, parallel, stage, task
class Broken(WorkflowError):
    severity = "high"
def note(line: str) -> None:
    with Path("ledger").open("a") as ledger: print(line, file=ledger)
def is_calm() -> bool:
    return Path("calm").exists()
"""

IN_VIRTUAL_TIME = f"""
import os, anyio
from gflow import runner, session
from gflow.clock import VirtualClock
class Deadly(VirtualClock):
    def skip_to(self, moment: float) -> bool:
        os.kill(os.getpid(), 9)
settings = session.Settings(clock=Deadly({START}))
anyio.run(lambda: runner.start(runner.compile("laddered.py"), {{}}, settings))
"""

IMPATIENT = """
import sys
from gflow import cli, scheduler
scheduler.LAST_GRACE = 0.1
sys.exit(cli.main(sys.argv[1:]))
"""


def write(text: str) -> None:
    Path("laddered.py").write_text(HEAD + text)
    sys.modules.pop("laddered", None)


def ledger() -> list[str]:
    return Path("ledger").read_text().splitlines()


def child(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def events() -> list[tuple[float, Event]]:
    """Return the events of the last run, with the times when they were written."""
    with session.opened(session.Settings(), "read") as (store, keys):
        rounds = Journal(store, session.find(store, "last").id, keys).load()
    return [(at, event) for _, at, each in rounds for event in each]


def resumed(clock: VirtualClock) -> Run:
    return anyio.run(lambda: runner.go_on("last", {}, session.Settings(clock=clock)))


# ---------------------------------------------------------------- retries

FLAKY = """
@task(attempts=Retry(3, base=3600, max=36000))
def fetch() -> str:
    note("fetch")
    if not is_calm():
        raise ConnectionError("no route")
    return "fetched"
@stage
def flow(fetch: str) -> str:
    return fetch
"""


def killed_in_its_backoff() -> float:
    """Run until the first wait, in which the process is killed; return the time of the next try."""
    write(FLAKY)
    assert child(IN_VIRTUAL_TIME).returncode == -9
    (tripped,) = [event for _, event in events() if isinstance(event, Tripped)]
    assert tripped.retry_at is not None
    Path("calm").touch()
    return tripped.retry_at


@pytest.mark.parametrize("early", [True, False])
def test_the_time_of_the_next_try_outlives_the_process(home: Path, early: bool) -> None:
    """It is journaled before the wait: a resume waits for the rest of it, or not at all if it is over."""
    retry_at = killed_in_its_backoff()
    clock = VirtualClock(START if early else retry_at + 1000)
    assert resumed(clock).status == "completed"
    assert clock.moment == (retry_at if early else retry_at + 1000)
    assert ledger() == ["fetch", "fetch"]


@pytest.mark.parametrize("seconds", [0.5, 7777.0])
def test_a_server_that_asks_for_time_gets_it(seconds: float) -> None:
    """Retry-After is never undercut, however short the backoff would have been."""
    calls: list[float] = []
    clock = VirtualClock(START)

    class TooMany(Exception):
        status_code = 429
        headers = {"Retry-After": str(seconds)}  # noqa: RUF012  # as a server's library has it

    @gflow.task(attempts=gflow.Retry(2, base=0))
    def fetch() -> None:
        calls.append(clock.now())
        if len(calls) == 1:
            raise TooMany

    settings = session.Settings(folder=None, clock=clock)
    run = anyio.run(lambda: runner.start(runner.compile(fetch), {}, settings))
    assert run.status == "completed"
    assert calls == [START, START + seconds]


def test_the_rung_and_its_failures_outlive_the_process(home: Path) -> None:
    """A crash on the second rung goes on there: a lost attempt raises its number, not the failures."""
    write("""
def other(ctx: Context) -> str:
    note(f"other {ctx.attempt} {ctx.rung}")
    if ctx.attempt == 4:
        os.kill(os.getpid(), 9)
    raise ConnectionError
@task(attempts=Retry(2, base=0), fallback=other)
def fetch(ctx: Context) -> str:
    note(f"fetch {ctx.attempt} {ctx.rung}")
    raise ConnectionError
@stage
def flow(fetch: str) -> str:
    return fetch
""")
    assert child(IMPATIENT, "laddered.py").returncode == -9
    assert cli.main(["resume", "last"]) == 1
    assert ledger() == ["fetch 1 0", "fetch 2 0", "other 3 1", "other 4 1", "other 5 1"]


def test_a_resume_of_a_failed_run_begins_at_the_first_rung(home: Path) -> None:
    """Somebody has mended something: the body is tried again, with all its attempts."""
    write("""
def other() -> str:
    note("other")
    raise ValueError
@task(fallback=other)
def fetch() -> str:
    note("fetch")
    raise ValueError
@stage
def flow(fetch: str) -> str:
    return fetch
""")
    assert cli.main(["laddered.py"]) == 1
    assert cli.main(["resume", "last"]) == 1
    assert ledger() == ["fetch", "other"] * 2


# ---------------------------------------------------------------- failures as values

HANDLED = """
@task
def audit() -> str:
    note("audit")
    raise ValueError("scanner broke")
@task
def gate(audit: str | Failed) -> str:
    note(f"gate {audit}")
    if not is_calm():
        raise ValueError("not yet")
    return str(audit)
@stage
def flow(audit: str | Failed, gate: str) -> str:
    return gate
"""


def test_a_failure_as_a_value_is_an_outcome_that_stays(home: Path) -> None:
    """A failure that everyone takes is not tried again by a resume, and is the same value there."""
    write(HANDLED)
    assert cli.main(["laddered.py"]) == 1
    Path("calm").touch()
    assert gflow.resume("last").results["flow"] == "audit: ValueError: scanner broke"
    assert ledger() == ["audit", *["gate audit: ValueError: scanner broke"] * 2]


def test_a_rerun_tries_a_failure_again_that_was_a_value(home: Path) -> None:
    """`--rerun` of the step that failed runs it anew, and who took its failure."""
    write(HANDLED)
    Path("calm").touch()
    assert cli.main(["laddered.py"]) == 0
    write(HANDLED.replace('raise ValueError("scanner broke")', 'return "clean"'))
    assert cli.main(["resume", "last", "--rerun", "audit"]) == 0
    assert ledger()[-2:] == ["audit", "gate clean"]


# ---------------------------------------------------------------- aborts

BURNING = """
@task(FACTS)
def deploy() -> str:
    return "deployed"
@deploy.undo
def remove(deploy: str) -> None:
    note(f"remove {deploy}")
@task
async def watch(deploy: str) -> str:
    note("watch")
    if not is_calm():
        await anyio.sleep_forever()
    return "watched"
@task
def burn(deploy: str) -> str:
    while not Path("ledger").exists(): time.sleep(0.01)
    if not is_calm():
        raise Broken("it burns")
    return "burned"
@parallel
def flow(deploy: str, watch: str, burn: str) -> str:
    return watch + burn
"""


def test_a_step_that_an_abort_cancels_has_not_failed(home: Path) -> None:
    """The running sibling ends as cancelled, the run is rolled back, exit 4; a resume runs all of it."""
    write(BURNING.replace("FACTS", ""))
    assert cli.main(["laddered.py"]) == 4
    stopped = [event for _, event in events() if isinstance(event, Stopped)]
    assert stopped == [Stopped("watch", "cancelled")]
    assert [event.path for _, event in events() if isinstance(event, Tripped)] == ["burn"]
    assert ledger() == ["watch", "remove deployed"]
    Path("calm").touch()
    assert gflow.resume("last").results["flow"] == "watchedburned"


def test_an_abort_passes_over_what_cannot_be_undone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An irreversible step is left, the rest is undone, and the end says so: exit 5."""
    write("""
@task
def deploy() -> str:
    return "deployed"
@deploy.undo
def remove(deploy: str) -> None:
    note(f"remove {deploy}")
@task(effects="irreversible")
def publish(deploy: str) -> str:
    return deploy
@task
def burn(publish: str) -> str:
    raise Broken("it burns")
""")
    assert cli.main(["laddered.py"]) == 5
    assert "publish" in capsys.readouterr().err
    assert ledger() == ["remove deployed"]
    with session.opened(session.Settings(), "read") as (store, _):
        assert store.runs(1)[0].status == "rollback_incomplete"


def test_an_exhausted_ladder_aborts_where_the_workflow_says_so(home: Path) -> None:
    """`Workflow(on_exhausted="abort")`: what would have stopped the run takes it back, exit 4."""
    text = BURNING.replace("FACTS", "").replace("raise Broken(", "raise ValueError(")
    write("workflow = Workflow(on_exhausted='abort')\n" + text)
    assert cli.main(["laddered.py"]) == 4
    assert ledger() == ["watch", "remove deployed"]


STUBBORN = """
@task
def deploy() -> str:
    return "deployed"
@deploy.undo
def remove(deploy: str) -> None:
    note(f"remove {deploy}")
@task
def stubborn(deploy: str) -> None:
    note("stubborn")
    while not is_calm(): time.sleep(0.01)
@task
def burn(deploy: str) -> str:
    while not Path("ledger").exists(): time.sleep(0.01)
    raise Broken("it burns")
@parallel
def flow(deploy: str, stubborn: None, burn: str) -> str:
    return burn
"""


def test_an_abort_does_not_undo_beside_a_thread_that_goes_on(home: Path) -> None:
    """Python that does not end keeps the undos from beginning: exit 5 names the step, a resume undoes."""
    write(STUBBORN)
    ended = child(IMPATIENT, "laddered.py")
    assert ended.returncode == 5, ended.stderr
    assert "stubborn" in ended.stderr
    assert "resume" in ended.stderr
    assert ledger() == ["stubborn"]
    assert gflow.resume("last").status == "rolled_back"
    assert ledger() == ["stubborn", "remove deployed"]


def test_nothing_new_begins_once_a_run_aborts() -> None:
    """Independent branches finish before a stop, not before an abort: what waits does not start."""
    began: list[str] = []

    class Burned(gflow.WorkflowError):
        severity = "high"

    @gflow.task
    def burn() -> int:
        raise Burned

    @gflow.task
    async def first() -> int:
        await anyio.sleep_forever()
        return 1

    @gflow.task
    def second(first: int | gflow.Failed) -> int:
        began.append("second")
        return 1

    @gflow.parallel
    def flow(burn: int, first: int | gflow.Failed, second: int) -> int:
        return second

    assert run_in_memory(flow).status == "rolled_back"
    assert began == []


def test_every_attempt_has_a_number_of_its_own(home: Path) -> None:
    """The journal counts attempts over kills, retries and resumes, and never twice the same."""
    killed_in_its_backoff()
    resumed(VirtualClock(START))
    numbers = [event.attempt for _, event in events() if isinstance(event, Started) and event.path == "fetch"]
    assert numbers == [1, 2]
