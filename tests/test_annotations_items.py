"""The members of a union and the items of a sequence are told, as far as they can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, NewType, TypedDict

import pytest

from gflow.annotations import NO_ITEMS, item_type, union_members


class Pair(NamedTuple):
    one: int
    other: int


class Numbers(list[int]): ...


class Row(TypedDict):
    name: str


Names = NewType("Names", list[str])


@pytest.mark.parametrize(
    ("annotation", "items"),
    [
        (list[int], int),
        (tuple[int, ...], int),
        (tuple[int, str], int | str),
        (Sequence[str], str),
        (Annotated[list[int], "doc"], int),
        (Pair, int),
        (Numbers, int),
        (Names, str),
        (list[int] | tuple[str, ...], int | str),
        (list, Any),
        (Any, Any),
        (range, int),
    ],
)
def test_the_items_of_a_sequence(annotation: object, items: object) -> None:
    """A list, a tuple and what is derived from a sequence have items of a known type."""
    assert item_type(annotation) == items


@pytest.mark.parametrize(
    "annotation",
    [
        *(
            str,
            bytes,
            set[int],
            dict[str, int],
            Mapping[str, int],
            Iterator[int],
            Iterable[int],
            int,
            None,
            Row,
        ),
        *(list[int] | None, list[int] | str, object),
    ],
)
def test_no_items(annotation: object) -> None:
    """Text, sets, mappings, iterators and what may be None are no sequences of items."""
    assert item_type(annotation) is NO_ITEMS


def test_union_members() -> None:
    """A union is taken apart to the last member, and any other type is its own only one."""
    assert union_members(int | Annotated[str | None, "doc"]) == (int, str, type(None))
    assert union_members(list[int]) == (list[int],)
