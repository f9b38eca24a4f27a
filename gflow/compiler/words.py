"""How findings speak of steps: their names, types and places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gflow.annotations import show as shown_type
from gflow.compiler.cast import Cast, Instance, Link
from gflow.compiler.reading import APPROVAL
from gflow.decorators import Copy
from gflow.diagnostics import Place, locate, locate_name, shown
from gflow.model import MISSING


def result_of(step: Instance) -> object:
    """Return the type of a step's result: None for a milestone, MISSING if it is not annotated."""
    return None if step.is_group and step.signature.is_empty else step.signature.returns


def takes_result(step: Instance, first: Link) -> bool:
    """Whether the first parameter of an undo is free to take the step's own result."""
    return first.source in (None, step.step, step.step.origin, APPROVAL)


def result_shown(step: Instance) -> str:
    """Return the type of a step's result as text."""
    return show(result_of(step))


def show(annotation: object) -> str:
    """Return a type as text; Any for one that is not there."""
    return "Any" if annotation is MISSING else shown_type(annotation)


def called(fn: Callable[..., object]) -> str:
    """Return the name of a function."""
    return str(getattr(fn, "__name__", fn))


def is_lambda(fn: Callable[..., object]) -> bool:
    """Whether a function could not say any types."""
    return called(fn) == "<lambda>"


def argument(step: Instance, names: Mapping[Instance, str]) -> str:
    """Return the parameter that takes a step's result: `build: Path`."""
    name = plain(names[step])
    return name if result_of(step) is MISSING else f"{name}: {result_shown(step)}"


def plain(name: str) -> str:
    """Return the last part of a path, which is what a signature says."""
    return name.rpartition("/")[2]


def listing(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: `a`, `b` and `c`."""
    *others, last = [f"`{name}`" for name in names]
    return f"{', '.join(others)} and {last}" if others else last


def line_of(place: Place) -> str:
    """Return a place as it is named within a sentence: `ship.py:6`."""
    return shown(place, Path(place.file).parent, column=False)


def place_of(cast: Cast, step: Instance) -> Place:
    """Return where a step gets its name: at its function, or where a copy is assigned."""
    if isinstance(step.step, Copy) and id(step.step) in cast.home.bound:
        return locate_name(cast.home.file, cast.home.bound[id(step.step)])
    return locate(step.step.fn)


def binding_place(cast: Cast, copy: Instance, name: str) -> Place:
    """Return where `using()` binds a name."""
    return locate_name(cast.home.file, cast.home.name(copy.step), name)


def parameter_place(cast: Cast, step: Instance, source: Instance) -> Place | None:
    """Return where a step's signature takes the value of another."""
    links = (link for link, target in cast.edges(step) if target is source)
    return next((locate(step.step.fn, link.parameter.name, "parameter") for link in links), None)
