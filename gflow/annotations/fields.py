"""The fields of a value, as a step that takes one of them sees it."""

from __future__ import annotations

import collections.abc
import functools
from collections.abc import Iterator
from dataclasses import InitVar
from enum import Enum
from inspect import Signature
from typing import Any, Final, get_args, get_origin

from gflow.annotations.declarations import evaluated_in, own_annotations
from gflow.annotations.forms import (
    Unresolved,
    arguments_of,
    class_of,
    is_form,
    is_newtype,
    is_typed_dict,
    is_union,
    plain,
    union_of,
)
from gflow.annotations.generics import seen_as
from gflow.annotations.members import Overloads, find, model_fields_of
from gflow.annotations.signatures import UNSEEN
from gflow.annotations.typed_dicts import items_of


class NoField(Enum):
    """The type of NO_FIELD."""

    NO_FIELD = "no field"

    def __repr__(self) -> str:
        return "NO_FIELD"


NO_FIELD: Final = NoField.NO_FIELD
"""What `field_type` returns where there surely is no such field."""

_COMPUTED: Final = (property, functools.cached_property)
_NOT_FIELDS: Final = ("builtins", "typing", "typing_extensions", "pydantic")


def field_type(annotation: object, field: str) -> object:
    """Return the evaluated type of a field of a value of this type.

    A field is an attribute of a class (dataclass, NamedTuple, pydantic model, attrs, plain; a property
    too) or a key of a mapping (TypedDict). Returns NO_FIELD if there surely is none, Any where that cannot
    be known, and an `Unresolved` if its annotation cannot be evaluated. Of a union, the members that have
    the field count.
    """
    try:
        found = [_field_of(member, field) for member in _members(annotation)]
        return _together([one for one in found if one is not NO_FIELD])
    except Exception:  # noqa: BLE001  classes may do anything when they are looked at
        return Any


def _together(found: list[object]) -> object:
    """Return the type of a field that is found in several members of a union."""
    if not found:
        return NO_FIELD
    if len(found) == 1:
        return found[0]
    return Any if any(isinstance(one, Unresolved) for one in found) else union_of(found)


def field_names(annotation: object) -> tuple[str, ...]:
    """Return the names of the public fields of a value of this type, in the order of their definition."""
    try:
        names = [name for member in _members(annotation) for name in _names_of(member)]
    except Exception:  # noqa: BLE001  classes may do anything when they are looked at
        return ()
    return tuple(dict.fromkeys(name for name in names if not name.startswith("_")))


def _members(annotation: object) -> Iterator[object]:
    """Yield the types that a value may have: the members of a union, the type that a NewType is made of."""
    annotation = plain(annotation)
    if is_union(annotation):
        for member in get_args(annotation):
            yield from _members(member)
    elif is_newtype(annotation):
        yield from _members(annotation.__supertype__)
    elif is_form(get_origin(annotation), "Literal"):
        yield from {type(value): None for value in get_args(annotation)}
    else:
        yield annotation


def _field_of(annotation: object, field: str) -> object:
    cls = class_of(annotation)
    if cls is None or cls in (Any, object, type):
        return Any
    if is_typed_dict(cls):
        items = items_of(annotation)
        return items[field].type if field in items else NO_FIELD
    mapping = seen_as(annotation, collections.abc.Mapping)
    if mapping is not None:
        return (*arguments_of(mapping), Any, Any)[1]
    member = find(annotation, field, itself=annotation)
    return NO_FIELD if member is None else _visible(member.type)


def _visible(member_type: object) -> object:
    """Return the type of a member as users write types; a method has none."""
    return Any if member_type is UNSEEN or isinstance(member_type, Signature | Overloads) else member_type


def _names_of(annotation: object) -> Iterator[str]:
    cls = class_of(annotation)
    if cls is None:
        return
    if is_typed_dict(cls):
        yield from items_of(annotation)
        return
    yield from model_fields_of(cls)
    for owner in reversed(cls.__mro__):
        if owner.__module__.partition(".")[0] not in _NOT_FIELDS:
            yield from _own_names(owner)


def _own_names(owner: type[Any]) -> Iterator[str]:
    yield from (name for name, written in own_annotations(owner).items() if not _is_init_only(owner, written))
    yield from getattr(owner, "_fields", ())
    yield from (attribute.name for attribute in vars(owner).get("__attrs_attrs__", ()))
    yield from (name for name, value in vars(owner).items() if isinstance(value, _COMPUTED))


def _is_init_only(owner: type[Any], annotation: object) -> bool:
    return isinstance(evaluated_in(owner, annotation), InitVar)
