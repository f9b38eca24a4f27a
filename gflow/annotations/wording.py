"""An annotation in the words of its author."""

from __future__ import annotations

import types
from enum import Enum
from typing import Annotated, ForwardRef, ParamSpec, get_origin

from gflow.annotations.forms import (
    CALLABLE,
    Unresolved,
    arguments_of,
    is_form,
    is_missing,
    is_parameter_list,
    is_union,
    text_of,
)


def show(annotation: object) -> str:
    """Return an annotation as a user would write it, without the names of modules.

    >>> show(dict[str, Path] | None)            # doctest: +SKIP
    'dict[str, Path] | None'

    Annotated is shown as the type inside it, an Unresolved as its text, and nothing as `(no annotation)`.
    """
    try:
        return _shown(annotation)
    except Exception:  # noqa: BLE001  a message about a type must not fail for the sake of the type
        return object.__repr__(annotation)


def _shown(annotation: object) -> str:
    if isinstance(annotation, str | ForwardRef):
        return text_of(annotation)
    if is_parameter_list(annotation):
        return f"[{', '.join(map(_shown, annotation))}]"
    if get_origin(annotation) is not None:
        return _shown_form(annotation)
    return _name(annotation)


def _shown_form(annotation: object) -> str:
    origin, arguments = get_origin(annotation), arguments_of(annotation)
    if origin is Annotated:
        return _shown(getattr(annotation, "__origin__", None))
    if is_union(annotation):
        return " | ".join(map(_shown, arguments))
    if is_form(origin, "Literal"):
        return f"Literal[{', '.join(map(_shown_value, arguments))}]"
    if is_form(origin, "Unpack"):
        return f"*{_shown(arguments[0])}"
    return _shown_generic(annotation, origin, arguments)


def _shown_generic(annotation: object, origin: object, arguments: tuple[object, ...]) -> str:
    if not hasattr(annotation, "__args__"):
        return _name(origin)  # typing.List
    if origin is CALLABLE:
        return f"Callable[{_shown_parameters(arguments[:-1])}, {_shown(arguments[-1])}]"
    inside = ", ".join(map(_shown, arguments)) or "()"
    star = "*" if getattr(annotation, "__unpacked__", False) else ""
    return f"{star}{_name(origin)}[{inside}]"


def _shown_parameters(parameters: tuple[object, ...]) -> str:
    first = parameters[0] if len(parameters) == 1 else None
    if first is Ellipsis or isinstance(first, ParamSpec) or is_form(get_origin(first), "Concatenate"):
        return _shown(first)
    return _shown(parameters)


def _shown_value(value: object) -> str:
    if isinstance(value, Enum):
        return f"{_name(type(value))}.{value.name}"
    return repr(value)


def _name(annotation: object) -> str:
    if is_missing(annotation):
        return "(no annotation)"
    if annotation is None or annotation is types.NoneType:
        return "None"
    if annotation is Ellipsis:
        return "..."
    if isinstance(annotation, Unresolved):
        return annotation.text
    names = (getattr(annotation, attribute, None) for attribute in ("__qualname__", "__name__", "_name"))
    name = next((name for name in names if isinstance(name, str)), None)
    return repr(annotation) if name is None else name.rpartition("<locals>.")[2]
