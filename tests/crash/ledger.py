"""What bodies did, written down outside of gflow, and the oracle that judges it.

Every body begins with a line: who it is, at which attempt, and the tokens of the values it was given.
Tokens are drawn for each execution, so a value tells which execution it came from.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from gflow import Context
from gflow.events import coordinates, step_of
from gflow.model import Graph, Run
from tests.crash.proof import Violation

WORDS: Final = ("failed", "approved", "rejected", "expired", "not asked")
"""Tokens that name no execution: a failure that was taken as a value, an answer that a step got."""


@dataclass
class Made:
    """What a step returns. `seen` are the tokens of what it was made from.

    `marks` is there to be spoilt: whoever gets the value writes its name there, which nobody else and
    no resumed run may ever see. `ballast` makes the value large. `index` is its number in a list of items.
    """

    step: str
    token: str
    seen: dict[str, str]
    marks: list[str] = field(default_factory=list)
    ballast: bytes = b""
    index: int | None = None


class Line(NamedTuple):
    """One execution of a body, from its very beginning; `marks` are those that it should not have seen.

    An undo's line is written when it has taken its step back; `seen` has the value that it was given. What
    was done is forgotten when a step begins anew that had run on a failure.
    """

    step: str
    generation: int
    attempt: int
    key: str
    token: str
    seen: dict[str, str]
    marks: list[str]
    act: Literal["do", "undo", "forget"] = "do"


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


def perform(
    ctx: Context, *given: Made | None, ballast: int = 0, words: Mapping[str, str] | None = None
) -> Made:
    """Do what every step of these tests does: write a line, and return what it was made from.

    `words` are what else it was given: failures by their steps, answers by the path of who asked.
    """
    values = [value for value in given if value is not None]
    seen = {value.step: value.token for value in values} | dict(words or {})
    marks = [mark for value in values for mark in value.marks]
    line = Line(ctx.path, ctx.generation, ctx.attempt, ctx.key, secrets.token_hex(4), seen, marks)
    _write(line)
    for value in values:
        value.marks.append(ctx.path)
    return Made(ctx.path, line.token, line.seen, ballast=bytes(ballast))


def take_back(ctx: Context, value: Made | None) -> None:
    """Do what every undo of these tests does: write a line."""
    seen = {value.step: value.token} if value else {}
    _write(
        Line(ctx.path, ctx.generation, ctx.attempt, ctx.key, "", seen, value.marks if value else [], "undo")
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
    - The key is that of the step, the generation and the rung, at every attempt.
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
        if not _without_rung(line.key).endswith(f":{step}:g{generation}"):
            raise Violation(f"{step} ran in generation {generation} under the key {line.key}")
        if line.marks:
            raise Violation(f"{step} got a value that {line.marks} had changed")
        for producer, token in line.seen.items():
            made = last.get(producer)
            if token in WORDS:
                continue
            if made is not None and made.token != token:
                raise Violation(f"{step} saw a value of {producer} that does not stand: {token}")
            used[producer, made.generation if made else 0] = step
        attempts[place] = line.attempt
        last[step] = line


def _without_rung(key: str) -> str:
    """Return the key of the step's own body in place of that of what stood in for it."""
    return re.sub(r"(:g\d+):(?:f\d+|d)$", r"\1", key)


def audit_undos(lines: Sequence[Line], graph: Graph, undoable: AbstractSet[str]) -> set[str]:
    """Raise Violation if undos break a promise; return the instances that stand at the end.

    `undoable` are the steps that have an undo.

    - Nothing is undone while something stands that the graph orders after it.
    - An undo gets the value that stands, None only if nobody had it, under a key of its own.
    - What was undone never runs again in that generation, nor under its key.
    """
    later = later_steps(graph)
    standing: dict[str, Line] = {}
    used: set[str] = set()
    undone: set[str] = set()
    for line in lines:
        step = line.step
        if line.act == "do":
            if _without_rung(line.key) in undone:
                raise Violation(f"{step} ran again under the key {line.key}, which was undone")
            standing[step] = line
            used |= {
                standing[p].key for p, token in line.seen.items() if p in standing and token not in WORDS
            }
            continue
        if line.act == "forget":
            standing.pop(step, None)
            continue
        _check_undo(line, standing.get(step), used)
        if above := [
            each for each in standing if step_of(each) in undoable and _is_later(graph, later, step, each)
        ]:
            raise Violation(f"{step} was undone while {', '.join(above)} stands, which comes after it")
        undone.add(line.key.removesuffix(":undo"))
        standing.pop(step, None)
    return {each for each in standing if step_of(each) in undoable}


def _is_later(graph: Graph, later: Mapping[str, set[str]], path: str, other: str) -> bool:
    """Tell whether an instance comes after another: in the same items, and in no earlier round."""
    step, name = step_of(path), step_of(other)
    here, there = coordinates(path), coordinates(other)
    for scope, one, two in zip(scopes_of(graph, step), here, there, strict=False):
        if scope not in scopes_of(graph, name):
            break
        if one != two:
            return graph.nodes[scope].repeat is not None and int(one[1:]) < int(two[1:])
    return name in later[step]


def scopes_of(graph: Graph, step: str) -> tuple[str, ...]:
    """Return the fan-out and repeat groups around a step, outermost first, itself included if it is one."""
    node = graph.nodes[step]
    return (*node.scope, step) if node.is_scope else node.scope


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
    if not line.seen and made.key in used and made.key == _without_rung(made.key):
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
