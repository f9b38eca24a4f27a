"""What becomes of a failure: a pure decision, `decide(retry, severity, failures, u)`.

The severity of an exception is found first; then the rung says what follows. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from gflow.errors import Severity, WorkflowError
from gflow.model import Node, Retry

DEFAULT_RETRY: Final = Retry()
TOO_MANY_REQUESTS: Final = frozenset((429, 503, 529))


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Call the step again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Stop:
    """The ladder is exhausted: the step has failed, and the run stops when what is independent has ended."""


Decision = TryAgain | Stop


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


def decide(
    retry: Retry | None, severity: Severity, failures: int, u: float, asked: float | None = None
) -> Decision:
    """Decide what follows a failure.

    `failures` counts those on this rung, this one included; `u` in [0, 1] is the jitter, drawn
    outside; `asked` is the server's Retry-After in seconds, which is never undercut.
    """
    retry = retry or DEFAULT_RETRY
    if severity == "low" and failures < retry.attempts:
        return TryAgain(max(backoff_ceiling(retry, failures) * u, asked or 0.0))
    return Stop()


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
