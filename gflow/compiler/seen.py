"""What a value is where it is read: a list of results, seen from outside of a fan-out."""

from __future__ import annotations

from types import GenericAlias
from typing import get_args, get_origin

from gflow.annotations import all_of, any_of, assignable, union_members, union_of
from gflow.compiler.cast import Instance
from gflow.compiler.practice import share
from gflow.compiler.scopes import Place, Scopes
from gflow.compiler.skips import Skips
from gflow.compiler.words import result_of
from gflow.decorators import Each
from gflow.model import MISSING, Failed


def seen(scopes: Scopes, skips: Skips[Instance] | None, place: Place, step: Instance) -> object:
    """Return the type of a step's value as a reader at a place gets it.

    Every fan-out between them makes it a list, whose elements may also be None, where an item may skip
    the step, and `Failed`, where failures are tolerated. Without `skips` they are results alone.
    """
    kind, inner = result_of(step), step
    if not scopes.each or kind is MISSING:
        return kind
    for scope in reversed(scopes.crossed(place, step)):
        if scope in scopes.each:
            kinds = [kind, *(added(scopes, skips, scope, inner) if skips else ())]
            kind = GenericAlias(list, (union_of(kinds) if len(kinds) > 1 else kind,))
            inner = scope
    return kind


def depth(scopes: Scopes, place: Place, step: Instance) -> int:
    """Return how many lists a reader gets inside each other."""
    return sum(1 for scope in scopes.crossed(place, step) if scope in scopes.each)


def fits_seen(given: object, taken: object, depth: int) -> bool | None:
    """Whether what is seen through so many fan-outs may flow into a parameter; three-valued.

    The lists are made for their reader, so a `list[int]` may be taken as a `list[int | None]`: nobody else
    writes into it.
    """
    if not depth or get_origin(given) is not list:
        return assignable(given, taken)
    (element,) = get_args(given)
    return any_of([_fits_list(given, element, kind, depth) for kind in union_members(taken)])


def _fits_list(given: object, element: object, taken: object, depth: int) -> bool | None:
    if get_origin(taken) is not list:
        return assignable(given, taken)
    (wanted,) = get_args(taken)
    if depth == 1:
        return assignable(element, wanted)
    return all_of([fits_seen(part, wanted, depth - 1) for part in union_members(element)])


def added(scopes: Scopes, skips: Skips[Instance], scope: Instance, inner: Instance) -> list[object]:
    """Return what an element of a fan-out may be beside a result; `inner` is what has run for each item."""
    kinds: list[object] = []
    mark = scopes.each[scope].source
    if isinstance(mark, Each) and share(mark.tolerate):
        kinds.append(Failed)
    if scope in skips.per_item or (inner is not scope and inner in skips.within(scope)):
        kinds.append(None)
    return kinds
