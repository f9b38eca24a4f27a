"""Conditions from workflow to run: who is skipped, and where skipping ends."""

from __future__ import annotations

from typing import Annotated

import pytest

from gflow import Each, FirstOf, Until, parallel, stage, task
from gflow.testing import run_in_memory


@pytest.mark.parametrize(("public", "status"), [(True, "completed"), (False, "skipped")])
def test_a_condition_decides_whether_a_step_runs(public: bool, status: str) -> None:
    """A step whose condition says no is skipped; what needs its value is skipped with it."""

    @task
    def is_public() -> bool:
        return public

    @task(when=is_public)
    def publish() -> str:
        return "published"

    @task
    def announce(publish: str) -> str:
        return publish

    @stage
    def flow(is_public: bool, publish: str | None, announce: str | None) -> str | None:
        return announce

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.steps["publish"].status == status
    assert run.steps["announce"].status == status
    assert run.results["flow"] == ("published" if public else None)


def test_a_condition_may_be_a_function() -> None:
    """The parameters of a condition are resolved like those of the step."""

    def is_big(size: int) -> bool:
        return size > 10

    @task
    def size() -> int:
        return 5

    @task(when=is_big)
    def shrink(size: int) -> int:
        return size // 2

    @task
    def result(shrink: int | None, size: int) -> int:
        return size if shrink is None else shrink

    assert run_in_memory(result).results["result"] == 5


def test_skipping_stops_at_a_default_and_at_none() -> None:
    """A parameter with a default gets the default, one that admits None gets None."""

    def never() -> bool:
        return False

    @task(when=never)
    def extra() -> int:
        return 1

    @task
    def with_default(extra: int = 7) -> int:
        return extra

    @task
    def with_none(extra: int | None) -> int | None:
        return extra

    @stage
    def flow(extra: int | None, with_default: int, with_none: int | None) -> tuple[int, int | None]:
        return with_default, with_none

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == (7, None)


def test_the_first_that_was_not_skipped_is_taken() -> None:
    """FirstOf takes the first of several steps that ran, by position."""

    @task
    def is_fast() -> bool:
        return False

    @task(when=is_fast)
    def fast() -> str:
        return "fast"

    @task
    def full() -> str:
        return "full"

    @task
    def publish(built: Annotated[str, FirstOf(fast, full)]) -> str:
        return built

    assert run_in_memory(publish).results["publish"] == "full"


def test_a_skipped_group_skips_all_inside() -> None:
    """`when=` on a group is decided before anything inside begins."""

    def never() -> bool:
        return False

    @task
    def inner() -> int:
        raise AssertionError("never called")

    @parallel(when=never)
    def group(inner: int) -> int:
        return inner

    @stage
    def flow(group: int | None) -> int | None:
        return group

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert {name: step.status for name, step in run.steps.items()} == {
        "flow": "completed", "group": "skipped", "inner": "skipped"
    }  # fmt: skip


def test_place_in_a_stage_does_not_skip() -> None:
    """The member after a skipped one runs, unless it takes its value or names it in `after=`."""

    def never() -> bool:
        return False

    @task(when=never)
    def migrate() -> int:
        return 1

    @task
    def deploy() -> str:
        return "deployed"

    @task(after=[migrate])
    def verify() -> str:
        return "verified"

    @stage
    def flow(migrate: int | None, deploy: str, verify: str | None) -> tuple[str, str | None]:
        return deploy, verify

    run = run_in_memory(flow)
    assert run.results["flow"] == ("deployed", None)
    assert run.steps["verify"].status == "skipped"


def test_a_condition_inside_a_scope_is_asked_per_item() -> None:
    """A member's condition is decided for each item; a skipped item is None in the list."""

    def is_even(number: int) -> bool:
        return number % 2 == 0

    @task
    def numbers() -> list[int]:
        return [1, 2, 3, 4]

    @task(when=is_even)
    def half(number: int) -> int:
        return number // 2

    @stage
    def each(number: Annotated[int, Each(numbers)], half: int | None) -> int | None:
        return half

    @task
    def result(each: list[int | None], half: list[int | None]) -> object:
        return each, half

    @stage
    def flow(numbers: list[int], each: list[int | None], result: object) -> object:
        return result

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == ([None, 1, None, 2], [None, 1, None, 2])


def test_a_fan_out_that_takes_the_item_in_its_condition_skips_items() -> None:
    """A leaf's condition that takes the item is asked per item."""

    def is_even(number: int) -> bool:
        return number % 2 == 0

    @task
    def numbers() -> list[int]:
        return [1, 2, 3]

    @task(when=is_even)
    def half(number: Annotated[int, Each(numbers)]) -> int:
        return number // 2

    @task
    def result(half: list[int | None]) -> list[int | None]:
        return half

    assert run_in_memory(result).results["result"] == [None, 1, None]


def test_a_condition_that_answers_no_bool_fails_its_step() -> None:
    """A condition says True or False; anything else is a failure of the step, and says so."""

    def odd() -> bool:
        return "yes"  # type: ignore[return-value]

    @task(when=odd)
    def step() -> int:
        return 1

    run = run_in_memory(step)
    assert run.status == "failed"
    assert "True or False" in run.errors[0].message


def test_a_condition_on_a_fan_out_group_that_takes_the_item_skips_items() -> None:
    """A group's condition that takes the item is asked per item; what is inside a skipped one is None."""

    def is_even(number: int) -> bool:
        return number % 2 == 0

    @task
    def numbers() -> list[int]:
        return [1, 2, 3]

    @task
    def work(number: int) -> int:
        return number

    @stage(when=is_even)
    def each_one(number: Annotated[int, Each(numbers)], work: int) -> int:
        return work * 10

    @task
    def result(each_one: list[int | None], work: list[int | None]) -> object:
        return each_one, work

    @stage
    def flow(numbers: list[int], each_one: list[int | None], result: object) -> object:
        return result

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == ([None, 20, None], [None, 2, None])


def test_what_the_last_round_has_skipped_is_skipped_from_outside() -> None:
    """Who reads a member of a repeat group reads its last round: a skip there travels like any other."""

    @task(when=lambda: False)
    def fast() -> int:
        return 1

    @task
    def full() -> int:
        return 2

    @stage(repeat=Until(lambda full: True, max=3))
    def rounds(fast: int | None, full: int) -> int:
        return full

    @task
    def needs(fast: int) -> int:
        return fast

    @task
    def does_without(fast: int = 7) -> int:
        return fast

    @task
    def first(one: Annotated[int, FirstOf(fast, full)]) -> int:
        return one

    @stage
    def flow(rounds: int, needs: int | None, does_without: int, first: int) -> tuple[object, ...]:
        return needs, does_without, first

    run = run_in_memory(flow)
    assert run.status == "completed", run.errors
    assert run.results["flow"] == (None, 7, 2)
    assert run.steps["needs"].status == "skipped"
