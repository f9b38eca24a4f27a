"""How much of a run is done, while it is told: laws over random orders, and the cases that they rest on."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gflow import Each, Failed, Until, parallel, progress, runner, stage, task
from gflow.agenda import (
    Agenda,
    Answer,
    Listed,
    Outcome,
    Raised,
    Room,
    Succeeded,
    next_events,
)
from gflow.events import (
    Claimed,
    Created,
    Done,
    Event,
    Opened,
    Outline,
    Ref,
    Skipped,
    Started,
    StatusChanged,
    Tripped,
    Undone,
    step_of,
)
from gflow.frames import Unit
from gflow.model import GROUPS, Graph
from gflow.state import State
from gflow.tally import Tally

NOWHERE = Ref(1, 0, 0, "")


def practice() -> Graph:  # noqa: C901  # many steps, and nothing else
    """Return a workflow with everything that can repeat, be skipped, and fail as a value."""

    def sometimes() -> bool:
        return True

    @task
    def numbers() -> list[int]:
        return []

    @task(when=sometimes)
    def check(number: Annotated[int, Each(numbers, limit=3, tolerate=2)]) -> int:
        return number

    @task
    def parts(number: int) -> list[int]:
        return [number]

    @task
    def mill(part: Annotated[int, Each(parts, tolerate=1)]) -> int:
        return part

    @task(when=sometimes)
    def polish(number: int) -> int:
        return number

    @parallel
    def each_one(
        number: Annotated[int, Each(numbers, tolerate=1)],
        parts: list[int],
        mill: list[int | Failed],
        polish: int | None,
    ) -> int:
        return number

    @task
    def edit() -> int:
        return 1

    def is_good(edit: int) -> bool:
        return edit > 0

    @stage(repeat=Until(is_good, max=3), when=sometimes)
    def rework(edit: int) -> int:
        return edit

    @task
    def audit() -> int:
        return 1

    @stage
    def flow(
        numbers: list[int],
        check: list[int | Failed] | None,
        each_one: list[int | Failed],
        rework: int | None,
        audit: int | Failed,
    ) -> int:
        return len(numbers)

    return runner.compile(flow)  # fmt: skip


GRAPH = practice()


def begun(graph: Graph) -> tuple[State, list[Event]]:
    """Return the state of a run that has just begun, and what was told of it."""
    steps = progress.outline(graph)
    created = Created(graph.name, "1", "m", steps, list(graph.results), NOWHERE, {}, "0", "3")
    opening: list[Event] = [created, Claimed("h", 1), StatusChanged("running")]
    state = State()
    for event in opening:
        state.apply(0.0, event)
    return state, opening


def outcome(unit: Unit, dice: random.Random, trouble: float) -> Outcome:
    """Return what a worker may bring of a unit."""
    match unit.purpose:
        case "open":
            return Listed(unit.path, dice.randint(0, 4), None)
        case "when" | "until":
            return Answer(unit.path, dice.random() < 0.6)
        case _ if dice.random() < trouble:
            return Raised(unit.path, "E", "m", [], "medium", 0.1, 0.0, None)
        case _:
            return Succeeded(unit.path, NOWHERE, "", 0.1, None)


def drive(
    graph: Graph, state: State, dice: random.Random, trouble: float, told: Callable[[list[Event]], None]
) -> None:
    """Let a run go to its end in a random order, and tell what happens, turn by turn."""
    agenda = Agenda(graph, state)
    flying: list[Unit] = []
    brought: list[Outcome] = []
    while state.status == "running":
        room = Room(*(3 - len(flying),) * 3)
        turn = next_events(agenda, brought, 1.0, room)
        flying += turn.admitted
        told(turn.events)
        dice.shuffle(flying)
        brought = [outcome(flying.pop(), dice, trouble) for _ in range(min(len(flying), dice.randint(1, 3)))]


def near(one: float, other: float) -> bool:
    return abs(one - other) < 1e-6


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([0.0, 0.1, 0.5]))
def test_what_is_told_never_falls_and_is_what_the_journal_says(dice: random.Random, trouble: float) -> None:
    """In whatever order items and rounds end, percent never falls, and a fold of the state says the same."""
    state, _ = begun(GRAPH)
    tally = Tally.of(state)
    shown = 0.0

    def told(events: list[Event]) -> None:
        nonlocal shown
        for event in events:
            tally.hear(event)
            done = tally.completed + tally.partly
            assert shown - 1e-9 <= done <= tally.total
            shown = done
        folded = Tally.of(state)
        assert (folded.completed, folded.total) == (tally.completed, tally.total)
        assert near(folded.partly, tally.partly)

    drive(GRAPH, state, dice, trouble, told)
    far = progress.progress(state, {}, 1.0)
    if state.status == "completed":
        assert far.percent == 100.0
    assert (far.percent == 100.0) == (far.completed == far.total)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([0.0, 0.2, 0.6]))
def test_a_run_can_be_shown_at_any_moment(dice: random.Random, trouble: float) -> None:
    """Every step has a state at each moment, counts add up, and nothing runs in a run that does not."""
    state, _ = begun(GRAPH)

    def told(_: list[Event]) -> None:
        for alive in (True, False):
            run = progress.snapshot("k3f9", state, 2.0, alive=alive, known=dict.fromkeys(GRAPH.nodes, 1.0))
            assert list(run.steps) == [step.name for step in state.outline]
            running = [path for path in state.open if GRAPH.nodes[step_of(path)].kind not in GROUPS]
            assert sorted(run.current) == (sorted(running) if run.status == "running" else [])
            for step in run.steps.values():
                items = step.items
                if items is not None:
                    assert items.ended + items.running + items.waiting <= items.total
                assert run.status == "running" or step.status != "running"
        if state.status == "completed":
            assert run.errors == ()
            assert {s.status for s in run.steps.values()} <= {"completed", "skipped", "failed", "pending"}

    drive(GRAPH, state, dice, trouble, told)  # fmt: skip


# ---------------------------------------------------------------- cases


def leaf(name: str, *scope: str, group: str | None = None) -> Outline:
    return Outline(name, "task", None, group, [], [], None, None, scope=list(scope) or None)


def scope(name: str, *around: str, repeats: bool = False) -> Outline:
    return Outline(
        name, "stage", None, None, [], [], None, None, scope=[*around, name], repeats=repeats
    )  # fmt: skip


def done(path: str) -> Done:
    return Done(path, NOWHERE, "", 0.1)


STEPS = [
    leaf("first"),
    leaf("check", "check"),
    scope("region"),
    leaf("build", "region", group="region"),
    leaf("deploy", "region", "deploy", group="region"),
    scope("fix", repeats=True),
    leaf("edit", "fix", group="fix"),
]


@pytest.mark.parametrize(
    ("events", "completed", "partly"),
    [
        ([], 0, 0.0),
        ([done("first")], 1, 0.0),
        ([Skipped("first", "no")], 1, 0.0),
        ([Tripped("first", "E", "", [], "medium", "stop", None, 0.1)], 0, 0.0),
        ([Tripped("first", "E", "", [], "medium", "handled", None, 0.1)], 1, 0.0),
        ([Opened("check", 4), done("check[0]")], 0, 0.25),
        ([Opened("check", 4), Skipped("check[2]", "no"), done("check[0]")], 0, 0.5),
        ([Opened("check", 2), done("check[0]"), done("check[1]")], 0, 1.0),
        ([Opened("check", 2), done("check[0]"), done("check[1]"), done("check")], 1, 0.0),
        ([Opened("check", 0), done("check")], 1, 0.0),
        ([Opened("region", 2), done("build[0]")], 0, 0.5),
        ([Opened("region", 2), Opened("deploy[0]", 5), done("deploy[0][3]")], 0, 0.1),
        ([Opened("region", 2), Opened("deploy[0]", 5), done("deploy[0][3]"), done("deploy[0]")], 0, 0.5),
        ([Opened("region", 2), done("build[0]"), done("region[0]")], 0, 1.0),
        ([Opened("region", 2), done("region")], 2, 0.0),
        ([Skipped("region", "no")], 2, 0.0),
        ([done("edit~1"), done("fix~1"), done("edit~2")], 0, 0.0),
        ([done("edit~1"), done("fix~1"), done("fix")], 1, 0.0),
        ([done("first"), Undone("first")], 0, 0.0),
        ([done("first"), Undone("first", "no")], 1, 0.0),
        ([done("first"), Started("check[1]", 1)], 1, 0.0),
    ],
)
def test_what_counts(events: list[Event], completed: int, partly: float) -> None:
    """A fan-out fills with its items, nested ones too; a repeated group counts when it ends."""
    tally = Tally(STEPS)
    for event in events:
        tally.hear(event)
    assert tally.total == 5
    assert tally.completed == completed
    assert near(tally.partly, partly)


def test_nothing_is_kept_of_an_item_that_has_ended() -> None:
    """However many items there are, the tally holds what is in flight, and no more."""
    tally = Tally(STEPS)
    tally.hear(Opened("region", 1000))
    for number in range(1000):
        tally.hear(done(f"build[{number}]"))
        tally.hear(done(f"region[{number}]"))
    assert len(tally._frames) == 1
    assert tally.fills["region"].completed == 1000
