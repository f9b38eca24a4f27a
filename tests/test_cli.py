"""The command line, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gflow import cli
from gflow.cli import COMMANDS
from gflow.cli.running import EXIT
from gflow.ownership import claim

ROOT = Path(__file__).parents[1]

FLOW = '''
"""Weigh a box."""
from pathlib import Path
from gflow import Context, Input, Workflow, parallel, sh, stage, task

workflow = Workflow(name="weigh", version="1.2")

@task
def build(kilograms: Input[int] = 3) -> int:
    print("to stdout")
    sh("echo", "from a command")
    return kilograms

@task
def check(build: int, ctx: Context) -> None:
    if build > 10: raise ValueError("too heavy")
    if build > 5: ctx.degrade("rather heavy")

@parallel
def checks(check: None) -> None: ...

@task
def ship(build: int, label: Input[str] = "box") -> str:
    return f"{label} of {build} kg"

@ship.undo
def unship(ship: str) -> None:
    """take the box back"""

@stage
def weigh(build: int, checks: None, ship: str) -> str:
    return ship
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the workflow `flow_cli.py`, and a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "GFLOW_STORE", "GFLOW_DURABILITY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    (project / "flow_cli.py").write_text(FLOW)
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("flow_cli", None)
    return project


Captured = pytest.CaptureFixture[str]


def document(capsys: Captured, *argv: str) -> dict[str, object]:
    """Run a command that prints one JSON document, and return it."""
    capsys.readouterr()
    cli.main([*argv, "--json"])
    loaded: dict[str, object] = json.loads(capsys.readouterr().out)
    return loaded


# ---------------------------------------------------------------- run, show, runs, logs, stats


def test_a_workflow_runs_by_its_path_alone(home: Path, capsys: Captured) -> None:
    """`gflow MODULE` is short for `gflow run MODULE`; progress is on stderr, what steps print on stdout."""
    assert cli.main(["flow_cli.py", "--kilograms", "4"]) == 0
    out, err = capsys.readouterr()
    assert out == "to stdout\n"
    assert "weigh 1.2" in err
    assert "✓ ship" in err
    assert "completed" in err


def test_run_prints_one_document(home: Path, capsys: Captured) -> None:
    """With --json stdout is one document, whatever the steps print."""
    told = document(capsys, "run", "flow_cli.py", "--kilograms", "4", "--label", "crate")
    assert told["status"] == "completed"
    assert told["inputs"] == {"kilograms": "4", "label": "crate"}
    assert told["results"] == {"weigh": "crate of 4 kg"}


def test_show_prints_the_same_document_as_run(home: Path, capsys: Captured) -> None:
    """`show` reads from the journal what `run` printed."""
    ran = document(capsys, "flow_cli.py")
    assert document(capsys, "show", "last") == ran


def test_looking_at_a_run_imports_no_user_code(home: Path, capsys: Captured) -> None:
    """`show`, `runs` and `logs` work when the module is gone."""
    assert cli.main(["flow_cli.py"]) == 0
    (home / "flow_cli.py").unlink()
    sys.modules.pop("flow_cli")
    capsys.readouterr()
    assert [cli.main(words) for words in (["show", "last"], ["runs"], ["logs", "last"])] == [0, 0, 0]
    out = capsys.readouterr().out
    assert "box of 3 kg" in out
    assert "from a command" in out


def test_logs_tell_events_and_lines_in_the_order_of_time(home: Path, capsys: Captured) -> None:
    """What a step's commands print stands between its start and its end."""
    cli.main(["flow_cli.py"])
    capsys.readouterr()
    cli.main(["logs", "last", "--json"])
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    of_build = [entry["message"].split(" in ")[0] for entry in entries if entry["step"] == "build"]
    assert of_build == ["attempt 1 started", "from a command", "completed"]


def test_stats_are_the_medians_of_completed_runs(home: Path, capsys: Captured) -> None:
    """`stats` counts the runs that completed and knows each step's median."""
    for _ in range(2):
        cli.main(["flow_cli.py"])
    cli.main(["flow_cli.py", "--kilograms", "11"])
    told = document(capsys, "stats", "flow_cli.py")
    assert told["runs"] == 2
    assert set(told["steps"]) == {"build", "check", "ship", "weigh"}  # type: ignore[call-overload]


def test_inputs_come_from_a_file_and_options_win(home: Path, capsys: Captured) -> None:
    """`--inputs FILE` gives values; what is typed beside it is stronger."""
    (home / "in.json").write_text('{"kilograms": 2, "label": "bag"}')
    told = document(capsys, "flow_cli.py", "--inputs", "in.json", "--label", "sack")
    assert told["results"] == {"weigh": "sack of 2 kg"}


# ---------------------------------------------------------------- failing and going on


def test_a_failure_exits_1_and_says_how_to_go_on(home: Path, capsys: Captured) -> None:
    """The end of a failed run names the step, the user's line, the error and the command."""
    assert cli.main(["flow_cli.py", "--kilograms", "12"]) == 1
    err = capsys.readouterr().err
    assert "failed: check" in err
    assert "flow_cli.py:16, in check" in err
    assert "ValueError: too heavy" in err
    assert "resume" in err
    assert "Traceback" not in err


def test_resume_takes_a_changed_input(home: Path, capsys: Captured) -> None:
    """`--set` changes an input that was not consumed; one that was is refused with exit 2."""
    cli.main(["flow_cli.py", "--kilograms", "12"])
    (home / "flow_cli.py").write_text(FLOW.replace("build > 10", "build > 20"))
    sys.modules.pop("flow_cli")
    assert cli.main(["resume", "last", "--set", "kilograms=1"]) == 2
    assert "`build` completed with it" in capsys.readouterr().err
    assert cli.main(["resume", "last", "--set", "label=chest"]) == 0
    assert "resumed" in capsys.readouterr().err
    assert document(capsys, "show", "last")["results"] == {"weigh": "chest of 12 kg"}


def test_strict_makes_a_degraded_result_a_failure(home: Path) -> None:
    """A degraded run exits 0, and 1 with --strict."""
    assert cli.main(["flow_cli.py", "--kilograms", "6"]) == 0
    assert cli.main(["flow_cli.py", "--kilograms", "6", "--strict"]) == 1


def test_a_run_that_another_process_owns_exits_75(home: Path, capsys: Captured) -> None:
    """The second process is turned away, and told who has the run."""
    cli.main(["flow_cli.py", "--kilograms", "12"])
    run = str(document(capsys, "show", "last")["id"])
    held = claim(home / ".gflow", run)
    assert cli.main(["resume", "last"]) == 75
    assert f"process {os.getpid()}" in capsys.readouterr().err
    held.release()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_interrupts_a_run_that_can_be_resumed(home: Path, number: int, code: int) -> None:
    """After the first signal the running step ends, the run is interrupted, and resume does the rest."""
    (home / "slow.py").write_text(SLOW)
    process = subprocess.Popen([sys.executable, "-m", "gflow", "slow.py"], cwd=home, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (home / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"interrupted" in err
    assert cli.main(["resume", "last"]) == 0
    assert (home / "ledger").read_text() == "first\nsecond\n"


SLOW = """
import time
from pathlib import Path
from gflow import stage, task
def note(word):
    with open("ledger", "a") as file: file.write(word + "\\n")
@task
def first() -> None:
    Path("begun").touch()
    time.sleep(0.5)
    note("first")
@task
def second(first: None) -> None: note("second")
@stage
def flow(first: None, second: None) -> None: ...
"""


def test_a_second_signal_ends_at_once(home: Path) -> None:
    """Who presses Ctrl-C twice does not wait for a step that takes an hour."""
    (home / "slow.py").write_text(SLOW.replace("0.5", "3600"))
    process = subprocess.Popen(
        [sys.executable, "-m", "gflow", "slow.py"], cwd=home, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while not (home / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130


# ---------------------------------------------------------------- looking before


def test_help_shows_description_inputs_and_defaults(home: Path, capsys: Captured) -> None:
    """`MODULE --help` is about the workflow."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["flow_cli.py", "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for words in ("weigh 1.2", "Weigh a box.", "--kilograms", "(default: 3)", "--plan"):
        assert words in out


def test_a_plan_runs_nothing_and_writes_nothing(home: Path, capsys: Captured) -> None:
    """`--plan` shows order and undo, and leaves no trace."""
    assert cli.main(["flow_cli.py", "--plan"]) == 0
    out = capsys.readouterr().out
    assert "take the box back" in out
    assert "nothing was run" in out
    assert not (home / ".gflow").exists()


@pytest.mark.parametrize("form", ["text", "mermaid", "json"])
def test_graph_draws_without_running(home: Path, capsys: Captured, form: str) -> None:
    """Every form of the graph names every step; `--why` says where a parameter comes from."""
    assert cli.main(["graph", "flow_cli.py", "--format", form]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("build", "check", "ship", "weigh"))
    assert cli.main(["graph", "flow_cli.py", "--why", "ship"]) == 0
    assert "flow_cli.py:" in capsys.readouterr().out


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shwo", "last"], "did you mean `show`"),
        (["flow_cly.py"], "did you mean `flow_cli.py`"),
        (["run", "no.such.module"], "there is no module"),
        (["run"], "no MODULE was given"),
        (["flow_cli.py", "--kilogram", "3"], "did you mean `--kilograms`"),
        (["flow_cli.py", "--kilograms", "much"], "kilograms"),
        (["flow_cli.py", "--inputs", "gone.json"], "gone.json"),
        (["show", "zzzz"], "there is no run"),
        (["resume", "last"], "there is no run"),
        (["explain", "GF999"], "GF999"),
        (["--json", "flow_cli.py"], "comes before"),
        (["resume", "x", "--set", "novalue"], "--set NAME=VALUE"),
    ],
)
def test_bad_usage_is_one_message_and_exit_2(
    home: Path, capsys: Captured, words: list[str], message: str
) -> None:
    """What cannot be used is answered once, without a traceback, and nothing is written."""
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (home / ".gflow").exists()


def test_a_state_folder_that_cannot_be_written_exits_74(home: Path, capsys: Captured) -> None:
    """A file where the state folder should be is a store error."""
    (home / "taken").touch()
    assert cli.main(["flow_cli.py", "--store", "taken"]) == 74
    assert "taken" in capsys.readouterr().err


def test_windows_is_told_about_wsl(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """On Windows there is one message, and it names WSL."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert cli.main(["runs"]) == 2
    assert "WSL" in capsys.readouterr().err


# ---------------------------------------------------------------- check, explain, new, doctor


def test_check_reports_eight_mistakes_at_once(capsys: Captured) -> None:
    """One pass finds a cycle, a type mismatch, a near miss and five more, each with its code."""
    case = ROOT / "tests" / "diagnostics" / "eight_at_once.py"
    assert cli.main(["check", str(case), "--json"]) == 2
    findings = json.loads(capsys.readouterr().out)["findings"]
    codes = {finding["code"] for finding in findings if finding["severity"] == "error"}
    assert len(codes) == 8


def test_check_prints_annotations_for_github(capsys: Captured) -> None:
    """`--format github` prints workflow commands."""
    case = ROOT / "tests" / "diagnostics" / "eight_at_once.py"
    assert cli.main(["check", str(case), "--format", "github"]) == 2
    assert capsys.readouterr().out.startswith("::error file=")


def test_new_writes_a_workflow_and_a_test_that_are_green_at_once(home: Path) -> None:
    """What `gflow new` writes compiles without findings, runs, and passes its test."""
    assert cli.main(["new", "hello_new"]) == 0
    assert cli.main(["check", "hello_new.py"]) == 0
    assert cli.main(["hello_new.py", "--greeting", "hi"]) == 0
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_hello_new.py"],
        cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "2 passed" in tested.stdout


@pytest.mark.parametrize("name", ["json", "new-api", "class", "flow_cli"])
def test_new_refuses_a_name_that_would_not_work(home: Path, name: str) -> None:
    """A name that is taken or no identifier is refused, and nothing is written."""
    before = sorted(home.iterdir())
    assert cli.main(["new", name]) == 2
    assert sorted(home.iterdir()) == before


def test_doctor_finds_a_healthy_state_and_a_loose_key(home: Path, capsys: Captured) -> None:
    """A key that others can read makes doctor exit 1."""
    cli.main(["flow_cli.py"])
    assert document(capsys, "doctor")["healthy"] is True
    for key in (home.parent / "home").rglob("*.key"):
        key.chmod(0o644)
    assert cli.main(["doctor"]) == 1
    assert "BAD" in capsys.readouterr().out


FORGED = {
    "nothing": None, "bytes": b"\x80\x1b[2J", "text": "\x1b]0;gotcha\x07\x1b[31mred\x9b31m", "a number": 7,
    "a huge number": 2**63 - 1, "no time": 9e300, "before all times": -9e15, "infinity": float("inf"),
    "a path": "../../else", "a nest": "[" * 100_000, "a list": "[]", "two lines": "k3f9\ncompleted",
}  # fmt: skip
COLUMNS = ("id", "workflow", "module", "status", "created", "ended", "summary")


@pytest.fixture
def forge(home: Path) -> Callable[[str, object], None]:
    """Return what writes anything into a column of the list of runs, as whoever can write the file can."""
    assert cli.main(["flow_cli.py"]) == 0
    database = sqlite3.connect(home / ".gflow" / "state.db", isolation_level=None)
    genuine = database.execute("SELECT * FROM run").fetchone()
    database.execute("DROP TABLE run")
    database.execute(f"CREATE TABLE run(seq INTEGER PRIMARY KEY, {', '.join(COLUMNS)})")
    database.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?)", genuine)
    database.close()

    def forge(column: str, value: object) -> None:
        with closing(sqlite3.connect(home / ".gflow" / "state.db", isolation_level=None)) as database:
            database.execute(f"UPDATE run SET {column} = ?", (value,))

    return forge


@pytest.mark.parametrize("status", ["completed", "running"])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_forged_list_of_runs_does_no_harm(
    column: str, status: str, forge: Callable[[str, object], None], capsys: Captured
) -> None:
    """Whatever stands in the list of runs, which is not signed: one clear line, and no escape sequence."""
    forge("status", status)
    capsys.readouterr()
    for name, value in FORGED.items():
        forge(column, value)
        for words in LOOKING:
            code = cli.main(words)
            out, err = capsys.readouterr()
            assert code in ((0, 1) if words[0] == "doctor" else (0, 74)), (name, words, err)
            assert (code == 74) == err.startswith("gflow: ")
            assert not any(char in out + err for char in "\x1b\x07\x9b"), (name, words)


LOOKING = (
    ["runs"], ["runs", "--json"], ["doctor"], ["show", "last"], ["show", "last", "--json"], ["logs", "last"],
    ["stats", "flow_cli.py"], ["rollback", "last", "--to", "start", "--plan"],
)  # fmt: skip


def test_a_forged_id_in_a_message_is_shown_without_its_escape_sequences(
    home: Path, forge: Callable[[str, object], None], capsys: Captured
) -> None:
    """What an error quotes of the list of runs is harmless on a terminal."""
    forge("workflow", "\x1b[31mred")
    with closing(sqlite3.connect(home / ".gflow" / "state.db", isolation_level=None)) as database:
        database.execute(f"INSERT INTO run({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} FROM run")
    run = document(capsys, "runs")["runs"][0]["id"]  # type: ignore[index]
    assert cli.main(["show", run[:2]]) == 2
    err = capsys.readouterr().err
    assert "names 2 runs" in err
    assert "\x1b" not in err


# ---------------------------------------------------------------- documentation


def test_every_option_is_documented(home: Path, capsys: Captured) -> None:
    """command-line.md names every command and every option that a --help shows."""
    page = (ROOT / "gflow" / "docs" / "command-line.md").read_text()
    for command in COMMANDS:
        assert f"`{command.name}" in page or f"{command.name}`" in page
        with pytest.raises(SystemExit):
            cli.main([command.name, "--help"])
        shown = capsys.readouterr().out
        for word in shown.split():
            option = word.strip(",[]").partition("=")[0]
            if option.startswith("--"):
                assert option in page, f"{command.name} {option}"


def test_every_exit_code_is_documented() -> None:
    """command-line.md has a row for every exit code that run and resume can have now."""
    page = (ROOT / "gflow" / "docs" / "command-line.md").read_text()
    for code in (0, 1, 2, 74, 75, 130):
        assert f"| {code}" in page
    assert EXIT["completed"] == 0
