"""The alphabet of the journal."""

from __future__ import annotations

import json

import pytest

from gflow.events import (
    Adopted,
    Claimed,
    Created,
    Done,
    Event,
    Forked,
    Outline,
    Ref,
    Started,
    StatusChanged,
    Stopped,
    Tripped,
    Undone,
    decode,
    encode,
)

STEP = Outline("build", "task", None, "flow", ["a"], [], "remove it", None)
EVENTS: list[Event] = [
    Created("w", "1", "m", [STEP], ["build"], Ref(1, 0, 9, "ab"), {"x": "1"}, "0.1", "3.11"),
    Claimed("host", 4711),
    Claimed("host", 4711, [STEP], Ref(2, 0, 3, "cd", "blob"), {"x": "2"}),
    Started("build", 2, 1),
    Done("build", Ref(2, 5, 7, "ef"), "a wheel · ✓", 0.25, "no network"),
    Done("flow", None, "", 0.0),
    Tripped("build", "ValueError", "no", [["f.py", 1, "build", "raise"]], "low", "retry", 17.5, 0.1),
    Stopped("build"),
    StatusChanged("interrupted", "SIGINT"),
    Undone("build", "it died", deadly=True),
    Forked("k3f9", "deploy"),
    Adopted("build", Ref(2, 5, 7, "ef", "blob"), "a wheel", 0.25, None, "k3f9", 1, 4, STEP),
    Adopted("flow", None, "", 0.0, "no network", "k3f9", 0, 0),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_being_written(event: Event) -> None:
    """What is read back equals what was written, its type included."""
    (again,) = decode(encode([event]))
    assert again == event
    assert type(again) is type(event)


def test_a_round_keeps_the_order_of_its_events() -> None:
    """A round is an ordered list."""
    assert decode(encode(EVENTS)) == EVENTS


def test_fields_of_a_later_version_are_dropped() -> None:
    """An older gflow can still read an event to which a newer one has added a field."""
    record = ["stop", "build", "interrupted", "a field of the future"]
    assert decode(json.dumps([record]).encode()) == [Stopped("build")]


def test_an_unknown_event_is_not_taken_for_another() -> None:
    """An event that this version does not know is an error, not a guess."""
    with pytest.raises(KeyError):
        decode(b'[["teleported", "build"]]')
