"""The workflow of the golden stores; what its steps do is told by the environment.

- `GOLDEN_BY` is in the first step's value: a later version must find there who wrote the store;
- `GOLDEN_GATE` is what the gate does, `GOLDEN_UNDO` what the undo of the large value does: "", or a word.
"""

from __future__ import annotations

import os
import signal
import time

from gflow import Context, Retry, stage, task


def act(word: str) -> None:
    """Do what a word says."""
    match word:
        case "fail":
            raise ValueError("told to fail")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)  # until the signal is heard
        case _:
            pass


@task(attempts=Retry(2, base=0.0))
def first(ctx: Context) -> dict[str, str]:
    if ctx.attempt == 1:
        raise ConnectionError("the first attempt never works")
    return {"by": os.environ["GOLDEN_BY"], "key": ctx.key}


@task
def large(first: dict[str, str]) -> bytes:
    return bytes(70_000)


@large.undo
def forget(large: bytes | None) -> None:
    """Forget the large value."""
    act(os.environ["GOLDEN_UNDO"])


@task
async def gate(first: dict[str, str], large: bytes) -> int:
    act(os.environ["GOLDEN_GATE"])
    return len(large)


@task
def last(gate: int) -> int:
    return gate + 1


@stage
def golden(first: dict[str, str], large: bytes, gate: int, last: int) -> int:
    return last
