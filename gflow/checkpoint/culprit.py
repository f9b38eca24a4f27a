"""Which part of a value cannot be pickled: asked only after pickling has failed."""

from __future__ import annotations

import copyreg
import dataclasses
import pickle
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final, cast

from gflow.checkpoint.previews import brief
from gflow.errors import WorkflowError

PROTOCOL: Final = 5

_MOST_PARTS: Final = 100_000
_DEEPEST: Final = 64
_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})
_BY_NAME: Final = (type, FunctionType, BuiltinFunctionType)

_Part = tuple[str, object]


class Unpicklable(WorkflowError):
    """A value cannot be stored; `path` leads to the part of it that is to blame. Never tried again.

    >>> print(Unpicklable("lock", "result.items[3].lock", "cannot pickle '_thread.lock' object"))
    result.items[3].lock: cannot pickle '_thread.lock' object
    """

    def __init__(self, type_name: str, path: str, reason: str) -> None:
        super().__init__(type_name, path, reason)
        self.type_name = type_name
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def explain(value: object, name: str, error: Exception) -> Unpicklable:
    """Return why `value`, called `name`, cannot be pickled; where the search ends, the whole is to blame."""
    path, part, cause = _culprit(value, name) or (name, value, error)
    kind = part if isinstance(part, type) else type(part)
    return Unpicklable(kind.__name__, path, _reason(part, cause))


def _reason(part: object, cause: Exception) -> str:
    name: str = getattr(part, "__qualname__", "")
    if name.endswith("<lambda>"):
        return "a lambda has no name to find it by; write a function in the module"
    if "<locals>" in name:
        return f"{name.rpartition('.')[2]} is defined inside a function; move it to the module"
    if isinstance(cause, RecursionError):
        return "it is nested too deeply for pickle"
    return str(cause) or type(cause).__name__


def _culprit(root: object, name: str) -> tuple[str, object, Exception] | None:
    """Walk the parts of `root` in pickle's order and return the first that cannot be taken apart."""
    seen = {id(root): root}  # keeps what it has seen: a dead object's id may come again
    stack = [(name, root, _parts(name, root))]
    for _ in range(_MOST_PARTS):
        if not stack:
            return None
        path, value, parts = stack[-1]
        try:
            part = next(parts, None)
        except Exception as error:  # noqa: BLE001  (whatever a stranger's __reduce__ raises)
            return path, value, error
        if part is None:
            stack.pop()
        elif type(part[1]) not in _ATOMS and id(part[1]) not in seen and len(stack) < _DEEPEST:
            seen[id(part[1])] = part[1]
            stack.append((*part, _parts(*part)))
    return None


def _parts(path: str, value: Any) -> Iterator[_Part]:
    """Yield what a value consists of, each with its path; raise what pickling just this raises."""
    kind = cast("Any", type(value))
    if isinstance(value, _BY_NAME):
        pickle.dumps(value, PROTOCOL)
    elif kind is dict:
        yield from _entries(path, value.items())
    elif kind in (list, tuple):
        yield from _numbered(path, value)
    elif kind in (set, frozenset):
        yield from ((f"{path}{{item}}", item) for item in value)
    else:
        yield from _reduced(path, value)


def _numbered(path: str, items: Any) -> Iterator[_Part]:
    return ((f"{path}[{index}]", item) for index, item in enumerate(items))


def _entries(path: str, pairs: Any) -> Iterator[_Part]:
    for key, item in pairs:
        yield f"{path}{{key}}", key
        yield f"{path}[{brief(key, 50)}]", item


def _reduced(path: str, value: Any) -> Iterator[_Part]:
    """Yield the parts that the object names to pickle (`object.__reduce_ex__`, in the library reference)."""
    kind = cast("Any", type(value))
    reducer: Callable[[Any], Any] | None = copyreg.dispatch_table.get(kind)
    reduced = reducer(value) if reducer else value.__reduce_ex__(PROTOCOL)
    if isinstance(reduced, str):
        pickle.dumps(value, PROTOCOL)
        return
    parts: tuple[Any, ...] = (*reduced, None, None, None)
    make, args, state, items, pairs = parts[:5]
    yield path, make
    yield from _arguments(path, value, args)
    yield from _attributes(path, value, state)
    yield from _numbered(path, items or ())
    yield from _entries(path, pairs or ())


def _arguments(path: str, value: object, args: tuple[object, ...]) -> Iterator[_Part]:
    """Yield what the object is made from; for a named tuple that is its class, then its fields."""
    names = ("", *getattr(type(value), "_fields", ()))
    for name, arg in zip(names, args, strict=False):
        yield (f"{path}.{name}" if name else path), arg
    yield from ((path, arg) for arg in args[len(names) :])


def _attributes(path: str, value: object, state: Any) -> Iterator[_Part]:
    if isinstance(state, dict):
        for key, item in cast("dict[object, object]", state).items():
            if key == "__dict__":  # pydantic keeps its fields one level down
                yield from _attributes(path, value, item)
            else:
                yield f"{path}.{key}", item
    elif isinstance(state, tuple) and len(cast("tuple[object, ...]", state)) == 2:
        for half in cast("tuple[object, ...]", state):  # what is in __dict__, and what is in __slots__
            yield from _attributes(path, value, half)
    elif isinstance(state, list) and dataclasses.is_dataclass(value):  # a frozen one with slots
        names = (each.name for each in dataclasses.fields(value))
        yield from (
            (f"{path}.{name}", item) for name, item in zip(names, cast("list[object]", state), strict=False)
        )
    elif state is not None:
        yield path, state
