"""What bodies did, written down outside of gflow, and the oracle that judges it.

Every body begins with a line: who it is, at which attempt, and the tokens of the values it was given.
Tokens are drawn for each execution, so a value tells which execution it came from.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gflow import Context
from gflow.model import Run
from tests.crash.proof import Violation


@dataclass
class Made:
    """What a step returns. `seen` are the tokens of what it was made from.

    `marks` is there to be spoilt: whoever gets the value writes its name there, which nobody else and
    no resumed run may ever see. `ballast` makes the value large.
    """

    step: str
    token: str
    seen: dict[str, str]
    marks: list[str] = field(default_factory=list)
    ballast: bytes = b""


class Line(NamedTuple):
    """One execution of a body, from its very beginning; `marks` are those that it should not have seen."""

    step: str
    generation: int
    attempt: int
    key: str
    token: str
    seen: dict[str, str]
    marks: list[str]


# ---------------------------------------------------------------- writing


class Ledger:
    """A file that survives its writer: each line is on the disk before the body goes on.

    `announce` is a descriptor that gets one byte after each line.
    """

    def __init__(self, path: Path, announce: int | None = None) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._announce = announce

    def __call__(self, line: Line) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")
        os.fsync(self._file)
        if self._announce is not None:
            os.write(self._announce, b".")


_write: Callable[[Line], None] = lambda line: None  # noqa: E731  # a workflow that nobody audits


def write_to(sink: Callable[[Line], None]) -> None:
    """Let the bodies of this process write to `sink`."""
    global _write  # noqa: PLW0603  # bodies find it from wherever they run
    _write = sink


def perform(ctx: Context, *given: Made | None, ballast: int = 0) -> Made:
    """Do what every step of these tests does: write a line, and return what it was made from."""
    values = [value for value in given if value is not None]
    line = Line(
        ctx.step, ctx.generation, ctx.attempt, ctx.key, secrets.token_hex(4),
        {value.step: value.token for value in values}, [mark for value in values for mark in value.marks],
    )  # fmt: skip
    _write(line)
    for value in values:
        value.marks.append(ctx.step)
    return Made(ctx.step, line.token, line.seen, ballast=bytes(ballast))


def read(path: Path) -> list[Line]:
    """Return the lines of a ledger, none if there is no ledger; what was not finished is left out."""
    text = path.read_text() if path.exists() else ""
    return [Line(*json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


# ---------------------------------------------------------------- judging


def audit(lines: Iterable[Line], begun: Mapping[str, int] | None = None) -> None:
    """Raise Violation if the lines break a promise.

    - Once a consumer of A has begun, A is acknowledged, and never runs again in that generation.
    - Attempt numbers rise; `begun` are those that were used before the first line.
    - The key is that of the step and the generation, at every attempt.
    - Consumers see what the last execution of A made, and nobody sees what another consumer did to it.
    """
    attempts: dict[tuple[str, int], int] = {(step, 0): number for step, number in (begun or {}).items()}
    keys: dict[tuple[str, int], str] = {}
    last: dict[str, Line] = {}
    used: dict[tuple[str, int], str] = {}
    for line in lines:
        step, generation = place = line.step, line.generation
        if place in used:
            raise Violation(f"{step} ran again in generation {generation} after {used[place]} had used it")
        if line.attempt <= attempts.get(place, 0):
            raise Violation(f"{step} ran twice as attempt {line.attempt}")
        if keys.setdefault(place, line.key) != line.key or not line.key.endswith(f":{step}:g{generation}"):
            raise Violation(f"{step} ran in generation {generation} under the key {line.key}")
        if line.marks:
            raise Violation(f"{step} got a value that {line.marks} had changed")
        for producer, token in line.seen.items():
            made = last.get(producer)
            if made is not None and made.token != token:
                raise Violation(f"{step} saw a value of {producer} that does not stand: {token}")
            used[producer, made.generation if made else 0] = step
        attempts[place] = line.attempt
        last[step] = line


def audit_end(lines: Iterable[Line], run: Run, undisturbed: Mapping[str, frozenset[str]]) -> None:
    """Raise Violation unless the run ended as an undisturbed one does, with the values that were seen.

    `undisturbed` names for each step those it is made from.
    """
    if run.status != "completed":
        raise Violation(f"the run ended as {run.status}: {'; '.join(map(str, run.errors))}")
    last = {line.step: line.token for line in lines}
    values = {name: run.value(name) for name, step in run.steps.items() if step.status == "completed"}
    made = {name: value for name, value in values.items() if value is not None}
    if shape(made) != undisturbed:
        raise Violation(f"the run's values have another shape than an undisturbed run's: {shape(made)}")
    for name, value in made.items():
        if last.get(name, value.token) != value.token:
            raise Violation(f"{name} stands with {value.token}, but ran last as {last[name]}")
        wrong = [p for p, token in value.seen.items() if made[p].token != token]
        if wrong or value.marks:
            raise Violation(f"{name} was made from other values than those that stand: {wrong} {value.marks}")


def shape(values: Mapping[str, Made]) -> dict[str, frozenset[str]]:
    """Return what is the same in every run: which steps there are, and from what each was made."""
    return {name: frozenset(value.seen) for name, value in values.items()}
