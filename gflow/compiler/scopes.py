"""Where steps run more than once, per item or per round, and who waits for whom across that border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeAlias

from gflow.compiler.cast import Cast, Instance, Link
from gflow.compiler.containment import Tree

Place: TypeAlias = tuple[Instance, ...]
"""The groups with items or rounds around something, outermost first."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """Who runs once per item (`each`, with the parameter that takes it) or per round (`rounds`).

    `around` are the groups among them around every step; empty if there are none.
    """

    each: Mapping[Instance, Link] = field(default_factory=dict[Instance, Link])
    rounds: frozenset[Instance] = frozenset()
    places: Mapping[Instance, Place] = field(default_factory=dict[Instance, Place])

    def __contains__(self, step: Instance) -> bool:
        return step in self.each or step in self.rounds

    def around(self, step: Instance) -> Place:
        """Return the scopes around a step, without itself."""
        return self.places.get(step, ())

    def inside(self, step: Instance) -> Place:
        """Return the scopes around the body of a step: with itself, if it is one."""
        return (*self.around(step), step) if step in self else self.around(step)

    def crossed(self, reader: Place, step: Instance) -> Place:
        """Return the scopes that a value leaves on its way from a step to a reader, outermost first."""
        inside = self.inside(step)
        return inside[_common(reader, inside) :] if inside else ()

    def meet(self, reader: Place, waiter: Instance, step: Instance) -> tuple[Instance, Instance]:
        """Return who waits for whom if something at a place waits for a step: both on one level.

        What lies in a scope that the waiter is not in is awaited as that scope; what is outside of the scope
        around the waiter is awaited by that scope, before it opens.
        """
        around = self.around(step)
        level = _common(reader, around)
        return (
            reader[level] if len(reader) > level else waiter,
            around[level] if len(around) > level else step,
        )


def _common(one: Place, other: Place) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], pairs))


def open_scopes(cast: Cast, tree: Tree) -> Scopes:
    """Return where steps run more than once."""
    each: dict[Instance, Link] = {}
    rounds: set[Instance] = set()
    for step, asides in cast.asides.items():
        roles = {aside.role: aside for aside in reversed(asides)} if step in cast.links else {}
        if "each" in roles:
            each[step] = roles["each"].links[0]
        if "until" in roles:
            rounds.add(step)
    scopes = Scopes(each, frozenset(rounds))
    if not each and not rounds:
        return scopes
    places: dict[Instance, Place] = {}
    for step, owner in tree.owner.items():  # owners were placed before what they own
        around = places.get(owner, ())
        places[step] = (*around, owner) if owner in scopes else around
    return Scopes(each, scopes.rounds, places)
