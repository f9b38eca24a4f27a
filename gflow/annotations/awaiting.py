"""The type of a result once it has been awaited."""

from __future__ import annotations

import collections.abc
import types
from inspect import Signature
from typing import Any

from gflow.annotations.forms import arguments_of, class_of, plain
from gflow.annotations.generics import seen_as
from gflow.annotations.members import find


def awaited(annotation: object, is_coroutine_function: bool) -> object:
    """Return the type of what a function gives once that is awaited.

    A coroutine function is annotated with it. Of a function that returns `Awaitable[T]`,
    `Coroutine[Any, Any, T]` or another awaitable it is T, and of any other the annotation itself.
    """
    if is_coroutine_function or not is_awaitable(annotation):
        return annotation
    inner = plain(annotation)
    seen = seen_as(inner, collections.abc.Awaitable)
    return _first_argument(_result_of_await(inner) if seen is None else seen)


def is_awaitable(annotation: object) -> bool:
    """Return whether a value of this type is there to be awaited: an Awaitable, Coroutine, Task, …."""
    try:
        return issubclass(class_of(plain(annotation)) or object, collections.abc.Awaitable)
    except Exception:  # noqa: BLE001  a class may do anything when it is looked at
        return False


def _result_of_await(annotation: object) -> object:
    """Return `Awaitable[T]` as `__await__` says it; the class itself where it does not: `Task[T]`."""
    method = find(annotation, "__await__")
    if method is None or not isinstance(method.type, Signature):
        return annotation
    arguments = arguments_of(seen_as(method.type.return_annotation, collections.abc.Generator))
    return types.GenericAlias(collections.abc.Awaitable, arguments[2:]) if arguments else annotation


def _first_argument(annotation: object) -> object:
    return next(iter(arguments_of(annotation)), Any)
