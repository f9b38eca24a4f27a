"""A workflow to be forged: a small value, one that is read from its round, one in a file, and a gate.

The gate fails until the file that `CRASH_GATE` names is there. It reads all values, so that a resume does.
"""

from __future__ import annotations

import os
from pathlib import Path

from gflow import Input, stage, task


@task
def small(word: Input[str] = "genuine") -> dict[str, str]:
    return {"small": word}


@task
def paged(small: dict[str, str]) -> bytes:
    return small["small"].encode() * 1000


@task
def large(paged: bytes) -> bytes:
    return paged * 10


@task
def gate(small: dict[str, str], paged: bytes, large: bytes) -> int:
    if not Path(os.environ["CRASH_GATE"]).exists():
        raise ValueError("the gate is closed")
    return len(small) + len(paged) + len(large)


@stage
def target(small: dict[str, str], paged: bytes, large: bytes, gate: int) -> int:
    return gate
