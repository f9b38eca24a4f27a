"""What a step may ask and say."""

from __future__ import annotations

import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Annotated

import pytest

import gflow
from gflow import Context, Each, logs, secret, session, stage, task
from gflow.bodies import Job
from gflow.context import LooseAttempt, StepCancelled
from gflow.model import Call, Node
from gflow.testing import run_in_memory
from gflow.values import where


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
    assert [(ctx.path, ctx.attempt) for ctx in seen] == [("look", 1), ("look", 2)]
    assert {ctx.key for ctx in seen} == {f"{run.id}:look:g0"}


def test_a_context_knows_the_item_and_the_round() -> None:
    """`path` is the step's name with its item: what the journal and `show` call it."""

    @task
    def regions() -> list[str]:
        return ["eu", "us"]

    @task
    def check(region: Annotated[str, Each(regions, key=str)], ctx: Context) -> str:
        return f"{ctx.path} {ctx.key.removeprefix(ctx.run_id)}"

    assert run_in_memory(check).results["check"] == ["check[eu] :check[eu]:g0", "check[us] :check[us]:g0"]


def test_a_context_is_frozen() -> None:
    """Nobody changes what a step was told."""
    with pytest.raises(FrozenInstanceError):
        Context().path = "other"  # type: ignore[misc]


TALK = """
from gflow import Context, Policy, stage, task
@task(policy=Policy(isolation="ISOLATION"))
def talk(ctx: Context) -> str:
    ctx.logger.warning("%s items of %s", 3, "four")
    try:
        1 / 0
    except ZeroDivisionError:
        ctx.logger.exception("so it is")
    for step in range(1000):
        ctx.progress(step / 1000, "uploading")
    ctx.progress(7, "done")
    ctx.progress(-1)
    return ctx.path
@stage
def flow(talk: str) -> str:
    return talk
"""


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_what_a_step_says_is_in_the_runs_log(
    isolation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The logger is a standard one; progress is written now and then, whatever the step says how often."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "talking.py").write_text(TALK.replace("ISOLATION", isolation))
    sys.modules.pop("talking", None)
    run = gflow.run("talking.py")
    assert run.results["flow"] == "talk", run.errors
    entries, _ = logs.read(session.log_path(tmp_path / ".gflow", run.id))
    said = [(entry["level"], entry["message"]) for entry in entries if entry["step"] == "talk"]
    assert ("WARNING", "3 items of four") in said
    assert any(level == "ERROR" and "ZeroDivisionError" in text for level, text in said)
    progress = [text for level, text in said if level == "INFO"]
    assert progress[0] == "0% uploading"
    assert "100% done" in progress
    assert len(progress) < 100


def test_who_draws_the_run_asks_how_far_a_step_is() -> None:
    """While a body runs its session knows what it said last, with secrets masked; afterwards nothing."""
    node = Node("build", "task", lambda: None)
    job = Job(node, where(node, "build"), Call(lambda: None), 1, 0)
    with secret.forgetting():
        secret.hide("hunter2-hunter2")
        job.progress(0.421, "for hunter2-hunter2")
    assert job.reached.startswith("42% for ")
    assert "hunter2" not in job.reached


def test_a_context_in_a_unit_test_remembers_what_it_is_told() -> None:
    """`logger` and `progress` work without a run, too."""
    ctx = Context(path="build")
    ctx.logger.info("hello")
    ctx.progress(0.5, "half")
    assert isinstance(ctx._attempt, LooseAttempt)
    assert ctx._attempt.lines == [("INFO", "hello")]
    assert ctx._attempt.reached == [(0.5, "half")]
