"""What becomes of a failure: the whole table, without a loop and without a clock."""

from __future__ import annotations

from email.message import Message
from urllib.error import HTTPError, URLError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow.attempt import (
    Abort,
    At,
    Decision,
    Failure,
    Kind,
    Ladder,
    NextRung,
    Stop,
    TryAgain,
    backoff_ceiling,
    decide,
    is_transient,
    jitter,
    kind_of,
    retry_after,
    severity_of,
)
from gflow.errors import Refused, Rejected, Severity, StepStuck, WorkflowError
from gflow.model import Exhausted, Node, Policy, Retry
from gflow.shell import CommandTimeout


class Low(WorkflowError):
    severity: Severity = "low"


def node(**options: object) -> Node:
    return Node("step", "task", len, **options)  # type: ignore[arg-type]


PLAIN = node()
RETRIED = node(retry=Retry(3))
MAPPED = node(policy=Policy({OSError: "low", ConnectionError: "medium", ValueError: "high"}))


@pytest.mark.parametrize(
    ("error", "step", "severity"),
    [
        (ValueError(), PLAIN, "medium"),
        (ConnectionRefusedError(), PLAIN, "low"),
        (TimeoutError(), PLAIN, "low"),
        (URLError(ConnectionRefusedError()), PLAIN, "low"),
        (URLError("unknown host"), PLAIN, "medium"),
        (HTTPError("u", 429, "slow down", Message(), None), PLAIN, "low"),
        (HTTPError("u", 404, "gone", Message(), None), PLAIN, "medium"),
        (ValueError(), RETRIED, "low"),
        (SystemExit(), RETRIED, "medium"),
        (Refused("no"), RETRIED, "medium"),
        (WorkflowError("x"), RETRIED, "medium"),
        (Low("x"), PLAIN, "low"),
        (WorkflowError("x", severity="high"), PLAIN, "high"),
        (PermissionError(), MAPPED, "low"),
        (ConnectionResetError(), MAPPED, "medium"),
        (UnicodeDecodeError("utf8", b"", 0, 1, ""), MAPPED, "high"),
        (KeyError(), MAPPED, "medium"),
    ],
)
def test_severity_is_found_in_the_documented_order(
    error: BaseException, step: Node, severity: Severity
) -> None:
    """Its own severity comes first, then the step's map, then `attempts`, then the default table."""
    assert severity_of(error, step) == severity


KINDS: tuple[Kind, ...] = ("error", "final", "stuck")
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high")
TABLE = [
    (kind, severity, failures, rung, rungs, handled, on_exhausted)
    for kind in KINDS
    for severity in SEVERITIES
    for failures in (1, 2, 3)
    for rung, rungs in ((0, 0), (0, 2), (1, 2), (2, 2))
    for handled in (False, True)
    for on_exhausted in ("stop", "abort")
]


@pytest.mark.parametrize(("kind", "severity", "failures", "rung", "rungs", "handled", "on_exhausted"), TABLE)
def test_the_whole_table_of_decisions(
    kind: Kind,
    severity: Severity,
    failures: int,
    rung: int,
    rungs: int,
    handled: bool,
    on_exhausted: Exhausted,
) -> None:  # fmt: skip
    """Stuck stops, high aborts, low is tried again; then comes the next rung, then the end of the ladder."""
    ladder = Ladder(Retry(3, base=10), rungs, handled, on_exhausted)
    decision = decide(ladder, Failure(severity, kind), At(rung, failures), u=0.5)
    the_end: Decision = Abort() if on_exhausted == "abort" and not handled else Stop()
    if kind == "stuck":
        assert decision == Stop()
    elif severity == "high":
        assert decision == Abort()
    elif kind == "final":
        assert decision == the_end
    elif severity == "low" and failures < 3:
        assert decision == TryAgain(5.0 * 2 ** (failures - 1))
    elif rung < rungs:
        assert decision == NextRung()
    else:
        assert decision == the_end


def test_a_servers_wish_is_not_undercut() -> None:
    """A Retry-After that is longer than the drawn wait is honoured."""
    wish = Failure("low", asked=30.0)
    assert decide(Ladder(Retry(3, base=1)), wish, At(0, 1), u=0.1) == TryAgain(30.0)
    assert decide(Ladder(Retry(3, base=100, max=200)), wish, At(0, 1), u=1.0) == TryAgain(100.0)


@given(st.integers(1, 3000), st.floats(0, 1))
def test_a_wait_is_never_longer_than_its_maximum(failures: int, u: float) -> None:
    """However often a step has failed, it never waits longer than `max`."""
    ladder = Ladder(Retry(4000, base=1, factor=2, max=60))
    decision = decide(ladder, Failure("low"), At(0, failures), u)
    assert isinstance(decision, TryAgain)
    assert 0 <= decision.delay <= 60


def test_what_has_failed_is_told_by_the_exception() -> None:
    """A check or a person that says no is final, a thread that goes on is stuck, the rest are errors."""
    assert kind_of(Refused("no")) == kind_of(Rejected("ship?", "ann")) == "final"
    assert kind_of(StepStuck("goes on")) == "stuck"
    assert kind_of(ValueError("x")) == "error"


def test_the_ceilings_grow_exponentially() -> None:
    """The ceilings are base times the powers of the factor, up to the maximum."""
    assert [backoff_ceiling(Retry(9, 2, 3, 100), n) for n in (1, 2, 3, 4, 5)] == [2, 6, 18, 54, 100]


def test_the_jitter_is_full() -> None:
    """The jitter is drawn from the whole of [0, 1]."""
    drawn = [jitter() for _ in range(2000)]
    assert 0 <= min(drawn) < 0.05
    assert 0.95 < max(drawn) <= 1


def test_retry_after_is_read_from_headers_and_attributes() -> None:
    """Seconds are understood, dates and nonsense are not an error."""
    headers = Message()
    headers["Retry-After"] = "7"
    assert retry_after(HTTPError("u", 503, "busy", headers, None)) == 7.0
    headers.replace_header("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT")
    assert retry_after(HTTPError("u", 503, "busy", headers, None)) is None
    assert retry_after(ValueError()) is None


def test_a_command_that_was_too_slow_is_transient() -> None:
    """A command's timeout is a timeout like any other."""
    assert is_transient(CommandTimeout(("sleep", "9"), 1.0, ""))
