"""What workers bring of the units that they were given: plain facts, on which the agenda decides."""

from __future__ import annotations

from typing import NamedTuple

from gflow.attempt import Kind
from gflow.errors import Severity
from gflow.events import Ref


class Succeeded(NamedTuple):
    """An attempt returned: its checkpoint is sealed, its preview written."""

    path: str
    ref: Ref
    preview: str
    seconds: float
    degraded: str | None


class Raised(NamedTuple):
    """An attempt raised; `u` is the jitter that was drawn for a wait, `asked` the server's Retry-After."""

    path: str
    type: str
    message: str
    frames: list[list[object]]
    severity: Severity
    seconds: float
    u: float
    asked: float | None
    kind: Kind = "error"


class Ended(NamedTuple):
    """An attempt was ended from outside."""

    path: str


class Answer(NamedTuple):
    """A condition was evaluated: whether a step runs, or whether a round was the last."""

    path: str
    yes: bool


class Listed(NamedTuple):
    """The items of a fan-out are known: how many, and their keys if it has some."""

    path: str
    n: int
    keys: list[str] | None


class Worded(NamedTuple):
    """A question is worded; `digest` is that of what it shows, `needed` whether anybody has to be asked."""

    path: str
    text: str
    digest: str
    needed: bool


Outcome = Succeeded | Raised | Ended | Answer | Listed | Worded
