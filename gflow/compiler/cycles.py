"""Steps that wait for each other in a circle, told in the words of the workflow."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from gflow.compiler.cast import Cast, Instance
from gflow.compiler.containment import Tree, in_turn
from gflow.compiler.findings import Report
from gflow.compiler.order import undo_needs
from gflow.compiler.scopes import Scopes
from gflow.compiler.words import argument, called, line_of, parameter_place
from gflow.diagnostics import Place, locate

Reason = Literal["value", "after", "undo", "join", "turn", "member", "itself"]


class Point(NamedTuple):
    """When a step begins, or when it has ended; for a leaf, which has nothing inside, these are one."""

    step: Instance
    has_ended: bool


class Wait(NamedTuple):
    """One point in time waits for another, and why: because `step` needs `other`.

    These are the steps of the two points, or inside them: what runs once per item or round is awaited as a
    whole, and waits as a whole for what is outside.
    """

    waiter: Point
    awaited: Point
    reason: Reason
    step: Instance
    other: Instance


def report_cycles(
    cast: Cast, tree: Tree, names: Mapping[Instance, str], scopes: Scopes, report: Report
) -> None:
    """Report every circle: those of the data, then stages that contradict the data, then what is left."""
    teller = _Teller(cast, tree, names, report)
    everything = [*_waits(cast, tree, scopes)]
    waits = [wait for wait in everything if wait.reason != "turn"]
    waits = _without_cycles(waits, teller)
    waits = _without_contradictions(waits, tree, teller)
    turns = [wait for wait in everything if wait.reason == "turn"]
    _without_cycles([*waits, *turns], teller)


# ---------------------------------------------------------------- who waits for whom


def _waits(cast: Cast, tree: Tree, scopes: Scopes) -> Iterator[Wait]:
    for step in cast.links:
        begin, end = Point(step, has_ended=not step.is_group), Point(step, has_ended=True)
        for reason, other in _reasons(cast, tree, step):
            is_late = reason in ("join", "undo") and step.is_group
            place = scopes.inside(step) if is_late else scopes.around(step)
            waiter, awaited = scopes.meet(place, step, other)
            point = Point(waiter, has_ended=not waiter.is_group)
            if waiter is step:
                point = end if reason in ("join", "undo") else begin
            yield Wait(point, Point(awaited, has_ended=True), reason, step, other)
        if (owner := tree.owner.get(step)) is not None:
            yield Wait(begin, Point(owner, has_ended=False), "member", step, owner)
        if step.is_group:
            yield Wait(end, begin, "itself", step, step)


def _reasons(cast: Cast, tree: Tree, step: Instance) -> Iterator[tuple[Reason, Instance]]:
    for link, target in cast.edges(step):
        if target is not None:
            yield ("join" if step.is_group and link.is_plain else "value"), target
    for other in cast.beside(step, late=False):
        yield "value", other
    for other in cast.beside(step, late=True):
        yield "join", other
    for other in cast.after(step):
        yield "after", other
    for other in undo_needs(cast, step):
        yield "undo", other
    for other in in_turn(tree, tree.owner.get(step)).get(step, ()):
        yield "turn", other


# ---------------------------------------------------------------- circles


def _without_cycles(waits: list[Wait], teller: _Teller) -> list[Wait]:
    """Report the shortest circle, take it apart, and look for the next."""
    while cycle := _shortest_cycle(waits):
        teller.cycle(cycle)
        waits = [wait for wait in waits if wait not in cycle or wait.reason in ("member", "itself")]
    return waits


def _shortest_cycle(waits: Collection[Wait]) -> list[Wait] | None:
    following: dict[Point, list[Wait]] = {}
    for wait in waits:
        following.setdefault(wait.waiter, []).append(wait)
    found = [cycle for point in _entangled(waits) if (cycle := _way_back(point, following))]
    return min(found, key=len, default=None)


def _entangled(waits: Collection[Wait]) -> list[Point]:
    """Return the points that wait for themselves, or stand between such points."""
    while True:
        waiters, awaited = {wait.waiter for wait in waits}, {wait.awaited for wait in waits}
        left = [wait for wait in waits if wait.awaited in waiters and wait.waiter in awaited]
        if len(left) == len(waits):
            return list(dict.fromkeys(wait.waiter for wait in waits))
        waits = left


def _way_back(start: Point, following: Mapping[Point, Sequence[Wait]]) -> list[Wait] | None:
    """Return the shortest way from a point to itself (breadth first)."""
    came_by: dict[Point, Wait] = {}
    queue = deque([start])
    while queue:
        point = queue.popleft()
        for wait in following.get(point, ()):
            if wait.awaited not in came_by:
                came_by[wait.awaited] = wait
                queue.append(wait.awaited)
            if wait.awaited == start:
                return _walk(start, came_by)
    return None


def _walk(start: Point, came_by: Mapping[Point, Wait]) -> list[Wait]:
    way = [came_by[start]]
    while way[0].waiter != start:
        way.insert(0, came_by[way[0].waiter])
    return way


# ---------------------------------------------------------------- stages


class Contradiction(NamedTuple):
    """A stage runs the member `early` before `late`, though a step in `early` waits for one in `late`."""

    stage: Instance
    early: Instance
    late: Instance
    wait: Wait


def _without_contradictions(waits: list[Wait], tree: Tree, teller: _Teller) -> list[Wait]:
    """Report members of a stage that need a later one, and leave these waits out."""
    found = [(wait, _contradiction(tree, wait)) for wait in waits]
    contradictions = [contradiction for _, contradiction in found if contradiction is not None]
    first: dict[tuple[Instance, Instance], Contradiction] = {}
    for contradiction in contradictions:
        first.setdefault((contradiction.early, contradiction.late), contradiction)
    for contradiction in first.values():
        order = list(tree.named[contradiction.stage])
        for other in first.values():  # all that is wrong with this stage, so that one change cures it
            if other.stage is contradiction.stage and order.index(other.early) < order.index(other.late):
                order.remove(other.late)
                order.insert(order.index(other.early), other.late)
        teller.contradiction(contradiction, order)
    return [wait for wait, contradiction in found if contradiction is None]


def _contradiction(tree: Tree, wait: Wait) -> Contradiction | None:
    stage, waiting, awaited = tree.apart(wait.waiter.step, wait.awaited.step)
    if stage is None or stage.step.kind != "stage" or not waiting or not awaited:
        return None
    order = tree.named[stage]
    early, late = waiting[-1], awaited[-1]
    return Contradiction(stage, early, late, wait) if order.index(early) < order.index(late) else None


# ---------------------------------------------------------------- the words


class _Teller:
    """Words findings about waiting."""

    def __init__(self, cast: Cast, tree: Tree, names: Mapping[Instance, str], report: Report) -> None:
        self.cast = cast
        self.tree = tree
        self.names = names
        self.report = report
        self._told: set[frozenset[int]] = set()

    def _is_told(self, *steps: Instance) -> bool:
        """Whether the same was told of these steps, or of what they are copies of."""
        key = frozenset(id(step.step.origin or step.step) for step in steps)
        told = key in self._told
        self._told.add(key)
        return told

    def place(self, wait: Wait) -> Place | None:
        """Return the line that makes one step wait for another, if there is one."""
        waiter, awaited, reason = wait.step, wait.other, wait.reason
        if reason == "after":
            return locate(waiter.step.fn, "after", "keyword")
        edges = self.cast.undo_edges(waiter) if reason == "undo" else self.cast.edges(waiter)
        fn = waiter.step.undo_fn if reason == "undo" else waiter.step.fn
        for link, target in edges if reason in ("value", "join", "undo") else ():
            if target is awaited:
                return locate(fn or waiter.step.fn, link.parameter.name, "parameter")
        for aside in self.cast.asides.get(waiter, ()) if reason in ("value", "join") else ():
            for link, target in self.cast.found(aside.links):
                if awaited in (target, *self.cast.choice(link)):
                    return locate(aside.signature.fn, link.parameter.name, "parameter")
        return None

    def cycle(self, cycle: Sequence[Wait]) -> None:
        """Tell a circle, beginning with the step that is defined first."""
        if self._is_told(*(wait.waiter.step for wait in cycle)):
            return
        steps = list(self.cast.links)
        told = [wait for wait in cycle if wait.reason != "itself"]
        first = min(
            (wait for wait in told if wait.reason != "member"), key=lambda w: steps.index(w.waiter.step)
        )
        told = [*told[told.index(first) :], *told[: told.index(first)]]
        places = [place for wait in told if (place := self.place(wait))]
        name = self.names[first.waiter.step]
        if len(told) == 1:
            message, hint = self._about_itself(told[0])
        else:
            message = f"a cycle: `{name}` {', which '.join(self._clauses(told))}"
            hint = self._way_out(told)
        self.report.error("GF030", message, *places, hints=[hint])

    def _about_itself(self, wait: Wait) -> tuple[str, str]:
        """Return what to say of a step that needs itself, or of a scope that needs what is inside."""
        step, other = f"`{self.names[wait.step]}`", f"`{self.names[wait.other]}`"
        if wait.step is wait.other:
            return f"{step} needs itself", "rename the parameter: a step cannot take its own result"
        scope = f"`{self.names[wait.waiter.step]}`"
        inner = other if wait.step is wait.waiter.step else step
        return f"a cycle: {step} needs {other}, but {inner} is inside {scope}", f"move it out of {scope}"

    def _clauses(self, told: Sequence[Wait]) -> Iterator[str]:
        for wait in told:
            place = self.place(wait) if wait is not told[-1] else None
            yield self._clause(wait) + (f" ({line_of(place)})" if place else "")

    def _clause(self, wait: Wait) -> str:
        other = f"`{self.names[wait.other]}`"
        if wait.awaited.step is not wait.other:
            other = f"{other} inside `{self.names[wait.awaited.step]}`"
        match wait.reason:
            case _ if wait.waiter.step is not wait.step:
                clause = f"holds `{self.names[wait.step]}`, which needs {other}"
            case "member":
                clause = f"is inside {other}"
            case "after":
                clause = f"comes after {other}"
            case "turn":
                clause = f"comes after {other} in `{self.names[self.tree.owner[wait.waiter.step]]}`"
            case "undo":
                clause = f"needs {other} for its undo"
            case "value" if wait.waiter.step.is_group:
                clause = f"begins after {other}"
            case _:
                clause = f"needs {other}"
        return clause

    def _way_out(self, told: Sequence[Wait]) -> str:
        for wait in told:
            group, member = wait.waiter.step, wait.awaited.step
            if wait.reason in ("value", "after") and group in self.tree.chain(member):
                taken = argument(member, self.names)
                return f"`{self.names[group]}` has its members when its body runs: write `{taken}`"
        return "take one of these parameters away, or move what both steps need into a third"

    def contradiction(self, found: Contradiction, order: Sequence[Instance]) -> None:
        """Tell that a stage runs a step before one that it needs; `order` is one that would do."""
        if self._is_told(found.stage, found.early, found.late):
            return
        names, stage, wait = self.names, found.stage, found.wait
        right = ", ".join(argument(step, names) for step in order)
        places = [parameter_place(self.cast, stage, found.late), self.place(wait)]
        early, late = names[found.early], names[found.late]
        needy, needed = names[wait.step], names[wait.other]
        self.report.error(
            "GF031",
            f"`{names[stage]}` runs `{early}` before `{late}`, but `{needy}` needs `{needed}`",
            *(place for place in places if place),
            hints=[f"write `{late}` first: `def {called(stage.step.fn)}({right})`"],
        )
