"""The test kit: workflows in memory, in virtual time, with steps replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import gflow
from gflow import parallel, stage, task
from gflow.decorators import AnyStep
from gflow.errors import BadInputs, UsageError
from gflow.testing import GflowRun


def flow() -> AnyStep:
    @task
    def build() -> str:
        return "real"

    @task
    def lint(build: str) -> int:
        return len(build)

    @task
    def test(build: str) -> int:
        return 1

    @parallel
    def checks(lint: int, test: int) -> int:
        return lint + test

    @task
    def ship(build: str, checks: int) -> str:
        return f"{build} {checks}"

    @stage
    def whole(build: str, checks: int, ship: str) -> str:
        return ship

    return whole


def test_a_value_stands_in_for_a_step(gflow_run: GflowRun) -> None:
    """A value is the step's result, as if it had returned it."""
    assert gflow_run(flow(), overrides={"build": "fake"}).results["whole"] == "fake 5"


def test_a_function_stands_in_with_the_parameters_it_names(gflow_run: GflowRun) -> None:
    """A function gets those of the step's parameters that it names."""

    def ship(checks: int) -> str:
        return f"shipped with {checks}"

    async def lint(build: str) -> int:
        await anyio.lowlevel.checkpoint()
        return 100

    run = gflow_run(flow(), overrides={"ship": ship, "lint": lint})
    assert run.results["whole"] == "shipped with 101"


@pytest.mark.parametrize("error", [ValueError("broken"), ValueError])
def test_an_exception_stands_in(gflow_run: GflowRun, error: object) -> None:
    """An exception, or its class, is raised by the step."""
    run = gflow_run(flow(), overrides={"test": error})
    assert run.status == "failed"
    assert run.errors[0].step == "test"
    assert run.steps["lint"].status == "completed"


def test_a_replaced_group_does_not_run_its_members(gflow_run: GflowRun) -> None:
    """A value for a group stands for all that is in it."""

    def never() -> None:
        raise AssertionError("a member ran")

    run = gflow_run(flow(), overrides={"checks": 7})
    assert run.results["whole"] == "real 7"
    assert "lint" not in run.steps


def test_members_that_others_read_run_all_the_same(gflow_run: GflowRun) -> None:
    """A member of a replaced group whose value is needed outside is kept."""

    @task
    def inner() -> int:
        return 3

    @task
    def other() -> int:
        raise AssertionError("nobody needs it")

    @parallel
    def group(inner: int, other: int) -> int:
        return inner

    @task
    def after(inner: int) -> int:
        return inner * 2

    @stage
    def whole(group: int, after: int) -> int:
        return group + after

    run = gflow_run(whole, overrides={"group": 100})
    assert run.results["whole"] == 106
    assert "other" not in run.steps


def test_an_unknown_step_is_refused(gflow_run: GflowRun) -> None:
    """An override that names no step is a mistake in the test, and says what is near."""
    with pytest.raises(UsageError, match="did you mean `build`"):
        gflow_run(flow(), overrides={"biuld": 1})


def test_a_stand_in_with_an_unknown_parameter_is_refused(gflow_run: GflowRun) -> None:
    """A function that asks for what the step does not get is a mistake in the test."""

    def build(version: str) -> str:
        return version

    with pytest.raises(UsageError, match="no parameter `version`"):
        gflow_run(flow(), overrides={"build": build})


def test_unknown_inputs_are_refused(gflow_run: GflowRun) -> None:
    """Inputs are checked as the command line checks them."""
    with pytest.raises(BadInputs):
        gflow_run(flow(), inputs={"x": 1})


def test_it_works_inside_a_running_loop(gflow_run: GflowRun) -> None:
    """An async test can call the fixture too."""

    async def main() -> gflow.Run:
        return gflow_run(flow())

    assert anyio.run(main).status == "completed"


def test_it_leaves_nothing_behind(
    gflow_run: GflowRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run in memory writes no file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    gflow_run(flow())
    assert list(tmp_path.iterdir()) == []


def test_the_original_is_untouched(gflow_run: GflowRun) -> None:
    """Overrides hold for one run: the next one is as it was."""
    whole = flow()
    gflow_run(whole, overrides={"build": "fake"})
    assert gflow_run(whole).results["whole"] == "real 5"


def test_imported_steps_are_neither_tests_nor_fixtures() -> None:
    """Pytest collects no step, however it is called."""

    @task
    def test_like() -> None: ...

    @task
    def fixture_like(request: int) -> int:
        return request

    steps: list[Callable[..., object]] = [test_like, fixture_like]
    assert all(step.__test__ is False for step in steps)  # type: ignore[attr-defined]
