"""What a class declares in its own body: its annotations, evaluated where they stand."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

from gflow.annotations.evaluate import evaluate
from gflow.annotations.forms import Unresolved


def own_annotations(cls: type[Any]) -> Mapping[str, Any]:
    """Return the annotations in the body of a class, as they are written."""
    try:
        return inspect.get_annotations(cls)
    except Exception:  # noqa: BLE001  Python 3.14 evaluates them now, and they are the user's code
        return _forward_annotations(cls)


def _forward_annotations(cls: type[Any]) -> Mapping[str, Any]:
    library: Any = sys.modules.get("annotationlib")
    if library is None:
        return {}
    found: Mapping[str, Any] = library.get_annotations(cls, format=library.Format.FORWARDREF)
    return found


def own_type(cls: type[Any], name: str) -> object:
    """Return the evaluated annotation of a name in the body of a class; Any if it has none."""
    return evaluated_in(cls, own_annotations(cls).get(name, Any))


def evaluated_in(cls: type[Any], annotation: object, function: Any = None) -> object:
    """Return an annotation from the body of a class, or of a function in it, evaluated.

    The names of the module come first: in `date: date | None = None` the class's own `date` is not meant.
    """
    inner = inspect.unwrap(function) if function is not None else None
    module = getattr(inner, "__globals__", None) or getattr(sys.modules.get(cls.__module__), "__dict__", {})
    type_params = (*getattr(cls, "__type_params__", ()), *getattr(inner, "__type_params__", ()))
    found = evaluate(annotation, module, None, None, type_params)
    if isinstance(found, Unresolved):
        inside = evaluate(annotation, module, dict(vars(cls)), None, type_params)
        return found if isinstance(inside, Unresolved) else inside
    return found
