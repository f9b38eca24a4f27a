"""A run as it stands or ended, step by step, for `gflow show`: pure text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from math import ceil
from typing import Final

from gflow import progress
from gflow.model import ItemState, Run, Status, StepState, duration
from gflow.terminal.lines import (
    AGAIN,
    ASKS,
    BEGUN,
    DEGRADED,
    ENDED,
    FAILED,
    OK,
    SKIPPED,
    Columns,
    done_text,
    error_text,
    given,
    title,
)
from gflow.terminal.summary import errors, follow_ups
from gflow.terminal.text import clean, padded, some, widest

MARKS: Final[dict[Status, str]] = {
    "completed": OK, "failed": FAILED, "running": BEGUN, "interrupted": ENDED, "cancelled": ENDED,
    "skipped": SKIPPED, "waiting": ASKS,
}  # fmt: skip
"""What stands for the status of a step; the others, which have not begun, are a dot."""

INDENTS: Final = 8
ITEMS: Final = 10
"""The most items of a step that have lines of their own."""
WIDTH: Final = 80
TIME: Final = 8
"""Columns for the seconds at the end of a bar."""


def describe(
    run: Run,
    command: str = "gflow",
    *,
    timeline: bool = False,
    now: datetime | None = None,
    zone: tzinfo | None = None,
) -> str:
    """Return all that is known of a run.

    `timeline` adds a bar for each step that ran since the run was last taken up. `now` is where the bars
    of running steps end (default: at the last time that the run knows of); times are shown in `zone`
    (default: that of this machine).
    """
    parts = [_header(run, zone), _tree(run)]
    if timeline:
        parts.append(_bars(progress.counted(run.steps.values()), now))
    if not timeline or run.errors:
        parts.append([*errors(run), *follow_ups(run, command)])
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _header(run: Run, zone: tzinfo | None) -> list[str]:
    reason = f" ({clean(run.reason, 80)})" if run.reason and run.status != "completed" else ""
    far = "" if run.status == "completed" else f" · {run.progress.percent}% complete"
    first = f"{title(run.workflow, run.version, run.id)} · {run.status}{reason}{far}"
    times: list[str] = []
    if run.started:
        times.append(f"started {run.started.astimezone(zone):%Y-%m-%d %H:%M:%S}")
    if run.started and run.ended:
        times.append(f"ended after {duration((run.ended - run.started).total_seconds())}")
    forked = f"forked from {run.forked[0]} at {run.forked[1]}" if run.forked else ""
    second = " · ".join(filter(None, [*times, forked, given(run.inputs)]))
    return [first, second] if second else [first]


# ---------------------------------------------------------------- the steps


def _tree(run: Run) -> list[str]:
    """Return a line for each step, its members below it; names stand out by two columns a level."""
    placed = [("  " * min(depth, INDENTS), step) for depth, step in _placed(run)]
    names = [indent + step.name for indent, step in placed]
    columns = Columns.of(names, [step.role or "" for _, step in placed])
    lines: list[str] = []
    for indent, step in placed:
        fewer = replace(columns, name=columns.name - len(indent))
        lines.append(indent + fewer.row(_mark(step), step.name, step.role, *_facts(step)).removeprefix("  "))
        lines += [f"{indent}    {line}" for line in _items(step)]
    return lines


def _items(step: StepState) -> list[str]:
    """Return a line for each item of a fan-out that failed, runs or waits, and for each round; bounded."""
    if step.items is None:
        return []
    told = [
        f"{MARKS.get(item.status, '·')} {clean(path)}   {_item_text(item)}".rstrip()
        for path, item in step.items.states.items()
        if item.status in ("failed", "running", "waiting", "interrupted", "cancelled")
    ]
    return some(told, ITEMS) if len(told) > 1 or step.items.total > 1 else []


def _item_text(item: ItemState) -> str:
    if item.status == "failed" and item.error is not None:
        return error_text(item.error.type, item.error.message)
    return clean(item.preview or "")


def _placed(run: Run) -> Iterator[tuple[int, StepState]]:
    """Yield every step with its depth, a group before its members."""
    members: dict[str | None, list[StepState]] = {}
    for step in run.steps.values():
        members.setdefault(step.group, []).append(step)
    stack = [(0, step) for step in reversed(members.get(None, []))]
    while stack:  # without recursion: a chain of stages may nest thousands deep
        depth, step = stack.pop()
        yield depth, step
        stack += [(depth + 1, member) for member in reversed(members.get(step.name, []))]


def _mark(step: StepState) -> str:
    if step.status == "pending" and step.error:
        return AGAIN
    return DEGRADED if step.status == "completed" and step.degraded else MARKS.get(step.status, "·")


def _facts(step: StepState) -> tuple[float | None, str]:
    """Return the seconds of a step's last attempt, and what it has to say."""
    if step.status == "completed":
        text = done_text(step.attempts, step.degraded, step.preview, step.stand_in)
        return step.seconds if step.attempts else None, text
    if step.status == "skipped":
        return None, clean(f"skipped: {step.preview}" if step.preview else "skipped")
    if step.status == "waiting" and step.preview:
        return None, clean(step.preview)
    if step.items is not None and step.status != "failed":
        return step.seconds, clean(step.preview or "")
    if step.error is None:
        return step.seconds, done_text(step.attempts, None, None)
    attempts = f"{step.attempts} attempts · " if step.attempts > 1 else ""
    return step.seconds, attempts + error_text(step.error.type, step.error.message)


# ---------------------------------------------------------------- the timeline


def _bars(steps: Sequence[StepState], now: datetime | None) -> list[str]:
    """Return a bar for each step that ran since the run was last taken up, over the time that took."""
    ran = [step for step in steps if step.started and not step.kept]
    known = [time for step in ran for time in (step.started, step.ended) if time]
    if not known:
        return []
    first, last = min(known), max([*known, now] if now else known)
    names = widest([step.name for step in ran], WIDTH // 3)
    room = WIDTH - names - TIME - 3
    scale = room / ((last - first).total_seconds() or 1.0)
    lines: list[str] = []
    for step in ran:
        begins = ((step.started or first) - first).total_seconds()
        ends = ((step.ended or last) - first).total_seconds()
        left = min(int(begins * scale), room - 1)
        bar = " " * left + "█" * max(1, ceil(ends * scale) - left)
        name = padded(clean(step.name, names), names)
        lines.append(f"{name}  {bar:<{room}} {duration(ends - begins):>{TIME}}")
    return lines
