"""How far a run is, and when it should end: pure folds over what the journal says.

Estimates come from the medians of earlier runs of each step, added up along the critical path; in a
first run nothing is known, and nothing is made up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final, TypeVar

from gflow.annotations import admits_none
from gflow.events import Outline, step_of
from gflow.fingerprint import fingerprints
from gflow.instances import Instances, errors, first_failures, left_standing, utc
from gflow.model import GROUPS, Graph, OpenQuestion, Progress, Run, Status, StepState, Undo
from gflow.state import Slot, State
from gflow.tally import Tally

Medians = Mapping[str, float]
Counted = TypeVar("Counted", Outline, StepState)

NOTHING: Final = Slot()
LONGEST: Final = 1e7
"""Seconds that a step may have taken to count in an estimate: four months."""


# ---------------------------------------------------------------- the outline of a workflow


def outline(graph: Graph) -> list[Outline]:
    """Return what the journal keeps of a graph, in the order of the plan."""
    prints = fingerprints(graph)
    return [
        Outline(
            node.name,
            node.kind,
            node.role,
            node.group,
            sorted(node.after),
            sorted(node.joins),
            node.undo.doc.partition("\n")[0].rstrip(".") if node.undo else None,
            node.effects,
            takes_none=node.undo is not None and _takes_none(node.undo),
            asks=node.ask is not None,
            scope=[*node.scope, *([node.name] if node.is_scope else [])] or None,
            repeats=node.repeat is not None,
            rungs=[rung.label for rung in node.rungs] or None,
            **prints[node.name]._asdict(),
        )
        for node in graph.nodes.values()
    ]


def counted(steps: Iterable[Counted]) -> list[Counted]:
    """Return the steps that progress counts: the leaves; in a workflow of groups alone, every step."""
    every = list(steps)
    return [step for step in every if step.kind not in GROUPS] or every


def _takes_none(undo: Undo) -> bool:
    return bool(undo.params) and admits_none(undo.params[0].annotation)


# ---------------------------------------------------------------- estimates


def medians(summaries: Iterable[str]) -> dict[str, float]:
    """Return the median seconds of each step over the summaries of earlier runs."""
    seconds: dict[str, list[float]] = {}
    for summary in summaries:
        for step, value in _taken(summary).items():
            seconds.setdefault(step, []).append(value)
    return {step: median(values) for step, values in seconds.items()}


def _taken(summary: str) -> dict[str, float]:
    """Return the seconds that the steps of a run took; nothing from a text that gflow did not write.

    The list of runs is not signed: an estimate may be misled, and nothing else may come of it.
    """
    try:
        found = {str(step): float(value) for step, value in json.loads(summary or "{}")["seconds"].items()}
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return {}
    return {step: value for step, value in found.items() if 0 <= value <= LONGEST}


def summary(state: State) -> str:
    """Return what the list of runs keeps of a run that ended, as JSON: the seconds each step took.

    What runs once per item or round counts as a whole, from its first start to its end, unless somebody had
    to resume the run in between.
    """
    seconds: dict[str, float] = {}
    for step in state.outline:
        slot = state.slots.get(step.name, NOTHING)
        if slot.status == "completed" and slot.seconds and not slot.origin and not step.scope:
            seconds[step.name] = round(slot.seconds, 4)
    if state.session == 1:
        seconds |= {name: round(took, 4) for name, took in _spans(state).items()}
    return json.dumps({"seconds": seconds}, separators=(",", ":"))


def _spans(state: State) -> dict[str, float]:
    """Return the seconds from the first start to the end of each completed fan-out and repeat group."""
    outermost = {step.name: step.scope[0] for step in state.outline if step.scope}
    began = _first_starts(state, outermost)
    return {
        name: slot.ended - began[name]
        for name in began
        if (slot := state.slots.get(name, NOTHING)).status == "completed" and slot.ended and not slot.origin
    }


def _first_starts(state: State, outermost: Mapping[str, str]) -> dict[str, float]:
    began: dict[str, float] = {}
    for path, slot in state.slots.items() if outermost else ():
        scope = outermost.get(step_of(path))
        if scope is not None and slot.started is not None:
            began[scope] = min(slot.started, began.get(scope, slot.started))
    return began


def eta(state: State, known: Medians, now: float) -> float | None:
    """Return the seconds until the run should end, along its critical path; None if a median is missing.

    A fan-out, or a repeat group, is estimated as a whole, with all that is in it.
    """
    left: dict[str, float] = {}
    for step in state.outline:
        slot = state.slots.get(step.name, NOTHING)
        is_inside = bool(step.scope) and step.scope != [step.name]
        if slot.has_ended or is_inside or (step.kind in GROUPS and step.name not in known):
            left[step.name] = 0.0
        elif step.name not in known:
            return None
        else:
            runs = slot.status == "running" or slot.items is not None
            ran = now - slot.started if runs and slot.started is not None else 0.0
            left[step.name] = max(0.0, known[step.name] - ran)
    return longest_path(state.outline, left)


def longest_path(steps: Sequence[Outline], cost: Mapping[str, float]) -> float:
    """Return the longest way through the graph. A group begins before its members and ends after them."""
    ends: dict[str, float] = {}
    begins: dict[str, float] = {}
    by_name = {step.name: step for step in steps}
    stack: list[tuple[str, bool]] = [(step.name, True) for step in reversed(steps)]
    while stack:  # depth first without recursion: a chain may have thousands of steps
        name, is_end = stack.pop()
        done, step = (ends if is_end else begins), by_name[name]
        if name in done:
            continue
        needs = [(earlier, True) for earlier in step.after if earlier in by_name]
        if not is_end:
            needs += [(step.group, False)] if step.group in by_name and step.group else []
        else:
            needs = [(name, False), *((member, True) for member in step.joins if member in by_name)]
        missing = [need for need in needs if need[0] not in (ends if need[1] else begins)]
        if missing:
            stack += [(name, is_end), *missing]
            continue
        reached = max(((ends if end else begins)[need] for need, end in needs), default=0.0)
        done[name] = reached + (cost[name] if is_end else 0.0)
    return max(ends.values(), default=0.0)


def bound_by(run: Run) -> str | None:
    """Return the step that a finished run spent most of its time on, along the chain that ended last.

    The chain is followed backwards: each step is preceded by the one that ended last before it began.
    """
    ran = sorted(
        (step.ended, step.started, step.name)
        for step in counted(run.steps.values())
        if not step.kept and step.ended and step.started
    )
    longest: tuple[timedelta, str] | None = None
    until: datetime | None = None
    for ended, started, name in reversed(ran):
        if until is None or ended <= until:
            until = started
            longest = max(longest or (timedelta(), name), (ended - started, name))
    return longest[1] if longest else None


# ---------------------------------------------------------------- a run as a person sees it


class Results(Mapping[str, Any]):
    """The results of a run by name; each is loaded when it is asked for."""

    def __init__(self, names: Sequence[str], load: Callable[[str], Any]) -> None:
        self._names = tuple(names)
        self._load = load

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<results of {', '.join(self._names) or 'no step'}>"


def snapshot(
    run: str,
    state: State,
    now: float,
    *,
    alive: bool,
    known: Medians | None = None,
    load: Callable[[str], Any] | None = None,
    exceptions: Mapping[str, BaseException] | None = None,
) -> Run:
    """Return the run as its journal tells it.

    `alive` says whether a process holds the run's lock: one that is said to run and does not live is
    `interrupted`. `load` loads a value by its step's name; without it, previews stand for the values.
    """
    created = state.created
    assert created is not None, "a journal begins with the creation of its run"
    status: Status = state.status
    if status in ("running", "pending") and not alive:
        status = "interrupted"
    steps, left = Instances(state, status).states(), left_standing(state)
    completed = [name for name in created.results if name in steps and steps[name].status == "completed"]
    load = load or {name: step.preview for name, step in steps.items()}.__getitem__
    return Run(
        id=run,
        workflow=created.workflow,
        version=created.version,
        status=status,
        current=_running(state) if status == "running" else (),
        steps=steps,
        started=utc(state.started),
        ended=utc(state.ended),
        errors=errors(state),
        results=Results(completed, load),
        inputs=state.previews,
        progress=progress(state, known or {}, now, ended=status != "running"),
        reason=state.reason if status == state.status else "",
        forked=state.forked and (state.forked.run, state.forked.at),
        questions=_questions(state),
        undone=tuple(name for name in steps if state.undone[name] and name not in left),
        left=left,
        load=load,
        exceptions=_with_scopes(state, exceptions or {}),
    )


def _with_scopes(state: State, exceptions: Mapping[str, BaseException]) -> Mapping[str, BaseException]:
    """Return exceptions by path; what failed with its items has the exception of the first of them."""
    first = {scope: exceptions[path] for scope, path in first_failures(state).items() if path in exceptions}
    return {**exceptions, **first} if first else exceptions


def progress(state: State, known: Medians, now: float, *, ended: bool = False) -> Progress:
    """Return how many of the counted steps are done, which run or wait, and when the rest should be."""
    if state.status == "completed":  # nothing is left to be looked for
        total = len(counted(state.outline))
        return Progress(total, total)
    tally = Tally.of(state)
    left = None if ended else eta(state, known, now)
    until = None if left is None else utc(now + left)
    current = _running(state) or tuple(_questions(state))
    return Progress(tally.total, tally.completed, current, left, until, tally.partly)


def _running(state: State) -> tuple[str, ...]:
    """Return the instances of leaves that run, in the order of the plan."""
    place = {step.name: number for number, step in enumerate(counted(state.outline))}
    running = [path for path in state.open if step_of(path) in place]
    return tuple(sorted(running, key=lambda path: place[step_of(path)]))


def _questions(state: State) -> dict[str, OpenQuestion]:
    return {
        path: OpenQuestion(slot.asked.text, slot.asked.digest, utc(slot.asked.expires))
        for path, slot in state.slots.items()
        if slot.status == "waiting" and slot.asked is not None
    }
