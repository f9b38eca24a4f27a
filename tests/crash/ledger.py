"""What bodies did, written down outside of gflow, and the oracle that judges it.

Every body begins with a line: who it is, at which attempt, and the tokens of the values it was given.
Tokens are drawn for each execution, so a value tells which execution it came from.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from gflow import Context
from gflow.model import Graph, Run
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
    """One execution of a body, from its very beginning; `marks` are those that it should not have seen.

    An undo's line is written when it has taken its step back; `seen` has the value that it was given.
    """

    step: str
    generation: int
    attempt: int
    key: str
    token: str
    seen: dict[str, str]
    marks: list[str]
    act: Literal["do", "undo"] = "do"


# ---------------------------------------------------------------- writing


class Ledger:
    """A file that survives its writer: each line is on the disk before the body goes on.

    `announce` is called after each line.
    """

    def __init__(self, path: Path, announce: Callable[[], object] = lambda: None) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._announce = announce

    def __call__(self, line: Line) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")
        os.fsync(self._file)
        self._announce()


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


def take_back(ctx: Context, value: Made | None) -> None:
    """Do what every undo of these tests does: write a line."""
    seen = {value.step: value.token} if value else {}
    _write(
        Line(ctx.step, ctx.generation, ctx.attempt, ctx.key, "", seen, value.marks if value else [], "undo")
    )


def read(path: Path) -> list[Line]:
    """Return the lines of a ledger, none if there is no ledger."""
    return parsed(path.read_bytes() if path.exists() else b"")


def parsed(text: bytes) -> list[Line]:
    """Return the lines of a ledger's text; one that was not finished is left out."""
    return [Line(*json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith(b"\n")]


# ---------------------------------------------------------------- judging


def audit(lines: Sequence[Line], begun: Mapping[str, int] | None = None) -> None:
    """Raise Violation if the lines break a promise.

    - Once a consumer of A has begun, A is acknowledged, and never runs again in that generation.
    - Attempt numbers rise; `begun` are those that were used before the first line.
    - The key is that of the step and the generation, at every attempt.
    - Consumers see what the last execution of A made, and nobody sees what another consumer did to it.
    """
    attempts: dict[tuple[str, int], int] = {(step, 0): number for step, number in (begun or {}).items()}
    last: dict[str, Line] = {}
    used: dict[tuple[str, int], str] = {}
    for line in (line for line in lines if line.act == "do"):
        step, generation = place = line.step, line.generation
        if place in used:
            raise Violation(f"{step} ran again in generation {generation} after {used[place]} had used it")
        if line.attempt <= attempts.get(place, 0):
            raise Violation(f"{step} ran twice as attempt {line.attempt}")
        if not line.key.endswith(f":{step}:g{generation}"):
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


def audit_undos(lines: Sequence[Line], later: Mapping[str, set[str]], undoable: AbstractSet[str]) -> set[str]:
    """Raise Violation if undos break a promise; return the steps that stand at the end.

    `later` names for each step those that the graph orders after it, `undoable` those that have an undo.

    - Nothing is undone while something stands that the graph orders after it.
    - An undo gets the value that stands, None only if nobody had it, under a key of its own.
    - What was undone never runs again in that generation, nor under its key.
    """
    standing: dict[str, Line] = {}
    used: set[str] = set()
    undone: set[str] = set()
    for line in lines:
        step = line.step
        if line.act == "do":
            if line.key in undone:
                raise Violation(f"{step} ran again under the key {line.key}, which was undone")
            standing[step] = line
            used |= {standing[producer].key for producer in line.seen if producer in standing}
            continue
        _check_undo(line, standing.get(step), used)
        if above := later[step] & undoable & standing.keys():
            raise Violation(f"{step} was undone while {', '.join(above)} stands, which comes after it")
        undone.add(line.key.removesuffix(":undo"))
        standing.pop(step, None)
    return undoable & standing.keys()


def _check_undo(line: Line, made: Line | None, used: AbstractSet[str]) -> None:
    """Check the key of an undo and the value that it got; it may be called again for what it has undone."""
    step = line.step
    if not line.key.endswith(f":{step}:g{line.generation}:undo"):
        raise Violation(f"{step} was undone in generation {line.generation} under the key {line.key}")
    if made is None:
        return
    if made.generation != line.generation:
        raise Violation(f"{step} was undone in generation {line.generation}, and ran in {made.generation}")
    if line.seen not in ({}, {step: made.token}) or line.marks:
        raise Violation(f"the undo of {step} got {line.seen}, but {made.token} stands")
    if not line.seen and made.key in used:
        raise Violation(f"the undo of {step} got None, but its value had been used")


def later_steps(graph: Graph) -> dict[str, set[str]]:
    """Return for each step those that the graph orders after it: all that end later, whatever happens."""
    edges: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for name, node in graph.nodes.items():
        edges["begin", name] |= {("end", name), *(("begin", member) for member in node.members)}
        for earlier in node.after:
            edges["end", earlier].add(("begin", name))
        for member in node.joins:
            edges["end", member].add(("end", name))
    return {name: _ends(edges, ("end", name)) for name in graph.nodes}


def _ends(edges: Mapping[tuple[str, str], set[tuple[str, str]]], start: tuple[str, str]) -> set[str]:
    reached: set[tuple[str, str]] = set()
    front = [start]
    while front:
        for point in edges.get(front.pop(), set()) - reached:
            reached.add(point)
            front.append(point)
    return {name for moment, name in reached if moment == "end"}


def audit_end(lines: Iterable[Line], run: Run, undisturbed: Mapping[str, frozenset[str]]) -> None:
    """Raise Violation unless the run ended as an undisturbed one does, with the values that were seen.

    `undisturbed` names for each step those it is made from.
    """
    if run.status != "completed":
        raise Violation(f"the run ended as {run.status}: {'; '.join(map(str, run.errors))}")
    last = {line.step: line.token for line in lines if line.act == "do"}
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
