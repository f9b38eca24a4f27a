"""What a type is made of: the members of a union, the items of a sequence."""

from __future__ import annotations

import collections.abc
from enum import Enum
from typing import Any, Final, get_args

from gflow.annotations.forms import Unresolved, arguments_of, class_of, is_newtype, is_union, plain, union_of
from gflow.annotations.generics import seen_as


class NoItems(Enum):
    """The type of NO_ITEMS."""

    NO_ITEMS = "no items"

    def __repr__(self) -> str:
        return "NO_ITEMS"


NO_ITEMS: Final = NoItems.NO_ITEMS
"""What `item_type` returns for what surely is no sequence of items."""

_TEXT: Final = (str, bytes, bytearray, memoryview)
"""Sequences by the letter: nobody means their characters."""


def union_members(annotation: object) -> tuple[object, ...]:
    """Return the members of a union, flat; another type alone."""
    inner = plain(annotation)
    if not is_union(inner):
        return (inner,)
    return tuple(member for part in get_args(inner) for member in union_members(part))


def item_type(annotation: object) -> object:
    """Return the type of the items of a sequence: `int` for `list[int]`.

    NO_ITEMS for what surely is none (a set, a mapping, text, an iterator, None), Any where it cannot be told.
    """
    try:
        return _item_type(plain(annotation))
    except Exception:  # noqa: BLE001  classes may do anything when they are looked at
        return Any


def _item_type(annotation: object) -> object:
    if is_newtype(annotation):
        return item_type(annotation.__supertype__)
    if is_union(annotation):
        items = [item_type(member) for member in get_args(annotation)]
        return NO_ITEMS if NO_ITEMS in items else union_of(items)
    cls = class_of(annotation)
    if annotation is Any or cls is None or isinstance(annotation, Unresolved) or Any in cls.__mro__:
        return Any
    if cls is object or issubclass(cls, _TEXT) or not issubclass(cls, collections.abc.Sequence):
        return NO_ITEMS
    sequence = seen_as(annotation, collections.abc.Sequence)
    return (*arguments_of(sequence), Any)[0] if sequence is not None else Any
