"""Who waits for whom, and in which order the plan names the steps (Kahn 1962).

A leaf is one point in time, a group two: its members begin after it has begun, its body runs last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from gflow.compiler.cast import Cast, Instance
from gflow.compiler.containment import Tree, before, in_turn
from gflow.compiler.scopes import Scopes


@dataclass(frozen=True, slots=True)
class Order:
    """What must have ended before a step begins (`after`) and before a group's body runs (`joins`)."""

    after: dict[Instance, list[Instance]]
    joins: dict[Instance, list[Instance]]


def arrange(cast: Cast, tree: Tree, scopes: Scopes) -> Order:
    """Return who waits for whom."""
    turns: dict[Instance, Sequence[Instance]] = {}
    for group in tree.named:
        turns |= in_turn(tree, group)
    after = {step: [*before(cast, step), *turns.get(step, ())] for step in cast.links}
    joins = {group: list(named) for group, named in tree.named.items()}
    for step in cast.undos.keys() & cast.links.keys():  # an undo finds its values wherever it may run
        (joins if step.is_group else after)[step] += undo_needs(cast, step)
    for step in cast.asides.keys() & tree.named.keys():
        joins[step] += cast.beside(step, late=True)
    order = Order(after, joins)
    return _on_one_level(order, scopes) if scopes.places else order


def _on_one_level(order: Order, scopes: Scopes) -> Order:
    """Return the same order on one level: across the border of a scope, the scope waits, or is awaited."""
    after: dict[Instance, list[Instance]] = {step: [] for step in order.after}
    joins: dict[Instance, list[Instance]] = {group: [] for group in order.joins}
    for step, awaited in order.after.items():
        for other in awaited:
            waiter, lifted = scopes.meet(scopes.around(step), step, other)
            after[waiter].append(lifted)
    for group, awaited in order.joins.items():
        place = scopes.inside(group)
        for other in awaited:
            waiter, lifted = scopes.meet(place, group, other)
            is_inside = scopes.around(lifted) == place
            (joins if is_inside else after)[waiter].append(lifted)
    return Order(after, joins)


def undo_needs(cast: Cast, step: Instance) -> list[Instance]:
    """Return the other steps whose values the undo of a step takes."""
    edges = cast.undo_edges(step) if step in cast.undos else ()
    found = [other for link, target in edges for other in ([target] if target else cast.choice(link))]
    return [other for other in found if other is not step]


def in_time(order: Order, tree: Tree) -> list[Instance] | None:
    """Return the steps in the order in which they can begin, where that is free in that of their definition.

    None if steps wait for each other in a circle.
    """
    numbers = {step: number for number, step in enumerate(order.after)}
    size = len(numbers)
    ends = {step: number + size if step.is_group else number for step, number in numbers.items()}
    followers: list[list[int]] = [[] for _ in range(2 * size)]
    waiting = [0] * (2 * size)

    def let_wait(waiter: int, awaited: Iterable[int]) -> None:
        for point in awaited:
            followers[point].append(waiter)
            waiting[waiter] += 1

    for step, number in numbers.items():
        let_wait(number, [ends[other] for other in order.after[step]])
        if (owner := tree.owner.get(step)) is not None:
            let_wait(number, [numbers[owner]])
        if step.is_group:
            let_wait(ends[step], [number, *(ends[other] for other in order.joins[step])])
    steps = list(numbers)
    ready = [point for point in numbers.values() if not waiting[point]]
    heapify(ready)
    begun: list[Instance] = []
    while ready:
        point = heappop(ready)
        if point < size:
            begun.append(steps[point])
        for follower in followers[point]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heappush(ready, follower)
    return None if any(waiting) else begun
