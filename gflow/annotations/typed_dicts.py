"""The items of a TypedDict, and whether one TypedDict may stand in for another.

The rules are those of https://typing.python.org/en/latest/spec/typeddict.html#assignability
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gflow.annotations.declarations import evaluated_in, own_annotations
from gflow.annotations.forms import class_of, is_form, plain, qualifiers_of, substitute
from gflow.annotations.generics import bases_of, solution_of
from gflow.annotations.verdict import Flows, Verdict, all_of


@dataclass(frozen=True, slots=True)
class Item:
    """What a TypedDict says about one key."""

    type: object
    required: bool
    readonly: bool


def items_of(annotation: object) -> dict[str, Item]:
    """Return the items of a TypedDict, by key, in the order of their definition."""
    cls = class_of(annotation)
    if cls is None:
        return {}
    written = own_annotations(cls)
    items = {key: _item(cls, key, value) for key, value in written.items()}
    solution = solution_of(annotation)
    items = {
        key: Item(substitute(one.type, solution), one.required, one.readonly) for key, one in items.items()
    }
    for base in bases_of(annotation):  # an inherited item is one of the base as it is annotated
        parent = class_of(base)
        if parent is not None:
            inherited = own_annotations(parent)
            items |= {key: one for key, one in items_of(base).items() if inherited[key] is written.get(key)}
    return items


def _item(cls: type[Any], key: str, annotation: object) -> Item:
    declared = evaluated_in(cls, annotation)
    qualifiers = qualifiers_of(declared)
    required = "Required" in qualifiers or ("NotRequired" not in qualifiers and key in cls.__required_keys__)
    readonly = "ReadOnly" in qualifiers or key in getattr(cls, "__readonly_keys__", ())
    return Item(plain(declared), required, readonly)


def is_closed(cls: type[Any]) -> bool:
    """Return whether a TypedDict says something about the keys it does not name (PEP 728)."""
    extra = getattr(cls, "__extra_items__", None)
    return bool(getattr(cls, "__closed__", None)) or not (extra is None or is_form(extra, "NoExtraItems"))


def typed_dict_flows(source: object, target: object, flows: Flows) -> Verdict:
    """Return whether a TypedDict has all that another one promises."""
    if any(is_closed(cls) for cls in (class_of(source), class_of(target)) if cls):
        return None
    given = items_of(source)
    return all_of(_item_flows(given.get(key), item, flows) for key, item in items_of(target).items())


def _item_flows(given: Item | None, wanted: Item, flows: Flows) -> Verdict:
    if given is None:
        return wanted.readonly and not wanted.required and flows(object, wanted.type)
    forward = flows(given.type, wanted.type)
    if wanted.readonly:
        return all_of([forward, given.required or not wanted.required])
    same = not given.readonly and given.required == wanted.required
    return all_of([same, forward, flows(wanted.type, given.type)])
