"""What a person sees of a value: one short line, made once, when the value is stored.

Later views show that line, so looking at a run never unpickles anything. Known secrets are masked in it,
before anything is cut.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, cast

from gflow import secret

LENGTH: Final = 200
_DEPTH: Final = 6


def _written_by(kind: Any) -> object:
    """Return what writes the repr of a type: subclasses that do not bring their own share it."""
    return kind.__repr__


_NOTHING: Final = _written_by(object)
_NUMBER: Final = _written_by(int)
_TEXTS: Final = frozenset(map(_written_by, (str, bytes, bytearray)))
_SERIES: Final = {
    _written_by(kind): brackets
    for brackets, kinds in {"[]": (list, deque), "()": (tuple,), "{}": (set, frozenset)}.items()
    for kind in kinds
}
_MAPPINGS: Final = frozenset(map(_written_by, (dict, OrderedDict, defaultdict, Counter)))


def preview(value: object) -> str:
    """Return a value as one line of at most 200 printable characters; None is "".

    It is the first line of `str(value)` where the type defines `__str__`, else a shortened repr. It
    never raises, and large texts, containers and dataclasses cost no more than small ones.
    """
    if value is None:
        return ""
    kind: Any = type(value)
    try:
        text = _own_text(value) if _has_own_text(kind) else brief(value)
    except Exception:  # noqa: BLE001  (whatever a stranger's __str__ raises)
        text = f"<{kind.__name__}>"
    return _printable(text)


def brief(value: object, length: int = LENGTH) -> str:
    """Return the beginning of a value's repr, a little more than `length` characters of it."""
    text = ""
    for piece in _pieces(value, _DEPTH):
        text += piece
        if len(text) > length:
            break
    return text


@lru_cache(maxsize=256)
def _has_own_text(kind: Any) -> bool:
    """Tell whether `__str__` was written for this type; pydantic's, like object's, shows all fields."""
    definer = next(base for base in kind.__mro__ if "__str__" in vars(base))
    return definer not in (object, bytes, bytearray) and definer.__module__ != "pydantic.main"


def _own_text(value: object) -> str:
    text = secret.head(value if type(value) is str else str(value), 4 * LENGTH)
    lines = text.strip().splitlines()
    return lines[0] if lines else ""


def _printable(text: str) -> str:
    """Cut a text, and take out what could move a terminal's cursor or cannot be encoded."""
    if len(text) > LENGTH:
        text = text[: LENGTH - 1] + "…"
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"


# ---------------------------------------------------------------- a repr in pieces


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """Yield a repr piece by piece, so that the reader can stop; a type's own repr is kept."""
    kind = cast("Any", type(value))
    written = _written_by(kind)
    if depth == 0:
        yield "…"
    elif written is _NOTHING:
        yield f"<{kind.__name__}>"
    elif written in _TEXTS:
        yield repr(_beginning(value))
    elif written is _NUMBER and value.bit_length() > 4 * LENGTH:
        yield f"<int of {value.bit_length()} bits>"
    elif written in _SERIES:
        brackets = _SERIES[written]
        yield from _listed(brackets[0], (("", item) for item in value), brackets[1], depth)
    elif written in _MAPPINGS:
        yield from _listed("{", ((f"{brief(key, 50)}: ", item) for key, item in value.items()), "}", depth)
    elif (names := _field_names(kind)) is not None:
        fields = ((f"{name}=", getattr(value, name)) for name in names)
        yield from _listed(f"{kind.__name__}(", fields, ")", depth)
    else:
        yield secret.mask(repr(value))


def _beginning(text: Any) -> Any:
    """Return the first characters or bytes of a text, masked."""
    if isinstance(text, str):
        return secret.head(text, LENGTH)
    part: bytes | bytearray = text[: LENGTH + secret.reach()]
    return type(part)(secret.head(part.decode("latin-1"), LENGTH).encode("latin-1"))


def _listed(opening: str, items: Iterable[tuple[str, Any]], closing: str, depth: int) -> Iterator[str]:
    yield opening
    separator = ""
    for label, item in items:
        yield separator + label
        yield from _pieces(item, depth - 1)
        separator = ", "
    yield closing


@lru_cache(maxsize=256)
def _field_names(kind: Any) -> Iterable[str] | None:
    """Return the fields that the generated repr of a dataclass, named tuple or pydantic model shows."""
    written = _written_by(kind)
    author = getattr(written, "__module__", "")
    if author == "collections" and hasattr(kind, "_fields"):
        return kind._fields  # type: ignore[no-any-return]  # the names of a named tuple
    if author == "pydantic.main":
        return [name for name, each in kind.__pydantic_fields__.items() if each.repr]
    if hasattr(written, "__wrapped__") and dataclasses.is_dataclass(kind):
        return [each.name for each in dataclasses.fields(kind) if each.repr]
    return None
