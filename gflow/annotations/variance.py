"""The variance of a type variable that does not declare one (PEP 695).

See https://typing.python.org/en/latest/spec/generics.html#variance-inference
"""

from __future__ import annotations

import types
from typing import Any, Final, Literal

from gflow.annotations.declarations import own_annotations
from gflow.annotations.forms import class_of
from gflow.annotations.generics import bases_of, parameters_of
from gflow.annotations.members import is_hiding
from gflow.annotations.protocols import members_flow
from gflow.annotations.verdict import Flows, Verdict, all_of

Variance = Literal["covariant", "contravariant", "invariant"]

_NOT_USES: Final = frozenset({"__init__", "__new__", "__post_init__", "__replace__", "__init_subclass__"})


class _Upper: ...


class _Lower(_Upper): ...


def variance_of(cls: type[Any], parameter: Any, compare: Flows) -> Variance | None:
    """Return the variance of one of the type variables of a class; None where it cannot be told.

    `compare` answers whether one specialisation of the class may stand in for another by its body.
    """
    if getattr(parameter, "__covariant__", False):
        return "covariant"
    if getattr(parameter, "__contravariant__", False):
        return "contravariant"
    if not getattr(parameter, "__infer_variance__", False):
        return "invariant"
    return None if is_hiding(cls) else _inferred(cls, parameter, compare)


def _inferred(cls: type[Any], parameter: Any, compare: Flows) -> Variance | None:
    """Compare the class with itself, once with a lower and once with an upper argument."""
    lower, upper = (_specialised(cls, parameter, argument) for argument in (_Lower, _Upper))
    covariant = compare(lower, upper)
    if covariant is True:
        return "covariant"
    contravariant = compare(upper, lower)
    if contravariant is True:
        return "contravariant"
    return "invariant" if covariant is False and contravariant is False else None


def _specialised(cls: type[Any], parameter: Any, argument: type[Any]) -> object:
    arguments = (argument if one is parameter else Any for one in parameters_of(cls))
    return types.GenericAlias(cls, tuple(arguments))


def body_flows(source: object, target: object, flows: Flows) -> Verdict:
    """Return whether the bases and members of a class fit those of another specialisation of it."""
    cls = class_of(source)
    if cls is None:
        return None
    bases = map(flows, bases_of(source), bases_of(target))
    return all_of([*bases, members_flow(source, target, _uses(cls), flows)])


def _uses(cls: type[Any]) -> list[str]:
    """Return the members that a class body defines and that count as uses of its type variables."""
    kinds = (types.FunctionType, property, classmethod, staticmethod)
    defined = [name for name, value in vars(cls).items() if isinstance(value, kinds)]
    return [name for name in (*own_annotations(cls), *defined) if name not in _NOT_USES]
