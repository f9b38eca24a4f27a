"""What a team is told about a run: one notice for each change of its status that somebody wants to know of.

A notice is a plain fact. Who gets it, and how, is the business of `gflow.notify`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from gflow import secret
from gflow.model import GROUPS, Run, Status, StepError

Event = Literal["failed", "aborted", "waiting", "rejected", "completed", "degraded", "rollback_incomplete"]
"""What a run can be told for; `degraded` is a run that completed with degraded results."""

EVENTS: Final[tuple[Event, ...]] = get_args(Event)
ORDINARY: Final[tuple[Event, ...]] = tuple(event for event in EVENTS if event != "completed")
"""What a notifier is told unless it says otherwise: whatever somebody has to look at."""

ABORT: Final = "abort"
"""Why a run was reset, where no person asked for the rollback."""

LINE: Final = 300
"""Characters that the message shows of one error."""
MOST: Final = 5
"""Errors and names that the message shows; the document has them all."""

WORDS: Final[Mapping[Event, str]] = {"aborted": "aborted and rolled back", "waiting": "waits for an approval"}
"""What the message says of an event, where it is not its name."""

NEXT: Final[Mapping[Event, tuple[str, ...]]] = {
    "failed": ("gflow resume {run}", "gflow rollback {run} --to start --plan"),
    "aborted": ("gflow show {run}",),
    "rejected": ("gflow resume {run}",),
    "completed": ("gflow show {run}",),
    "degraded": ("gflow show {run}",),
    "rollback_incomplete": ("gflow show {run}",),
}
TO_DECIDE: Final = ("gflow approve {run} {step}", "gflow reject {run} {step}")


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of a run: `str(notice)` is the message, `notice.document()` the same for programs.

    `event` is what it is told for, `status` what the run is now, since `at` (UTC). `errors` are the
    failures that stopped it, `degraded` the steps whose results are, with the reason of each, `current` the
    steps that run or wait, and `commands` what to type next. Known secrets are masked.
    """

    event: Event
    run: str
    workflow: str
    version: str
    status: Status
    at: datetime
    reason: str = ""
    errors: tuple[StepError, ...] = ()
    degraded: Mapping[str, str] = field(default_factory=dict[str, str])
    current: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    def __str__(self) -> str:
        title = f"{self.workflow} {self.version}".rstrip()
        what = f"{WORDS.get(self.event, self._outcome)}{self._where}"
        reason = f" ({secret.head(self.reason, LINE)})" if self.reason and self.event != "completed" else ""
        lines = [f"{title} · run {self.run} · {what}{reason}", *map(_line, self.errors[:MOST])]
        return _clean("\n".join([*lines, *(f"  {command}" for command in self.commands)]))

    @property
    def _outcome(self) -> str:
        if self.degraded and self.status == "completed":
            steps = [f"{name} ({reason})" for name, reason in self.degraded.items()]
            return f"completed, {len(steps)} degraded: {_some(steps)}"
        return self.status.replace("_", " ")

    @property
    def _where(self) -> str:
        names = self.current or tuple(error.step for error in self.errors)
        return f": {_some(names)}" if names else ""

    def document(self) -> dict[str, Any]:
        """Return the notice as JSON has it; `text` is the message, under the name that chats read."""
        return {
            "text": str(self),
            "event": self.event,
            "run": self.run,
            "workflow": self.workflow,
            "version": self.version,
            "status": self.status,
            "at": self.at.isoformat(timespec="milliseconds"),
            "reason": self.reason,
            "errors": [_error(error) for error in self.errors],
            "degraded": dict(self.degraded),
            "current": list(self.current),
            "commands": list(self.commands),
        }


def _error(error: StepError) -> dict[str, Any]:
    return {**asdict(error), "place": error.place, "frames": [asdict(frame) for frame in error.frames]}


def _clean(text: str) -> str:
    """Return a text without control characters: it may end up on a terminal, or as an argument."""
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {rest} more" if rest > 0 else "")


def _line(error: StepError) -> str:
    text = str(error).partition("\n")[0]
    place = f" ({error.place})" if error.place else ""
    return f"  {error.step}: {secret.head(text, LINE)}{'…' * (len(text) > LINE)}{place}"


# ---------------------------------------------------------------- from a run


def events_of(run: Run, why: str | None) -> tuple[Event, ...]:
    """Return what a run that has just changed its status is told for, the gravest first.

    `why` is the reason of its rollback, if there was one. A rollback that a person asked for and that went
    well is no news, nor is a run that somebody interrupted or cancelled.
    """
    aborted: tuple[Event, ...] = ("aborted",) if why == ABORT else ()
    match run.status:
        case "completed":
            return ("degraded", "completed") if run.degraded else ("completed",)
        case "rolled_back":
            return aborted
        case "rollback_incomplete":
            return ("rollback_incomplete", *aborted)
        case "failed" | "waiting" | "rejected":
            return (run.status,)
        case _:
            return ()


def chosen(happened: Collection[Event], wanted: Collection[Event]) -> Event | None:
    """Return the gravest event that is wanted: one change of status is told once, for whatever it is."""
    return next((event for event in happened if event in wanted), None)


def notice_of(run: Run, event: Event, at: float, errors: Sequence[StepError] = ()) -> Notice:
    """Return the notice that a run changed its status at `at` (Unix seconds).

    `errors` are those of before its rollback, which has taken them back together with the steps.
    """
    return Notice(
        event,
        run.id,
        run.workflow,
        run.version,
        run.status,
        datetime.fromtimestamp(at, UTC),
        secret.mask(run.reason),
        tuple(replace(error, message=secret.mask(error.message)) for error in (run.errors or errors)),
        {name: secret.mask(run.steps[name].degraded or "") for name in run.degraded},
        _current(run),
        _commands(run, event),
    )


def _current(run: Run) -> tuple[str, ...]:
    """Return the leaves that run or wait; a group does both only through its members."""
    return tuple(
        name
        for name, step in run.steps.items()
        if step.status in ("running", "waiting") and step.kind not in GROUPS
    )


def _commands(run: Run, event: Event) -> tuple[str, ...]:
    waiting = [name for name in _current(run) if run.steps[name].status == "waiting"]
    if event == "waiting":
        return tuple(each.format(run=run.id, step=name) for name in waiting for each in TO_DECIDE)
    return tuple(each.format(run=run.id) for each in NEXT[event])
