"""What becomes of a failure: a pure decision, `decide(ladder, failure, at, u)`.

The severity of an exception is found first; then the rung says what follows. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from gflow.errors import Refused, Rejected, Severity, StepStuck, WorkflowError
from gflow.model import Exhausted, Node, Retry

DEFAULT_RETRY: Final = Retry()
TOO_MANY_REQUESTS: Final = frozenset((429, 503, 529))


Kind = Literal["error", "final", "stuck"]
"""What has failed: a call, which can be tried in another way; a check or a person that said no; or a thread
that goes on, beside which nothing may be tried."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """What a step offers when it fails: its retries, how many rungs follow, and what the end of them means.

    `handled` says that everyone who reads the step takes its failure as a value.
    """

    retry: Retry = DEFAULT_RETRY
    rungs: int = 0
    handled: bool = False
    on_exhausted: Exhausted = "stop"


class Failure(NamedTuple):
    """What came of a call: how severe it is, and how many seconds a server asked to wait."""

    severity: Severity
    kind: Kind = "error"
    asked: float | None = None


class At(NamedTuple):
    """Where on the ladder a step has failed: on which rung, and how often there, this failure included."""

    rung: int
    failures: int


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Call the same rung again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class NextRung:
    """Let the next rung stand in, at once: a fallback, then the degraded mode."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The ladder is exhausted: the step has failed, and the run stops when what is independent has ended."""


@dataclass(frozen=True, slots=True)
class Abort:
    """Nothing new starts, what runs is ended, and the run is rolled back to its start."""


Decision = TryAgain | NextRung | Stop | Abort


def ladder_of(node: Node, on_exhausted: Exhausted) -> Ladder:
    """Return the ladder of a step."""
    return Ladder(node.retry or DEFAULT_RETRY, len(node.rungs), node.handled, on_exhausted)


def severity_of(error: BaseException, node: Node) -> Severity:
    """Return how severe a failure is; the first match wins.

    Its own (`WorkflowError`), the step's `Policy(severity=…)` by the most derived type, `attempts=`
    given explicitly (any Exception is low), then the default: connection, timeout and rate limit are
    low, everything else is medium.
    """
    if isinstance(error, WorkflowError):
        return error.severity
    for base in type(error).__mro__:
        if base in node.policy.severity:
            return node.policy.severity[base]
    if node.retry is not None and isinstance(error, Exception):
        return "low"
    return "low" if is_transient(error) else "medium"


def kind_of(error: BaseException) -> Kind:
    """Return what has failed: a call, somebody who said no, or a thread that cannot be ended."""
    if isinstance(error, StepStuck):
        return "stuck"
    return "final" if isinstance(error, Refused | Rejected) else "error"


def is_transient(error: BaseException) -> bool:
    """Tell whether an error is of the kind that goes away: connection, timeout, rate limit."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    reason = getattr(error, "reason", None)  # urllib wraps what happened
    return status in TOO_MANY_REQUESTS or isinstance(reason, ConnectionError | TimeoutError)


def retry_after(error: BaseException) -> float | None:
    """Return the seconds that a server asked to wait, if the exception carries them.

    Read from `error.retry_after` or from the Retry-After header (RFC 9110, 10.2.3; seconds only).
    """
    headers: Any = getattr(error, "headers", None) or getattr(
        getattr(error, "response", None), "headers", None
    )
    asked: Any = getattr(error, "retry_after", None) or (headers.get("Retry-After") if headers else None)
    try:
        return max(0.0, float(asked))
    except (TypeError, ValueError):
        return None


def decide(ladder: Ladder, failure: Failure, at: At, u: float) -> Decision:
    """Decide what follows a failure; the first case that fits.

    `u` in [0, 1] is the jitter, drawn outside; a server's Retry-After is never undercut.
    """
    if failure.kind == "stuck":
        return Stop()
    if failure.severity == "high":
        return Abort()
    if failure.kind == "error":
        if failure.severity == "low" and at.failures < ladder.retry.attempts:
            return TryAgain(max(backoff_ceiling(ladder.retry, at.failures) * u, failure.asked or 0.0))
        if at.rung < ladder.rungs:
            return NextRung()
    return Abort() if ladder.on_exhausted == "abort" and not ladder.handled else Stop()


def backoff_ceiling(retry: Retry, failures: int) -> float:
    """Return the longest wait after the n-th failure, in seconds: the n-th value of backoff's `expo`."""
    import backoff  # noqa: PLC0415  # 160 ms that a run without failures does not pay

    waits: Iterator[float] = backoff.expo(base=retry.factor, factor=retry.base, max_value=retry.max)
    next(waits)  # the generator primes itself with one None
    return next(islice(waits, failures - 1, None))


def jitter() -> float:
    """Draw the jitter: evenly from [0, 1], as backoff's `full_jitter` does."""
    import backoff  # noqa: PLC0415  # as above

    return float(backoff.full_jitter(1.0))
