"""Fan-out and rounds from workflow to run: items, scopes, keys, limits, tolerance, repetition."""

from __future__ import annotations

import threading
from typing import Annotated

import anyio
import pytest

from gflow import Each, Failed, From, Previous, Until, parallel, stage, task
from gflow.testing import run_in_memory


def test_a_leaf_runs_once_per_item_and_gives_a_list() -> None:
    """Each maps a step over the items; seen from outside the results are a list in the order of the items."""

    @task
    def numbers() -> list[int]:
        return [3, 1, 2]

    @task
    def double(number: Annotated[int, Each(numbers)]) -> int:
        return 2 * number

    @task
    def total(double: list[int]) -> list[int]:
        return double

    run = run_in_memory(total)
    assert run.status == "completed"
    assert run.results["total"] == [6, 2, 4]
    assert run.steps["double"].status == "completed"


def test_an_empty_list_gives_an_empty_list() -> None:
    """A fan-out over nothing completes at once with []."""

    @task
    def numbers() -> list[int]:
        return []

    @task
    def double(number: Annotated[int, Each(numbers)]) -> int:
        return 2 * number

    @task
    def total(double: list[int]) -> list[int]:
        return double

    assert run_in_memory(total).results["total"] == []


def test_members_of_a_fan_out_group_run_per_item() -> None:
    """Each on a group opens a scope: its members take the item by name and see values of their own item."""

    @task
    def regions() -> list[str]:
        return ["eu", "us"]

    @task
    def build(region: str) -> str:
        return f"build {region}"

    @task
    async def deploy(build: str, region: str) -> str:
        await anyio.lowlevel.checkpoint()
        return f"{build} deployed to {region}"

    @stage
    def rollout(region: Annotated[str, Each(regions, key=str)], build: str, deploy: str) -> str:
        return f"{region}: {deploy}"

    @task
    def report(rollout: list[str], deploy: list[str]) -> tuple[list[str], list[str]]:
        return rollout, deploy

    @stage
    def flow(regions: list[str], rollout: list[str], report: object) -> object:
        return report

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == (
        ["eu: build eu deployed to eu", "us: build us deployed to us"],
        ["build eu deployed to eu", "build us deployed to us"],
    )


def test_scopes_nest() -> None:
    """A fan-out inside a fan-out gives a list of lists."""

    @task
    def rows() -> list[list[int]]:
        return [[1, 2], [], [3]]

    @task
    def cells(row: list[int]) -> list[int]:
        return row

    @task
    def square(cell: Annotated[int, Each(cells)]) -> int:
        return cell * cell

    @stage
    def each_row(row: Annotated[list[int], Each(rows)], cells: list[int], square: list[int]) -> int:
        return sum(square)

    @task
    def report(each_row: list[int], squares: Annotated[list[list[int]], From(square)]) -> object:
        return each_row, squares

    @stage
    def flow(rows: list[list[int]], each_row: list[int], report: object) -> object:
        return report

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == ([5, 0, 9], [[1, 4], [], [9]])


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_items_run_at_once_than_the_limit_says(limit: int) -> None:
    """`limit=` bounds the items that run at the same time."""
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    @task
    def numbers() -> list[int]:
        return list(range(12))

    @task
    async def work(number: Annotated[int, Each(numbers, limit=limit)]) -> int:
        with lock:
            running.append(number)
            most.append(len(running))
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        with lock:
            running.remove(number)
        return number

    run = run_in_memory(work)
    assert run.status == "completed"
    assert run.results["work"] == list(range(12))
    assert max(most) <= limit


def test_two_items_with_one_key_fail_the_fan_out() -> None:
    """A key names one item: a double one fails the step before anything has run, and names the key."""

    @task
    def names() -> list[str]:
        return ["a", "b", "a"]

    @task
    def greet(name: Annotated[str, Each(names, key=str)]) -> str:
        raise AssertionError("never called")

    run = run_in_memory(greet)
    assert run.status == "failed"
    assert "'a'" in run.errors[0].message


def test_a_failed_item_fails_the_fan_out() -> None:
    """Without `tolerate` one failed item is one too many; the message names it."""

    @task
    def numbers() -> list[int]:
        return [1, 0, 2]

    @task
    def invert(number: Annotated[int, Each(numbers, limit=1)]) -> float:
        return 1 / number

    run = run_in_memory(invert)
    assert run.status == "failed"
    assert run.steps["invert"].status == "failed"
    assert "invert[1]" in run.errors[0].message


def test_tolerated_failures_arrive_as_failed() -> None:
    """Up to `tolerate` failures are part of the list, as values of type Failed."""

    @task
    def numbers() -> list[int]:
        return [1, 0, 2]

    @task
    def invert(number: Annotated[int, Each(numbers, tolerate=1)]) -> float:
        return 1 / number

    @task
    def kinds(invert: list[float | Failed]) -> list[str]:
        return [type(value).__name__ for value in invert]

    run = run_in_memory(kinds)
    assert run.status == "completed", run.errors
    assert run.results["kinds"] == ["float", "Failed", "float"]


@pytest.mark.parametrize(("share", "status"), [("50%", "completed"), ("40%", "failed")])
def test_a_share_may_be_tolerated(share: str, status: str) -> None:
    """`tolerate="50%"` is a share of all items."""

    @task
    def numbers() -> list[int]:
        return [0, 1, 0, 1]

    @task
    def invert(number: Annotated[int, Each(numbers, tolerate=share)]) -> float:
        return 1 / number

    assert run_in_memory(invert).status == status


def test_an_item_of_a_group_fails_with_its_member() -> None:
    """In a tolerant scope an item fails if a member of it does; the others go on."""

    @task
    def numbers() -> list[int]:
        return [1, 0, 2]

    @task
    def invert(number: int) -> float:
        return 1 / number

    @task
    def half(invert: float) -> float:
        return invert / 2

    @stage
    def each(number: Annotated[int, Each(numbers, tolerate=1)], invert: float, half: float) -> float:
        return half

    @stage
    def flow(numbers: list[int], each: list[float | Failed]) -> list[object]:
        return [e if isinstance(e, float) else e.type for e in each]

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == [0.5, "ZeroDivisionError", 0.25]


def test_a_group_repeats_until_its_condition_holds() -> None:
    """`repeat=Until(…)` runs members and body again; outside, the last round is seen."""
    seen: list[int | None] = []

    def good_enough(polish: int) -> bool:
        return polish >= 3

    @task
    def polish(polish: Annotated[int | None, Previous()] = None) -> int:
        seen.append(polish)
        return (polish or 0) + 1

    @stage(repeat=Until(good_enough, max=5))
    def fix(polish: int) -> int:
        return polish * 10

    @task
    def after(fix: int, polish: int) -> tuple[int, int]:
        return fix, polish

    @stage
    def flow(fix: int, after: object) -> object:
        return after

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == (30, 3)
    assert seen == [None, 1, 2]


def test_a_group_whose_rounds_are_used_up_fails() -> None:
    """When the condition does not hold after `max` rounds, the group fails and says so."""

    @task
    def polish() -> int:
        return 1

    @stage(repeat=Until(lambda polish: polish > 1, max=2))
    def fix(polish: int) -> int:
        return polish

    run = run_in_memory(fix)
    assert run.status == "failed"
    assert "after 2 rounds" in run.errors[0].message


def test_a_tolerated_item_lets_the_rest_go_on() -> None:
    """What is given up in a failed item makes room at once for what comes after the whole."""

    def yes() -> bool:
        return True

    @task
    def numbers() -> list[int]:
        return [1]

    @task
    def breaks(number: int) -> int:
        raise ValueError("no")

    @task(when=yes)
    def other(number: int) -> int:
        return number

    @parallel
    def one(number: Annotated[int, Each(numbers, tolerate=1)], breaks: int, other: int | None) -> int:
        return number

    @task
    def after() -> int:
        return 1

    @stage
    def flow(numbers: list[int], one: list[int | Failed], after: int) -> int:
        return after

    assert {run_in_memory(flow).status for _ in range(20)} == {"completed"}
