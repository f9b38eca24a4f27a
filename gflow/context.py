"""What a running step may ask of the run it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from logging import Logger


class StepCancelled(BaseException):
    """The run wants this step to end. Not an Exception, so that `except Exception` does not swallow it."""


class Attempt(Protocol):
    """What a running attempt tells the engine, and what the engine tells it."""

    cancelled: bool
    degraded: str | None

    def log(self, level: str, message: str) -> None: ...

    def progress(self, fraction: float, message: str) -> None: ...


class LooseAttempt:
    """The attempt of a step that is called as a plain function: it remembers, and nobody reads."""

    def __init__(self) -> None:
        self.cancelled = False
        self.degraded: str | None = None
        self.lines: list[tuple[str, str]] = []
        self.reached: list[tuple[float, str]] = []

    def log(self, level: str, message: str) -> None:
        self.lines.append((level, message))

    def progress(self, fraction: float, message: str) -> None:
        self.reached.append((fraction, message))


@dataclass(frozen=True, slots=True)
class Context:
    """The run, as a step sees it; a step gets one by annotating a parameter: `ctx: Context`.

    `run_id`, `path` (the step's name, and its item or round: `check[eu]`), `generation` and `rung` say which
    body this is; `attempt` counts its tries from 1, over crashes too. `key` is the same for every attempt of
    one rung: give it to services as the idempotency key. `workspace` is a folder of the run's own.

    In a unit test `Context()` will do: `ctx.degraded` then holds what the step said.
    """

    run_id: str = "test"
    path: str = ""
    attempt: int = 1
    generation: int = 0
    rung: int = 0
    key: str = "test"
    workspace: Path = Path()
    _attempt: Attempt = field(default_factory=LooseAttempt, repr=False, compare=False)

    def degrade(self, reason: str) -> None:
        """Mark this step's result as degraded: it completed, but not in full, for `reason`."""
        self._attempt.degraded = reason

    @property
    def degraded(self) -> str | None:
        """The reason given to `degrade`, if any."""
        return self._attempt.degraded

    @property
    def logger(self) -> Logger:
        """A standard logger (`logging.Logger`) for code that wants one: it writes into the run's log."""
        from gflow import logs  # noqa: PLC0415  # loads logging, which a run without it does not pay

        return logs.logger_of(self.path or "step", self._attempt.log)

    def log(self, message: str, level: str = "INFO") -> None:
        """Write a line into the run's log; `level` is one of loguru's names, "INFO" by default."""
        self._attempt.log(level, message)

    def progress(self, fraction: float, message: str = "") -> None:
        """Say how far this step is, from 0 to 1, and with what.

        It is shown where the run is drawn and, once a second at most, in the run's log. Call it as often as
        you like; it is no event of the run, and no part of the estimate.
        """
        self._attempt.progress(min(1.0, max(0.0, fraction)), message)

    def check_cancelled(self) -> None:
        """Raise `StepCancelled` if the run wants this step to end; call it in long loops."""
        if self._attempt.cancelled:
            raise StepCancelled(self.path)
