"""What happens next: decided without threads, without a clock and without a store."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow import Approval, Ask, Each, Failed, runner
from gflow.agenda import Agenda, Ended, Outcome, Raised, Room, Succeeded, next_events
from gflow.decorators import AnyStep, parallel, stage, task
from gflow.events import (
    Claimed,
    Decided,
    Done,
    Event,
    Opened,
    Ref,
    Reset,
    Reverted,
    Skipped,
    Started,
    StatusChanged,
    Tripped,
)
from gflow.model import Graph, Node, Retry
from gflow.progress import outline
from gflow.state import State

PLENTY = Room(threads=100, ahead=100, loop=100)


def done(name: str) -> Succeeded:
    return Succeeded(name, Ref(1, 0, 1, "tag"), "", 0.1, None)


def failed(name: str, severity: str = "medium") -> Raised:
    return Raised(name, "ValueError", "no", [], severity, 0.1, 0.5, None)  # type: ignore[arg-type]


def agenda_of(workflow: AnyStep) -> Agenda:
    return Agenda(runner.compile(workflow), State())


def started(events: Iterable[Event]) -> list[str]:
    return [event.path for event in events if isinstance(event, Started)]


def status(events: Iterable[Event]) -> str | None:
    return next((event.status for event in events if isinstance(event, StatusChanged)), None)


def build_flow() -> AnyStep:
    """A stage of a leaf, a parallel group of two leaves and a subgroup, and a leaf."""

    @task
    def first() -> int:
        return 1

    @task
    def left(first: int) -> int:
        return first

    @task
    def right(first: int) -> int:
        return first

    @task
    def deep() -> int:
        return 1

    @task
    def deeper() -> int:
        return 1

    @stage
    def inner(deep: int, deeper: int) -> int:
        return deeper

    @parallel
    def middle(left: int, right: int, inner: int) -> None: ...

    @task
    def last(left: int) -> int:
        return left

    @stage
    def flow(first: int, middle: None, last: int) -> None: ...

    return flow


def test_a_stage_begins_its_members_in_the_order_of_the_signature() -> None:
    """In a stage a member begins when the one before it has ended."""
    agenda = agenda_of(build_flow())
    assert started(next_events(agenda, [], 0.0, PLENTY).events) == ["first"]
    assert set(started(next_events(agenda, [done("first")], 1.0, PLENTY).events)) == {"left", "right", "deep"}


def test_a_parallel_group_is_a_barrier_for_what_follows() -> None:
    """What follows a group waits for all of it, though its own data are there."""
    agenda = agenda_of(build_flow())
    next_events(agenda, [], 0.0, PLENTY)
    next_events(agenda, [done("first")], 1.0, PLENTY)
    assert started(next_events(agenda, [done("left"), done("right")], 2.0, PLENTY).events) == []
    assert started(next_events(agenda, [done("deep")], 3.0, PLENTY).events) == ["deeper"]
    turn = next_events(agenda, [done("deeper")], 4.0, PLENTY)
    assert started(turn.events) == ["inner"]
    assert started(next_events(agenda, [done("inner")], 5.0, PLENTY).events) == ["last"]


def test_an_empty_body_completes_in_the_turn_that_fills_it() -> None:
    """A group without a body costs no attempt: it is done when its members are."""
    agenda = agenda_of(build_flow())
    next_events(agenda, [], 0.0, PLENTY)
    next_events(agenda, [done("first")], 1.0, PLENTY)
    next_events(agenda, [done("left"), done("right"), done("deep")], 2.0, PLENTY)
    next_events(agenda, [done("deeper")], 3.0, PLENTY)
    turn = next_events(agenda, [done("inner")], 4.0, PLENTY)
    assert Done("middle", None, "", 0.0) in turn.events
    end = next_events(agenda, [done("last")], 5.0, PLENTY)
    assert status(end.events) == "completed"


def test_after_a_failure_started_groups_go_on_to_their_end() -> None:
    """A failed member closes its group and those around it; a sibling group that has begun ends."""
    agenda = agenda_of(build_flow())
    next_events(agenda, [], 0.0, PLENTY)
    next_events(agenda, [done("first")], 1.0, PLENTY)
    assert started(next_events(agenda, [failed("left"), done("deep")], 2.0, PLENTY).events) == ["deeper"]
    assert started(next_events(agenda, [done("deeper")], 3.0, PLENTY).events) == ["inner"]
    turn = next_events(agenda, [done("inner"), done("right")], 4.0, PLENTY)
    assert started(turn.events) == []
    assert status(turn.events) == "failed"


def test_after_a_failure_no_further_member_starts() -> None:
    """A member that had no place yet when its sibling failed does not start."""
    agenda = agenda_of(build_flow())
    next_events(agenda, [], 0.0, PLENTY)
    assert started(next_events(agenda, [done("first")], 1.0, Room(1, 1, 0)).events) == ["left"]
    turn = next_events(agenda, [failed("left")], 2.0, PLENTY)
    assert "right" not in started(turn.events)


def test_a_low_failure_is_tried_again_at_a_journaled_time() -> None:
    """The time of the next try is part of the failure's event, and the try begins then."""
    agenda = agenda_of(build_flow())
    next_events(agenda, [], 0.0, PLENTY)
    turn = next_events(agenda, [failed("first", "low")], 10.0, PLENTY)
    tripped = next(event for event in turn.events if isinstance(event, Tripped))
    assert (tripped.decision, tripped.retry_at) == ("retry", 10.5)  # a ceiling of 1 s, halved by u
    assert status(turn.events) is None
    assert started(next_events(agenda, [], 10.4, PLENTY).events) == []
    again = next_events(agenda, [], 10.5, PLENTY)
    assert Started("first", 2) in again.events


def test_retries_end_the_step_when_they_are_used_up() -> None:
    """`attempts` counts calls: the third failure of three is the last."""
    agenda = agenda_of(build_flow())
    next_events(agenda, [], 0.0, PLENTY)
    for at in (1.0, 100.0):
        next_events(agenda, [failed("first", "low")], at, PLENTY)
        next_events(agenda, [], at + 90, PLENTY)
    turn = next_events(agenda, [failed("first", "low")], 300.0, PLENTY)
    assert status(turn.events) == "failed"


def test_a_crash_during_backoff_keeps_time_and_count() -> None:
    """An agenda that is built from the journal waits as long as the one that died."""
    first = agenda_of(build_flow())
    events = [
        *next_events(first, [], 0.0, PLENTY).events,
        *next_events(first, [failed("first", "low")], 10.0, PLENTY).events,
    ]
    state = State()
    for event in events:
        state.apply(10.0, event)
    resumed = Agenda(first.graph, state)
    assert started(next_events(resumed, [], 10.4, PLENTY).events) == []
    assert Started("first", 2) in next_events(resumed, [], 10.5, PLENTY).events
    assert state.slot("first").failures == 1


def test_a_limit_bounds_the_leaves_inside() -> None:
    """`limit` counts attempts that run at once, and a place that is free is taken."""

    @task
    def a() -> int:
        return 1

    @task
    def b() -> int:
        return 1

    @task
    def c() -> int:
        return 1

    @parallel(limit=2)
    def flow(a: int, b: int, c: int) -> None: ...

    agenda = agenda_of(flow)
    assert started(next_events(agenda, [], 0.0, PLENTY).events) == ["a", "b"]
    assert started(next_events(agenda, [done("b")], 0.0, PLENTY).events) == ["c"]


def test_a_step_with_an_undo_is_not_admitted_ahead_of_a_thread() -> None:
    """What has effects never begins to be ambiguous before it can run."""

    @task
    def plain() -> int:
        return 1

    @task
    def tagged() -> int:
        return 1

    @tagged.undo
    def untag(tagged: int) -> None: ...

    @parallel
    def flow(plain: int, tagged: int) -> None: ...

    agenda = agenda_of(flow)
    assert started(next_events(agenda, [], 0.0, Room(threads=1, ahead=10, loop=0)).events) == ["plain"]


def test_stopping_admits_nothing_and_ends_when_all_has_ended() -> None:
    """An interrupted run lets its steps end, and is over when they have."""
    agenda = agenda_of(build_flow())
    next_events(agenda, [], 0.0, PLENTY)
    agenda.stopping = "interrupted"
    assert status(next_events(agenda, [], 1.0, PLENTY).events) is None
    assert status(next_events(agenda, [Ended("first")], 2.0, PLENTY).events) == "interrupted"


# ---------------------------------------------------------------- laws


def graphs() -> st.SearchStrategy[Graph]:
    """Random workflows: up to ten leaves over earlier ones, in one flat group or none."""

    @st.composite
    def build(draw: Callable[..., object]) -> Graph:
        size = draw(st.integers(1, 10))
        grouped = draw(st.booleans())
        nodes: dict[str, Node] = {}
        names = [f"s{i}" for i in range(size)]  # type: ignore[arg-type]
        limit = draw(st.sampled_from([None, 1, 2]))
        if grouped:
            nodes["g"] = Node(
                "g", "parallel", len, members=tuple(names), joins=frozenset(names), limit=limit, is_empty=True
            )  # type: ignore[arg-type]
        for i, name in enumerate(names):
            after = frozenset(draw(st.sets(st.sampled_from(names[:i]), max_size=2))) if i else frozenset()
            nodes[name] = Node(
                name, "task", len, after=after, group="g" if grouped else None, retry=Retry(2),
                is_async=draw(st.booleans()),
            )  # type: ignore[arg-type]  # fmt: skip
        return Graph("w", "", "", "m", nodes, {}, None, tuple(names))

    return build()


def play(graph: Graph, seed: int, fail: float) -> tuple[list[Event], State]:
    """Drive a graph with random outcomes in random order to its end."""
    chance = random.Random(seed)
    state = State()
    agenda = Agenda(graph, state)
    events: list[Event] = []
    running: list[str] = []
    now = 0.0
    outcomes: list[Outcome] = []
    while True:
        turn = next_events(agenda, outcomes, now, Room(chance.randint(1, 3), 3, chance.randint(1, 3)))
        events += turn.events
        running += [unit.path for unit in turn.admitted]
        if status(turn.events):
            return events, state
        chosen = chance.sample(running, chance.randint(1, len(running))) if running else []
        running = [name for name in running if name not in chosen]
        outcomes = [
            failed(n, chance.choice(["low", "medium"])) if chance.random() < fail else done(n) for n in chosen
        ]
        now += 1.0 if running or outcomes else 100.0


@given(graphs(), st.integers(0, 10_000), st.sampled_from([0.0, 0.2]))
def test_nothing_starts_before_what_it_needs_has_ended(graph: Graph, seed: int, fail: float) -> None:
    """In every run of every graph, a step starts only after all it comes after is done."""
    events, _ = play(graph, seed, fail)
    ended: set[str] = set()
    for event in events:
        if isinstance(event, Started):
            assert graph.nodes[event.path].after <= ended
        if isinstance(event, Done):
            ended.add(event.path)


@given(graphs(), st.integers(0, 10_000))
def test_without_failures_every_step_completes_once(graph: Graph, seed: int) -> None:
    """In every run without failures, each step starts once and the run completes."""
    events, state = play(graph, seed, 0.0)
    assert state.status == "completed"
    leaves = [name for name in graph.nodes if name != "g"]
    assert sorted(started(events)) == sorted(leaves)


@given(graphs(), st.integers(0, 10_000))
def test_the_state_is_the_fold_of_its_events(graph: Graph, seed: int) -> None:
    """Folding the events anew gives the state that the decisions were made from."""
    events, state = play(graph, seed, 0.2)
    again = State()
    for event in events:
        again.apply(0.0, event)
    assert again.status == state.status
    for name in graph.nodes:
        assert again.slot(name).status == state.slot(name).status
        assert again.slot(name).attempt == state.slot(name).attempt


@pytest.mark.parametrize("limit", [1, 2])
@given(seed=st.integers(0, 10_000))
def test_a_limit_is_never_exceeded(limit: int, seed: int) -> None:
    """However outcomes arrive, no more attempts run inside a group than its limit."""
    names = [f"s{i}" for i in range(6)]
    group = Node(
        "g", "parallel", len, members=tuple(names), joins=frozenset(names), limit=limit, is_empty=True
    )
    leaves = {name: Node(name, "task", len, group="g", is_async=i % 2 == 0) for i, name in enumerate(names)}
    graph = Graph("w", "", "", "m", {"g": group, **leaves}, {}, "g", ("g",))
    running = 0
    for event in play(graph, seed, 0.0)[0]:
        running += isinstance(event, Started)
        running -= isinstance(event, Done) and event.path != "g"
        assert running <= limit


def fan_out(*, when: Callable[[int], bool] | None = None) -> Agenda:
    """Return the agenda of a run whose list of a thousand items is known."""

    @task
    def numbers() -> list[int]:
        return [*range(1000)]

    @task(when=when)
    def double(number: Annotated[int, Each(numbers)]) -> int:
        return 2 * number

    state = State()
    state.apply(0.0, done_event("numbers"))
    state.apply(0.0, Opened("double", 1000))
    for n in range(1000) if when else ():
        state.apply(0.0, Decided(f"double[{n}]", "when", False))
    return Agenda(runner.compile(double), state)


def done_event(path: str) -> Done:
    return Done(path, Ref(1, 0, 1, "tag"), "", 0.1)


def test_nothing_is_kept_for_an_item_that_waits() -> None:
    """Only items that there is room for are known by a path; the others are a number."""
    agenda = fan_out()
    turn = next_events(agenda, [], 0.0, Room(threads=3, ahead=3, loop=0))
    assert started(turn.events) == ["double[0]", "double[1]", "double[2]"]
    assert len(agenda.state.slots) == 5
    turn = next_events(agenda, [done("double[1]")], 0.0, Room(threads=1, ahead=1, loop=0))
    assert started(turn.events) == ["double[3]"]
    assert len(agenda.state.slots) == 6


def test_a_fan_out_ends_once() -> None:
    """When the last items are skipped as they are opened, the end of the whole is told once."""

    def never(number: int) -> bool:
        return number < 0

    agenda = fan_out(when=never)
    turn = next_events(agenda, [], 0.0, PLENTY)
    assert [event.path for event in turn.events if isinstance(event, Done)] == ["double"]
    assert turn.over == ["double"]
    assert status(turn.events) == "completed"


# ---------------------------------------------------------------- found by the simulation of crashes


def taken_over(graph: Graph, state: State) -> Agenda:
    """Let the process die, and another one go on."""
    state.apply(0.0, Claimed("host", 1))
    state.apply(0.0, StatusChanged("running"))
    return Agenda(graph, state)


def test_a_question_that_is_tried_again_is_asked_before_its_step_begins() -> None:
    """Where the condition of a question failed, and the process died, the step does not begin unasked."""

    @task(attempts=Retry(3, base=10.0))
    def ship(ok: Annotated[Approval, Ask("Ship?", when=lambda: True)]) -> int:
        return 1

    graph = runner.compile(ship)
    state = State()
    agenda = Agenda(graph, state)
    assert [unit.purpose for unit in next_events(agenda, [], 0.0, PLENTY).admitted] == ["ask"]
    next_events(agenda, [failed("ship", "low")], 1.0, PLENTY)
    agenda = taken_over(graph, state)
    assert next_events(agenda, [], 1.0, PLENTY).admitted == []
    assert [unit.purpose for unit in next_events(agenda, [], 100.0, PLENTY).admitted] == ["ask"]


def test_fan_outs_in_fan_outs_go_on_where_nothing_else_can() -> None:
    """Items that are open again are looked at for fan-outs of their own, in the same turn."""

    @task
    def rows() -> list[list[int]]:
        return [[1]]

    @task
    def cells(row: list[int]) -> list[int]:
        return row

    @task
    def square(cell: Annotated[int, Each(cells)]) -> int:
        return cell

    @stage
    def each_row(row: Annotated[list[int], Each(rows)], cells: list[int], square: list[int]) -> int:
        return 1

    @stage
    def flow(rows: list[list[int]], each_row: list[int]) -> None: ...

    graph = runner.compile(flow)
    state = State()
    for event in (
        Done("rows", Ref(1, 0, 1, "tag"), "", 0.0), Opened("each_row", 1),
        Done("cells[0]", Ref(1, 0, 1, "tag"), "", 0.0), Opened("square[0]", 1),
    ):  # fmt: skip
        state.apply(0.0, event)
    assert started(next_events(taken_over(graph, state), [], 0.0, PLENTY).events) == ["square[0][0]"]


def handled_group() -> AnyStep:
    """A group whose failure is a value, after a step of its workflow; and one that reads it."""

    @task
    def before() -> int:
        return 1

    @task
    def tests() -> int:
        return 1

    @task
    def more() -> int:
        return 1

    @stage
    def checks(tests: int, more: int) -> int:
        return 1

    @task
    def report(checks: int | Failed) -> int:
        return 1

    @task
    def late(more: int | Failed) -> int:
        return 1

    @stage
    def flow(before: int, checks: int | Failed, report: int, late: int) -> int:
        return 1

    return flow


def test_a_group_that_has_not_begun_has_no_outcome() -> None:
    """Where a step before it failed, a group whose failure is a value runs when the run goes on."""
    graph = runner.compile(handled_group())
    state = State()
    agenda = Agenda(graph, state)
    next_events(agenda, [], 0.0, PLENTY)
    next_events(agenda, [failed("before")], 1.0, PLENTY)
    assert not state.has_ended("checks")


def test_nobody_waits_for_what_is_in_a_group_that_has_failed() -> None:
    """A resumed run gives up what had not begun in a group whose failure was taken as a value."""
    graph = runner.compile(handled_group())
    state = State()
    agenda = Agenda(graph, state)
    next_events(agenda, [], 0.0, PLENTY)
    next_events(agenda, [done("before")], 1.0, PLENTY)
    next_events(agenda, [failed("tests")], 2.0, PLENTY)
    assert state.has_ended("checks")
    agenda = taken_over(graph, state)
    assert started(next_events(agenda, [], 3.0, PLENTY).events) == ["report"]
    assert started(next_events(agenda, [done("report")], 4.0, PLENTY).events) == ["late"]


def test_a_question_about_a_failed_step_is_not_asked() -> None:
    """What a question shows is needed: if that has failed, the step does not start."""

    @task
    def build() -> int:
        return 1

    @task
    def ship(ok: Annotated[Approval, Ask("Ship {build}?")]) -> int:
        return 1

    @parallel
    def flow(build: int, ship: int) -> None: ...

    agenda = Agenda(runner.compile(flow), State())
    next_events(agenda, [], 0.0, PLENTY)
    turn = next_events(agenda, [failed("build")], 1.0, PLENTY)
    assert turn.admitted == []
    assert status(turn.events) == "failed"


def test_what_a_rollback_keeps_is_not_skipped_again() -> None:
    """A group keeps its condition's answer if something in it is kept; what was skipped stays so, once."""

    @task
    def one() -> int:
        return 1

    @task
    def two() -> int:
        return 1

    @stage(when=lambda: False)
    def inner(one: int | None, two: int | None) -> None: ...

    @stage
    def flow(inner: None) -> None: ...

    graph = runner.compile(flow)
    state = State()
    state.outline = outline(graph)
    for event in (
        Decided("inner", "when", False), Skipped("inner", ""), Skipped("one", ""), Skipped("two", ""),
        Reset("rollback", "two", 1, ["flow", "inner"]), StatusChanged("rolling_back"),
        Reverted(["flow", "inner"]), StatusChanged("rolled_back"),
    ):  # fmt: skip
        state.apply(0.0, event)
    turn = next_events(taken_over(graph, state), [], 0.0, PLENTY)
    assert [event for event in turn.events if isinstance(event, Skipped | Decided)] == [
        Skipped("inner", "its condition says no")
    ]
