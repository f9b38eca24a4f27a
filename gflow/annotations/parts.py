"""What one type is made of: the members of a union, the values of a literal, the signatures of a callable."""

from __future__ import annotations

import types
from enum import Enum, Flag
from inspect import Signature
from typing import Annotated, Any, Final, Generic, Literal, Protocol, TypeVar, get_args, get_origin

from gflow.annotations.forms import CALLABLE, arguments_of, class_of, is_class, is_form, is_newtype, is_union
from gflow.annotations.members import Overloads
from gflow.annotations.signatures import callable_signature

_NO_TYPES: Final[tuple[Any, ...]] = (Annotated, Generic, Protocol)
"""Classes that mean nothing where a type is expected."""


def key(annotation: object) -> object:
    """Return what is equal for equal types: `typing.List[int]` and `list[int]` are not."""
    cls = class_of(annotation)
    return annotation if cls is None else (cls, arguments_of(annotation))


def bound_of(variable: TypeVar) -> object:
    """Return the type that every solution of a type variable has."""
    return object if variable.__bound__ is None else variable.__bound__


def parts_of(annotation: object) -> tuple[object, ...]:
    """Return the types of which a type is the union; none if it is no union."""
    if is_union(annotation):
        return get_args(annotation)
    literals = literals_of(annotation)
    if len(literals) > 1:
        return tuple(Literal[value] for value in literals)
    if class_of(annotation) is type and is_union(instance_of(annotation)):
        return tuple(types.GenericAlias(type, (one,)) for one in get_args(instance_of(annotation)))
    return ()


def literals_of(annotation: object) -> tuple[object, ...]:
    """Return the values of a Literal; none of any other type."""
    return get_args(annotation) if is_form(get_origin(annotation), "Literal") else ()


def values_of(annotation: object) -> tuple[object, ...]:
    """Return all values of a type that has few: bool, None, an enum."""
    if annotation is bool:
        return (True, False)
    if annotation is types.NoneType:
        return (None,)
    if is_class(annotation) and issubclass(annotation, Enum) and not issubclass(annotation, Flag):
        return tuple(annotation)
    return ()


def typed(value: object) -> tuple[type[Any], object]:
    """Return a value with its type: 1 and True are equal, and different literals."""
    return type(value), value


def is_guard(annotation: object) -> bool:
    """Return whether a type is that of a bool which narrows an argument."""
    return is_form(get_origin(annotation), "TypeGuard", "TypeIs")


def is_known(annotation: object) -> bool:
    """Return whether some rule knows what to do with a type."""
    if class_of(annotation) is not None:
        return class_of(annotation) not in _NO_TYPES
    return (
        isinstance(annotation, TypeVar | Signature | Overloads)
        or is_union(annotation)
        or is_newtype(annotation)
        or is_form(annotation, "Never", "NoReturn", "LiteralString")
        or is_form(get_origin(annotation), "Literal")
    )


def instance_of(annotation: object) -> object | None:
    """Return X for `type[X]`; None for what is no such type."""
    if class_of(annotation) is not type:
        return None
    return next(iter(arguments_of(annotation)), Any)


def signatures_of(annotation: object) -> tuple[Signature, ...]:
    """Return the signatures of a Callable or a method; none of any other type."""
    if isinstance(annotation, Overloads):
        return annotation.signatures
    if isinstance(annotation, Signature):
        return (annotation,)
    is_callable = class_of(annotation) is CALLABLE
    return (callable_signature(annotation),) if is_callable else ()
