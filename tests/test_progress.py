"""How far a run is, and when it should end."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from gflow import progress
from gflow.events import Claimed, Created, Done, Event, Outline, Ref, Started, StatusChanged, Tripped
from gflow.model import Kind, Progress, duration
from gflow.state import State


def step(
    name: str,
    kind: Kind = "task",
    group: str | None = None,
    after: Sequence[str] = (),
    joins: Sequence[str] = (),
) -> Outline:
    return Outline(name, kind, None, group, list(after), list(joins), None, None)


STEPS = [
    step("flow", "stage", None, (), ("prepare", "checks", "ship")),
    step("prepare", "task", "flow"),
    step("checks", "parallel", "flow", ("prepare",), ("slow", "quick")),
    step("slow", "task", "checks"),
    step("quick", "task", "checks"),
    step("ship", "task", "flow", ("checks",)),
]
KNOWN = {"prepare": 1.0, "slow": 10.0, "quick": 2.0, "ship": 3.0}


def state(*told: tuple[float, Event]) -> State:
    created = Created("w", "1", "m", STEPS, ["flow"], Ref(1, 0, 1, "t"), {"x": "1"}, "0", "3")
    made = State()
    for at, event in [(0.0, created), (0.0, Claimed("h", 1)), (0.0, StatusChanged("running")), *told]:
        made.apply(at, event)
    return made


def done(name: str) -> Done:
    return Done(name, None, "", 1.0)


def test_the_estimate_follows_the_critical_path() -> None:
    """What runs side by side counts once, by its longest part; groups are barriers."""
    assert progress.eta(state(), KNOWN, 0.0) == 14.0
    running = state(
        (0.0, Started("prepare", 1)),
        (1.0, done("prepare")),
        (1.0, Started("slow", 1)),
        (1.0, Started("quick", 1)),
    )
    assert progress.eta(running, KNOWN, 5.0) == 9.0  # 6 of slow, 3 of ship


def test_a_step_that_takes_longer_than_usual_counts_as_nearly_done() -> None:
    """An estimate is never negative."""
    late = state((0.0, Started("prepare", 1)))
    assert progress.eta(late, KNOWN, 500.0) == 13.0


def test_nothing_is_estimated_without_history() -> None:
    """In a first run nothing is known, and nothing is made up."""
    assert progress.eta(state(), {}, 0.0) is None
    assert progress.eta(state(), {"prepare": 1.0}, 0.0) is None


def test_percent_counts_leaves() -> None:
    """Progress counts leaves, not groups, and reads as one line."""
    half = state(
        (0.0, Started("prepare", 1)),
        (1.0, done("prepare")),
        (1.0, Started("slow", 1)),
        (1.0, Started("quick", 1)),
        (2.0, done("quick")),
    )
    told = progress.progress(half, KNOWN, 2.0)
    assert (told.total, told.completed, told.percent) == (4, 2, 50.0)
    assert str(told) == "slow (50.0% complete), eta 12.0 s"


def test_a_workflow_of_groups_alone_counts_its_groups() -> None:
    """Where no step is a leaf, every step counts."""
    assert [s.name for s in progress.counted([step("a", "stage"), step("b", "stage")])] == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "no json", "[]", "null", "7", '"seconds"', '{"seconds": 7}', '{"seconds": {"a": "x"}}', "?",
        '{"seconds": {"a": null}}', '{"seconds": {"a": [1]}}', '{"seconds": {"a": NaN}}',
        '{"seconds": {"a": -1}}', '{"seconds": {"a": Infinity}}',
        '{"seconds": {"a": 1e300}}', f'{{"seconds": {{"a": 1{"0" * 400}}}}}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_summary_that_gflow_did_not_write_counts_as_nothing(text: str) -> None:
    """The list of runs is not signed: a forged summary changes no median and stops nothing."""
    genuine = '{"seconds": {"a": 1.0}}'
    assert progress.medians([text]) == {}
    assert progress.medians([text, genuine]) == {"a": 1.0}


def test_medians_come_from_the_summaries_of_earlier_runs() -> None:
    """One slow run does not spoil the estimate."""
    summaries = [json.dumps({"seconds": {"a": value}}) for value in (1.0, 2.0, 90.0)]
    assert progress.medians([*summaries, "{}", ""]) == {"a": 2.0}


def test_a_chain_of_thousands_is_no_deep_recursion() -> None:
    """The longest path of a long chain is found without a stack of that depth."""
    chain = [step(f"s{i}", after=[f"s{i - 1}"] if i else []) for i in range(20_000)]
    assert progress.longest_path(chain, {s.name: 1.0 for s in chain}) == 20_000.0


def test_a_group_is_what_its_members_make_it() -> None:
    """A group whose body has not run is failed, begun or pending, as its members are."""
    failed = state(
        (0.0, Started("prepare", 1)),
        (1.0, done("prepare")),
        (1.0, Started("slow", 1)),
        (2.0, Tripped("slow", "E", "m", [], "medium", "stop", None, 1.0)),
    )
    run = progress.snapshot("k3f9", failed, 3.0, alive=True)
    assert run.steps["checks"].status == "failed"
    assert run.steps["ship"].status == "pending"
    assert run.errors[0].step == "slow"


def test_a_run_whose_process_is_gone_is_interrupted() -> None:
    """Liveness is what the lock says, never a word in the journal."""
    dead = progress.snapshot("k3f9", state((0.0, Started("prepare", 1))), 3.0, alive=False)
    assert dead.status == "interrupted"
    assert dead.steps["prepare"].status == "interrupted"
    assert dead.current == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1m 01s"), (125, "2m 05s"), (12_000, "3h 20m")],
)
def test_durations_read_as_people_write_them(seconds: float, text: str) -> None:
    """Seconds, then minutes, then hours."""
    assert duration(seconds) == text


def test_progress_of_nothing_is_complete() -> None:
    """A run without steps is at 100 percent."""
    assert Progress(0, 0).percent == 100.0
