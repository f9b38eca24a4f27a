"""The error ladder from workflow to run: fallbacks, degraded mode, failures as values, abort."""

from __future__ import annotations

import threading
import types
from pathlib import Path

import anyio
import pytest

from gflow import (
    Context,
    Failed,
    Refused,
    Retry,
    Workflow,
    WorkflowError,
    parallel,
    runner,
    session,
    stage,
    task,
)
from gflow.testing import run_in_memory


class Broken(WorkflowError):
    severity = "high"


def test_a_fallback_stands_in_for_what_failed() -> None:
    """A fallback takes the step's parameters, and the failure if it wants to know."""

    @task
    def source() -> str:
        return "text"

    def cached(source: str, failure: Failed) -> str:
        return f"{source} from the cache, after {failure.type}"

    @task(fallback=cached)
    def fetch(source: str) -> str:
        raise ValueError("no route")

    run = run_in_memory(fetch)
    assert run.status == "completed", run.errors
    assert run.results["fetch"] == "text from the cache, after ValueError"
    assert run.steps["fetch"].degraded is None


def test_fallbacks_are_tried_in_order_and_the_degraded_mode_comes_last() -> None:
    """Each rung hands over to the next; a result of the degraded mode is marked, with the reason."""
    called: list[str] = []

    def first() -> int:
        called.append("first")
        raise KeyError("a")

    def second() -> int:
        called.append("second")
        raise KeyError("b")

    def rough() -> int:
        called.append("rough")
        return 1

    @task(fallback=[first, second], degraded=rough)
    def measure() -> int:
        called.append("body")
        raise ValueError("x")

    run = run_in_memory(measure)
    assert run.status == "completed"
    assert called == ["body", "first", "second", "rough"]
    assert run.steps["measure"].degraded == "rough stands in after KeyError: 'b'"
    assert run.steps["measure"].attempts == 4


def test_attempts_are_counted_per_rung() -> None:
    """`attempts=2` counts the calls of one rung: the fallback has two of its own."""
    called: list[str] = []

    def other() -> int:
        called.append("other")
        raise ConnectionError

    @task(attempts=2, fallback=other)
    def fetch() -> int:
        called.append("body")
        raise ConnectionError

    assert run_in_memory(fetch).status == "failed"
    assert called == ["body", "body", "other", "other"]


def test_every_rung_has_a_key_of_its_own() -> None:
    """All attempts of a rung share one idempotency key; the next rung has another."""
    keys: list[str] = []

    def other(ctx: Context) -> int:
        keys.append(ctx.key)
        raise ConnectionError

    @task(attempts=Retry(2, base=0), fallback=other)
    def fetch(ctx: Context) -> int:
        keys.append(ctx.key)
        raise ConnectionError

    run_in_memory(fetch)
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_what_says_no_is_never_replaced() -> None:
    """Refused goes straight to the end of the ladder: no retry, no fallback, no degraded mode."""

    def never() -> int:
        raise AssertionError("never called")

    @task(attempts=3, fallback=never, degraded=never)
    def gate() -> int:
        raise Refused("not fit to ship")

    run = run_in_memory(gate)
    assert run.status == "failed"
    assert run.steps["gate"].attempts == 1


def test_a_failure_may_be_a_value() -> None:
    """Where everyone who reads a step admits Failed, its failure arrives as a value and work goes on."""

    @task
    def audit() -> int:
        raise ValueError("scanner broke")

    @task
    def report(audit: int | Failed) -> str:
        return str(audit)

    @stage
    def flow(audit: int | Failed, report: str) -> str:
        return report

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == "audit: ValueError: scanner broke"
    assert run.steps["audit"].status == "failed"


def test_a_failed_value_can_be_raised_again() -> None:
    """`reraise` raises what failed, with its type and message."""

    @task
    def audit() -> int:
        raise ValueError("scanner broke")

    @task
    def report(audit: int | Failed) -> int:
        if isinstance(audit, Failed):
            audit.reraise()
        return audit

    run = run_in_memory(report)
    assert run.status == "failed"
    assert "scanner broke" in run.errors[-1].message


def test_teardown_runs_after_a_failure_and_the_group_fails() -> None:
    """A member that admits Failed runs though the group fails; what never started arrives as Failed too."""
    torn: list[object] = []

    @task
    def server() -> str:
        return "server"

    @task
    def tests(server: str) -> int:
        raise ValueError("red")

    @task
    def upload(tests: int) -> int:
        raise AssertionError("never called")

    @task
    def teardown(server: str | Failed, tests: int | Failed, upload: int | Failed) -> None:
        torn.extend([server, tests, upload])

    @stage
    def flow(server: str, tests: int, upload: int, teardown: None) -> None: ...

    run = run_in_memory(flow)
    assert run.status == "failed"
    assert torn[0] == "server"
    assert isinstance(torn[1], Failed)
    assert torn[1].type == "ValueError"
    assert isinstance(torn[2], Failed)
    assert torn[2].type == "NotStarted"
    assert run.steps["teardown"].status == "completed"


def test_high_aborts_and_rolls_back() -> None:
    """A failure of high severity starts nothing more, and undoes what was done, newest first."""
    undone: list[str] = []

    @task
    def first() -> str:
        return "first"

    @first.undo
    def undo_first(first: str) -> None:
        undone.append("first")

    @task
    def second(first: str) -> str:
        return "second"

    @second.undo
    def undo_second(second: str) -> None:
        undone.append("second")

    @task
    def third(second: str) -> str:
        raise Broken("it burns")

    @stage
    def flow(first: str, second: str, third: str) -> str:
        return third

    run = run_in_memory(flow)
    assert run.status == "rolled_back"
    assert undone == ["second", "first"]
    assert run.reason.startswith("abort: third: ")


def test_an_abort_cancels_what_runs() -> None:
    """An abort ends running siblings; a cancelled one has not failed."""

    @task
    async def endless() -> None:
        await anyio.sleep_forever()

    @task
    def burns() -> None:
        raise Broken("it burns")

    @parallel
    def flow(endless: None, burns: None) -> None: ...

    run = run_in_memory(flow)
    assert run.status == "rolled_back"
    assert run.steps["endless"].status != "failed"


def test_an_exhausted_ladder_may_abort() -> None:
    """`Workflow(on_exhausted="abort")` makes a rollback of what would stop the run."""
    module = types.ModuleType("exhausted")
    exec(  # a module needs globals of its own
        "from gflow import Workflow, task\n"
        "workflow = Workflow(on_exhausted='abort')\n"
        "@task\n"
        "def step() -> int:\n    raise ValueError('no')\n",
        module.__dict__,
    )
    assert run_in_memory(module).status == "rolled_back"
    assert Workflow(on_exhausted="abort").on_exhausted == "abort"


def test_a_retry_waits_in_virtual_time() -> None:
    """The waits of retries cost nothing in a test, however long they are."""
    calls = threading.Event()

    @task(attempts=Retry(3, base=3600, max=36000))
    def flaky() -> int:
        if not calls.is_set():
            calls.set()
            raise ValueError("once")
        return 1

    assert run_in_memory(flaky).results["flaky"] == 1


@pytest.mark.parametrize("tail", ["", "x"])
def test_independent_branches_finish_before_a_stop(tail: str) -> None:
    """A failure in one branch does not stop another that has begun; in a module without groups none."""
    done: list[str] = []

    @task
    def breaks() -> int:
        raise ValueError

    @task
    def other() -> int:
        return 1

    @task
    def later(other: int) -> None:
        done.append("later" + tail)

    @task
    def end(breaks: int, later: None) -> int:
        return breaks

    assert run_in_memory(end).status == "failed"
    assert done == ["later" + tail]


def test_a_failed_group_may_be_a_value() -> None:
    """Where everyone who reads a group admits Failed, it arrives with what made it fail, as an outcome."""

    @task
    def tests() -> int:
        raise ValueError("red")

    @stage
    def checks(tests: int) -> int:
        return tests

    @task
    def report(checks: int | Failed) -> str:
        return str(checks)

    @stage
    def flow(checks: int | Failed, report: str) -> str:
        return report

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == "checks: ValueError: red"


# ---------------------------------------------------------------- resumed after a failure that some took

TEARDOWN = """
import os
from pathlib import Path
from gflow import Context, Failed, stage, task

def told(ctx: Context, value: object) -> None:
    with Path("told").open("a") as file:
        file.write(f"{ctx.path} {ctx.generation} {value}\\n")

@task
def server() -> str:
    return "server"

@task
def tests(server: str) -> str:
    if not os.environ.get("FIXED"):
        raise ValueError("red")
    return "green"

@task
def teardown(server: str | Failed, tests: str | Failed, ctx: Context) -> str:
    told(ctx, tests)
    return "failed" if isinstance(tests, Failed) else "fine"

@task
def note(teardown: str | Failed, tests: str | Failed, ctx: Context) -> str:
    told(ctx, teardown)
    return teardown

@stage
def flow(server: str, tests: str, teardown: str, note: str) -> str:
    return note
"""


def test_what_had_run_on_a_failure_begins_anew_when_that_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teardown, and what was made of it, is done again in a new generation, from what the step then gave."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "torn_down.py").write_text(TEARDOWN)
    settings = session.Settings(folder=tmp_path / ".gflow", durability="process")
    first = anyio.run(runner.start, runner.compile("torn_down"), {}, settings)
    assert first.status == "failed"
    assert first.value("note") == "failed"
    monkeypatch.setenv("FIXED", "yes")
    again = anyio.run(runner.go_on, first.id, {}, settings)
    assert again.status == "completed", again.errors
    assert again.value("flow") == "fine"
    assert again.steps["server"].kept
    assert Path("told").read_text().splitlines() == [
        "teardown 0 tests: ValueError: red", "note 0 failed", "teardown 1 green", "note 1 fine",
    ]  # fmt: skip
