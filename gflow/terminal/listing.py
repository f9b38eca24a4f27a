"""Many runs at once: the list of runs, and how long their steps take. Pure text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gflow.model import Status, duration
from gflow.terminal.lines import to_decide
from gflow.terminal.summary import RESUMABLE
from gflow.terminal.text import clean, count, padded, widest

NAME_MOST: Final = 40


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in a list.

    `seconds` is how long it took, None while it goes on. `gone` is the process that ran it and is dead
    without having said how the run ended. `asks` are the steps that wait for an approval.
    """

    id: str
    workflow: str
    status: Status
    started: datetime
    seconds: float | None = None
    gone: int | None = None
    asks: tuple[str, ...] = ()


def listing(runs: Sequence[Listed], now: datetime, command: str = "gflow") -> str:
    """Return one line for each run: what it is, how it stands, when it began, and how to go on."""
    if not runs:
        return f"no run yet · {command} run MODULE makes one"
    names = widest([clean(run.workflow) for run in runs], NAME_MOST)
    statuses = widest([clean(run.status) for run in runs if run.gone is None], 20)
    ids = widest([clean(run.id) for run in runs], 20)
    return "\n".join(
        f"{padded(clean(run.id), ids)}  {padded(clean(run.workflow), names)}  "
        f"{_rest(run, statuses, now, command)}"
        for run in runs
    )


def _rest(run: Listed, width: int, now: datetime, command: str) -> str:
    go_on = _go_on(run, command)
    if run.gone is not None:
        return f"{run.status} (process {run.gone} is gone){go_on}"
    took = "" if run.seconds is None else duration(run.seconds)
    line = f"{padded(clean(run.status), width)}  {ago(run.started, now):>12}  {took:>7}"
    return f"{line}{go_on}".rstrip()


def _go_on(run: Listed, command: str) -> str:
    """Return the command that a run waits for."""
    if run.status == "waiting" and run.asks:
        first, *others = run.asks
        more = f" (and {len(others)} more)" if others else ""
        return f" · {to_decide(command, clean(run.id), first)[0]} --resume{more}"
    if run.status == "waiting":
        return f" · {command} show {clean(run.id)}"
    return f" · {command} resume {clean(run.id)}" if run.status in RESUMABLE else ""


def ago(then: datetime, now: datetime) -> str:
    """Return how long ago something was: `just now`, `2 min ago`, `3 h ago`, `4 days ago`, then the date."""
    minutes = int((now - then).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 24 * 60:
        return f"{minutes // 60} h ago"
    days = minutes // (24 * 60)
    return f"{count(days, 'day')} ago" if days < 30 else f"{then:%Y-%m-%d}"


def stats(medians: Mapping[str, float], runs: int) -> str:
    """Return the median time of each step, the longest first, over a number of completed runs."""
    if not medians:
        return "no completed run yet: no step has a median"
    total = sum(medians.values())
    names = widest(["step", *medians], NAME_MOST)
    rows = [
        f"{padded(name, names)}   {duration(seconds):>7}   {100 * seconds / total if total else 0.0:>5.1f}%"
        for name, seconds in sorted(medians.items(), key=lambda item: -item[1])
    ]
    head = f"{padded('step', names)}   {'median':>7}   {'share':>6}"
    foot = [count(len(medians), "step"), f"{duration(total)} one after another", count(runs, "completed run")]
    return "\n".join([head, *rows, "", " · ".join(foot)])
