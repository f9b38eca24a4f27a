"""What had run on a failure that is tried again: which instances, and which not."""

from __future__ import annotations

from typing import Annotated

import pytest

from gflow import Each, Failed, runner, salvage, stage, task
from gflow.decorators import AnyStep
from gflow.events import Done, Event, Opened, Ref, Reverted, Started, Tripped
from gflow.state import State

REF = Ref(1, 0, 1, "tag")


def done(path: str) -> list[Event]:
    return [Started(path, 1), Done(path, REF, "", 0.0)]


def failed(path: str, word: str = "stop") -> list[Event]:
    return [Started(path, 1), Tripped(path, "ValueError", "no", [], "medium", word, None, 0.0)]


def folded(*events: list[Event]) -> State:
    state = State()
    for event in (each for several in events for each in several):
        state.apply(0.0, event)
    return state


def teardown_flow(tolerate: int = 0) -> AnyStep:
    """Items with a step that may fail, a teardown that takes its failure, and one that is made from that."""

    @task
    def parts() -> list[int]:
        return [1, 2]

    @task
    def tests(part: int) -> int:
        return part

    @task
    def teardown(tests: int | Failed) -> int:
        return 1

    @task
    def note(teardown: int | Failed) -> int:
        return 1

    @stage
    def area(
        part: Annotated[int, Each(parts, tolerate=tolerate)], tests: int, teardown: int, note: int
    ) -> int:
        return 1

    @stage
    def flow(parts: list[int], area: list[int | Failed]) -> None: ...

    return flow


BEGUN: list[list[Event]] = [
    done("parts"), [Opened("area", 2)], failed("tests[0]"), done("teardown[0]"), done("note[0]"),
    done("tests[1]"), done("teardown[1]"), done("note[1]"), done("area[1]"),
]  # fmt: skip


def test_what_took_a_failure_begins_anew_with_all_made_from_it() -> None:
    """In the item that failed the teardown and what read it begin anew, in a new generation; nothing else."""
    graph = runner.compile(teardown_flow())
    found = salvage.begun_anew(graph, folded(*BEGUN))
    assert found == [Reverted(["teardown[0]", "note[0]"], 1)]


@pytest.mark.parametrize(
    "events",
    [
        [*BEGUN, [Tripped("area[0]", "ValueError", "no", [], "medium", "handled", None, 0.0)]],
        [done("parts"), [Opened("area", 2)], done("tests[0]"), done("teardown[0]")],
        [],
    ],
)
def test_what_is_an_outcome_stays(events: list[list[Event]]) -> None:
    """In an item whose failure is tolerated, and where nothing has failed, nothing begins anew."""
    assert salvage.begun_anew(runner.compile(teardown_flow(tolerate=1)), folded(*events)) == []
