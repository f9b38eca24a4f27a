"""How a run ended, and what to type next: pure text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from gflow import poison, progress
from gflow.errors import Refused
from gflow.model import Frame, Run, Status, StepError, duration
from gflow.terminal.text import clean, count, some

FRAMES: Final = 6
MESSAGE_LINES: Final = 20
LABEL: Final = 12
REFUSED: Final = f"{Refused.__module__}.{Refused.__qualname__}"


class FollowUp(NamedTuple):
    """A command to type next, for runs of one status."""

    status: Status
    label: str
    command: str


RESUMABLE: Final[tuple[Status, ...]] = ("failed", "interrupted", "cancelled", "rolled_back", "rolling_back")
FOLLOW_UPS: Final = (
    FollowUp("completed", "see it", "show {run} --timeline"),
    FollowUp("completed", "undo it", "rollback {run} --to start --plan"),
    *(FollowUp(status, "go on", "resume {run}") for status in RESUMABLE),
    FollowUp("failed", "go back", "rollback {run} --to start --plan"),
    FollowUp("rollback_incomplete", "again", "{again}"),
    FollowUp("rollback_incomplete", "pass over", "rollback {run} --to {to} --force"),
)


def summary(
    run: Run,
    command: str = "gflow",
    *,
    began: datetime | None = None,
    standing: Collection[str] = (),
    known: Mapping[str, float] | None = None,
) -> str:
    """Return how a run ended.

    `command` is how this process was called. `began` is when it took the run up (default: when the run
    was created), `standing` names the steps whose effects outlast the run, and `known` holds the median
    seconds of each step in earlier runs.
    """
    match run.status:
        case "completed":
            lines = [_completed(run, began, known or {}), *follow_ups(run, command)]
        case "failed":
            lines = [_failed(run, standing), *errors(run), *follow_ups(run, command)]
        case "interrupted":  # its first line says how to go on
            lines = [_interrupted(run, command), *errors(run)]
        case "rolled_back":
            lines = [f"rolled back {run.reason} · run {run.id}", *follow_ups(run, command)]
        case _:
            lines = [f"{run.status}{_reason(run)} · run {run.id}", *errors(run), *follow_ups(run, command)]
    return "\n".join(lines)


def follow_ups(run: Run, command: str) -> list[str]:
    """Return the commands that go on from here, one a line.

    The reason of an incomplete rollback begins with where it leads, `to STEP` or `before STEP`.
    """
    offered = [each for each in FOLLOW_UPS if each.status == run.status]
    if f"{poison.POISON}: " in run.reason:
        offered.insert(0, FollowUp(run.status, "look", "logs {run}"))
    way, _, to = run.reason.partition(";")[0].partition(" ")
    again = f"resume {run.id} --rerun {to}" if way == "before" else f"rollback {run.id} --to {to}"
    return [
        f"  {each.label:<{LABEL}}{command} {each.command.format(run=run.id, again=again, to=to)}"
        for each in offered
    ]


def errors(run: Run) -> list[str]:
    """Return what stopped a run: for each failure the user's lines, outermost first, then what was raised."""
    lines: list[str] = []
    for error in run.errors:
        if len(run.errors) > 1:
            lines.append(f"  {error.step}:")
        lines += [line for frame in error.frames[-FRAMES:] for line in _place(frame)]
        lines += _raised(error, run.exceptions.get(error.step))
    return lines


# ---------------------------------------------------------------- the first line

WORTH_NAMING: Final = 0.5
"""Seconds from which on a step is said to bound its run."""


def _completed(run: Run, began: datetime | None, known: Mapping[str, float]) -> str:
    steps = progress.counted(run.steps.values())
    kept = sum(step.kept for step in steps)
    began = began or run.started
    took = f" in {duration((run.ended - began).total_seconds())}" if run.ended and began else ""
    degraded = f", {len(run.degraded)} degraded: {', '.join(some(run.degraded, 5))}" if run.degraded else ""
    parts = [
        f"completed{degraded}",
        f"{count(len(steps) - kept, 'step')}{took}" + (f", {kept} kept" if kept else ""),
        _bound(run, known) if len(steps) > 1 and not kept else "",
    ]
    return " · ".join(filter(None, parts))


def _bound(run: Run, known: Mapping[str, float]) -> str:
    """Name the step that the run waited for most, and its median if that was clearly less."""
    name = progress.bound_by(run)
    seconds, usual = (run.steps[name].seconds or 0.0, known.get(name, 0.0)) if name else (0.0, 0.0)
    if name is None or seconds < WORTH_NAMING:
        return ""
    slow = usual > 0 and seconds > 2 * usual and seconds - usual > 1
    return f"bound by {name}" + (f" ({duration(seconds)}, usually {duration(usual)})" if slow else "")


def _failed(run: Run, standing: Collection[str]) -> str:
    names = ", ".join(some([error.step for error in run.errors], 5)) or "no step"
    stands = [_effect(run, name) for name in standing if run.steps[name].status == "completed"]
    undone = f"nothing was undone: {'; '.join(some(stands, 4))}" if stands else "nothing was undone"
    return f"failed{_reason(run)}: {names} ({run.progress.percent}% complete) · run {run.id} · {undone}"


def _effect(run: Run, name: str) -> str:
    return clean(run.steps[name].preview or "", 80) or name


def _interrupted(run: Run, command: str) -> str:
    steps = [step.name for step in progress.counted(run.steps.values()) if step.status == "interrupted"]
    cut = f"{', '.join(some(steps, 5))} {'were' if len(steps) > 1 else 'was'} running"
    told = cut if steps else "no step was cut short"
    return f"interrupted{_reason(run)}: {told} · {command} resume {run.id}"


def _reason(run: Run) -> str:
    return f" ({clean(run.reason, 80)})" if run.reason and run.status != "completed" else ""


# ---------------------------------------------------------------- one failure


def _place(frame: Frame) -> list[str]:
    where = f"  {clean(frame.file)}:{frame.line}, in {clean(frame.function)}"
    text = clean(frame.text)
    return [where, f"    {text}"] if text else [where]


def _raised(error: StepError, exception: BaseException | None) -> list[str]:
    """Return what was raised: a refusal as a list of its reasons, anything else as Python shows it."""
    if isinstance(exception, Refused) and exception.blockers:
        blockers = [f"    - {line}" for blocker in exception.blockers for line in _lines(blocker)]
        return [f"  refused: {clean(exception.message)}", *_bounded(blockers)]
    name = "refused" if error.type == REFUSED or isinstance(exception, Refused) else clean(error.type)
    first, *rest = _lines(error.message.strip()) or [""]
    head = f"  {name}: {first}" if first else f"  {name}"
    return _bounded([head, *(f"    {line}".rstrip() for line in rest)])


def _lines(text: str) -> list[str]:
    """Return the lines of a message; blanks at their beginnings stay, for a message may hold a table."""
    return [" " * min(len(line) - len(line.lstrip(" ")), 40) + clean(line) for line in text.splitlines()]


def _bounded(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    if len(every) <= MESSAGE_LINES:
        return every
    return [*every[:1], f"    … ({len(every) - MESSAGE_LINES} more lines)", *every[1 - MESSAGE_LINES :]]
