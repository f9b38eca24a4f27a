"""What went wrong elsewhere, in public, and does not here: one test for each kind.

| what went wrong | where |
|---|---|
| an edge with the wrong type is found at run time | dagster#34009 #9847 #836 #1840, airflow#19884, kestra#19528 |
| a dead run is still "running" | prefect#16746 #7239 #19594 #8602 #7116 |
| a resume repeats finished items, or leaves out unfinished ones | prefect#9814 #13735 #11007, dagster#19490 #30077 #30248, metaflow#2159 #2197 |
| a run does not go on with the mended code | airflow#50107 #52884 #48730 #50102, dagster#31944 |
| a value that cannot be stored fails late, or without a name | prefect#12228 #12229 |
| an exception that cannot be pickled breaks the engine | prefect#14417 |
| what joins branches is skipped with one of them, or runs too early | airflow#55187 #7885 #11768 #1521, dagster#9408 |
| a branch in one item of a fan-out decides for the others | airflow#67265 #65745 #30883 #48845 |
| fan-outs do not nest, or nest with wrong lists | dagster#4364 #31143, hamilton#301 #742 #652, airflow#25032 |
| nobody can be asked, or a decision gets lost | dagster#8067 #11661 #14681, prefect#20388 #12279 |
| a paused run that is resumed twice, or by a crash, goes on without a decision | kestra#10542 #5494 #8328 |
| a body sees a promise in the place of a value | flyte#3508 #2999, prefect#5985 #14018 |
| drawing or planning a workflow runs its code | prefect#9465 |
| retries are capped | metaflow#2276 |
| what can never succeed is retried | prefect#9139 |
| somebody is told of every try | dagster#33000 |
| a decorator hides the signature of its function | dagster#33251 #19612, airflow#39514, prefect#5354 |
| what was done stays behind when a run is cancelled or dies | dagster#17470, prefect#17864 #15599 |
| a name that is used twice is taken from the last one, silently | pytest#3966 #3346 #12952 |
"""  # noqa: E501  # a table

from __future__ import annotations

import inspect
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

import gflow
from gflow import (
    Approval,
    Ask,
    Each,
    Failed,
    FirstOf,
    Rejected,
    Retry,
    WorkflowError,
    cli,
    runner,
    stage,
    task,
)
from gflow.errors import CompileError
from gflow.notice import Notice
from gflow.testing import run_in_memory

HEAD = """
import os, time
from pathlib import Path
from typing import Annotated
from gflow import Approval, Ask, Each, parallel, stage, task
def note(line: str) -> None:
    with Path("ledger").open("a") as ledger: print(line, file=ledger)
def is_calm() -> bool:
    return Path("calm").exists()
def die() -> None:
    if not is_calm(): os.kill(os.getpid(), 9)
"""


def write(text: str) -> None:
    Path("known.py").write_text(HEAD + text)
    sys.modules.pop("known", None)


def killed(*arguments: str) -> None:
    """Run gflow in a process that is killed on the way."""
    command = [sys.executable, "-m", "gflow", *(arguments or ("known.py",))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -9, done.stderr


def ledger() -> list[str]:
    return Path("ledger").read_text().splitlines() if Path("ledger").exists() else []


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert cli.main(["show", "last", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# ---------------------------------------------------------------- before anything runs


@pytest.mark.parametrize(
    ("gives", "takes"),
    [
        pytest.param("int", "str", id="dagster#34009"),
        pytest.param("int | None", "int", id="dagster#1840"),
        pytest.param("list[int]", "list[str]", id="airflow#19884"),
        pytest.param("str", "int", id="kestra#19528"),
    ],
)
def test_an_edge_of_the_wrong_type_is_found_before_the_run(home: Path, gives: str, takes: str) -> None:
    """Both ends of an edge are compared when the workflow is compiled; nothing has run then."""
    write(
        f"@task\ndef make() -> {gives}:\n    raise AssertionError\n"
        f"@task\ndef take(make: {takes}) -> None:\n    raise AssertionError\n"
    )
    with pytest.raises(CompileError) as refused:
        gflow.run("known.py")
    assert "make" in str(refused.value)
    assert not (home / ".gflow").exists()


def test_planning_and_drawing_call_no_body(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """prefect#9465: the graph is there without a run; looking at it touches nothing."""
    write('@task\ndef make() -> int:\n    note("made")\n    return 1\n')
    assert cli.main(["graph", "known.py"]) == 0
    assert cli.main(["known.py", "--plan"]) == 0
    assert "make" in capsys.readouterr().out
    assert ledger() == []


def test_a_name_that_is_used_twice_is_a_finding(home: Path) -> None:
    """pytest#3966: a second step of one name does not silently replace the first; both places are named."""
    write("@task\ndef make() -> int:\n    return 1\n@task\ndef make() -> int:\n    return 2\n")
    with pytest.raises(CompileError) as refused:
        gflow.compile("known.py")
    text = str(refused.value)
    assert text.count("known.py:") >= 2


def test_a_step_is_the_function_that_it_was() -> None:
    """dagster#33251, airflow#39514: called, inspected and described as before it was decorated."""

    @task(attempts=3)
    def add(left: int, right: int = 2) -> int:
        """Add."""
        return left + right

    assert add(1) == 3
    assert str(inspect.signature(add)) in (
        "(left: 'int', right: 'int' = 2) -> 'int'",
        "(left: int, right: int = 2) -> int",
    )
    assert add.__doc__ == "Add."


def test_a_body_sees_plain_values() -> None:
    """flyte#3508, prefect#14018: what a step gets is what was returned, not a promise of it."""
    kinds: list[type] = []

    @task
    def is_big() -> bool:
        return False

    @task
    def items() -> list[int]:
        return [1, 2]

    @task
    def use(is_big: bool, items: list[int]) -> int:
        kinds.extend([type(is_big), type(items)])
        return sum(item for item in items if not is_big)

    assert run_in_memory(use).results["use"] == 3
    assert kinds == [bool, list]


# ---------------------------------------------------------------- crashes


def test_a_dead_run_is_not_called_running(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """prefect#16746, #7239: whether a run lives is asked of its lock, not of what was once written."""
    write("@task\ndef work() -> int:\n    die()\n    return 1\n")
    killed()
    assert shown(capsys)["status"] == "interrupted"
    Path("calm").touch()
    assert cli.main(["resume", "last"]) == 0


FAN_OUT = """
@task
def numbers() -> list[int]:
    note("numbers")
    return list(range(6)) if not is_calm() else []
@task
def work(number: Annotated[int, Each(numbers, limit=1)]) -> int:
    if number == 3: die()
    note(f"work {number}")
    return number * number
@stage
def flow(numbers: list[int], work: list[int]) -> int:
    return sum(work)
"""


def test_a_resumed_fan_out_does_each_item_once(home: Path) -> None:
    """prefect#9814, dagster#30077, metaflow#2159: finished items are kept, and all others run."""
    write(FAN_OUT)
    killed()
    assert ledger() == ["numbers", "work 0", "work 1", "work 2"]
    Path("calm").touch()
    assert gflow.resume("last").results["flow"] == sum(n * n for n in range(6))
    assert ledger() == ["numbers", *(f"work {n}" for n in range(6))]


def test_a_run_goes_on_with_the_mended_code(home: Path) -> None:
    """airflow#50107, dagster#31944: a resume runs what is left with the module as it is now."""
    text = '@task\ndef make() -> int:\n    note("make")\n    return 6\n'
    write(f"{text}@task\ndef take(make: int) -> float:\n    return make / 0\n")
    assert cli.main(["known.py"]) == 1
    write(f"{text}@task\ndef take(make: int) -> float:\n    return make / 2\n")
    assert gflow.resume("last").results["take"] == 3
    assert ledger() == ["make"]


UNDOABLE = """
@task
def server() -> str:
    return "server"
@server.undo
def remove(server: str) -> None:
    note(f"remove {server}")
@task
def work(server: str) -> str:
    die()
    return server
"""


def test_what_a_killed_run_did_is_taken_back(home: Path) -> None:
    """prefect#17864, dagster#17470: undos do not live in the process that died."""
    write(UNDOABLE)
    killed()
    assert cli.main(["rollback", "last", "--to", "start", "--yes"]) == 0
    assert ledger() == ["remove server"]


def test_a_cancelled_run_can_be_taken_back(home: Path) -> None:
    """prefect#15599: to cancel undoes nothing, and whoever wants that asks for it."""
    write(UNDOABLE)
    killed()
    assert cli.main(["cancel", "last"]) == 0
    assert ledger() == []
    assert cli.main(["rollback", "last", "--to", "start", "--yes"]) == 0
    assert ledger() == ["remove server"]


# ---------------------------------------------------------------- values and failures


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(threading.Lock, id="prefect#12229"),
        pytest.param(logging.StreamHandler, id="prefect#12228"),
    ],
)
def test_a_value_that_cannot_be_stored_fails_its_own_step(make: Callable[[], object]) -> None:
    """It is the step's failure, at once, and names the part that cannot be stored."""

    @task
    def build() -> dict[str, object]:
        return {"fine": 1, "bad": make()}

    @task
    def use(build: dict[str, object]) -> int:
        raise AssertionError("never called")

    run = run_in_memory(use)
    assert [error.step for error in run.errors] == ["build"]
    assert "bad" in run.errors[0].message


def test_an_exception_that_cannot_be_pickled_is_a_failure_like_others() -> None:
    """prefect#14417: what is kept of an exception is its type, message and place."""

    class Odd(Exception):
        def __init__(self, lock: object, text: str) -> None:
            super().__init__(text)
            self.lock = lock

    @task
    def build() -> int:
        raise Odd(threading.Lock(), "no disk")

    @task
    def use(build: int | Failed) -> str:
        return str(build)

    said = run_in_memory(use).results["use"]
    assert said.startswith("build: ")
    assert said.endswith("Odd: no disk")


def test_attempts_have_no_cap() -> None:
    """metaflow#2276: a step is tried as often as it says."""
    tries: list[int] = []

    @task(attempts=Retry(25, base=0))
    def fetch() -> int:
        tries.append(1)
        if len(tries) < 25:
            raise ConnectionError
        return len(tries)

    assert run_in_memory(fetch).results["fetch"] == 25


def test_what_can_never_succeed_is_not_tried_again() -> None:
    """prefect#9139: which exceptions are worth another try is decided by their type."""
    tries: list[int] = []

    @task
    def fetch() -> int:
        tries.append(1)
        raise KeyError("no such thing")

    assert run_in_memory(fetch).status == "failed"
    assert len(tries) == 1


def test_nobody_is_told_of_a_try_that_is_not_the_last() -> None:
    """dagster#33000: a failure that a retry mends is no news."""
    notices: list[Notice] = []
    tries: list[int] = []

    @task(attempts=Retry(3, base=0))
    def fetch() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError
        return 1

    assert run_in_memory(fetch, notify=[notices.append]).status == "completed"
    assert notices == []


# ---------------------------------------------------------------- branches and items


@pytest.mark.parametrize("fast", [True, False])
def test_what_joins_two_branches_runs_once_with_the_one_that_ran(fast: bool) -> None:
    """airflow#7885, #1521, dagster#9408: a join is not skipped with a branch, and waits for the other."""

    @task
    def is_fast() -> bool:
        return fast

    @task
    def is_slow(is_fast: bool) -> bool:
        return not is_fast

    @task(when=is_fast)
    def quick() -> str:
        return "quick"

    @task(when=is_slow)
    def full() -> str:
        return "full"

    @task
    def join(built: Annotated[str, FirstOf(quick, full)]) -> str:
        return built

    @task
    def after(join: str) -> str:
        return f"after {join}"

    assert run_in_memory(after).results["after"] == ("after quick" if fast else "after full")


def test_a_branch_in_one_item_is_none_of_the_others_business() -> None:
    """airflow#67265, #30883: a member that is skipped, or fails, in one item runs in the others."""

    @task
    def numbers() -> list[int]:
        return [1, 2, 3, 4]

    def is_even(number: int) -> bool:
        return number % 2 == 0

    @task(when=is_even)
    def half(number: int) -> int:
        return number // 2

    @task
    def check(number: int, half: int | None) -> str:
        if number == 3:
            raise ValueError("three")
        return f"{number}: {half}"

    @stage
    def each(number: Annotated[int, Each(numbers, tolerate=1)], half: int | None, check: str) -> str:
        return check

    @stage
    def flow(numbers: list[int], each: list[str | Failed]) -> list[str]:
        return [str(result) for result in each]

    assert run_in_memory(flow).results["flow"] == ["1: None", "2: 1", "each[2]: ValueError: three", "4: 2"]


def test_fan_outs_nest_and_keep_their_lists_apart() -> None:
    """dagster#4364, hamilton#301, airflow#25032: a list of lists, empty ones and single ones included."""

    @task
    def rows() -> list[list[int]]:
        return [[1, 2, 3], [], [4]]

    @task
    def cells(row: list[int]) -> list[int]:
        return row

    @task
    def square(cell: Annotated[int, Each(cells)]) -> int:
        return cell * cell

    @stage
    def each_row(row: Annotated[list[int], Each(rows)], cells: list[int], square: list[int]) -> list[int]:
        return square

    @stage
    def flow(rows: list[list[int]], each_row: list[list[int]]) -> list[list[int]]:
        return each_row

    assert run_in_memory(flow).results["flow"] == [[1, 4, 9], [], [16]]


# ---------------------------------------------------------------- people

ASKS = """
@task
def ship(ok: Annotated[Approval, Ask("Ship?")]) -> str:
    note("ship")
    return ok.who
"""


def test_a_run_waits_for_a_person_without_a_process(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """dagster#8067, prefect#12279: the question and its decision outlive every process."""
    write(ASKS)
    assert cli.main(["known.py"]) == 3
    assert shown(capsys)["status"] == "waiting"
    assert cli.main(["approve", "last", "ship"]) == 0
    assert cli.main(["resume", "last"]) == 0


def test_a_resume_is_no_decision(home: Path) -> None:
    """kestra#10542, #5494: however often a waiting run is resumed, it waits until somebody has decided."""
    write(ASKS)
    assert [cli.main(["known.py"]), cli.main(["resume", "last"]), cli.main(["resume", "last"])] == [3, 3, 3]
    assert ledger() == []


def test_a_denial_is_an_outcome_of_its_own() -> None:
    """prefect#20388, dagster#11661: a no is neither a failure nor a skip, and is given to who wants it."""

    @task
    def strict(ok: Annotated[Approval, Ask("Ship?")]) -> str:
        return ok.who

    @task
    def lenient(ok: Annotated[Approval | Rejected, Ask("Ship?")]) -> str:
        return type(ok).__name__

    assert run_in_memory(strict, approvals={"strict": False}).status == "rejected"
    assert run_in_memory(lenient, approvals={"lenient": False}).results["lenient"] == "Rejected"


def test_an_abort_rolls_back_what_a_parallel_branch_did() -> None:
    """dagster#17470: clean-up belongs to the run, also of steps that had nothing to do with the failure."""
    undone: list[str] = []

    class Broken(WorkflowError):
        severity = "high"

    @task
    def server() -> str:
        return "server"

    @server.undo
    def remove(server: str) -> None:
        undone.append(server)

    @task
    def burn() -> int:
        raise Broken("it burns")

    @stage
    def flow(server: str, burn: int) -> int:
        return burn

    assert run_in_memory(flow).status == "rolled_back"
    assert undone == ["server"]


def test_a_workflow_needs_no_server_and_no_settings(home: Path) -> None:
    """prefect#18934, #19771, airflow#39402: a file, a command, and a folder beside it."""
    write("@task\ndef work() -> int:\n    return 1\n")
    assert runner.run("known.py").results["work"] == 1
    assert sorted(path.name for path in home.iterdir() if path.suffix != "" or path.name == ".gflow") == [
        ".gflow",
        "known.py",
        "pyproject.toml",
    ]
