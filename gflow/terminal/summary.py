"""How a run ended, and what to type next: pure text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from gflow import poison, progress
from gflow.errors import Refused
from gflow.events import START
from gflow.model import Frame, Run, Status, StepError, duration
from gflow.terminal.lines import error_text, to_decide
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


QUESTIONS: Final = 5
"""The most questions that are put one by one, and the most items of a fan-out whose errors are named."""
ABORT: Final = "abort: "
"""What the reason of a rollback begins with that nobody asked for."""

RESUMABLE: Final[tuple[Status, ...]] = (
    "failed", "interrupted", "cancelled", "rolled_back", "rolling_back", "rejected",
)  # fmt: skip
FOLLOW_UPS: Final = (
    FollowUp("completed", "see it", "show {run} --timeline"),
    FollowUp("completed", "undo it", "rollback {run} --to start --plan"),
    *(FollowUp(s, "ask again" if s == "rejected" else "go on", "resume {run}") for s in RESUMABLE),
    FollowUp("failed", "go back", "rollback {run} --to start --plan"),
    FollowUp("rejected", "go back", "rollback {run} --to start --plan"),
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
        case "failed" | "rejected":
            lines = [_stopped(run, standing), *errors(run), *follow_ups(run, command)]
        case "waiting":
            lines = [_waiting(run), *follow_ups(run, command)]
        case "interrupted":  # its first line says how to go on
            lines = [_interrupted(run, command), *errors(run)]
        case "rolled_back" | "rollback_incomplete" | "rolling_back":
            lines = [_rolled_back(run), *errors(run), *_taken_back(run), *follow_ups(run, command)]
        case _:
            lines = [f"{run.status}{_reason(run)} · run {run.id}", *errors(run), *follow_ups(run, command)]
    return "\n".join(lines)


def follow_ups(run: Run, command: str) -> list[str]:
    """Return the commands that go on from here, one a line; of a run that waits, what it asks.

    The reason of an incomplete rollback begins with where it leads, `to STEP` or `before STEP`; that of an
    abort leads to the start.
    """
    offered = [each for each in FOLLOW_UPS if each.status == run.status]
    if f"{poison.POISON}: " in run.reason:
        offered.insert(0, FollowUp(run.status, "look", "logs {run}"))
    way, _, to = run.reason.partition(";")[0].partition(" ")
    if run.reason.startswith(ABORT):
        way, to = "to", START
    again = f"resume {run.id} --rerun {to}" if way == "before" else f"rollback {run.id} --to {to}"
    return _questions(run, command) + [
        f"  {each.label:<{LABEL}}{command} {each.command.format(run=run.id, again=again, to=to)}"
        for each in offered
    ]


def _questions(run: Run, command: str) -> list[str]:
    """Return what a run asks, each with the commands that say yes and no."""
    if run.status != "waiting":
        return []
    lines: list[str] = []
    for path, question in list(run.questions.items())[:QUESTIONS]:
        late = f" (no answer by {question.expires:%Y-%m-%d %H:%M} UTC means no)" if question.expires else ""
        yes, no = to_decide(command, run.id, path)
        lines += [f"  {clean(path)} asks: {clean(question.text)}{late}"]
        lines += [f"  {'yes':<{LABEL}}{yes} --resume", f"  {'no':<{LABEL}}{no}"]
    more = len(run.questions) - QUESTIONS
    return (
        [*lines, f"  … {count(more, 'more question')}: {command} show {run.id} --json"] if more > 0 else lines
    )


def errors(run: Run) -> list[str]:
    """Return what stopped a run: for each failure the user's lines, outermost first, then what was raised."""
    lines: list[str] = []
    for error in run.errors:
        if len(run.errors) > 1:
            lines.append(f"  {error.step}:")
        lines += [line for frame in error.frames[-FRAMES:] for line in _place(frame)]
        lines += _raised(error, run.exceptions.get(error.step))
        lines += _failed_items(run, error)
    return lines


def _failed_items(run: Run, error: StepError) -> list[str]:
    """Return the errors of the items of a fan-out that failed, if there are several: one line each."""
    inside = {error.step}
    errors: list[str] = []
    for step in run.steps.values():  # groups come before their members
        if step.items is None or not (step.name in inside or step.group in inside):
            continue
        inside.add(step.name)
        errors += [
            f"{path}: {error_text(item.error.type, item.error.message)}"
            for path, item in step.items.states.items()
            if item.error is not None and item.status == "failed"
        ]
    return [f"    {line}" for line in some(errors, QUESTIONS)] if len(errors) > 1 else []


# ---------------------------------------------------------------- the first line

WORTH_NAMING: Final = 0.5
"""Seconds from which on a step is said to bound its run."""


def _completed(run: Run, began: datetime | None, known: Mapping[str, float]) -> str:
    steps = progress.counted(run.steps.values())
    kept = sum(step.kept for step in steps)
    began = began or run.started
    took = f" in {duration((run.ended - began).total_seconds())}" if run.ended and began else ""
    skipped = sum(step.status == "skipped" and not step.kept for step in steps)
    degraded = f", {len(run.degraded)} degraded: {', '.join(some(run.degraded, 5))}" if run.degraded else ""
    more = (f", {skipped} skipped" if skipped else "") + (f", {kept} kept" if kept else "")
    parts = [
        f"completed{degraded}{_stand_ins(run)}",
        f"{count(len(steps) - kept - skipped, 'step')}{took}{more}",
        _bound(run, known) if len(steps) > 1 and not kept else "",
    ]
    return " · ".join(filter(None, parts))


def _stand_ins(run: Run) -> str:
    """Name the steps whose results a fallback made, unless they are named as degraded."""
    names = [f"{s.name} ({clean(s.stand_in)})" for s in run.steps.values() if s.stand_in and not s.degraded]
    return f", {len(names)} by a fallback: {', '.join(some(names, 5))}" if names else ""


def _bound(run: Run, known: Mapping[str, float]) -> str:
    """Name the step that the run waited for most, and its median if that was clearly less."""
    name = progress.bound_by(run)
    seconds, usual = (run.steps[name].seconds or 0.0, known.get(name, 0.0)) if name else (0.0, 0.0)
    if name is None or seconds < WORTH_NAMING:
        return ""
    slow = usual > 0 and seconds > 2 * usual and seconds - usual > 1
    return f"bound by {name}" + (f" ({duration(seconds)}, usually {duration(usual)})" if slow else "")


def _stopped(run: Run, standing: Collection[str]) -> str:
    names = ", ".join(some([error.step for error in run.errors], 5)) or "no step"
    stands = [_effect(run, name) for name in standing if _has_acted(run, name)]
    undone = f"nothing was undone: {'; '.join(some(stands, 4))}" if stands else "nothing was undone"
    far = f"({run.progress.percent}% complete)"
    return f"{run.status}{_reason(run)}: {names} {far} · run {run.id} · {undone}"


def _has_acted(run: Run, name: str) -> bool:
    step = run.steps[name]
    return step.status == "completed" or (step.items is not None and step.items.completed > 0)


def _waiting(run: Run) -> str:
    names = ", ".join(some([clean(path) for path in run.questions], 5))
    return f"waiting for an approval: {names} ({run.progress.percent}% complete) · run {run.id}"


def _rolled_back(run: Run) -> str:
    if not run.reason.startswith(ABORT):
        told = f"rolled back {run.reason}" if run.status == "rolled_back" else f"{run.status}{_reason(run)}"
        return f"{told} · run {run.id}"
    names = ", ".join(some([error.step for error in run.errors], 5)) or clean(run.reason, 80)
    if run.status == "rolled_back":
        return f"aborted and rolled back: {names} · run {run.id}"
    if run.status == "rollback_incomplete":
        return f"aborted, rollback incomplete: {names} · run {run.id}{_left_over(run)}"
    alive = ", ".join(some([n for n, step in run.steps.items() if step.status == "interrupted"], 5))
    what = f": `{alive}` has not ended, and nothing is undone before it has" if alive else ""
    return f"aborted, not yet rolled back{what} · run {run.id}"


def _left_over(run: Run) -> str:
    _, _, left = run.reason.rpartition("; left: ")
    return f" · left: {clean(left, 80)}"


def _taken_back(run: Run) -> list[str]:
    """Return what an abort has undone, and what it has left, by the reason."""
    if not run.reason.startswith(ABORT) or run.status == "rolling_back":
        return []
    reasons: dict[str, list[str]] = {}
    for name, why in run.left.items():
        reasons.setdefault(why, []).append(name)
    left = "; ".join(f"{', '.join(some(names, 6))} ({clean(why, 80)})" for why, names in reasons.items())
    undone = ", ".join(some(run.undone, 6)) or "nothing"
    lines = [f"  {'undone':<{LABEL}}{undone}"]
    return [*lines, f"  {'not undone':<{LABEL}}{left}"] if left else lines


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
    if error.type == "Rejected" and not error.frames:  # nobody's code: a person's no
        return [f"  {line}" for line in _lines(error.message.strip())]
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
