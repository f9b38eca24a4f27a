"""Runs that kill their process again and again: they are given up, with a verdict that names the step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gflow import poison
from gflow.events import (
    Claimed,
    Created,
    Done,
    Event,
    Outline,
    Ref,
    Reset,
    Started,
    StatusChanged,
    Tripped,
    Undone,
)
from gflow.state import State

STEPS = [
    Outline(name, "task", None, None, after, [], "take it back", None)
    for name, after in (("a", []), ("b", ["a"]), ("c", ["b"]), ("d", []))
]


def state_of(*events: Event) -> State:
    created = Created("w", "1", "m", STEPS, ["c"], Ref(1, 0, 1, "t"), {}, "0", "3")
    state = State()
    for event in [created, Claimed("h", 1), StatusChanged("running"), *events]:
        state.apply(0.0, event)
    return state


def dying(times: int, *steps: str) -> list[Event]:
    """Return what a run's journal says that died so often, and was taken up again but for the last time."""
    starts: list[Event] = [Started(step, 1) for step in steps]
    return [*starts, *[Claimed("h", 1), StatusChanged("running"), *starts] * (times - 1)]


def completed(*names: str) -> list[Event]:
    return [event for name in names for event in (Started(name, 1), Done(name, None, name, 0.1))]


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_run_that_died_a_few_times_goes_on(times: int) -> None:
    """Four deaths may be chance."""
    assert poison.verdict(state_of(*dying(times, "a"))) == []


def test_the_fifth_death_is_the_last() -> None:
    """The run has failed, and so has the step that ran each time; one that ran twice has not."""
    events = [Started("d", 1), *dying(5, "a"), Started("d", 2)]
    *trips, end = poison.verdict(state_of(*events))
    assert end == StatusChanged("failed", "poison: its process died 5 times in a row")
    assert trips == [
        Tripped(
            "a", "Poison", "its process died 5 times in a row while this ran", [], "medium", "stop", None, 0.0
        )
    ]


def test_nobody_is_accused_without_evidence() -> None:
    """If no step ran at every death, the verdict names none."""
    events = [*dying(2, "a"), Claimed("h", 1), StatusChanged("running"), *dying(3, "d")]
    assert poison.verdict(state_of(*events)) == [
        StatusChanged("failed", "poison: its process died 5 times in a row")
    ]


def test_after_the_verdict_the_count_begins_anew() -> None:
    """Whoever resumes a poisoned run was told so: it may die four times again before the next verdict."""
    dead = state_of(*dying(5, "a"))
    told = [Claimed("h", 1), *poison.verdict(dead)]
    again = state_of(*dying(5, "a"), *told, Claimed("h", 1), StatusChanged("running"), *dying(4, "a"))
    assert poison.verdict(again) == []
    fifth = [Claimed("h", 1), StatusChanged("running"), Started("a", 1)]
    for event in fifth:
        again.apply(0.0, event)
    assert poison.verdict(again) != []


@pytest.mark.parametrize("status", ["completed", "failed", "interrupted", "cancelled", "rolled_back"])
def test_only_what_was_under_way_is_given_up(status: str) -> None:
    """A run that ended in order did not die."""
    assert poison.verdict(state_of(*dying(5, "a"), StatusChanged(status))) == []


BACK = [Reset("rollback", "start", 1, ["a", "b", "c", "d"]), StatusChanged("rolling_back")]


def test_a_rollback_that_dies_five_times_is_left_incomplete() -> None:
    """The undo that it was at counts as failed, and what is left is listed."""
    state = state_of(*completed("a", "b", "c"), *BACK, Undone("c"), *[Claimed("h", 1)] * 4)
    assert poison.verdict(state) == [
        Undone("b", "its process died 5 times in a row with it", deadly=True),
        StatusChanged(
            "rollback_incomplete", "to start; left: b, a; poison: its process died 5 times in a row"
        ),
    ]


def test_an_undo_that_fails_each_time_is_not_the_one_that_kills() -> None:
    """A failure that is written down is none of the deaths; what it holds back was not tried."""
    state = state_of(
        *completed("a", "d", "b", "c"), *BACK, Undone("c", "no"), *[Claimed("h", 1), Undone("c", "no")] * 4
    )
    first = poison.verdict(state)[0]
    assert isinstance(first, Undone)
    assert first.path == "d"


# ---------------------------------------------------------------- with real processes

FLOW = '''
import os
from pathlib import Path
from gflow import stage, task

@task
def one() -> int: return 1
@one.undo
def not_one(one: int) -> None:
    """take one back"""
    with open("undone", "a") as file: file.write("one")

@task
def two(one: int) -> int:
    if Path("deadly").exists(): os._exit(9)
    return one + 1
@two.undo
def not_two(two: int) -> None:
    """take two back"""
    if Path("deadly").exists(): os._exit(9)

@stage
def flow(one: int, two: int) -> int: return two
'''

CHILDREN = """
import os, sys
from gflow import cli
for words in sys.argv[1:]:
    pid = os.fork()
    if pid == 0:
        os._exit(cli.main(words.split()))
    print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the workflow `flow.py`, and a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "GFLOW_STORE", "GFLOW_KEY", "GFLOW_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GFLOW_DURABILITY", "process")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    (project / "flow.py").write_text(FLOW)
    (project / "deadly").touch()
    return project


def called(home: Path, *commands: str) -> tuple[list[int], str]:
    """Call gflow in one process after another; return the exit codes, and all it said."""
    words = [sys.executable, "-c", CHILDREN, *commands]
    done = subprocess.run(words, cwd=home, capture_output=True, text=True, check=True)
    return [int(line.removeprefix("exit ")) for line in done.stdout.splitlines()], done.stderr


def test_a_run_that_kills_its_process_five_times_fails(home: Path) -> None:
    """The fifth resume calls nothing, says why, and what to do; then a resume tries again."""
    codes, said = called(home, "run flow.py", *["resume last"] * 5)
    assert codes == [9] * 5 + [1]
    assert "✗ two" in said
    assert "failed (poison: its process died 5 times in a row): two (50.0% complete)" in said
    for command in ("logs", "resume", "rollback"):
        assert f"gflow {command} " in said.partition("failed (poison")[2]
    assert called(home, "resume last")[0] == [9]
    (home / "deadly").unlink()
    assert called(home, "resume last")[0] == [0]


def test_a_poisoned_run_can_be_taken_back(home: Path) -> None:
    """The verdict leaves the ways back open."""
    called(home, "run flow.py", *["resume last"] * 5)
    (home / "deadly").unlink()
    assert called(home, "rollback last --to start --yes --force", "resume last")[0] == [0, 0]


def test_a_rollback_that_kills_its_process_five_times_is_incomplete(home: Path) -> None:
    """It exits 5 and lists what is left; with --force the deadly undo is not even tried."""
    (home / "deadly").unlink()
    called(home, "run flow.py")
    (home / "deadly").touch()
    back = "rollback last --to start --yes"
    codes, said = called(home, back, *["resume last"] * 3, back, "resume last")
    assert codes == [9] * 5 + [5]
    assert "rollback_incomplete (to start; left: two, one; poison: its process died 5 times in a row)" in said
    assert not (home / "undone").exists()
    assert called(home, back, f"{back} --force")[0] == [9, 0]
    assert (home / "undone").read_text() == "one"
