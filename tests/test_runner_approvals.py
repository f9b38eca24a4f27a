"""Approvals from workflow to run: who is asked, what a yes and a no do, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

from gflow import Approval, Ask, Rejected, WorkflowError, stage, task
from gflow.decorators import AnyStep
from gflow.testing import run_in_memory


@dataclass(frozen=True)
class Version:
    number: str


def shipping(asked: list[str], **ask: object) -> AnyStep:
    """A build, and a step that asks before it ships."""

    @task
    def build() -> Version:
        return Version("1.2.0")

    @task
    def ship(build: Version, ok: Annotated[Approval, Ask("Ship {build.number}?", **ask)]) -> str:  # type: ignore[arg-type]
        asked.append(ok.question)
        return f"{build.number} shipped, said {ok.who}"

    return ship


def test_a_step_waits_for_an_approval() -> None:
    """Without an answer the run ends as waiting, and the step shows its question."""
    run = run_in_memory(shipping([]))
    assert run.status == "waiting"
    assert run.steps["ship"].status == "waiting"
    assert run.steps["ship"].preview == "Ship 1.2.0?"


def test_a_yes_lets_the_step_begin() -> None:
    """The step gets who said yes, to which question."""
    asked: list[str] = []
    run = run_in_memory(shipping(asked), approvals={"ship": True})
    assert run.status == "completed", run.errors
    assert run.results["ship"] == "1.2.0 shipped, said test"
    assert asked == ["Ship 1.2.0?"]


def test_a_no_stops_the_run_as_rejected() -> None:
    """A rejection is no failure of the step's code: the run ends as rejected, nothing is undone."""
    run = run_in_memory(shipping([]), approvals={"ship": False})
    assert run.status == "rejected"
    assert run.steps["build"].status == "completed"


def test_nobody_is_asked_where_the_question_says_so() -> None:
    """`when=` of the question says no: the step gets an approval that is marked as not asked."""

    def is_public(build: Version) -> bool:
        return build.number.startswith("2")

    asked: list[str] = []
    run = run_in_memory(shipping(asked, when=is_public))
    assert run.status == "completed", run.errors
    assert asked == [""]


def test_a_rejection_may_be_a_value() -> None:
    """A parameter typed `Approval | Rejected` gets the no as a value."""

    @task
    def ship(ok: Annotated[Approval | Rejected, Ask("Ship?")]) -> str:
        return type(ok).__name__

    assert run_in_memory(ship, approvals={"ship": False}).results["ship"] == "Rejected"
    assert run_in_memory(ship, approvals={"ship": True}).results["ship"] == "Approval"


def test_a_rejection_that_is_raised_with_high_severity_rolls_back() -> None:
    """A step that takes the no as a value decides what it means: here, that all is undone."""
    undone: list[str] = []

    class NotPromoted(WorkflowError):
        severity = "high"

    @task
    def canary() -> str:
        return "canary"

    @canary.undo
    def remove(canary: str) -> None:
        undone.append(canary)

    @task
    def promote(canary: str, ok: Annotated[Approval | Rejected, Ask("Promote {canary}?")]) -> str:
        if isinstance(ok, Rejected):
            raise NotPromoted("not promoted")
        return "promoted"

    @stage
    def flow(canary: str, promote: str) -> str:
        return promote

    assert run_in_memory(flow, approvals={"promote": False}).status == "rolled_back"
    assert undone == ["canary"]


def test_other_branches_go_on_while_a_step_waits() -> None:
    """A question holds up its own step and what needs it, nothing else."""

    @task
    def ship(ok: Annotated[Approval, Ask("Ship?")]) -> str:
        return "shipped"

    @task
    def notes() -> str:
        return "notes"

    @task
    def end(ship: str, notes: str) -> str:
        return ship + notes

    run = run_in_memory(end)
    assert run.status == "waiting"
    assert run.steps["notes"].status == "completed"


@pytest.mark.parametrize("answer", [None, True])
def test_a_failure_elsewhere_beats_waiting(answer: bool | None) -> None:
    """A run in which something failed is failed, though somebody is still to be asked."""

    @task
    def ship(ok: Annotated[Approval, Ask("Ship?")]) -> str:
        return "shipped"

    @task
    def breaks() -> str:
        raise ValueError

    @task
    def end(ship: str, breaks: str) -> str:
        return ship + breaks

    approvals = {} if answer is None else {"ship": answer}
    assert run_in_memory(end, approvals=approvals).status == "failed"
