"""The state of a run as a fold of its events."""

from __future__ import annotations

from gflow.events import Claimed, Done, Ref, Started, StatusChanged, Stopped, Tripped
from gflow.state import State

GOES_ON = StatusChanged("running", "resumed")


def folded(*events: object) -> State:
    state = State()
    for at, event in enumerate(events):
        state.apply(float(at), event)  # type: ignore[arg-type]
    return state


def tripped(decision: str, retry_at: float | None = None) -> Tripped:
    return Tripped("a", "ValueError", "no", [["f.py", 3, "a", "raise"]], "low", decision, retry_at, 0.5)


def test_a_started_step_is_open_until_it_has_an_outcome() -> None:
    """Between its start and its outcome a step is running."""
    state = folded(Started("a", 1))
    assert (state.slot("a").status, list(state.open)) == ("running", ["a"])
    state.apply(2.0, Done("a", Ref(1, 0, 1, "t"), "one", 0.25))
    slot = state.slot("a")
    assert (slot.status, slot.preview, slot.started, slot.ended, slot.seconds) == (
        "completed",
        "one",
        0.0,
        2.0,
        0.25,
    )
    assert not state.open


def test_a_failure_that_is_tried_again_leaves_the_step_pending() -> None:
    """A retry counts the failure and remembers when to try; the error stays visible until it is over."""
    slot = folded(Started("a", 1), tripped("retry", 17.0)).slot("a")
    assert (slot.status, slot.failures, slot.retry_at) == ("pending", 1, 17.0)
    assert slot.error is not None
    assert slot.error.place == "f.py:3"


def test_success_forgets_the_error() -> None:
    """A step that succeeded at last has no error."""
    assert (
        folded(Started("a", 1), tripped("retry", 1.0), Started("a", 2), Done("a", None, "", 0.1))
        .slot("a")
        .error
        is None
    )


def test_a_claim_loses_open_attempts_and_keeps_their_number() -> None:
    """What was open when a process died is pending again; the next attempt has the next number."""
    state = folded(Started("a", 1), Started("b", 1), Done("b", None, "", 0.1), Claimed("h", 1), GOES_ON)
    assert (state.slot("a").status, state.slot("a").attempt) == ("pending", 1)
    assert (state.slot("b").status, state.slot("b").kept) == ("completed", True)
    assert state.session == 1


def test_a_claim_gives_what_failed_a_new_beginning() -> None:
    """Resuming begins at the first rung: the failures of before do not count."""
    slot = folded(Started("a", 1), tripped("stop"), StatusChanged("failed"), Claimed("h", 1), GOES_ON).slot(
        "a"
    )
    assert (slot.status, slot.failures, slot.attempt) == ("pending", 0, 1)


def test_a_crash_during_a_wait_keeps_the_failures() -> None:
    """A step that waited for its next try waits on, with its count."""
    slot = folded(Started("a", 1), tripped("retry", 17.0), Claimed("h", 1)).slot("a")
    assert (slot.status, slot.failures, slot.retry_at) == ("pending", 1, 17.0)


def test_a_step_that_was_ended_is_interrupted() -> None:
    """An attempt that was ended from outside is no failure."""
    state = folded(Started("a", 1), Stopped("a"), StatusChanged("interrupted", "SIGTERM"))
    assert state.slot("a").status == "interrupted"
    assert (state.status, state.reason, state.ended) == ("interrupted", "SIGTERM", 2.0)


def test_a_run_that_goes_on_has_not_ended() -> None:
    """Taking a run up again takes back its end."""
    state = folded(StatusChanged("failed"), Claimed("h", 1), StatusChanged("running", "resumed"))
    assert state.ended is None
