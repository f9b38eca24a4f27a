"""The state of a run as a fold of its events."""

from __future__ import annotations

import pytest

from gflow.events import (
    Adopted,
    Claimed,
    Done,
    Event,
    Ref,
    Reset,
    Started,
    StatusChanged,
    Stopped,
    Tripped,
    Undone,
)
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


# ---------------------------------------------------------------- deaths without progress

RUNNING = StatusChanged("running")
GOES_BACK: list[Event] = [Reset("rollback", "start", 1, ["a", "b"]), StatusChanged("rolling_back")]
DIES: list[Event] = [Started("a", 1), Claimed("h", 1), GOES_ON]


@pytest.mark.parametrize(
    ("events", "lost"),
    [
        ([RUNNING], 0),
        ([RUNNING, *DIES], 1),
        ([RUNNING, *DIES, *DIES], 2),
        ([RUNNING, *DIES, *DIES, Started("a", 3), Done("a", None, "", 0.1)], 0),
        ([RUNNING, *DIES, Started("a", 2), tripped("retry", 9.0), Claimed("h", 1)], 2),
        ([RUNNING, *DIES, StatusChanged("interrupted"), Claimed("h", 1)], 0),
        ([RUNNING, *DIES, StatusChanged("failed"), Claimed("h", 1)], 0),
        ([RUNNING, *DIES, Claimed("h", 1), *GOES_BACK], 0),
        ([RUNNING, *GOES_BACK, Claimed("h", 1), Claimed("h", 1)], 2),
        ([RUNNING, *GOES_BACK, Claimed("h", 1), *GOES_BACK], 1),
        ([RUNNING, *GOES_BACK, Claimed("h", 1), Undone("a", "no")], 1),
        ([RUNNING, *GOES_BACK, Claimed("h", 1), Undone("a")], 0),
    ],
)
def test_deaths_are_counted_until_something_completes(events: list[Event], lost: int) -> None:
    """Only what completes, is undone, ends in order or turns to going back begins the count anew."""
    assert folded(*events).lost == lost


def test_suspects_ran_at_each_death() -> None:
    """A step that did not run at one of the deaths has not caused them all."""
    both = [RUNNING, Started("a", 1), Started("b", 1), Claimed("h", 1), GOES_ON]
    assert folded(*both).suspects == {"a", "b"}
    assert folded(*both, *DIES).suspects == {"a"}
    later = [Started("a", 2), Done("a", None, "", 0.1), Started("b", 2), Claimed("h", 1)]
    assert folded(*both, *later).suspects == {"b"}


# ---------------------------------------------------------------- what a fork takes over


def test_an_adopted_step_is_completed_where_it_came_from() -> None:
    """It has its value and its place in the other run, and has never been started in this one."""
    ref = Ref(2, 0, 1, "t")
    slot = folded(Adopted("a", ref, "one", 0.5, "no network", "k3f9", 1, 4), RUNNING).slot("a")
    assert (slot.status, slot.ref, slot.preview, slot.degraded) == ("completed", ref, "one", "no network")
    assert (slot.origin, slot.generation, slot.attempt) == ("k3f9", 1, 4)
    assert (slot.began, slot.kept) == (None, True)
