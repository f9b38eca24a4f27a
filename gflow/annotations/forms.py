"""The forms that an annotation can take, seen alike whichever Python or library they come from.

A type of typing_extensions can only occur if the user has loaded it, so it is looked up in
`sys.modules` and never imported.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from enum import Enum
from typing import Any, Final, ForwardRef, NewType, ParamSpec, TypeGuard, TypeVar, get_origin

DEPTH: Final = 64
"""How many aliases and wrappers are taken off before a type counts as one that never ends."""

QUALIFIERS: Final = ("Final", "ClassVar", "Required", "NotRequired", "ReadOnly")

CALLABLE: Final[Any] = collections.abc.Callable
"""The origin of every `Callable[...]`."""

_INIT_VAR: Final[Any] = InitVar
SELF: Final[Any] = typing.Self
_UNION: Final[Any] = typing.Union


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An annotation that could not be evaluated: its source text, and why."""

    text: str
    reason: str

    def __str__(self) -> str:
        return self.text


# ---------------------------------------------------------------- recognising


def is_missing(annotation: object) -> bool:
    """Return whether nothing was annotated."""
    return annotation is inspect.Parameter.empty or (
        isinstance(annotation, Enum) and annotation.name == "MISSING"
    )


def named(name: str) -> tuple[object, ...]:
    """Return what typing and, if it is loaded, typing_extensions call `name`."""
    return _named(name, sys.modules.get("typing_extensions"))


@functools.cache
def _named(name: str, extensions: types.ModuleType | None) -> tuple[object, ...]:
    modules = (typing, extensions)
    return tuple(vars(module)[name] for module in modules if module and name in vars(module))


def is_form(annotation: object, *names: str) -> bool:
    """Return whether an annotation is one of these special forms, without brackets."""
    if annotation is None:
        return False
    return any(annotation is form for name in names for form in named(name))


def is_union(annotation: object) -> bool:
    """Return whether an annotation is `X | Y`, `Union[X, Y]` or `Optional[X]`."""
    origin = get_origin(annotation)
    return origin is typing.Union or origin is types.UnionType


def is_alias(annotation: object) -> bool:
    """Return whether an annotation is the name that a `type` statement made."""
    return any(isinstance(annotation, kind) for kind in named("TypeAliasType") if isinstance(kind, type))


def is_newtype(annotation: object) -> TypeGuard[NewType]:
    """Return whether an annotation was made by `NewType`."""
    return isinstance(annotation, NewType)


def is_class(annotation: object) -> TypeGuard[type[Any]]:
    """Return whether an annotation is a class without arguments."""
    return isinstance(annotation, type)


def is_protocol(annotation: object) -> TypeGuard[type[Any]]:
    """Return whether an annotation is a class that is compared by its members."""
    return is_class(annotation) and bool(getattr(annotation, "_is_protocol", False))


def is_typed_dict(annotation: object) -> TypeGuard[type[Any]]:
    """Return whether an annotation is the class of a TypedDict."""
    return (
        is_class(annotation) and hasattr(annotation, "__required_keys__") and hasattr(annotation, "__total__")
    )


def is_named_tuple(annotation: object) -> TypeGuard[type[Any]]:
    """Return whether an annotation is the class that NamedTuple made, not one derived from it."""
    return is_class(annotation) and tuple in annotation.__bases__ and "_fields" in vars(annotation)


def class_of(annotation: object) -> type[Any] | None:
    """Return the class that an annotation is about: `list` for `list[int]`; None if it is about none."""
    origin = annotation if is_class(annotation) else get_origin(annotation)
    return origin if is_class(origin) else None


def arguments_of(annotation: object) -> tuple[object, ...]:
    """Return what stands in the brackets, flat: `(int, str)` for `Callable[[int], str]`."""
    return () if get_origin(annotation) is None else tuple(getattr(annotation, "__args__", ()))


def is_parameter_list(annotation: object) -> TypeGuard[Sequence[object]]:
    """Return whether an argument is what a ParamSpec stands for: `[int, str]`."""
    return isinstance(annotation, list | tuple)


def text_of(annotation: str | ForwardRef) -> str:
    """Return the text of an annotation that is still a string."""
    return annotation if isinstance(annotation, str) else annotation.__forward_arg__


# ---------------------------------------------------------------- taking wrappers off


def unalias(annotation: object) -> object:
    """Return what the name of a `type` statement stands for; one step, unchanged if it is no such name."""
    if is_alias(annotation):
        return _value_of(annotation, ())
    origin = get_origin(annotation)
    if origin is not None and is_alias(origin):
        return _value_of(origin, arguments_of(annotation))
    return annotation


def _value_of(alias: Any, arguments: tuple[object, ...]) -> object:
    parameters = alias.__type_params__
    if any(not isinstance(parameter, TypeVar) for parameter in parameters):
        return Unresolved(alias.__name__, "its parameters are no plain type variables")
    try:
        value = alias.__value__
    except Exception as error:  # noqa: BLE001  the right side of a `type` statement is the user's code
        return Unresolved(alias.__name__, f"{type(error).__name__}: {error}")
    given = [*arguments, *map(default_of, parameters[len(arguments) :])]
    return substitute(value, dict(zip(parameters, given, strict=False)))


def strip(annotation: object) -> tuple[object, tuple[object, ...]]:
    """Return the type inside Annotated, and all metadata, innermost first, through `type` aliases."""
    metadata: tuple[object, ...] = ()
    for _ in range(DEPTH):
        inner = unalias(annotation)
        if get_origin(inner) is typing.Annotated:
            metadata = (*getattr(inner, "__metadata__", ()), *metadata)
            inner = getattr(inner, "__origin__", Any)
        if inner is annotation:
            return annotation, metadata
        annotation = inner
    return Unresolved(str(annotation), "the alias refers to itself"), metadata


def plain(annotation: object) -> object:
    """Return the type itself, without Annotated, aliases and qualifiers; `typing.List` is `list`."""
    if type(annotation) is type:
        return Any if is_missing(annotation) else annotation
    for _ in range(DEPTH):
        inner = _without_wrapper(strip(annotation)[0])
        if inner is annotation:
            return annotation
        annotation = inner
    return Unresolved(str(annotation), "the type refers to itself")


def _without_wrapper(annotation: object) -> object:
    if is_class(annotation):
        return Any if is_missing(annotation) else annotation
    if annotation is None:
        return types.NoneType
    if isinstance(annotation, str | ForwardRef):
        return Unresolved(text_of(annotation), "a string that was not evaluated")
    if isinstance(annotation, _INIT_VAR):
        return getattr(annotation, "type", Any)
    return _without_brackets(annotation)


def _without_brackets(annotation: object) -> object:
    origin = get_origin(annotation)
    if is_missing(annotation) or is_form(annotation, *QUALIFIERS):
        return Any
    if isinstance(origin, type) and not hasattr(annotation, "__args__"):
        return origin  # typing.List is list
    if is_form(origin, *QUALIFIERS):
        return arguments_of(annotation)[0]
    return annotation


def qualifiers_of(annotation: object) -> frozenset[str]:
    """Return the names of the qualifiers around a type: `Final`, `Required`, `ReadOnly`, …."""
    found: set[str] = set()
    for _ in range(DEPTH):
        annotation = strip(annotation)[0]
        form = get_origin(annotation) or annotation
        names = [name for name in QUALIFIERS if is_form(form, name)]
        found.update(names)
        if not names or not arguments_of(annotation):
            break
        annotation = arguments_of(annotation)[0]
    return frozenset(found)


# ---------------------------------------------------------------- putting types in


def default_of(parameter: object) -> object:
    """Return what a type variable stands for where no argument is given (PEP 696): Any without a default."""
    default = getattr(parameter, "__default__", None)
    if default is None or is_form(default, "NoDefault"):
        return Ellipsis if isinstance(parameter, ParamSpec) else Any
    return default


def substitute(annotation: object, types_of: Mapping[object, object]) -> object:
    """Return an annotation with its type variables (and `Self`) replaced, at every depth."""
    if isinstance(annotation, (TypeVar, ParamSpec)) or is_form(annotation, "Self"):
        return types_of.get(annotation, annotation)
    if not types_of:
        return annotation
    return replace_arguments(annotation, lambda part: substitute(part, types_of))


def replace_arguments(annotation: object, change: typing.Callable[[object], object]) -> object:
    """Return an annotation with every argument changed; the same object if none of them was."""
    if is_parameter_list(annotation):
        return tuple(change(part) for part in annotation)
    if is_form(get_origin(annotation), "Literal"):
        return annotation
    old = arguments_of(annotation)
    new = tuple(change(part) for part in old)
    if all(before is after for before, after in zip(old, new, strict=True)):
        return annotation
    return _rebuilt(annotation, new)


def union_of(members: Iterable[object]) -> object:
    """Return the union of types that are known only now."""
    return _UNION[tuple(members)]


def _rebuilt(annotation: Any, arguments: tuple[object, ...]) -> object:
    origin = get_origin(annotation)
    if is_union(annotation):
        return union_of(arguments)
    if origin is typing.Annotated:
        return typing.Annotated[arguments[0], *annotation.__metadata__]
    if origin is CALLABLE:
        return _callable(arguments[:-1], arguments[-1])
    if hasattr(annotation, "copy_with"):
        return annotation.copy_with(arguments)
    return types.GenericAlias(origin, arguments)


def _callable(parameters: tuple[object, ...], returns: object) -> object:
    first = parameters[0] if len(parameters) == 1 else None
    if first is Ellipsis or isinstance(first, ParamSpec) or is_form(get_origin(first), "Concatenate"):
        return CALLABLE[first, returns]
    return CALLABLE[list(first if is_parameter_list(first) else parameters), returns]
