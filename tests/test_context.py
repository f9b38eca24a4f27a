"""What a step may ask and say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gflow import Context, stage, task
from gflow.context import LooseAttempt, StepCancelled
from gflow.testing import run_in_memory


def test_a_context_for_a_unit_test_needs_no_run() -> None:
    """`Context()` will do in a unit test, and keeps what the step said."""
    ctx = Context()
    ctx.degrade("no network")
    ctx.log("hello")
    ctx.check_cancelled()
    assert (ctx.run_id, ctx.attempt, ctx.degraded) == ("test", 1, "no network")


def test_a_cancelled_step_is_told_when_it_asks() -> None:
    """`check_cancelled` raises what no `except Exception` swallows."""
    attempt = LooseAttempt()
    attempt.cancelled = True
    with pytest.raises(StepCancelled):
        Context(_attempt=attempt).check_cancelled()
    assert not issubclass(StepCancelled, Exception)


def test_a_context_tells_the_run_the_step_and_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step learns its place; the key is the same for every attempt; the workspace is there."""
    monkeypatch.chdir(tmp_path)
    seen: list[Context] = []

    @task(attempts=2)
    def look(ctx: Context) -> bool:
        seen.append(ctx)
        if len(seen) == 1:
            raise ValueError("once more")
        return ctx.workspace.is_dir()

    @stage
    def flow(look: bool) -> bool:
        return look

    run = run_in_memory(flow)
    assert run.results["flow"] is True
    assert [(ctx.step, ctx.attempt) for ctx in seen] == [("look", 1), ("look", 2)]
    assert {ctx.key for ctx in seen} == {f"{run.id}:look:g0"}
