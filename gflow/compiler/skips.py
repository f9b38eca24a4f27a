"""Who may be skipped with whom: along data, along `after=`, and with the group around.

Skipping stops at a parameter with a default, at one that admits None, at the members that a group names,
at a FirstOf of which one is left, and at a list: what is skipped per item is a None in it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, TypeVar

from gflow.compiler.cast import Cast, Instance
from gflow.compiler.containment import Tree
from gflow.compiler.practice import read
from gflow.compiler.resolve import Wiring
from gflow.compiler.scopes import Scopes
from gflow.model import MISSING, EachSource, ItemSource, Param

T = TypeVar("T", bound=Hashable)


class Skips(Generic[T]):
    """Who has a condition (`conditions`; `per_item` if it is asked for each item), and who needs whom.

    `begun` are all in the order of the plan. Each of the `needs` of a step is a reason to skip it: all of
    these are skipped.
    """

    def __init__(
        self,
        begun: Sequence[T] = (),
        owner: Mapping[T, T] = MappingProxyType({}),
        conditions: Collection[T] = (),
        per_item: Collection[T] = (),
        needs: Mapping[T, Sequence[tuple[T, ...]]] = MappingProxyType({}),
    ) -> None:
        self.begun = begun
        self.owner = owner
        self.conditions = frozenset(conditions)
        self.per_item = frozenset(per_item)
        self.needs = needs
        self._known: dict[T | None, frozenset[T]] = {}
        self._followers: dict[T, list[T]] = {}
        for step, group in owner.items() if conditions else ():
            self._followers.setdefault(group, []).append(step)
        for step, others in needs.items():
            for other in [other for need in others for other in need]:
                self._followers.setdefault(other, []).append(step)

    def skipped(self, seeds: Collection[T], kept: Collection[T] = ()) -> frozenset[T]:
        """Return who is skipped if the conditions of some steps say no, while others (`kept`) are not."""
        found = {step for step in seeds if step not in kept}
        waiting = [*found]
        while waiting:
            for step in self._followers.get(waiting.pop(), ()):
                if step in found or step in kept:
                    continue
                if self.owner.get(step) in found or self._lacks(step, found):
                    found.add(step)
                    waiting.append(step)
        return frozenset(found)

    def _lacks(self, step: T, skipped: Collection[T]) -> bool:
        return any(all(one in skipped for one in need) for need in self.needs.get(step, ()))

    def within(self, group: T | None) -> frozenset[T]:
        """Return who may be skipped although a group, and so all around it, is not."""
        if group not in self._known:
            kept = self.chain(group)
            everyone = self.within(None) if kept else frozenset[T]()
            is_other = not kept or any(step in everyone for step in kept)
            self._known[group] = self.skipped(self.conditions - self.per_item, kept) if is_other else everyone
        return self._known[group]

    def chain(self, step: T | None) -> list[T]:
        """Return a step and the groups around it, outermost last."""
        chain: list[T] = []
        while step is not None:
            chain.append(step)
            step = self.owner.get(step)
        return chain

    def cause(self, wanted: T, group: T) -> T | None:
        """Return a step whose condition lets a member of a group be skipped: its own, or one before it."""
        kept = self.chain(group)
        seeds = [one for one in self.begun if one in self.conditions - self.per_item]
        seeds.sort(key=lambda one: one is not wanted)
        return next((one for one in seeds if wanted in self.skipped({one}, kept)), None)


def may_lack(
    skips: Skips[Instance], scopes: Scopes, reader: Instance, step: Instance, *, inside: bool = False
) -> bool:
    """Whether a step that is read may be skipped while its reader, or the reader's body, is not."""
    if not skips.conditions:
        return False
    group = reader if inside else skips.owner.get(reader)
    place = scopes.inside(reader) if inside else scopes.around(reader)
    wanted = unit(scopes, place, step)
    return wanted in skips.within(None) and wanted in skips.within(group)


def unit(scopes: Scopes, place: Sequence[Instance], step: Instance) -> Instance:
    """Return whose being skipped a reader notices: the outermost fan-out between, else the step itself."""
    crossed = scopes.crossed(tuple(place), step)
    return next((scope for scope in crossed if scope in scopes.each), step)


def find_skips(
    cast: Cast,
    tree: Tree,
    names: Mapping[Instance, str],
    scopes: Scopes,
    wiring: Wiring,
    begun: Sequence[Instance] | None,
) -> Skips[Instance]:
    """Return who may be skipped with whom."""
    asked = {
        step: params
        for step, beside in wiring.beside.items()
        for aside, params in beside
        if aside.role == "when"
    }
    if not asked or begun is None:
        return Skips[Instance]()
    per_item = {
        step
        for step, params in asked.items()
        if any(param.source == ItemSource(names[step]) for param in params)
    }
    steps = {name: step for step, name in names.items()}
    needs = {
        step: [
            *_needs(cast, scopes, steps, step, wiring.params[step]),
            *_of_params(scopes, steps, step, asked.get(step, ())),
        ]
        for step in cast.links
    }
    return Skips(begun, tree.owner, asked, per_item, needs)


def _needs(
    cast: Cast, scopes: Scopes, steps: Mapping[str, Instance], step: Instance, params: Sequence[Param]
) -> Iterator[tuple[Instance, ...]]:
    place = scopes.around(step)
    for other in cast.after(step):
        yield (scopes.meet(place, step, other)[1],)
    joined = [link.is_plain and step.is_group for link in cast.links[step]]
    own = [param for param, is_member in zip(params, joined, strict=True) if not is_member]
    yield from _of_params(scopes, steps, step, own)


def _of_params(
    scopes: Scopes, steps: Mapping[str, Instance], step: Instance, params: Sequence[Param]
) -> Iterator[tuple[Instance, ...]]:
    place = scopes.around(step)
    for param in params:
        taken = tuple([unit(scopes, place, steps[name]) for name in read(param.source)])
        is_stopped = param.admits_none or param.default is not MISSING
        if taken and (isinstance(param.source, EachSource) or not is_stopped):
            yield taken
