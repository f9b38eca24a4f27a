"""The workflow of the golden stores that wait, were rejected, or aborted: items, a stand-in, a question.

`GOLDEN_BY` is in the first step's value, and `GOLDEN_GATE` is what the last step does: "", or "abort".
"""

from __future__ import annotations

import os
from typing import Annotated

from gflow import Approval, Ask, Each, WorkflowError, stage, task


class Burning(WorkflowError):
    """What aborts the run."""

    severity = "high"


@task
def first() -> dict[str, str]:
    return {"by": os.environ["GOLDEN_BY"]}


@first.undo
def forget(first: dict[str, str] | None) -> None:
    """Forget who wrote the store."""


@task
def parts(first: dict[str, str]) -> list[str]:
    return ["a", "b"]


def rough(part: str) -> str:
    return f"{part} roughly"


@task(fallback=rough)
def check(part: Annotated[str, Each(parts, key=str)]) -> str:
    if part == "b":
        raise ValueError("told to fail")
    return part


@task
def ship(check: list[str], ok: Annotated[Approval, Ask("Ship {check}?")]) -> list[str]:
    if os.environ["GOLDEN_GATE"] == "abort":
        raise Burning("told to abort")
    return check


@stage
def practice(first: dict[str, str], parts: list[str], check: list[str], ship: list[str]) -> list[str]:
    return ship
