"""What a fork takes over from another run, and what becomes of it."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gflow
from gflow import cli, runner, session
from gflow.adoption import adopted
from gflow.errors import BadInputs, StoreError, UsageError
from gflow.events import Adopted, Created, Done, Event, Outline, Ref, Reset, Started, StatusChanged, Undone
from gflow.model import Run
from gflow.ownership import claim
from gflow.rollback import Order
from gflow.state import State
from gflow.stores.sqlite import SqliteStore


def step(name: str, *after: str, group: str | None = None, joins: tuple[str, ...] = ()) -> Outline:
    kind = "stage" if joins else "task"
    return Outline(name, kind, None, group, list(after), list(joins), None, None)  # type: ignore[arg-type]


STEPS = [
    step("flow", joins=("build", "checks", "ship")),
    step("build", group="flow"),
    step("checks", "build", group="flow", joins=("lint", "test")),
    step("lint", group="checks"),
    step("test", "build", group="checks"),
    step("ship", "checks", group="flow"),
]


def state_of(*events: Event, steps: list[Outline] = STEPS) -> State:
    state = State()
    for event in [Created("w", "1", "m", steps, ["flow"], Ref(1, 0, 1, "t"), {}, "0", "3"), *events]:
        state.apply(0.0, event)
    return state


def done(*names: str) -> list[Event]:
    return [event for n in names for event in (Started(n, 2), Done(n, Ref(3, 0, 1, n), n.upper(), 0.5))]


EVERYTHING = done("build", "lint", "test", "checks", "ship", "flow")


def names(shared: list[Adopted]) -> list[str]:
    return [each.path for each in shared]


# ---------------------------------------------------------------- which steps


@pytest.mark.parametrize(
    ("at", "shared"),
    [
        ("ship", ["build", "checks", "lint", "test"]),
        ("test", ["build", "lint"]),
        ("lint", ["build", "test"]),
        ("checks", ["build"]),
        ("build", []),
        ("flow", []),
    ],
)
def test_what_is_not_after_the_step_is_shared(at: str, shared: list[str]) -> None:
    """A fork takes over what the graph does not order after its step; a group stands for all inside it."""
    assert names(adopted(state_of(*EVERYTHING), "k3f9", STEPS, at)) == shared


def test_only_what_is_completed_is_shared() -> None:
    """What failed, runs or was taken back begins anew."""
    undone: list[Event] = [
        Reset("rollback", "build", 1, ["lint"]),
        StatusChanged("rolling_back"),
        Undone("lint"),
    ]
    state = state_of(*done("build", "lint"), Started("test", 1), *undone)
    assert names(adopted(state, "k3f9", STEPS, "ship")) == ["build"]


def test_a_value_is_shared_with_its_place() -> None:
    """The reference, the preview and the place that signs it are those of the step that completed."""
    marked = Done("build", Ref(3, 0, 1, "t"), "a wheel", 0.5, "no network")
    (shared,) = adopted(state_of(Started("build", 4), marked), "k3f9", STEPS, "checks")
    assert shared == Adopted("build", Ref(3, 0, 1, "t"), "a wheel", 0.5, "no network", "k3f9", 0, 4)


def test_a_fork_of_a_fork_names_the_first_run() -> None:
    """What a fork has taken over itself lies where it always lay."""
    shared = Adopted("build", Ref(3, 0, 1, "t"), "a wheel", 0.5, None, "k3f9", 2, 4)
    assert adopted(state_of(shared, *done("lint")), "zzzz", STEPS, "test") == [
        shared,
        Adopted("lint", Ref(3, 0, 1, "lint"), "LINT", 0.5, None, "zzzz", 0, 2),
    ]


def test_what_came_after_the_step_when_it_ran_is_not_shared() -> None:
    """A workflow that has changed cannot make a value of another run older than it is."""
    now = [replace_after(each) if each.name == "test" else each for each in STEPS]
    assert names(adopted(state_of(*EVERYTHING), "k3f9", now, "build")) == []


def replace_after(outline: Outline) -> Outline:
    return outline._replace(after=[], group=None)


def test_a_step_remembers_what_it_was_like() -> None:
    """A step that has changed since is shared with its old outline, so that a resume can tell."""
    old = STEPS[1]._replace(body="old")
    state = state_of(*done("build"), steps=[STEPS[0], old, *STEPS[2:]])
    assert [each.outline for each in adopted(state, "k3f9", STEPS, "checks")] == [old]
    assert [each.outline for each in adopted(state, "k3f9", [STEPS[0], old, *STEPS[2:]], "checks")] == [None]


@given(st.integers(0, 2**32 - 1))
def test_nothing_shared_was_made_from_what_is_made_anew(seed: int) -> None:
    """Whatever the graph: a shared step comes after shared steps only."""
    dice = __import__("random").Random(seed)
    every = [f"s{i}" for i in range(8)]
    steps = [step(name, *dice.sample(every[:i], min(i, dice.randint(0, 2)))) for i, name in enumerate(every)]
    at = dice.choice(every)
    shared = set(names(adopted(state_of(*done(*every), steps=steps), "k3f9", steps, at)))
    assert all(set(each.after) <= shared for each in steps if each.name in shared)
    assert shared.isdisjoint(Order(steps).after(at, inclusive=True))


# ---------------------------------------------------------------- carried out

FLOW = '''
from pathlib import Path
from gflow import Context, Input, Secret, stage, task

def note(word):
    with open("ledger", "a") as file: file.write(word + "\\n")

@task
def build(size: Input[int] = 3) -> bytes:
    note("+build")
    return bytes(size)
@build.undo
def unbuild(build: bytes) -> None:
    """remove the build"""
    note("-build")

@task
def check(build: bytes, token: Input[Secret] = Secret("env:TOKEN")) -> int:
    note("+check")
    return len(build)

@task
def ship(build: bytes, check: int, to: Input[str] = "here") -> str:
    note(f"+ship {to}")
    if Path("broken").exists(): raise ValueError("broken")
    return f"{check} bytes {to}"
@ship.undo
def unship(ship: str, build: bytes) -> None:
    """take it back"""
    note(f"-ship {len(build)}")

@stage
def flow(build: bytes, check: int, ship: str) -> str: return ship
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the workflow `forked.py`, and a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "GFLOW_STORE", "GFLOW_KEY", "GFLOW_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GFLOW_DURABILITY", "process")
    monkeypatch.setenv("TOKEN", "hunter2hunter2")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", list(sys.path))
    write(project, FLOW)
    return project


def write(home: Path, text: str) -> None:
    (home / "forked.py").write_text(text)
    sys.modules.pop("forked", None)


def ledger(home: Path) -> list[str]:
    path = home / "ledger"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def back(run_id: str, to: str = "start") -> Run:
    return anyio.run(runner.roll_back, run_id, to, session.Settings(folder=Path(".gflow")))


@pytest.mark.parametrize("size", [3, 100_000], ids=["in its round", "in a file"])
def test_a_fork_runs_what_is_left(home: Path, size: int) -> None:
    """It has its own id, shares the values before its step, and runs that and the rest with new inputs."""
    old = gflow.run("forked.py", size=size)
    assert ledger(home) == ["+build", "+check", "+ship here"]
    new = gflow.fork(old.id, at="ship", to="there")
    assert ledger(home) == ["+ship there"]
    assert new.id != old.id
    assert (new.results["flow"], old.results["flow"]) == (f"{size} bytes there", f"{size} bytes here")
    assert len(new.value("build")) == size
    assert new.forked == (old.id, "ship")
    assert [name for name, each in new.steps.items() if each.kept] == ["build", "check"]


def test_a_failed_run_can_be_forked_and_stays_as_it_is(home: Path) -> None:
    """The other run is only read: it can still be resumed."""
    (home / "broken").touch()
    old = gflow.run("forked.py")
    (home / "broken").unlink()
    assert gflow.fork(old.id, at="ship").status == "completed"
    ledger(home)
    assert gflow.resume(old.id).status == "completed"
    assert ledger(home) == ["+ship here"]


def test_a_run_that_another_process_has_can_be_forked(home: Path) -> None:
    """What has completed in a live run is true; a fork needs no more."""
    old = gflow.run("forked.py")
    held = claim(home / ".gflow", old.id)
    assert gflow.fork(old.id, at="ship").status == "completed"
    held.release()


def test_a_fork_of_a_fork_reads_the_first_run(home: Path) -> None:
    """Each value lies where it was made, however often it was shared."""
    first = gflow.run("forked.py", size=100_000)
    second = gflow.fork(first.id, at="check")
    third = gflow.fork(second.id, at="ship")
    assert third.results["flow"] == "100000 bytes here"
    assert len(third.value("build")) == 100_000


def test_a_fork_that_failed_can_be_resumed(home: Path) -> None:
    """A fork is a run like others: what it shares is kept."""
    old = gflow.run("forked.py")
    (home / "broken").touch()
    new = gflow.fork(old.id, at="ship")
    assert new.status == "failed"
    (home / "broken").unlink()
    ledger(home)
    assert gflow.resume(new.id).results["flow"] == "3 bytes here"
    assert ledger(home) == ["+ship here"]


def test_a_rollback_of_a_fork_leaves_what_it_shares(home: Path) -> None:
    """What belongs to the other run is not undone here, and does not run again."""
    old = gflow.run("forked.py")
    new = gflow.fork(old.id, at="ship")
    ledger(home)
    assert back(new.id).status == "rolled_back"
    assert ledger(home) == ["-ship 3"]
    assert gflow.resume(new.id).status == "completed"
    assert ledger(home) == ["+ship here"]


def test_the_plan_says_whom_a_shared_step_belongs_to(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`rollback --plan` lists what is shared as what stays."""
    old = gflow.run("forked.py")
    gflow.fork(old.id, at="ship")
    assert cli.main(["rollback", "last", "--to", "start", "--plan"]) == 0
    out = capsys.readouterr().out
    assert "1 ship   take it back: 3 bytes here" in out
    assert f"· build  stays as it is: belongs to run {old.id}" in out


def test_a_shared_step_is_not_rerun(home: Path) -> None:
    """`--rerun` of what belongs to another run is refused, with the command that forks there."""
    old = gflow.run("forked.py")
    new = gflow.fork(old.id, at="ship")
    ledger(home)
    with pytest.raises(UsageError, match=f"`build` belongs to run {old.id}") as caught:
        anyio.run(rerun, new.id, "build")
    assert caught.value.remedy == f"gflow fork {old.id} --at build"
    assert ledger(home) == []


async def rerun(run_id: str, step_name: str) -> Run:
    return await runner.go_on(run_id, {}, session.Settings(folder=Path(".gflow")), rerun=step_name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at", "shpi"], "did you mean `ship`"),
        (["--at", "ship", "--set", "size=4"], "`size` cannot be changed: `build` completed with it"),
        (["--at", "ship", "--set", "speed=4"], "`speed` is not an input"),
        ([], "--at"),
    ],
)
def test_bad_usage(home: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong step or input is one message and exit 2; there is no new run."""
    gflow.run("forked.py")
    assert cli.main(["fork", "last", *words]) == 2
    assert message in capsys.readouterr().err
    assert len(list((home / ".gflow" / "locks").iterdir())) == 1


def test_a_fork_is_shown_as_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fork`, `show`, `logs` and `runs` say where it comes from."""
    old = gflow.run("forked.py")
    assert cli.main(["fork", old.id, "--at", "ship", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["forked"] == {"run": old.id, "at": "ship"}
    assert f"run {document['id']} · forked from {old.id} at ship: 2 steps kept, 1 to do" in err
    cli.main(["show", "last"])
    assert f"forked from {old.id} at ship" in capsys.readouterr().out
    cli.main(["logs", "last"])
    assert f"completed in run {old.id}" in capsys.readouterr().out
    cli.main(["runs"])
    assert document["id"] in capsys.readouterr().out


def test_a_secret_stays_a_reference(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork reads secrets anew; one that cannot be read is bad input, and there is no new run."""
    old = gflow.run("forked.py")
    assert gflow.fork(old.id, at="check").status == "completed"
    stored = b"".join(path.read_bytes() for path in (home / ".gflow").rglob("*") if path.is_file())
    assert b"hunter2hunter2" not in stored
    monkeypatch.delenv("TOKEN")
    with pytest.raises(BadInputs, match="TOKEN"):
        gflow.fork(old.id, at="check")


def test_a_changed_signature_is_refused(home: Path) -> None:
    """A value that no longer fits who reads it is not shared: the message says where to fork instead."""
    old = gflow.run("forked.py")
    text = FLOW.replace("-> bytes:\n    note", "-> bytearray:\n    note").replace(
        "return bytes(size)", "return bytearray(size)"
    )
    write(home, text.replace("build: bytes", "build: bytearray"))
    with pytest.raises(UsageError, match=f"gflow fork {old.id} --at build"):
        gflow.fork(old.id, at="ship")
    assert gflow.fork(old.id, at="build").status == "completed"


def test_a_run_that_is_half_rolled_back_is_not_forked(home: Path) -> None:
    """What it has completed may not stand any more."""
    write(home, FLOW.replace('note(f"-ship {len(build)}")', 'raise ValueError("no")'))
    old = gflow.run("forked.py")
    assert back(old.id).status == "rollback_incomplete"
    with pytest.raises(UsageError, match="finish that first"):
        gflow.fork(old.id, at="ship")


def test_a_run_that_goes_while_it_is_forked_leaves_no_fork(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork looks at the last moment whether its values are still there."""
    old = gflow.run("forked.py")

    def removed_meanwhile(*facts: Any) -> list[Adopted]:
        shared = adopted(*facts)
        with closing(SqliteStore(home / ".gflow", "process")) as store:
            store.forget(old.id)
        return shared

    monkeypatch.setattr(runner, "adopted", removed_meanwhile)
    with pytest.raises(StoreError, match=f"run {old.id} has no round 1"):
        gflow.fork(old.id, at="ship")
    with closing(SqliteStore(home / ".gflow", "process")) as store:
        assert store.runs() == []


def test_a_value_moved_between_forks_is_refused(home: Path) -> None:
    """A shared value is signed with its own place: another run's value in its stead is not believed."""
    old, other = gflow.run("forked.py", size=3), gflow.run("forked.py", size=4)
    (home / "broken").touch()
    new = gflow.fork(old.id, at="ship")
    (home / "broken").unlink()
    with sqlite3.connect(".gflow/state.db") as database:
        database.execute(
            "UPDATE round SET vals = (SELECT vals FROM round AS o WHERE o.run = ? AND o.n = round.n) "
            "WHERE run = ? AND n > 1",
            (other.id, old.id),
        )
    database.close()
    with pytest.raises(StoreError, match="does not fit its signature"):
        gflow.resume(new.id)
