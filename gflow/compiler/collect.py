"""Which steps take part: those of the module, what they name elsewhere, and copies with their members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType

from gflow.compiler.asides import asides, bound_links
from gflow.compiler.cast import Cast, Home, Instance, copies_around
from gflow.compiler.reading import Reader, is_step
from gflow.decorators import AnyStep, Copy, FirstOf, Member, Step
from gflow.model import GROUPS


def collect(target: ModuleType | AnyStep, home: Home, reader: Reader) -> Cast:
    """Return the steps that take part in a workflow: a module, or a step and what it needs.

    An imported step takes part if a parameter's name, From, `after=` or `Workflow(uses=…)` reaches it; a step
    that has copies only if a signature names it.
    """
    cast = Cast(home, reader)
    news = [_join(cast, step, None) for step in _roots(target, home, reader)]
    while news:
        news = [new for step in news for new in _reach(cast, step)]
    return cast if isinstance(target, ModuleType) else _in_order_of_definition(cast)


def _roots(target: ModuleType | AnyStep, home: Home, reader: Reader) -> Iterable[AnyStep]:
    if isinstance(target, Step):
        return [target]
    own = [step for step in home.registered if id(step) in home.bound]
    copied = _copied([step for step in own if isinstance(step, Copy)], reader)
    used = [step for workflow in home.workflows().values() for step in listed(workflow.uses) if is_step(step)]
    roots = [step for step in own if id(step) not in copied] or own  # copies that hold each other are a cycle
    return {id(step): step for step in [*roots, *used]}.values()


def listed(given: object) -> list[object]:
    """Return the items of a list, or what is no list as the only item."""
    return [*given] if isinstance(given, Iterable) and not isinstance(given, str) else [given]


def _copied(copies: Iterable[AnyStep], reader: Reader) -> set[int]:
    """Return the ids of the steps that copies were made of, with the members of the groups among them."""
    found: set[int] = set()
    origins = [copy.origin for copy in copies if copy.origin is not None]
    while origins:
        step = origins.pop()
        if id(step) not in found:
            found.add(id(step))
            origins += reader.signature(step).named if step.kind in GROUPS else ()
    return found


def _join(cast: Cast, step: AnyStep, scope: Instance | None) -> Instance:
    instance = Instance(step, cast.reader.signature(step), scope, step.kind in GROUPS)
    cast.places[id(step), scope] = instance
    cast.links[instance] = bound_links(instance, instance.signature)
    undo = cast.reader.undo(step)
    if undo is not None:
        cast.undos[instance] = bound_links(instance, undo)
    beside = asides(instance, cast.links[instance], cast.reader)
    if beside is not None:
        cast.asides[instance] = beside
    return instance


def _reach(cast: Cast, step: Instance) -> Iterator[Instance]:
    """Let everyone join whom a step names, and yield them; a copied group first brings its members."""
    if step.is_copied_group:
        yield from _copy_members(cast, step)
    links = cast.links[step]
    if step in cast.undos:
        links += cast.undos[step][1:]
    if step in cast.asides:
        links += tuple(link for aside in cast.asides[step] for link in aside.links)
    named = [(link.step, link.scope) for link in links if link.step is not None]
    if step in cast.asides:
        choices = [(link.source, link.scope) for link in links]
        named += [(one, scope) for mark, scope in choices if isinstance(mark, FirstOf) for one in mark.steps]
    if step.step.options.after:
        named += [(other, step.inside) for other in step.step.options.after]
    for other, scope in named:
        base = other.group if isinstance(other, Member) else other
        if is_step(base) and cast.find(base, scope) is None:
            yield _join(cast, base, None)


def _copy_members(cast: Cast, copy: Instance) -> Iterator[Instance]:
    """Let the members of a copied group join once more, with theirs; a copy among them brings its own.

    A copy that would hold itself is not brought again: it is a cycle, found with the others.
    """
    around = {id(scope.step) for scope in copies_around(copy)}
    groups = [copy]
    while groups:
        for link in cast.links[groups.pop()]:
            if not is_step(link.source) or link.scope is not copy:
                continue
            if id(link.source) in around or (id(link.source), copy) in cast.places:
                continue
            member = _join(cast, link.source, copy)
            groups += [member] if member.is_group and not member.is_copied_group else []
            yield member


def _in_order_of_definition(cast: Cast) -> Cast:
    order = {id(step): number for number, step in enumerate(cast.home.registered)}
    ranked = sorted(cast.links, key=lambda step: order.get(id(step.step), len(order)))
    links = {step: cast.links[step] for step in ranked}
    return Cast(cast.home, cast.reader, links, cast.undos, cast.asides, cast.places)
