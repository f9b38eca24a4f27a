"""The elements of a tuple type: a fixed beginning, perhaps a part of any length, a fixed end.

See https://typing.python.org/en/latest/spec/tuples.html
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any, Never, get_origin

from gflow.annotations.forms import Unresolved, arguments_of, is_form, union_of
from gflow.annotations.verdict import Flows, Verdict, all_of


@dataclass(frozen=True, slots=True)
class Shape:
    """`tuple[int, *tuple[str, ...], bool]`: the part of any length is one type, or none."""

    start: tuple[object, ...] = ()
    middle: tuple[object, ...] = ()
    end: tuple[object, ...] = ()

    @property
    def elements(self) -> tuple[object, ...]:
        """Return the type of every element."""
        return (*self.start, *self.middle, *self.end)


def shape_of(annotation: object) -> Shape | None:
    """Return the shape of `tuple[...]`; None if a TypeVarTuple stands in it."""
    if not hasattr(annotation, "__args__"):
        return Shape(middle=(Any,))
    arguments = arguments_of(annotation)
    if arguments[1:] == (Ellipsis,):
        return Shape(middle=arguments[:1])
    shape: Shape | None = Shape()
    for argument in arguments:
        shape = shape and _extended(shape, argument)
    return shape


def _extended(shape: Shape, argument: object) -> Shape | None:
    more = _shape_within(argument)
    if more is None or (shape.middle and more.middle):
        return None
    if shape.middle:
        return Shape(shape.start, shape.middle, (*shape.end, *more.start))
    return Shape((*shape.start, *more.start), more.middle, more.end)


def _shape_within(argument: object) -> Shape | None:
    """Return what an argument adds: one element, or those of the tuple that is unpacked."""
    if getattr(argument, "__unpacked__", False) is True:
        return shape_of(types.GenericAlias(tuple, arguments_of(argument)))
    if not is_form(get_origin(argument), "Unpack"):
        return Shape((argument,))
    inner = arguments_of(argument)[0]
    return shape_of(inner) if get_origin(inner) is tuple else None


def element_of(annotation: object) -> object:
    """Return the type that covers every element of `tuple[...]`."""
    shape = shape_of(annotation)
    if shape is None:
        return Unresolved(str(annotation), "its elements are those of a TypeVarTuple")
    return union_of(shape.elements) if shape.elements else Never


def tuple_flows(source: object, target: object, flows: Flows) -> Verdict:
    """Return whether `tuple[...]` has the length and the elements that another one promises."""
    given, wanted = shape_of(source), shape_of(target)
    if given is None or wanted is None:
        return True if source == target else None
    if not given.middle:
        return _fixed_flows(given.start, wanted, flows)
    if not wanted.middle:
        return _open_into_fixed(given, wanted, flows)
    return _open_flows(given, wanted, flows)


def _fixed_flows(elements: tuple[object, ...], wanted: Shape, flows: Flows) -> Verdict:
    spare = len(elements) - len(wanted.start) - len(wanted.end)
    if spare < 0 or (spare and not wanted.middle):
        return False
    expected = (*wanted.start, *wanted.middle * spare, *wanted.end)
    return all_of(map(flows, elements, expected))


def _open_into_fixed(given: Shape, wanted: Shape, flows: Flows) -> Verdict:
    """`tuple[int, ...]` may be too long or too short; `tuple[Any, ...]` may be of any length (gradual)."""
    spare = len(wanted.start) - len(given.start) - len(given.end)
    if given.middle != (Any,) or spare < 0:
        return False
    return all_of(map(flows, (*given.start, *given.middle * spare, *given.end), wanted.start))


def _open_flows(given: Shape, wanted: Shape, flows: Flows) -> Verdict:
    start, end = len(wanted.start), len(wanted.end)
    missing = max(0, start - len(given.start)), max(0, end - len(given.end))
    if any(missing) and given.middle != (Any,):
        return False
    first = (*given.start, *given.middle * missing[0])
    last = (*given.middle * missing[1], *given.end)
    inner = (*first[start:], *given.middle, *last[: len(last) - end])
    return all_of(
        [
            *map(flows, first[:start], wanted.start),
            *(flows(element, wanted.middle[0]) for element in inner),
            *map(flows, last[len(last) - end :], wanted.end),
        ]
    )
