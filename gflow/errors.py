"""Everything that gflow raises, and what a command line makes of it.

GflowError                      a fault that gflow itself reports; carries an exit code
├── UsageError            (2)   something the user typed: a module, an input, a run id
│   ├── BadInputs               inputs that are unknown, missing or ill-typed, all at once
│   └── CompileError            a workflow that has findings
├── StoreError           (74)   the state folder cannot be read or written
│   ├── CheckpointTampered      a signature does not fit what it signs
│   └── JournalMoved            another process wrote the next round first
└── RunOwned             (75)   another live process advances the run
    └── OrphanAlive             a command that outlived its gflow still works on a step

WorkflowError                   raised by steps: an error with a severity of its own
├── Refused                     a check says no: never retried, never degraded away
├── Rejected                    a person said no
└── StepFailed                  a failure that arrived as a value, raised again
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

Severity = Literal["low", "medium", "high"]


class GflowError(Exception):
    """A fault that gflow reports in one message: the cause first, then the remedy.

    `remedy` is what to type or to change; it is printed on a line of its own.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class UsageError(GflowError):
    """Something that the user typed cannot be used; nothing was written."""

    exit_code = 2


class BadInputs(UsageError):
    """The inputs do not fit the workflow; `problems` names all of them at once."""

    def __init__(self, problems: Sequence[str], remedy: str = "") -> None:
        super().__init__("\n".join(problems), remedy)
        self.problems = tuple(problems)


class CompileError(UsageError):
    """The workflow has findings; `findings` holds every one, and the message shows them as text."""

    def __init__(self, text: str, findings: Sequence[object]) -> None:
        super().__init__(text)
        self.findings = tuple(findings)


class StoreError(GflowError):
    """The state folder cannot be read or written: the run stops here and can be resumed."""

    exit_code = 74


class CheckpointTampered(StoreError):
    """What is stored was not written by a holder of the key; it is never unpickled."""


class JournalMoved(StoreError):
    """Another process has written the next round of this run: this one may not go on."""


class RunOwned(GflowError):
    """Another live process advances this run."""

    exit_code = 75


class OrphanAlive(RunOwned):
    """A command that outlived its gflow still works on a step, which is not tried beside it."""


class WorkflowError(Exception):
    """An error of a step that says itself how severe it is.

    Subclass it, or raise it with `severity=`: "low" is tried again, "medium" is not, "high" aborts.
    """

    severity: Severity = "medium"

    def __init__(self, *args: object, severity: Severity | None = None) -> None:
        super().__init__(*args)
        if severity is not None:
            self.severity = severity


class StepTimeout(TimeoutError):
    """An attempt of a step had not ended after `timeout=` seconds, and was ended."""


class StepStuck(WorkflowError):
    """Python code in a thread goes on after its timeout: the run stops, nothing is tried beside it."""


class StepFailed(WorkflowError):
    """The failure of another step, raised again by `Failed.reraise()`."""


class Rejected(WorkflowError):
    """A person said no (or nobody said yes in time): the run stops as rejected, nothing is undone.

    A parameter typed `Approval | Rejected` gets it as a value. `at` is an ISO date and time (UTC).
    """

    def __init__(self, question: str = "", who: str = "", comment: str = "", at: str = "") -> None:
        said = f"{who or 'nobody'} said no to: {question}" if question else f"{who} said no"
        super().__init__(f"{said} ({comment})" if comment else said)
        self.question = question
        self.who = who
        self.comment = comment
        self.at = at

    def __reduce__(self) -> tuple[type[Rejected], tuple[str, str, str, str]]:
        return type(self), (self.question, self.who, self.comment, self.at)


class Refused(WorkflowError):
    """A check says no, with its reasons: the run stops; no retry and no fallback can change that.

    >>> print(Refused("not fit to ship", blockers=["1 secret in .env"]))
    not fit to ship: 1 secret in .env
    """

    def __init__(self, message: str, blockers: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.blockers = tuple(blockers)

    def __str__(self) -> str:
        return f"{self.message}: {'; '.join(self.blockers)}" if self.blockers else self.message

    def __reduce__(self) -> tuple[type[Refused], tuple[str, tuple[str, ...]]]:
        return type(self), (self.message, self.blockers)
