"""A class with its arguments: what its type variables stand for, and how it looks as one of its bases."""

from __future__ import annotations

import collections.abc
import types
import typing
from typing import Any

from gflow.annotations.declarations import own_type
from gflow.annotations.forms import (
    arguments_of,
    class_of,
    default_of,
    is_named_tuple,
    is_typed_dict,
    substitute,
)
from gflow.annotations.stdlib import BASES, PARAMETERS
from gflow.annotations.tuples import element_of


def parameters_of(cls: type[Any]) -> tuple[Any, ...]:
    """Return the type variables of a class, in order; none where it does not tell them."""
    if cls in PARAMETERS:
        return PARAMETERS[cls]
    if "__parameters__" in vars(cls):
        return tuple(vars(cls)["__parameters__"])
    inherited = [
        parameter for base in _written_bases(cls) for parameter in getattr(base, "__parameters__", ())
    ]
    return tuple(dict.fromkeys(inherited))


def solution_of(annotation: object) -> dict[object, object]:
    """Return what the type variables of a class stand for: in `Box[int]`, T for int; Any where it is bare."""
    cls = class_of(annotation)
    if cls is None:
        return {}
    parameters, arguments = parameters_of(cls), arguments_of(annotation)
    if any(isinstance(parameter, typing.TypeVarTuple) for parameter in parameters):
        return {}  # how many arguments it takes up is not worked out
    given = [*arguments, *map(default_of, parameters[len(arguments) :])]
    return dict(zip(parameters, given, strict=False))


def bases_of(annotation: object) -> list[object]:
    """Return the bases of a class as it is annotated: `Mapping[str, int]`, … for `Counter[str]`."""
    cls = class_of(annotation)
    if cls is None:
        return []
    if cls is tuple:
        return [types.GenericAlias(collections.abc.Sequence, (element_of(annotation),))]
    bases = BASES[cls] if cls in BASES else _written_bases(cls)
    solution = solution_of(annotation)
    return [substitute(base, solution) for base in bases]


def seen_as(annotation: object, base: type[Any]) -> object | None:
    """Return a class as one of its bases, `Mapping[str, int]` for `Counter[str]`; None if it is no base."""
    if class_of(annotation) is base:
        return annotation
    for parent in bases_of(annotation):
        found = seen_as(parent, base)
        if found is not None:
            return found
    return None


def _written_bases(cls: type[Any]) -> list[Any]:
    """Return the bases as the class statement wrote them, but those that only make it generic."""
    if is_named_tuple(cls):
        fields = tuple(own_type(cls, name) for name in cls._fields)
        return [types.GenericAlias(tuple, fields), *_generic_bases(cls)]
    if is_typed_dict(cls):
        parents = [base for base in _generic_bases(cls) if is_typed_dict(class_of(base))]
        return [*parents, typing.Mapping[str, object]]
    return _generic_bases(cls)


def _generic_bases(cls: type[Any]) -> list[Any]:
    bases = vars(cls).get("__orig_bases__", cls.__bases__)
    return [base for base in bases if class_of(base) not in (None, typing.Generic, typing.Protocol)]
