"""Going back: what is taken back, in which order, and that it survives being killed."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gflow
from gflow import cli, rollback, runner, session
from gflow.clock import VirtualClock
from gflow.errors import UsageError
from gflow.events import (
    Claimed,
    Created,
    Done,
    Event,
    Outline,
    Ref,
    Reset,
    Reverted,
    Started,
    StatusChanged,
    Undone,
)
from gflow.model import Kind, Run
from gflow.rollback import Order
from gflow.state import State
from gflow.terminal.summary import follow_ups


def step(
    name: str,
    *after: str,
    kind: Kind = "task",
    group: str | None = None,
    joins: tuple[str, ...] = (),
    undo: str | None = "take it back",
    **facts: object,
) -> Outline:
    return Outline(name, kind, None, group, list(after), list(joins), undo, **{"effects": None, **facts})  # type: ignore[arg-type]


RELEASE = [
    step("release", kind="stage", joins=("prepare", "checks", "ship"), undo=None),
    step("prepare", group="release"),
    step("checks", "prepare", kind="parallel", group="release", joins=("lint", "test"), undo=None),
    step("lint", group="checks"),
    step("test", "prepare", group="checks"),
    step("docs", "prepare", group="release"),
    step("ship", "checks", kind="stage", group="release", joins=("tag", "upload"), undo=None),
    step("tag", group="ship"),
    step("upload", "tag", group="ship"),
]  # fmt: skip


def state_of(steps: list[Outline], *events: Event) -> State:
    created = Created("w", "1", "m", steps, ["release"], Ref(1, 0, 1, "t"), {}, "0", "3")
    state = State()
    for event in [created, Claimed("h", 1), StatusChanged("running"), *events]:
        state.apply(0.0, event)
    return state


def completed(*names: str) -> list[Event]:
    return [event for name in names for event in (Started(name, 1), Done(name, None, name.upper(), 0.1))]


# ---------------------------------------------------------------- what comes after


@pytest.mark.parametrize(
    ("to", "inclusive", "after"),
    [
        ("prepare", False, {"checks", "lint", "test", "docs", "ship", "tag", "upload", "release"}),
        ("checks", False, {"ship", "tag", "upload", "release"}),
        ("lint", False, {"checks", "ship", "tag", "upload", "release"}),
        ("lint", True, {"lint", "checks", "ship", "tag", "upload", "release"}),
        ("checks", True, {"checks", "lint", "test", "ship", "tag", "upload", "release"}),
        ("tag", False, {"upload", "ship", "release"}),
        ("docs", False, set()),
        ("release", False, set()),
    ],
)
def test_after_means_what_the_graph_orders_after(to: str, inclusive: bool, after: set[str]) -> None:
    """Data, `after=`, place in a stage and barriers count, transitively; the clock does not."""
    assert Order(RELEASE).after(to, inclusive=inclusive) == after


def test_what_ran_beside_is_kept_and_listed() -> None:
    """A step that ran beside the target is not punished for it."""
    state = state_of(RELEASE, *completed("prepare", "lint", "docs", "test", "tag", "upload"))
    plan = rollback.plan(state, "checks")
    assert [entry.path for entry in plan.entries] == ["upload", "tag"]
    assert plan.beside == ("docs",)


def test_unfinished_steps_come_first_and_completed_ones_in_reverse_order_of_their_commits() -> None:
    """Nothing is built on what did not complete; the rest is undone newest completion first."""
    events = [
        Started("lint", 1),
        Started("test", 1),
        *completed("docs"),
        Done("test", None, "T", 0.1),
        Started("tag", 1),
    ]
    state = state_of(RELEASE, *completed("prepare"), *events)
    assert [entry.path for entry in rollback.plan(state, "start").entries] == [
        "tag",
        "lint",
        "test",
        "docs",
        "prepare",
    ]


@pytest.mark.parametrize(
    ("facts", "done", "treatment"),
    [
        ({}, True, "undo"),
        ({}, False, "unclear"),
        ({"takes_none": True}, False, "undo"),
        ({"undo": None}, True, "stays"),
        ({"undo": None}, False, "stays"),
        ({"effects": "none"}, False, "stays"),
        ({"effects": "irreversible"}, True, "irreversible"),
        ({"effects": "irreversible", "undo": None}, False, "irreversible"),
    ],
)
def test_treatment(facts: dict[str, object], done: bool, treatment: str) -> None:
    """Every kind of step has one treatment, completed or not."""
    events = completed("a") if done else [Started("a", 1)]
    (entry,) = rollback.plan(state_of([step("a", **facts)], *events), "start").entries  # type: ignore[arg-type]
    assert entry.treatment == treatment


def test_a_lost_attempt_is_taken_back_too() -> None:
    """What was open when the process died may have acted: it belongs to the plan."""
    state = state_of([step("a", takes_none=True)], Started("a", 1), Claimed("h", 2))
    assert [entry.path for entry in rollback.plan(state, "start").entries] == ["a"]


def test_what_was_undone_is_not_undone_again() -> None:
    """The plan of a rollback that goes on holds what is left."""
    state = state_of(
        RELEASE,
        *completed("prepare", "docs"),
        Reset("rollback", "start", 1, ["prepare", "docs"]),
        StatusChanged("rolling_back"),
        Undone("docs"),
    )
    assert [entry.path for entry in rollback.plan(state, "start").entries] == ["prepare"]
    assert state.slot("docs").generation == 1


def test_the_generation_rises_for_what_is_taken_back_only() -> None:
    """What is kept stays in its generation: its idempotency key is still its own."""
    state = state_of(
        RELEASE,
        *completed("prepare", "docs"),
        Reset("rollback", "prepare", 1, ["docs"]),
        Undone("docs"),
        Reverted([]),
        StatusChanged("rolled_back"),
    )
    assert (state.slot("prepare").generation, state.slot("docs").generation) == (0, 1)
    assert state.reset is None


@given(st.integers(0, 2**32 - 1))
def test_a_plan_is_closed_under_consumers(seed: int) -> None:
    """Whatever the graph: no step that is kept needs one that is taken back."""
    chance = __import__("random").Random(seed)
    names = [f"s{i}" for i in range(8)]
    steps = [
        step(name, *chance.sample(names[:i], min(i, chance.randint(0, 2)))) for i, name in enumerate(names)
    ]
    taken = Order(steps).after(chance.choice(names))
    for each in steps:
        if each.name not in taken:
            assert not set(each.after) & taken


# ---------------------------------------------------------------- carried out


FLOW = '''
from pathlib import Path
from gflow import Context, stage, task

def note(word):
    with open("ledger", "a") as file: file.write(word + "\\n")

@task
def one(ctx: Context) -> str:
    note(f"+one {ctx.key.split(':', 1)[1]}")
    return "1"
@one.undo
def not_one(one: str, ctx: Context) -> None:
    """take one back"""
    note(f"-one {one} {ctx.key.split(':', 1)[1]}")

@task
async def two(one: str) -> str:
    note("+two")
    return one + "2"
@two.undo
async def not_two(two: str, one: str) -> None:
    """take two back"""
    note(f"-two {two} {one}")
    TROUBLE

@task
def three(two: str) -> str:
    note("+three")
    return two + "3"
@three.undo
def not_three(three: str) -> None:
    note(f"-three {three}")
    KILL

@stage
def flow(one: str, two: str, three: str) -> str: return three
'''


KILLED = 'if not Path("calm").exists(): __import__("os").kill(__import__("os").getpid(), 9)'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project and a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return project


def write(home: Path, trouble: str = "pass", kill: str = "pass", text: str = FLOW) -> None:
    (home / "back.py").write_text(text.replace("TROUBLE", trouble).replace("KILL", kill))
    sys.modules.pop("back", None)


def ledger(home: Path) -> list[str]:
    lines = (home / "ledger").read_text().split("\n")[:-1]
    (home / "ledger").write_text("")
    return lines


def back(
    to: str, run: str = "last", *, force: bool = False, agreed: Callable[[rollback.Plan], bool] = bool
) -> Run:
    settings = session.Settings(clock=VirtualClock(time.time()))  # the waits between tries cost nothing
    return anyio.run(lambda: runner.roll_back(run, to, settings, force=force, agreed=agreed))


def test_undos_run_newest_first_with_the_results_they_take_back(home: Path) -> None:
    """Each undo gets its step's result and what else it asks for; keys name generation and undo."""
    write(home)
    gflow.run("back.py")
    ledger(home)
    run = back("start")
    assert run.status == "rolled_back"
    assert ledger(home) == ["-three 123", "-two 12 1", "-one 1 one:g0:undo"]
    assert {each.status for each in run.steps.values()} == {"pending"}


def test_a_rolled_back_run_is_resumed_in_a_new_generation(home: Path) -> None:
    """What was taken back runs again, under a new key; what was kept does not."""
    write(home)
    gflow.run("back.py")
    back("start")
    ledger(home)
    run = gflow.resume("last")
    assert run.status == "completed"
    assert ledger(home) == ["+one one:g1", "+two", "+three"]
    back("one")
    ledger(home)
    assert gflow.resume("last").results["flow"] == "123"
    assert ledger(home) == ["+two", "+three"]


def test_rerun_takes_the_step_back_and_goes_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`resume --rerun STEP` is a rollback to before STEP, then resume."""
    write(home)
    gflow.run("back.py")
    ledger(home)
    assert cli.main(["resume", "last", "--rerun", "two"]) == 0
    assert ledger(home) == ["-three 123", "-two 12 1", "+two", "+three"]
    assert "↩ two" in capsys.readouterr().err


def rerun(step: str) -> Run:
    settings = session.Settings(clock=VirtualClock(time.time()))
    return anyio.run(lambda: runner.go_on("last", {}, settings, rerun=step))


@pytest.fixture
def stuck(home: Path) -> Run:
    """Return a run whose rerun of `two` is incomplete, because the undo of `two` failed; it is mended."""
    write(home, trouble='raise OSError("locked")')
    gflow.run("back.py")
    ledger(home)
    run = rerun("two")
    assert (run.status, run.reason) == ("rollback_incomplete", "before two; left: two")
    assert ledger(home) == ["-three 123", *["-two 12 1"] * 3]
    write(home)
    return run


def test_an_incomplete_rerun_is_called_again(home: Path, stuck: Run) -> None:
    """The command that is offered after an incomplete rerun finishes it: the step itself runs again, too."""
    again = f"gflow resume {stuck.id} --rerun two"
    assert follow_ups(stuck, "gflow")[0] == f"  again       {again}"
    with pytest.raises(UsageError, match="is incomplete: before two; left: two") as caught:
        gflow.resume("last")
    assert caught.value.remedy.startswith(f"{again} tries it again; ")
    assert rerun("two").status == "completed"
    assert ledger(home) == ["-two 12 1", "+two", "+three"]


def test_an_incomplete_rerun_is_passed_over(
    home: Path, stuck: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Passing over what is left of a rerun takes its step back as well; resume then runs it again."""
    assert follow_ups(stuck, "gflow")[1] == f"  pass over   gflow rollback {stuck.id} --to two --force"
    assert cli.main(["rollback", "last", "--to", "two", "--plan"]) == 0
    assert "1 two" in capsys.readouterr().out
    write(home, trouble='raise OSError("locked")')
    assert back("two", force=True).status == "rolled_back"
    write(home)
    ledger(home)
    assert gflow.resume("last").status == "completed"
    assert ledger(home) == ["+two", "+three"]


def test_an_incomplete_rollback_is_called_again(home: Path) -> None:
    """What is offered after an incomplete rollback to a step is that rollback, which keeps the step."""
    write(home, trouble='raise OSError("locked")')
    gflow.run("back.py")
    run = back("one")
    assert [line[14:] for line in follow_ups(run, "gflow")] == [
        f"gflow rollback {run.id} --to one", f"gflow rollback {run.id} --to one --force"
    ]  # fmt: skip


def test_a_killed_rerun_is_called_again(home: Path) -> None:
    """After kill -9 in the rollback that a rerun begins with, the same rerun goes on with it."""
    write(home)
    gflow.run("back.py")
    ledger(home)
    write(home, trouble=KILLED)
    words = [sys.executable, "-m", "gflow", "resume", "last", "--rerun", "two"]
    assert subprocess.run(words, cwd=home, capture_output=True, check=False).returncode == -9
    (home / "calm").touch()
    assert cli.main(["resume", "last", "--rerun", "two"]) == 0
    assert ledger(home) == ["-three 123", "-two 12 1", "-two 12 1", "+two", "+three"]


INPUT = FLOW.replace("def two(one: str)", "def two(one: str, size: gflow.Input[int] = 1)").replace(
    "from gflow", "import gflow\nfrom gflow", 1
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rerun", "three", "--set", "size=2"], "`two` completed with it"),
        (["--rerun", "two", "--set", "size=big"], "`size`: 'big'"),
        (["--rerun", "one", "--set", "sise=2"], "`sise` is not an input"),
    ],
)
def test_a_rerun_that_cannot_go_on_touches_nothing(
    home: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inputs that cannot be changed are refused before the rollback, not after it."""
    write(home, text=INPUT)
    gflow.run("back.py")
    ledger(home)
    assert cli.main(["resume", "last", *words]) == 2
    assert message in capsys.readouterr().err
    assert ledger(home) == []


def test_a_rerun_may_change_what_the_step_took(home: Path) -> None:
    """An input that only steps have taken which are taken back can be changed."""
    write(home, text=INPUT)
    gflow.run("back.py")
    ledger(home)
    assert cli.main(["resume", "last", "--rerun", "two", "--set", "size=2"]) == 0
    assert ledger(home) == ["-three 123", "-two 12 1", "+two", "+three"]


def test_an_irreversible_step_stops_a_rerun(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rerun is a rollback: what cannot be undone blocks it before anything is touched."""
    write(home, text=IRREVERSIBLE)
    gflow.run("back.py")
    ledger(home)
    assert cli.main(["resume", "last", "--rerun", "one"]) == 2
    assert "`three` cannot be undone; nothing was touched" in capsys.readouterr().err
    assert ledger(home) == []


def test_an_undo_that_stays_failed_holds_back_what_its_step_was_built_on(home: Path) -> None:
    """Three tries; then the rest goes on, and the run is left as incomplete, listing what is left."""
    write(home, trouble='raise OSError("locked")')
    gflow.run("back.py")
    ledger(home)
    run = back("start")
    assert run.status == "rollback_incomplete"
    assert ledger(home) == ["-three 123", *["-two 12 1"] * 3]
    assert run.reason == "to start; left: two, one"
    with pytest.raises(UsageError, match="is incomplete"):
        gflow.resume("last")
    write(home)
    again = back("start")
    assert again.status == "rolled_back"
    assert ledger(home) == ["-two 12 1", "-one 1 one:g0:undo"]


def test_force_passes_over_an_undo_that_stays_failed(home: Path) -> None:
    """`--force` leaves behind what cannot be undone, and undoes the rest."""
    write(home, trouble='raise OSError("locked")')
    gflow.run("back.py")
    ledger(home)
    assert back("start", force=True).status == "rolled_back"
    assert ledger(home)[-1] == "-one 1 one:g0:undo"


def test_a_killed_rollback_is_finished_by_resume(home: Path) -> None:
    """After kill -9 in an undo, resume calls that one again, and none that had ended."""
    write(home, kill="pass")
    gflow.run("back.py")
    ledger(home)
    write(home, trouble=KILLED)
    words = [sys.executable, "-m", "gflow", "rollback", "last", "--to", "start", "--yes"]
    assert subprocess.run(words, cwd=home, capture_output=True, check=False).returncode == -9
    (home / "calm").touch()
    run = gflow.resume("last")
    assert run.status == "rolled_back"
    assert ledger(home) == ["-three 123", "-two 12 1", "-two 12 1", "-one 1 one:g0:undo"]


IRREVERSIBLE = FLOW.replace("@task\ndef three", '@task(effects="irreversible")\ndef three')


def test_an_irreversible_step_stops_a_rollback_before_anything_is_touched(home: Path) -> None:
    """What cannot be undone blocks the way back; --force passes over it and says so."""
    write(home, text=IRREVERSIBLE)
    gflow.run("back.py")
    ledger(home)
    with pytest.raises(UsageError, match="`three` cannot be undone; nothing was touched"):
        back("start")
    assert ledger(home) == []
    assert back("start", force=True).status == "rolled_back"
    assert ledger(home) == ["-two 12 1", "-one 1 one:g0:undo"]


def test_a_step_that_may_have_acted_leaves_the_rollback_incomplete(home: Path) -> None:
    """A failed step whose undo needs a result is left, with all that it was built on."""
    write(home, text=FLOW.replace('note("+three")', 'raise ValueError("no")'))
    gflow.run("back.py")
    ledger(home)
    run = back("start")
    assert run.status == "rollback_incomplete"
    assert ledger(home) == []
    assert back("start", force=True).status == "rolled_back"


def test_a_plan_imports_and_touches_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`rollback --plan` reads the journal alone."""
    write(home)
    gflow.run("back.py")
    before = ledger(home)
    (home / "back.py").unlink()
    assert cli.main(["rollback", "last", "--to", "one", "--plan"]) == 0
    out = capsys.readouterr().out
    assert "1 three" in out
    assert "2 two    take two back: 12" in out
    assert before
    assert ledger(home) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "tow", "--yes"], "did you mean `two`"),
        (["--to", "one"], "give --yes"),
        (["--yes"], "--to"),
    ],
)
def test_bad_usage(
    home: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An unknown step, nobody to answer, no target: one message, exit 2, nothing touched."""
    write(home)
    gflow.run("back.py")
    ledger(home)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert cli.main(["rollback", "last", *words]) == 2
    assert message in capsys.readouterr().err
    assert ledger(home) == []


def test_who_says_no_changes_nothing(home: Path) -> None:
    """The plan is shown first; without agreement the run stays as it is."""
    write(home)
    gflow.run("back.py")
    ledger(home)
    plans: list[rollback.Plan] = []

    def no(plan: rollback.Plan) -> bool:
        plans.append(plan)
        return False

    assert back("one", agreed=no).status == "completed"
    assert [entry.path for entry in plans[0].having("undo")] == ["three", "two"]
    assert ledger(home) == []
