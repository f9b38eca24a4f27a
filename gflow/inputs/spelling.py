"""How inputs are written on a command line: what a type lets one type, and what a value looks like."""

from __future__ import annotations

from collections import abc
from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from gflow.annotations import Unresolved, show, strip
from gflow.checkpoint.previews import brief, preview
from gflow.inputs.fields import Computed
from gflow.model import MISSING, InputSpec
from gflow.secret import Secret

_QUOTE_LENGTH: Final = 80
_LISTS: Final = (list, tuple, set, frozenset, abc.Sequence, abc.Collection, abc.Set)


# ---------------------------------------------------------------- values and options


def describe(value: object) -> str:
    """Return the value of an input in one line: as it is typed on a command line, else its preview."""
    if isinstance(value, Computed):
        return describe(value.make())
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or (isinstance(value, str) and not value.strip()):
        return repr(value)
    return preview(value)


def previews(values: Mapping[str, object]) -> dict[str, str]:
    """Return the values of a run's inputs as its journal shows them."""
    return {name: describe(value) for name, value in values.items()}


def default_of(spec: InputSpec) -> object:
    """Return the default of an input, made now if a function makes it."""
    return spec.default.make() if isinstance(spec.default, Computed) else spec.default


def default_text(spec: InputSpec) -> str:
    """Return what an input is if nobody gives it; "" if it is required, None or empty."""
    value: Any = default_of(spec)
    is_nothing = value in (MISSING, None, [], {}, ())
    return "" if is_nothing else describe(value)


def quoted(value: object) -> str:
    """Return a short repr of a value, to say what is wrong with it."""
    text = brief(value, _QUOTE_LENGTH)
    return text if len(text) <= _QUOTE_LENGTH else f"{text[: _QUOTE_LENGTH - 1]}…"


def option(spec: InputSpec) -> str:
    """Return an input as an option: `--part {auto,minor}`, `--dry-run/--no-dry-run`."""
    kind, flag = bare(spec.annotation), flag_of(spec.name)
    return f"{flag}/--no{flag[1:]}" if kind is bool else f"{flag} {option_type(kind)}"


def option_type(annotation: object) -> str:
    """Return what may follow an option: the choices, a type, or JSON where the type has a structure."""
    kind = bare(annotation)
    if is_list(kind):
        return option_type(item_type_of(kind))
    arms = [arm for arm in arms_of(kind) if arm is not NoneType]
    if len(arms) > 1:
        return "|".join(option_type(arm) for arm in arms)
    if choices := choices_of(kind):
        return f"{{{','.join(describe(choice) for choice in choices)}}}"
    if kind in (Any, MISSING) or isinstance(kind, Unresolved):
        return "VALUE"
    if kind is Secret:
        return "env:NAME|file:PATH"
    shown = show(kind)
    return shown if shown.replace(".", "").isidentifier() else "JSON"


def flag_of(name: str) -> str:
    """Return the option of an input: `--dry-run` of dry_run."""
    return "--" + name.strip("_").replace("_", "-")


# ---------------------------------------------------------------- types


def bare(annotation: object) -> object:
    """Return a type without Annotated, aliases and `| None`."""
    kind = without_none(strip(annotation)[0])
    return kind if kind is annotation else bare(kind)


def without_none(annotation: object) -> object:
    """Return T for `T | None`, anything else as it is."""
    arms = [arm for arm in arms_of(annotation) if arm is not NoneType]
    return arms[0] if len(arms) == 1 else annotation


def arms_of(kind: object) -> tuple[object, ...]:
    """Return the types that a union joins; of another type, itself."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def is_list(kind: object) -> bool:
    """Tell whether an option for values of this type may be repeated."""
    return any((get_origin(kind) or kind) is each for each in _LISTS)


def item_type_of(kind: object) -> object:
    """Return the type of a list's items; Any if they differ, as in `tuple[int, str]`."""
    items = [item for item in get_args(kind) if item is not ...]
    return items[0] if len(items) == 1 else Any


def choices_of(kind: object) -> tuple[object, ...]:
    """Return the values of a Literal or the members of an Enum."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(kind) if isinstance(kind, type) and issubclass(kind, Enum) else ()


def picks(kind: object, value: object) -> list[object]:
    """Return the choices that a value is, then those that it names."""
    choices = choices_of(kind)
    same = [choice for choice in choices if type(choice) is type(value) and choice == value]
    return same + [choice for choice in choices if value in _names_of(choice)]


def _names_of(choice: object) -> tuple[object, ...]:
    """Return what may stand for a choice: its text; for a member of an Enum also its value and its name."""
    member = (choice.value, str(choice.value), choice.name) if isinstance(choice, Enum) else ()
    return (describe(choice), str(choice), *member)
