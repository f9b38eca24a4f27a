"""Who owns whom: a group owns the steps that its signature names, unless another group has the better claim.

A step that several groups name belongs to the outer of two nested ones, else to the one that comes first
in the plan; the others read it. So a step is placed once all groups that name it are (Kahn 1962).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gflow.compiler.cast import Cast, Instance


@dataclass(frozen=True, slots=True)
class Tree:
    """Who owns whom.

    `named` are the steps that a group's signature names, owned or read, in order; `disputed` are the steps
    that several groups name with no order between them, with these groups.
    """

    owner: dict[Instance, Instance] = field(default_factory=dict[Instance, Instance])
    named: dict[Instance, tuple[Instance, ...]] = field(default_factory=dict[Instance, tuple[Instance, ...]])
    disputed: dict[Instance, list[Instance]] = field(default_factory=dict[Instance, list[Instance]])

    def members(self, group: Instance) -> list[Instance]:
        """Return the steps that a group owns, in the order of its signature."""
        return [step for step in self.named.get(group, ()) if self.owner.get(step) is group]

    def chain(self, step: Instance) -> list[Instance]:
        """Return a step and the groups around it, outermost last."""
        chain = [step]
        while (owner := self.owner.get(chain[-1])) is not None:
            chain.append(owner)
        return chain

    def apart(self, one: Instance, other: Instance) -> tuple[Instance | None, list[Instance], list[Instance]]:
        """Return the innermost group around two steps, and the chains of both below it."""
        chain, others = self.chain(one), self.chain(other)
        common = next((group for group in chain if group in others), None)
        if common is None:
            return None, chain, others
        return common, chain[: chain.index(common)], others[: others.index(common)]


def contain(cast: Cast) -> tuple[Cast, Tree]:
    """Return who owns whom, and everyone who takes part without the members that a copy need not bring.

    A copied group brings its members, except what it would read if it were written out by hand: a step that
    a group around it names, or a group before it that is no other copy of the same.
    """
    tree = Tree(named={step: _named(cast, step) for step in cast.links if step.is_group})
    namers: dict[Instance, list[Instance]] = {}
    for group, steps in tree.named.items():
        for step in steps:
            namers.setdefault(step, []).append(group)
    placed: set[Instance] = set()
    left_out: set[Instance] = set()
    for step in _by_naming(cast, tree, namers):
        groups = [group for group in namers.get(step, ()) if group in placed]
        elsewhere = _owner_elsewhere(cast, tree, step, left_out) if groups else None
        owner = _best(cast, tree, step, [*groups, elsewhere] if elsewhere else groups)
        if step.scope is not None and owner in (elsewhere, None):
            left_out.add(step)
            continue
        placed.add(step)
        if owner is not None:
            tree.owner[step] = owner
    cast = cast.settled(left_out)
    if left_out:
        tree = Tree(
            tree.owner, {group: _named(cast, group) for group in cast.links if group.is_group}, tree.disputed
        )
    return cast, tree


def _named(cast: Cast, group: Instance) -> tuple[Instance, ...]:
    named = [cast.find(link.step, link.scope) for link in cast.links[group] if link.is_plain]
    return tuple(dict.fromkeys(step for step in named if step is not None))


def _by_naming(cast: Cast, tree: Tree, namers: Mapping[Instance, Sequence[Instance]]) -> Iterator[Instance]:
    """Yield every step after the groups that name it, and a copied member after what it is a copy of.

    Groups that name each other in a circle are a cycle, reported with the others; here it is cut anywhere.
    """
    waiting = {step: len(namers.get(step, ())) for step in cast.links}
    twins: dict[Instance, list[Instance]] = {}
    for step in cast.links:
        if step.scope is not None and (twin := cast.find(step.step, step.scope.scope)) is not None:
            twins.setdefault(twin, []).append(step)
            waiting[step] += 1
    ready = deque(step for step, groups in waiting.items() if groups == 0)
    while waiting:
        step = ready.popleft() if ready else next(iter(waiting))
        del waiting[step]
        yield step
        for other in (*tree.named.get(step, ()), *twins.get(step, ())):
            if other in waiting:
                waiting[other] -= 1
                if waiting[other] == 0:
                    ready.append(other)


def _owner_elsewhere(
    cast: Cast, tree: Tree, step: Instance, left_out: Collection[Instance]
) -> Instance | None:
    """Return who owns what a copied member is a copy of; None if it is another copy of the same group."""
    scope = step.scope
    while scope is not None:
        twin = cast.find(step.step, scope.scope)
        owner = tree.owner.get(twin) if twin and twin not in left_out else None
        if owner is not None:
            family = {_origin(other) for other in cast.links if scope in (other, other.scope)}
            return None if _origin(owner) in family else owner
        scope = scope.scope
    return None


def _origin(step: Instance) -> int:
    return id(step.step.origin or step.step)


def _best(cast: Cast, tree: Tree, step: Instance, groups: list[Instance]) -> Instance | None:
    """Return which of the groups that name a step it belongs to."""
    if len(groups) < 2:
        return groups[0] if groups else None
    around = {group: tree.chain(group)[1:] for group in groups}
    outer = [group for group in groups if not any(other in around[group] for other in groups)]
    for group in outer:
        if all(group is other or _precedes(cast, tree, group, other) for other in outer):
            return group
    if all(tree.apart(outer[0], other)[0] for other in outer):  # else it is two workflows that are reported
        tree.disputed[step] = outer
    return outer[0]


def _precedes(cast: Cast, tree: Tree, first: Instance, second: Instance) -> bool:
    """Whether a group comes before another: by place in the stage around both, or because that one waits."""
    common, firsts, seconds = tree.apart(first, second)
    if common is None:
        return False
    if common.step.kind == "stage":
        places = tree.named[common]
        return places.index(firsts[-1]) < places.index(seconds[-1])
    return _waits(cast, tree, seconds, firsts)


def _waits(cast: Cast, tree: Tree, steps: Sequence[Instance], awaited: Collection[Instance]) -> bool:
    """Whether one of some steps begins only when one of others has ended."""
    seen: set[Instance] = set()
    waiting = list(steps)
    while waiting:
        step = waiting.pop()
        if step in seen:
            continue
        seen.add(step)
        earlier = [*before(cast, step), *in_turn(tree, tree.owner.get(step)).get(step, ())]
        if any(other in awaited for other in earlier):
            return True
        waiting += [group for other in earlier for group in tree.chain(other) if group not in awaited]
    return False


def before(cast: Cast, step: Instance) -> list[Instance]:
    """Return the steps that must have ended before a step begins, by what is written at its own definition.

    These are what it takes values from (a group only by From: what it names plainly, it joins), what its
    conditions take, and what `after=` names.
    """
    links = [link for link in cast.links[step] if link.step and not (step.is_group and link.is_plain)]
    found = [cast.find(link.step, link.scope) for link in links]
    beside = cast.beside(step, late=False) if cast.asides else ()
    return [*(target for target in found if target is not None), *beside, *cast.after(step)]


def in_turn(tree: Tree, stage: Instance | None) -> dict[Instance, Sequence[Instance]]:
    """Return what each member of a `@stage` comes after: what is named before it, back to the last member.

    A step that the stage only reads has a turn as well, but does not wait for it.
    """
    turns: dict[Instance, Sequence[Instance]] = {}
    named = tree.named[stage] if stage is not None and stage.step.kind == "stage" else ()
    last = 0
    for place, step in enumerate(named):
        if tree.owner.get(step) is stage:
            turns[step] = named[last:place]
            last = place
    return turns


def paths(cast: Cast, tree: Tree) -> dict[Instance, str]:
    """Return everyone's name; that of a member of a copied or imported group is `group/member`."""
    own = {id(step) for step in cast.home.registered}
    names = {step: cast.home.name(step.step) for step in cast.links}
    for step, owner in tree.owner.items():  # owners were placed before what they own
        is_imported = id(step.step) not in own and id(owner.step) not in own
        if step.scope is not None or is_imported:
            names[step] = f"{names[owner]}/{names[step]}"
    return names
