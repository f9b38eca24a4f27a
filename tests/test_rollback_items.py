"""Going back to one item or one round: what is taken back, what stays, and what runs again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest

import gflow
from gflow import cli, rollback, runner, session
from gflow.errors import UsageError
from gflow.events import Done, Outline, Started, Tripped
from gflow.journal import Journal
from gflow.model import Kind, Run
from gflow.rollback import Order, entries, reach
from gflow.state import State
from gflow.testing import run_in_memory

HEAD = """
from pathlib import Path
from typing import Annotated
from gflow import Context, Each, Previous, Until, WorkflowError, stage, task
def note(line: str) -> None:
    with Path("ledger").open("a") as ledger: print(line, file=ledger)
"""

ROLLOUT = """
@task
def regions() -> list[str]:
    return ["eu", "us"]
@task
def build(region: str) -> str:
    note(f"build {region}")
    return f"build-{region}"
@build.undo
def unbuild(build: str, region: str) -> None:
    note(f"unbuild {build} in {region}")
@task
def deploy(build: str, region: str) -> str:
    note(f"deploy {region}")
    return f"deployed-{region}"
@deploy.undo
def withdraw(deploy: str) -> None:
    \"\"\"Withdraw the deployment.\"\"\"
    note(f"withdraw {deploy}")
@stage
def rollout(region: Annotated[str, Each(regions, key=str, limit=1)], build: str, deploy: str) -> str:
    return deploy
@task
def announce(rollout: list[str]) -> str:
    note("announce")
    return ", ".join(rollout)
@announce.undo
def retract(announce: str) -> None:
    note("retract")
@stage
def flow(regions: list[str], rollout: list[str], announce: str) -> str:
    return announce
"""

LEAF = """
@task
def regions() -> list[str]:
    return ["eu", "us"]
@task
def tag(region: Annotated[str, Each(regions, key=str, limit=1)]) -> str:
    note(f"tag {region}")
    return f"v1-{region}"
@tag.undo
def untag(tag: str, region: str) -> None:
    note(f"untag {tag} in {region}")
@task
def announce(tag: list[str]) -> str:
    return ", ".join(tag)
@stage
def flow(regions: list[str], tag: list[str], announce: str) -> str:
    return announce
"""

ROUNDS = """
def is_good(polish: int) -> bool:
    return polish >= int(Path("enough").read_text())
@task
def polish(polish: Annotated[int | None, Previous()] = None) -> int:
    note(f"polish after {polish}")
    return (polish or 0) + 1
@polish.undo
def spoil(polish: int) -> None:
    note(f"spoil {polish}")
@stage(repeat=Until(is_good, max=5))
def fix(polish: int) -> int:
    return polish
@stage
def flow(fix: int) -> int:
    return fix
"""


def begin(text: str) -> Run:
    Path("itemized.py").write_text(HEAD + text)
    sys.modules.pop("itemized", None)
    run = gflow.run("itemized.py")
    assert run.status == "completed", run.errors
    Path("ledger").unlink(missing_ok=True)
    return run


def ledger() -> list[str]:
    """Return what was written since this was called last."""
    lines = Path("ledger").read_text().splitlines() if Path("ledger").exists() else []
    Path("ledger").unlink(missing_ok=True)
    return lines


# ---------------------------------------------------------------- items


def test_one_item_of_a_group_is_taken_back(home: Path) -> None:
    """`--to build[eu]` undoes what is later in that item, and what follows the fan-out; others stay."""
    begin(ROLLOUT)
    assert cli.main(["rollback", "last", "--to", "build[eu]", "--yes"]) == 0
    assert ledger() == ["retract", "withdraw deployed-eu"]
    assert gflow.resume("last").results["flow"] == "deployed-eu, deployed-us"
    assert ledger() == ["deploy eu", "announce"]


def test_the_plan_names_instances(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of the plan names an item, with the words of its undo."""
    begin(ROLLOUT)
    assert cli.main(["rollback", "last", "--to", "build[eu]", "--plan"]) == 0
    told = capsys.readouterr().out
    assert "deploy[eu]" in told
    assert "Withdraw the deployment" in told
    assert "deploy[us]" not in told


def test_one_item_is_run_again(home: Path) -> None:
    """`--rerun build[eu]` takes back that member of that item too; the other item is not touched."""
    begin(ROLLOUT)
    assert cli.main(["resume", "last", "--rerun", "build[eu]"]) == 0
    assert ledger() == [
        "retract", "withdraw deployed-eu", "unbuild build-eu in eu", "build eu", "deploy eu", "announce",
    ]  # fmt: skip


def test_a_whole_item_is_run_again(home: Path) -> None:
    """`--rerun rollout[eu]` takes back all members of one item."""
    begin(ROLLOUT)
    assert cli.main(["resume", "last", "--rerun", "rollout[us]"]) == 0
    assert ledger() == [
        "retract", "withdraw deployed-us", "unbuild build-us in us", "build us", "deploy us", "announce",
    ]  # fmt: skip


def test_an_item_of_a_leaf_is_run_again(home: Path) -> None:
    """The undo of a fan-out gets its item's result, and the item by its name."""
    begin(LEAF)
    assert cli.main(["resume", "last", "--rerun", "tag[us]"]) == 0
    assert ledger() == ["untag v1-us in us", "tag us"]


def test_all_items_are_taken_back_by_the_name_of_the_step(home: Path) -> None:
    """`--to start` undoes every item, newest completion first, each with its own result."""
    begin(LEAF)
    assert cli.main(["rollback", "last", "--to", "start", "--yes"]) == 0
    assert ledger() == ["untag v1-us in us", "untag v1-eu in eu"]


def test_a_rollback_to_an_item_that_was_killed_goes_on(home: Path) -> None:
    """The journal knows the item: after kill -9 in an undo, resume takes back the rest of it and no other."""
    begin(ROLLOUT)
    deadly = 'if not Path("calm").exists(): __import__("os").kill(__import__("os").getpid(), 9)'
    text = (HEAD + ROLLOUT).replace('    note(f"withdraw', f'    {deadly}\n    note(f"withdraw')
    Path("itemized.py").write_text(text)
    command = [sys.executable, "-m", "gflow", "rollback", "last", "--to", "build[eu]", "--yes"]
    assert subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == -9
    Path("calm").touch()
    sys.modules.pop("itemized", None)
    assert gflow.resume("last").status == "rolled_back"
    assert ledger() == ["retract", "withdraw deployed-eu"]


@pytest.mark.parametrize(
    ("to", "says"),
    [("build[cn]", "has no `build"), ("biuld[eu]", "did you mean"), ("regions[eu]", "name the step")],
)
def test_an_item_that_is_not_there_is_refused(home: Path, to: str, says: str) -> None:
    """Nothing is touched where the item, or the step, is unknown; what is near is named."""
    begin(ROLLOUT)
    assert cli.main(["rollback", "last", "--to", to, "--yes"]) == 2
    with pytest.raises(UsageError, match=says):
        _plan(to)
    assert ledger() == []


def _plan(to: str) -> rollback.Plan:
    with session.opened(session.Settings(), "read") as (store, keys):
        run = session.find(store, "last").id
        state = State().fold(Journal(store, run, keys).load())
    return runner.rollback_plan(state, run, to)


# ---------------------------------------------------------------- rounds


def test_rounds_are_taken_back_last_first(home: Path) -> None:
    """`--to start` undoes every round, the last one first."""
    Path("enough").write_text("3")
    begin(ROUNDS)
    assert cli.main(["rollback", "last", "--to", "start", "--yes"]) == 0
    assert ledger() == ["spoil 3", "spoil 2", "spoil 1"]


def test_later_rounds_are_taken_back(home: Path) -> None:
    """`--to fix~1` undoes the rounds after the first; resumed, the group goes on from there."""
    Path("enough").write_text("3")
    begin(ROUNDS)
    assert cli.main(["rollback", "last", "--to", "fix~1", "--yes"]) == 0
    assert ledger() == ["spoil 3", "spoil 2"]
    assert gflow.resume("last").results["flow"] == 3
    assert ledger() == ["polish after 1", "polish after 2"]


def test_fewer_rounds_after_a_rerun(home: Path) -> None:
    """The last round is the last of this generation, also if an earlier one took more of them."""
    Path("enough").write_text("3")
    begin(ROUNDS)
    Path("enough").write_text("1")
    assert cli.main(["resume", "last", "--rerun", "fix"]) == 0
    assert gflow.resume("last").results["flow"] == 1


def test_a_new_item_belongs_to_the_new_generation(home: Path) -> None:
    """An item that the earlier generation did not have has the number of the one that it is in."""
    text = LEAF.replace("limit=1)]) -> str:", "limit=1)], ctx: Context) -> str:")
    begin(text.replace('f"tag {region}"', 'f"{ctx.path} {ctx.generation}"'))
    mended = (HEAD + text).replace('f"tag {region}"', 'f"{ctx.path} {ctx.generation}"')
    Path("itemized.py").write_text(mended.replace('["eu", "us"]', '["us", "cn"]'))
    sys.modules.pop("itemized", None)
    assert cli.main(["resume", "last", "--rerun", "regions"]) == 0
    assert ledger()[-2:] == ["tag[us] 1", "tag[cn] 1"]


def test_fewer_items_after_a_rerun(home: Path) -> None:
    """The list of a fan-out is that of this generation, also if an earlier one was longer."""
    begin(LEAF)
    Path("itemized.py").write_text((HEAD + LEAF).replace('["eu", "us"]', '["us"]'))
    sys.modules.pop("itemized", None)
    assert cli.main(["resume", "last", "--rerun", "regions"]) == 0
    assert gflow.resume("last").results["flow"] == "v1-us"


# ---------------------------------------------------------------- the pure part


def step(
    name: str,
    *after: str,
    scope: list[str] | None = None,
    group: str | None = None,
    joins: tuple[str, ...] = (),
    repeats: bool = False,
) -> Outline:
    kind: Kind = "stage" if joins else "task"
    return Outline(
        name, kind, None, group, list(after), list(joins), None, None, scope=scope, repeats=repeats
    )


NESTED = [
    step("flow", joins=("rows", "each", "end")),
    step("rows", group="flow"),
    step("each", "rows", group="flow", scope=["each"], joins=("first", "cell", "fix")),
    step("first", group="each", scope=["each"]),
    step("cell", "first", group="each", scope=["each", "cell"]),
    step("fix", "cell", group="each", scope=["each", "fix"], joins=("try_it",), repeats=True),
    step("try_it", group="fix", scope=["each", "fix"]),
    step("end", "each", group="flow"),
]

PATHS = [
    "rows", "each", "each[a]", "each[b]", "first[a]", "first[b]", "cell[a]", "cell[a][0]", "cell[a][1]",
    "cell[b][0]", "fix[a]", "fix[a]~1", "fix[a]~2", "try_it[a]~1", "try_it[a]~2", "try_it[b]~2", "end",
]  # fmt: skip

OF_A = {"each", "each[a]", "fix[a]", "fix[a]~1", "fix[a]~2", "try_it[a]~1", "try_it[a]~2", "end"}


@pytest.mark.parametrize(
    ("to", "inclusive", "reached"),
    [
        ("end", False, set()),
        ("first[a]", False, OF_A | {"cell[a]", "cell[a][0]", "cell[a][1]"}),
        ("first[a]", True, OF_A | {"cell[a]", "cell[a][0]", "cell[a][1]", "first[a]"}),
        ("cell[a][0]", False, OF_A),
        ("cell[a][0]", True, OF_A | {"cell[a]", "cell[a][0]"}),
        ("fix[a]~1", False, {"fix[a]", "fix[a]~2", "try_it[a]~2", "each", "each[a]", "end"}),
        ("try_it[a]~1", False, OF_A - {"try_it[a]~1"}),
        ("try_it[a]~2", False, {"fix[a]", "fix[a]~2", "each", "each[a]", "end"}),
        ("try_it", False, {*PATHS[1:4], *PATHS[10:13], "try_it[a]~2", "try_it[b]~2", "end"}),
        ("each[a]", False, {"end"}),
        ("each", True, set(PATHS) - {"rows"}),
    ],
)
def test_what_is_reached(to: str, inclusive: bool, reached: set[str]) -> None:
    """An item's later members, what follows the fan-outs around it, later rounds; no other items."""
    steps = Order(NESTED).after(to.partition("[")[0], inclusive=inclusive)
    is_reached = reach(NESTED, steps, to)
    assert {path for path in PATHS if is_reached(path)} == reached


def test_an_undo_in_memory_gets_its_item() -> None:
    """An abort undoes each completed item with that item's own result."""
    undone: list[tuple[str, int]] = []

    class Broken(gflow.WorkflowError):
        severity = "high"

    @gflow.task
    def numbers() -> list[int]:
        return [1, 2]

    @gflow.task
    def make(number: Annotated[int, gflow.Each(numbers, limit=1)]) -> str:
        return f"made {number}"

    @make.undo
    def unmake(make: str, number: int) -> None:
        undone.append((make, number))

    @gflow.task
    def burn(make: list[str]) -> str:
        raise Broken

    assert run_in_memory(burn).status == "rolled_back"
    assert undone == [("made 2", 2), ("made 1", 1)]


def test_what_was_made_from_a_failure_is_taken_back_before_it() -> None:
    """A failure that others took as a value stands in the order of ends, and not among what has none."""
    state = State()
    state.outline = [step("risky"), step("report", "risky"), step("open", "report")]
    for event in (
        Started("risky", 1), Tripped("risky", "ValueError", "no", [], "medium", "handled", None, 0.0),
        Started("report", 1), Done("report", None, "", 0.0), Started("open", 1),
    ):  # fmt: skip
        state.apply(0.0, event)
    found = entries(state, ["risky", "report", "open"])
    assert [entry.path for entry in found] == ["open", "report", "risky"]


def test_a_step_in_rounds_is_built_on_all_of_the_round_before() -> None:
    """Of an undo that stays failed in a repeat group, everything in the group is held back."""
    steps = [
        step("base"), step("left", "base", group="fix", scope=["fix"]),
        step("right", group="fix", scope=["fix"]),
        step("fix", joins=("left", "right"), scope=["fix"], repeats=True),
    ]  # fmt: skip
    assert Order(steps).before("right") >= {"left", "right", "base"}
