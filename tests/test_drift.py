"""What becomes of completed steps whose code has changed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gflow import cli
from gflow.drift import Drift, refusal, warning
from gflow.events import Claimed, Created, Done, Outline, Ref, Reverted, Started
from gflow.state import State
from tests.crash.edits import EDITS, STATES, WORKFLOW, Edit, Where, decisions

LINE = "    return first + count"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, and a process that is as before when the test is over."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("GFLOW_KEY", bytes(32).hex())
    monkeypatch.setenv("GFLOW_DURABILITY", "process")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GFLOW_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


@pytest.mark.parametrize("where", STATES)
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_is_decided_by_what_changed_and_who_reads_it(project: Path, edit: Edit, where: Where) -> None:
    """Each edit is ignored, told or refused as the table says, in each of the three states."""
    decided, _ = decisions(edit, where)
    assert decided == edit.decision(where)


# ---------------------------------------------------------------- on the command line


class Flow:
    """A run that stopped in `reader`, whose workflow can be edited."""

    def __init__(self, project: Path) -> None:
        self.path = project / "edited.py"
        (project / "ran.txt").write_text("")
        (project / "stop.txt").write_text("reader")
        self.path.write_text(WORKFLOW)
        assert self.gflow("edited.py") == 1

    def gflow(self, *words: str) -> int:
        """Call gflow as from a new process."""
        sys.modules.pop("edited", None)
        return cli.main([*words])

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    def rounds(self) -> int:
        return len(Path("ran.txt").read_text().splitlines())


def test_a_changed_body_is_told_with_what_to_type(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning names the step and `--rerun`, on the terminal and in the log of the run."""
    flow = Flow(project)
    Path("stop.txt").write_text("")
    flow.edit(LINE, "    return first - count")
    assert flow.gflow("resume", "last") == 0
    said = capsys.readouterr().err
    assert "`made` has changed since it completed, and keeps its value · gflow resume " in said
    assert "--rerun made runs it again" in said
    assert flow.gflow("logs", "last") == 0
    assert "`made` has changed since it completed" in capsys.readouterr().out


def test_a_refusal_is_a_table_and_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed signature that is read exits 2 with what it was, what it is, and three ways to go on."""
    flow = Flow(project)
    flow.edit("= 3) -> int:", "= 3) -> bool:")
    capsys.readouterr()
    before = flow.rounds()
    assert flow.gflow("resume", "last") == 2
    said = capsys.readouterr().err
    for words in ("was (count: int = 3, first: int, second: int) -> int", "-> bool", "read by reader"):
        assert words in said
    for words in ("--rerun made", "--at made", "or put the code back"):
        assert words in said
    assert flow.rounds() == before
    assert flow.gflow("show", "last") == 0
    assert "resumed" not in capsys.readouterr().out


@pytest.mark.parametrize("remedy", ["rerun", "rerun of what it is made from", "put back"])
def test_each_remedy_of_a_refusal_helps(project: Path, remedy: str) -> None:
    """After a rerun of the step, or of one before it, or with the old code, the run completes."""
    flow = Flow(project)
    Path("stop.txt").write_text("")
    flow.edit("= 3) -> int:", "= 3) -> bool:")
    assert flow.gflow("resume", "last") == 2
    if remedy == "put back":
        flow.edit("= 3) -> bool:", "= 3) -> int:")
    rerun = {"rerun": ["--rerun", "made"], "put back": []}.get(remedy, ["--rerun", "first"])
    assert flow.gflow("resume", "last", *rerun) == 0


def test_a_rerun_of_something_else_does_not_help(project: Path) -> None:
    """What a rerun does not take back is refused before anything is taken back."""
    flow = Flow(project)
    flow.edit("= 3) -> int:", "= 3) -> bool:")
    before = flow.rounds()
    assert flow.gflow("resume", "last", "--rerun", "reader") == 2
    assert flow.rounds() == before


def test_a_step_is_compared_with_the_code_it_completed_with(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second resume tells what the first one told: that the code has been claimed since changes nothing."""
    flow = Flow(project)
    flow.edit(LINE, "    return first - count")
    for _ in range(2):
        assert flow.gflow("resume", "last") == 1
        assert "`made` has changed" in capsys.readouterr().err
    flow.edit("    return first - count", LINE)
    assert flow.gflow("resume", "last") == 1
    assert "`made` has changed" not in capsys.readouterr().err


def test_a_value_whose_class_is_gone_is_named_with_its_step(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value that cannot be read back stops the run with its step, the class and `--rerun`, exit 74."""
    flow = Flow.__new__(Flow)
    flow.path = project / "edited.py"
    (project / "ran.txt").write_text("")
    (project / "stop.txt").write_text("reader")
    box = "class Box(int): ...\n\n\n@task\ndef first() -> int:\n    return Box(1)"
    flow.path.write_text(
        WORKFLOW.replace("@task\ndef first() -> int:\n    return 1", box).replace(
            "reader(made: int)", "reader(made: int, first: int)"
        )
    )
    assert flow.gflow("edited.py") == 1
    (project / "stop.txt").write_text("")
    flow.edit("class Box(int): ...\n", "")
    capsys.readouterr()
    assert flow.gflow("resume", "last") == 74
    said = capsys.readouterr().err
    assert "the value of first cannot be read back: edited.Box" in said
    assert "--rerun first" in said
    assert "Traceback" not in said


# ---------------------------------------------------------------- the fold, and the words


def outline(body: str | None) -> Outline:
    return Outline("made", "task", None, None, [], [], None, None, False, body, body)


def test_the_fold_keeps_the_outline_of_completed_steps_only() -> None:
    """What completes after a change belongs to the new outline, and what begins anew to none."""
    ref = Ref(1, 0, 1, "")
    state = State()
    state.apply(0.0, Created("w", "", "w", [outline("1")], [], ref, {}, "", ""))
    state.apply(0.0, Claimed("here", 1))
    state.apply(0.0, Started("made", 1))
    state.apply(0.0, Claimed("here", 1, [outline("2")]))
    assert state.slots["made"].outline is None
    state.apply(0.0, Done("made", ref, "", 0.0))
    for body in "345":
        state.apply(0.0, Claimed("here", 1, [outline(body)]))
    assert state.slots["made"].outline == outline("2")
    state.apply(0.0, Reverted(["made"]))
    assert state.slots["made"].outline is None


def test_several_refusals_have_a_remedy_of_their_own() -> None:
    """One step can be run again by itself; for several there is a rollback to a step before them."""
    drifts = [Drift(name, "signature", "()", "(x)", ("reader",)) for name in ("a", "b")]
    assert refusal("k3f9", drifts[:1])[1] == ""
    assert "gflow rollback k3f9 --to" in refusal("k3f9", drifts)[1]


def test_what_is_said_of_a_step_fits_what_happened() -> None:
    """A changed body, a signature that nobody reads and a step that is gone are told apart."""
    said = [warning("k3f9", Drift("a", kind)) for kind in ("body", "signature", "removed")]
    assert len(set(said)) == 3
    assert os.linesep not in "".join(said)
