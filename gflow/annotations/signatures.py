"""The evaluated signature of a callable."""

from __future__ import annotations

import collections.abc
import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from inspect import Parameter, Signature
from typing import Any, Final, ParamSpec, Self, TypeVar, get_origin

from gflow.annotations.declarations import evaluated_in
from gflow.annotations.forms import Unresolved, arguments_of, is_form, substitute
from gflow.annotations.stdlib import ORDERED, ORDERING, RETURNS

UNSEEN: Final = Unresolved("?", "nothing declares its type")
"""The type of what exists, or may exist, without a declaration that can be read."""


def declared_signature(function: Any, cls: type[Any]) -> Signature | Unresolved:
    """Return the evaluated signature of a function in the body of a class, `self` included.

    A missing annotation means Any in the user's code, and what nobody can read elsewhere.
    """
    try:
        written = inspect.signature(function)
    except Exception:  # noqa: BLE001  many builtins have none, and a decorator may have set anything
        return UNSEEN
    missing = UNSEEN if cls.__module__.partition(".")[0] in sys.stdlib_module_names else Any

    def typed(annotation: object) -> object:
        return missing if annotation is Parameter.empty else evaluated_in(cls, annotation, function)

    parameters = [one.replace(annotation=typed(one.annotation)) for one in written.parameters.values()]
    returns = typed(written.return_annotation)
    if returns is UNSEEN and (cls in ORDERED or function.__name__ not in ORDERING):
        returns = RETURNS.get(function.__name__, UNSEEN)
    if inspect.iscoroutinefunction(function):
        returns = types.GenericAlias(collections.abc.Coroutine, (Any, Any, returns))
    return Signature(parameters, return_annotation=returns)


def bound(signature: Signature | Unresolved) -> Signature | Unresolved:
    """Return the signature of a method as its instances see it: without the first parameter."""
    if isinstance(signature, Unresolved) or not signature.parameters:
        return signature
    first, *rest = signature.parameters.values()
    if first.kind is Parameter.VAR_POSITIONAL:
        return signature
    free = signature.replace(parameters=rest)
    itself = arguments_of(first.annotation)[0] if get_origin(first.annotation) is type else first.annotation
    return substituted(free, {itself: Self}) if isinstance(itself, TypeVar) else free


def substituted(signature: Signature, types_of: Mapping[object, object]) -> Signature:
    """Return a signature with its type variables replaced."""
    parameters = [
        one.replace(annotation=substitute(one.annotation, types_of)) for one in signature.parameters.values()
    ]
    returns = substitute(signature.return_annotation, types_of)
    return signature.replace(parameters=parameters, return_annotation=returns)


def callable_signature(annotation: object) -> Signature:
    """Return the signature that `Callable[[A, B], R]` describes; bare, it takes and returns anything."""
    *taken, returns = arguments_of(annotation) or (Ellipsis, Any)
    return Signature(list(_parameters(taken)), return_annotation=returns)


def _parameters(taken: list[object]) -> Iterator[Parameter]:
    """Yield the parameters of a Callable; what a ParamSpec stands for is `*args: P, **kwargs: P`."""
    last = taken[-1] if taken else None
    if is_form(get_origin(last), "Concatenate"):
        yield from _parameters(list(arguments_of(last)))
        return
    is_open = last is Ellipsis or isinstance(last, ParamSpec)
    for number, annotation in enumerate(taken[:-1] if is_open else taken):
        yield Parameter(f"_{number}", Parameter.POSITIONAL_ONLY, annotation=annotation)
    if is_open:
        rest = Any if last is Ellipsis else last
        yield Parameter("args", Parameter.VAR_POSITIONAL, annotation=rest)
        yield Parameter("kwargs", Parameter.VAR_KEYWORD, annotation=rest)
