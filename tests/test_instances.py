"""What the instances of a step come to, as `show` and the JSON documents have it."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from gflow import Each, Failed, Until, WorkflowError, parallel, progress, stage, task
from gflow.events import (
    Answered,
    Asked,
    Claimed,
    Created,
    Decided,
    Done,
    Event,
    Opened,
    Outline,
    Ref,
    Reset,
    Reverted,
    Skipped,
    Started,
    StatusChanged,
    Tripped,
    Undone,
)
from gflow.instances import SHOWN
from gflow.model import Kind, Run, Status
from gflow.state import State
from gflow.testing import run_in_memory

NOWHERE = Ref(1, 0, 0, "")


def step(name: str, kind: Kind = "task", group: str | None = None, **more: Any) -> Outline:
    return Outline(name, kind, None, group, [], [], **{"undo": None, "effects": None, **more})


STEPS = [
    step("flow", "stage"),
    step("check", group="flow", scope=["check"], rungs=["cached", "rough"]),
    step("region", "stage", "flow", scope=["region"]),
    step("build", group="region", scope=["region"]),
    step("deploy", group="region", scope=["region"], asks=True),
    step("fix", "stage", "flow", scope=["fix"], repeats=True),
    step("edit", group="fix", scope=["fix"]),
    step("review", group="fix", scope=["fix"]),
    step("part", "parallel", "flow"),
    step("inner", group="part"),
    step("crowd", "stage", "part", scope=["crowd"]),
    step("one", group="crowd", scope=["crowd"]),
]


def state(*events: Event, steps: list[Outline] = STEPS) -> State:
    created = Created("w", "1", "m", steps, ["flow"], NOWHERE, {}, "0", "3")
    made = State()
    for number, event in enumerate([created, Claimed("h", 1), StatusChanged("running"), *events]):
        made.apply(float(number), event)
    return made


def show(*events: Event, alive: bool = True) -> Run:
    return progress.snapshot("k3f9", state(*events), 99.0, alive=alive)


def done(path: str, degraded: str | None = None) -> list[Event]:
    return [Started(path, 1), Done(path, NOWHERE, f"made {path}", 0.5, degraded)]


def failed(path: str, decision: str = "stop") -> list[Event]:
    return [Started(path, 1), Tripped(path, "E", f"no {path}", [], "medium", decision, None, 0.1)]


# ---------------------------------------------------------------- items


@pytest.mark.parametrize(
    ("events", "status", "preview"),
    [
        ([], "pending", None),
        ([Opened("check", 3)], "running", "0/3 items"),
        ([Opened("check", 3), Started("check[0]", 1)], "running", "0/3 items"),
        ([Opened("check", 3), *done("check[0]")], "running", "1/3 items"),
        ([Opened("check", 3), *failed("check[0]", "handled")], "running", "1/3 items, 1 failed"),
        ([Opened("check", 3), *failed("check[0]"), Started("check[1]", 1)], "failed", "1/3 items, 1 failed"),
        ([Opened("check", 3), Skipped("check[0]", "no")], "running", "1/3 items, 1 skipped"),
        ([Opened("check", 0), Done("check", None, "0 items", 0.0)], "completed", "0 items"),
        ([Skipped("check", "its condition says no")], "skipped", "its condition says no"),
    ],
)
def test_a_fan_out_is_what_its_items_come_to(
    events: list[Event], status: Status, preview: str | None
) -> None:
    """The status of a fan-out follows from its items until it has one of its own."""
    check = show(*events).steps["check"]
    assert (check.status, check.preview) == (status, preview)


def test_each_item_has_a_state() -> None:
    """An item shows its status, attempts, error, preview and time, by its path."""
    run = show(Opened("check", 4), *done("check[0]"), *failed("check[1]"), Started("check[2]", 3))
    items = run.steps["check"].items
    assert items is not None
    assert (items.total, items.completed, items.failed, items.running) == (4, 1, 1, 1)
    assert list(items.states) == ["check[0]", "check[1]", "check[2]"]
    assert (items.states["check[0]"].preview, items.states["check[0]"].seconds) == ("made check[0]", 0.5)
    assert str(items.states["check[1]"].error) == "E: no check[1]"
    assert (items.states["check[2]"].status, items.states["check[2]"].attempts) == ("running", 3)
    assert run.current == ("check[2]",)


def test_of_a_crowd_only_what_needs_a_look_is_shown() -> None:
    """Of more than a hundred items those that failed, run or wait are shown, at most a hundred; all count."""
    n = 3 * SHOWN
    events = [event for number in range(n) for event in done(f"check[{number}]")]
    one = show(Opened("check", n), *events[:-2], *failed(f"check[{n - 1}]")).steps["check"].items
    assert one is not None
    assert (one.total, one.completed, list(one.states)) == (n, n - 1, [f"check[{n - 1}]"])
    many = [event for number in range(n) for event in failed(f"check[{number}]", "handled")]
    all_failed = show(Opened("check", n), *many).steps["check"].items
    assert all_failed is not None
    assert (all_failed.failed, len(all_failed.states)) == (n, SHOWN)


def test_a_fan_out_takes_as_long_as_from_its_first_start_to_its_end() -> None:
    """Items overlap: the time of a fan-out is that of the whole, and so is the estimate of the next run."""
    made = state(
        Opened("check", 2), *done("check[0]"), *done("check[1]"), Done("check", None, "2 items", 0.0)
    )
    check = progress.snapshot("k3f9", made, 99.0, alive=True).steps["check"]
    assert check.seconds == 5.0
    assert progress.summary(made) == '{"seconds":{"check":5.0}}'


def test_members_of_a_scope_are_folded_over_its_items() -> None:
    """A member of a fan-out group shows how many of its instances have ended, and what waits."""
    run = show(
        Opened("region", 2, ["eu", "us"]),
        *done("build[eu]"),
        Asked("deploy[eu]", "Deploy to eu?", "d1"),
        Started("build[us]", 1),
    )
    assert (run.steps["build"].status, run.steps["build"].preview) == ("running", "1/2 items")
    assert (run.steps["deploy"].status, run.steps["deploy"].preview) == ("waiting", "Deploy to eu?")
    region = run.steps["region"]
    assert region.status == "running"
    assert region.items is not None
    assert {path: item.status for path, item in region.items.states.items()} == {
        "region[eu]": "running",
        "region[us]": "running",
    }
    assert run.questions["deploy[eu]"].text == "Deploy to eu?"
    assert run.current == ("build[us]",)


def test_a_tolerated_item_does_not_fail_the_members() -> None:
    """When the fan-out goes on without an item, what failed in it is told, and stops nothing."""
    run = show(
        Opened("region", 2),
        *failed("build[0]"),
        Tripped("region[0]", "E", "no", [], "medium", "handled", None, 0.0),
        *done("build[1]"),
        Started("deploy[1]", 1),
    )
    assert run.errors == ()
    assert (run.steps["build"].status, run.steps["build"].preview) == ("completed", "2 items, 1 failed")
    assert run.steps["region"].status == run.steps["flow"].status == "running"


def test_a_run_that_is_not_there_runs_nothing() -> None:
    """When the process is gone, items that ran are interrupted, and so is the fan-out."""
    run = show(Opened("check", 2), Started("check[0]", 1), alive=False)
    assert run.steps["check"].status == "interrupted"
    assert run.steps["check"].items is not None
    assert run.steps["check"].items.states["check[0]"].status == "interrupted"


# ---------------------------------------------------------------- rounds, skips, stand-ins


def test_of_rounds_the_last_is_seen() -> None:
    """A member of a repeated group shows its last round; all rounds are there by their paths."""
    first = [
        *done("edit~1"),
        *done("review~1"),
        Done("fix~1", None, "", 0.0),
        Decided("fix~1", "until", False),
    ]
    run = show(*first, *done("edit~2"))
    assert run.steps["edit"].preview == "made edit~2"
    assert run.steps["review"].status == "pending", "it has not begun in this round"
    assert run.steps["fix"].preview == "round 2"
    assert run.steps["edit"].items is not None
    assert list(run.steps["edit"].items.states) == ["edit~1", "edit~2"]
    ended = show(*first, Decided("fix~1", "until", True), Done("fix", None, "1 round", 0.0))
    assert (ended.steps["fix"].status, ended.steps["fix"].preview) == ("completed", "1 round")
    assert ended.steps["edit"].preview == "made edit~1"


def test_what_is_inside_a_skipped_group_is_skipped() -> None:
    """A step inside a skipped group is skipped, in scopes too, and says with whom."""
    run = show(
        Skipped("part", "no"), Skipped("inner", "part was skipped"), Skipped("crowd", "part was skipped")
    )
    assert {name: run.steps[name].status for name in ("part", "inner", "crowd", "one")} == dict.fromkeys(
        ("part", "inner", "crowd", "one"), "skipped"
    )
    assert run.steps["one"].preview == "crowd was skipped"


def test_a_result_says_what_stood_in() -> None:
    """What a fallback made is named, for a single item and for the whole."""
    events: list[Event] = [Opened("check", 2), *done("check[0]")]
    events += [Started("check[1]", 2, 1), Done("check[1]", NOWHERE, "", 0.1, "from the cache")]
    check = show(*events).steps["check"]
    assert check.items is not None
    assert (check.items.states["check[0]"].stand_in, check.items.states["check[1]"].stand_in) == (
        None,
        "cached",
    )
    assert (check.stand_in, check.degraded) == ("cached", "from the cache")


def test_a_fallback_is_named_in_a_run() -> None:
    """A completed step says which fallback made its result, and is degraded only if that is."""

    def cached() -> int:
        return 1

    @task(fallback=cached)
    def fetch() -> int:
        raise KeyError

    run = run_in_memory(fetch)
    assert (run.steps["fetch"].stand_in, run.steps["fetch"].degraded) == ("cached", None)


def test_a_group_waits_with_its_member() -> None:
    """In a run that waits for an approval the groups around the question wait, too."""
    run = show(Opened("region", 1), *done("build[0]"), Asked("deploy[0]", "?", "d"), StatusChanged("waiting"))
    assert (run.status, run.steps["flow"].status, run.steps["region"].status) == ("waiting",) * 3
    assert run.progress.current == ("deploy[0]",)
    answered = show(Asked("deploy[0]", "?", "d"), Answered("deploy[0]", "approved", "ann", "", "d", 0))
    assert answered.questions == {}


# ---------------------------------------------------------------- errors


def test_a_failed_fan_out_has_one_error_with_the_exception_of_its_first_item() -> None:
    """The error counts the items; `raise_for_status` raises what the first of them raised."""

    @task
    def numbers() -> list[int]:
        return [1, 0, 2]

    @task
    def invert(number: int) -> float:
        return 1 / number

    @stage
    def part(number: Annotated[int, Each(numbers, limit=1)], invert: float) -> float:
        return invert

    @stage
    def flow(numbers: list[int], part: list[float]) -> list[float]:
        return part

    run = run_in_memory(flow)
    assert [error.step for error in run.errors] == ["part"]
    assert run.errors[0].message.startswith("1 of ")
    with pytest.raises(ZeroDivisionError):
        run.raise_for_status()


def test_a_completed_run_has_no_errors() -> None:
    """A failure that all take as a value stopped nothing."""

    @task
    def audit() -> int:
        raise ValueError

    @task
    def report(audit: int | Failed) -> str:
        return "as far as possible"

    run = run_in_memory(report)
    assert (run.status, run.errors, run.steps["audit"].status) == ("completed", (), "failed")


# ---------------------------------------------------------------- aborted


class Broken(WorkflowError):
    severity = "high"


def test_an_aborted_run_still_says_why() -> None:
    """The rollback resets the steps; the failure that caused it, and what was undone, are still told."""

    @task
    def make() -> str:
        return "a thing"

    @make.undo
    def unmake(make: str) -> None:
        """Take it away."""

    @task
    def look(make: str) -> None:
        assert make

    @task
    def burns(look: None) -> None:
        raise Broken("it burns")

    @parallel
    def flow(make: str, look: None, burns: None) -> None: ...

    run = run_in_memory(flow)
    assert run.status == "rolled_back"
    assert [(error.step, error.message) for error in run.errors] == [("burns", "it burns")]
    assert run.errors[0].frames[-1].function == "burns"
    assert (run.undone, dict(run.left)) == (("make",), {"look": "no undo", "burns": "no undo"})


def test_what_a_rollback_left_says_why() -> None:
    """Irreversible steps, steps without an undo and undos that failed are each left for a reason."""
    steps = [
        step("a", undo="take a back"),
        step("b", undo="take b back"),
        step("c", effects="irreversible"),
        step("d"),
        step("e", effects="none"),
        step("f"),
    ]
    events: list[Event] = [event for name in "abcde" for event in done(name)]
    events += [
        *failed("f", "abort"),
        Reset("abort", "start", 1, list("abcdef")),
        StatusChanged("rolling_back"),
    ]
    events += [Undone("a"), Undone("b", "no way"), Reverted(list("cdef"))]
    run = progress.snapshot("k3f9", state(*events, steps=steps), 99.0, alive=True)
    assert run.undone == ("a",)
    assert dict(run.left) == {
        "b": "its undo failed: no way",
        "c": "irreversible",
        "d": "no undo",
        "f": "no undo",
    }
    assert [error.step for error in run.errors] == ["f"]
    again = progress.snapshot("k3f9", state(*events, StatusChanged("running"), steps=steps), 99.0, alive=True)
    assert (again.errors, again.undone, dict(again.left)) == ((), (), {})


def test_an_estimate_takes_a_scope_as_a_whole() -> None:
    """The parts of a fan-out need no history: the whole has one, and what it has taken is taken off."""
    known = {"check": 10.0, "region": 20.0, "fix": 3.0, "inner": 1.0, "crowd": 2.0}
    assert progress.eta(state(), known, 5.0) == 20.0
    assert progress.eta(state(Opened("region", 2), Started("build[0]", 1)), known, 13.0) == 10.0
    assert progress.eta(state(), {**known, "region": 0.0} | {"check": 1.0}, 5.0) == 3.0


@pytest.mark.parametrize("until", [True, False])
def test_rounds_of_a_run_are_shown(until: bool) -> None:
    """After a run that repeats, its group says how many rounds there were, or that they were used up."""

    def enough() -> bool:
        return until

    @task
    def edit() -> int:
        return 1

    @stage(repeat=Until(enough, max=2))
    def fix(edit: int) -> int:
        return edit

    run = run_in_memory(fix)
    assert run.status == ("completed" if until else "failed")
    assert run.steps["edit"].items is not None
    assert len(run.steps["edit"].items.states) == (1 if until else 2)
    assert [error.type for error in run.errors] == ([] if until else ["RoundsUsedUp"])
