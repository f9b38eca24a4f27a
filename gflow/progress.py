"""How far a run is, and when it should end: pure folds over what the journal says.

Estimates come from the medians of earlier runs of each step, added up along the critical path; in a
first run nothing is known, and nothing is made up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final, TypeVar

from gflow.annotations import admits_none
from gflow.events import Outline
from gflow.fingerprint import fingerprints
from gflow.model import GROUPS, Graph, Progress, Run, Status, StepError, StepState, Undo
from gflow.state import Slot, State

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
    """Return what the list of runs keeps of a run that ended, as JSON: the seconds each step took."""
    seconds = {
        name: round(slot.seconds, 4)
        for name, slot in state.slots.items()
        if slot.status == "completed" and slot.seconds and not slot.origin
    }
    return json.dumps({"seconds": seconds}, separators=(",", ":"))


def eta(state: State, known: Medians, now: float) -> float | None:
    """Return the seconds until the run should end, along its critical path; None if a median is missing."""
    left: dict[str, float] = {}
    for step in state.outline:
        slot = state.slots.get(step.name, NOTHING)
        if slot.status == "completed" or (step.kind in GROUPS and step.name not in known):
            left[step.name] = 0.0
        elif step.name not in known:
            return None
        else:
            ran = now - slot.started if slot.status == "running" and slot.started is not None else 0.0
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
    groups = _group_statuses(state, status)
    steps = {step.name: _step(step, state, status, groups) for step in state.outline}
    completed = [name for name in created.results if name in steps and steps[name].status == "completed"]
    load = load or {name: step.preview for name, step in steps.items()}.__getitem__
    return Run(
        id=run,
        workflow=created.workflow,
        version=created.version,
        status=status,
        current=tuple(n for n, step in steps.items() if step.status == "running" and step.kind not in GROUPS),
        steps=steps,
        started=_utc(state.started),
        ended=_utc(state.ended),
        errors=_errors(steps.values()),
        results=Results(completed, load),
        inputs=state.previews,
        progress=progress(state, known or {}, now, ended=status != "running"),
        reason=state.reason if status == state.status else "",
        forked=state.forked and (state.forked.run, state.forked.at),
        load=load,
        exceptions=exceptions or {},
    )


def progress(state: State, known: Medians, now: float, *, ended: bool = False) -> Progress:
    """Return how many of the counted steps are done, which run, and when the rest should be."""
    steps = counted(state.outline)
    completed = sum(state.is_done(step.name) for step in steps)
    current = tuple(step.name for step in steps if step.name in state.open)
    left = None if ended else eta(state, known, now)
    until = None if left is None else _utc(now + left)
    return Progress(len(steps), completed, current, left, until)


def _step(step: Outline, state: State, run: Status, groups: Mapping[str, Status]) -> StepState:
    slot = state.slots.get(step.name, NOTHING)
    status: Status = slot.status
    if status == "running" and run != "running":
        status = "interrupted"
    if step.kind in GROUPS and status == "pending":
        status = groups.get(step.name, "pending")
    return StepState(
        name=step.name,
        kind=step.kind,
        status=status,
        role=step.role,
        group=step.group,
        attempts=slot.attempt,
        degraded=slot.degraded,
        error=slot.error if status != "completed" else None,
        preview=slot.asked.text if status == "waiting" and slot.asked else slot.preview,
        started=_utc(slot.started),
        ended=_utc(slot.ended),
        seconds=slot.seconds,
        kept=slot.kept,
    )


def _group_statuses(state: State, run: Status) -> dict[str, Status]:
    """A group whose body has not run is what its members make it: failed, begun, or nothing yet."""
    owner = {step.name: step.group for step in state.outline}
    statuses: dict[str, Status] = {}
    for name, slot in state.slots.items():
        group = owner.get(name)
        while group is not None and slot.status != "pending":
            if slot.status == "failed" or group not in statuses:
                statuses[group] = "failed" if slot.status == "failed" else _begun(run)
            group = owner.get(group)
    return statuses


def _begun(run: Status) -> Status:
    return "running" if run == "running" else "interrupted"


def _errors(steps: Iterable[StepState]) -> tuple[StepError, ...]:
    failed = [step for step in steps if step.status == "failed" and step.error]
    return tuple(step.error for step in failed if step.error)


def _utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
