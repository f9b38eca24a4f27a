"""The canary recipe as a user runs it: every command is a process of its own, and some are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gflow.testing import run_in_memory
from recipes import canary as recipe

OLD = {"a": "1.0", "b": "1.0", "c": "1.0"}
HALF = {**OLD, "a": "1.1"}
NEW = dict.fromkeys("abc", "1.1")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with a home of its own."""
    for name in ("XDG_CONFIG_HOME", "GFLOW_STORE", "GFLOW_KEY", "GFLOW_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    monkeypatch.chdir(folder)
    return folder


def gflow(*words: str) -> int:
    """Run a command as a child without a terminal, and return its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "gflow", *words], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.returncode


def served(project: Path) -> Mapping[str, str]:
    """Return which version each server serves."""
    return {name: (project / "fleet" / name / "index.html").read_text().split()[1] for name in "abc"}


def kill_while_it_asks() -> None:
    """Start a run on a terminal, wait for its question, and kill it there."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "gflow", "recipes.canary"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        shown = b""
        while b"Promote it" not in shown:
            shown += os.read(ours, 4096)
        child.kill()
    os.close(ours)
    assert child.returncode == -signal.SIGKILL


KILLED_IN_AN_UNDO = """
import os, sys
from recipes import canary
point, server, acts = canary.point, sys.argv[1], sys.argv[2] == "True"
def dies(fleet, links):
    if server not in links or acts:
        point(fleet, links)
    if server in links:
        os.kill(os.getpid(), 9)
canary.point = dies
from gflow import cli
cli.main(["resume", "last"])
"""


def kill_in_the_undo_of(server: str, *, acts: bool) -> None:
    """Resume the last run; the undo that has to do with a server is killed, before or after it has acted."""
    words = [sys.executable, "-c", KILLED_IN_AN_UNDO, server, str(acts)]
    killed = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


def test_a_yes_promotes_the_canary(project: Path) -> None:
    """The run ends waiting with the release on one server; a yes brings it to all."""
    assert gflow("recipes.canary") == 3
    assert served(project) == HALF
    assert gflow("approve", "last", "promote", "--resume") == 0
    assert served(project) == NEW


def test_a_no_withdraws_the_canary(project: Path) -> None:
    """A no is a failure of high severity: every server serves what it did before, and the exit code is 4."""
    assert gflow("recipes.canary") == 3
    assert gflow("reject", "last", "promote", "--comment", "too slow", "--resume") == 4
    assert served(project) == OLD


@pytest.mark.parametrize(("answer", "code", "after"), [("approve", 0, NEW), ("reject", 4, OLD)])
def test_killed_while_it_waits(project: Path, answer: str, code: int, after: Mapping[str, str]) -> None:
    """A run that is killed at its question can be answered and resumed: it ends as if it had lived."""
    kill_while_it_asks()
    assert served(project) == HALF
    assert gflow("resume", "last") == 3
    assert gflow(answer, "last", "promote") == 0
    assert gflow("resume", "last") == code
    assert served(project) == after


@pytest.mark.parametrize("acts", [False, True])
def test_killed_while_it_rolls_back(project: Path, *, acts: bool) -> None:
    """A rollback that is killed in each of its undos, before or after the deed, is finished by resume."""
    assert gflow("recipes.canary") == 3
    assert gflow("reject", "last", "promote") == 0
    kill_in_the_undo_of("b", acts=acts)
    assert served(project) == HALF
    kill_in_the_undo_of("a", acts=acts)
    assert served(project) == (OLD if acts else HALF)
    assert gflow("resume", "last") == 4
    assert served(project) == OLD


def test_a_promotion_can_be_taken_back(project: Path) -> None:
    """A rollback to the canary leaves it the release, one to the start takes that away as well."""
    assert gflow("recipes.canary", "--approve", "promote") == 0
    assert gflow("rollback", "last", "--to", "canary", "--yes") == 0
    assert served(project) == HALF
    assert gflow("rollback", "last", "--to", "start", "--yes") == 0
    assert served(project) == OLD


def test_a_fleet_of_ones_own(project: Path) -> None:
    """Servers that are there keep their releases until somebody agrees; the first by name is the canary."""
    recipe.point(Path("mine"), {"x": recipe.write(Path("mine"), "2.0"), "y": Path("releases/1.9")})
    inputs = {"fleet": "mine", "version": "2.1"}
    run = run_in_memory(recipe, inputs=inputs)
    assert run.status == "waiting"
    assert run.steps["promote"].preview == "x serves 2.1. Promote it to all servers?"
    assert run_in_memory(recipe, inputs=inputs, approvals={"promote": True}).results["rollout"] == (
        "x serves 2.1, y serves 2.1"
    )


def test_the_recipe_is_short() -> None:
    """The recipe has at most 80 lines."""
    assert len(Path(recipe.__file__).read_text().splitlines()) <= 80
