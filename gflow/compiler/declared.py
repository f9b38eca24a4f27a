"""The inputs of a workflow: what declares them, and what all who take one must agree on."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final, Literal

from gflow.annotations import assignable
from gflow.compiler.cast import Cast
from gflow.compiler.findings import Report
from gflow.compiler.reading import Fn, Parameter, is_step
from gflow.compiler.words import plain, show
from gflow.decorators import AnyStep, InputMark
from gflow.diagnostics import Part, Place, file_of, locate, locate_field, locate_name
from gflow.errors import UsageError
from gflow.inputs import Computed, declared
from gflow.model import MISSING, InputSpec

OPTIONS: Final = ("agent", "approve", "debug", "help", "inputs", "json", "plan", "store", "strict")
"""What these options mean to `gflow run`; an input of such a name could not be given."""

LITERAL: Final = (bool, bytes, int, str)
"""The types of the values that Literal may hold, beside those of an Enum."""


@dataclass(frozen=True, slots=True, eq=False)
class Taker:
    """A parameter that takes an input; with the mark of `Input[T]` it declares it as well."""

    step: str
    fn: Fn
    names: Mapping[str, Any]
    parameter: Parameter

    @property
    def declares(self) -> bool:
        return isinstance(self.parameter.source, InputMark)

    @property
    def name(self) -> str:
        return f"`{plain(self.step)}`"

    @property
    def annotation(self) -> object:
        return self.parameter.annotation

    @property
    def default(self) -> object:
        return self.parameter.default

    def place(self, part: Part) -> Place:
        return locate(self.fn, self.parameter.name, part)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a class `Inputs`; it declares an input."""

    cls: type
    spec: InputSpec

    @property
    def name(self) -> str:
        return f"`{self.cls.__name__}`"

    @property
    def annotation(self) -> object:
        return self.spec.annotation

    @property
    def default(self) -> object:
        return self.spec.default

    def place(self, _part: Part) -> Place:
        return locate_field(self.cls, self.spec.name)


class Fields:
    """The fields of the classes `Inputs`, each class read once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._fields: dict[int, Mapping[str, Field]] = {}

    def of(self, names: Mapping[str, Any]) -> Mapping[str, Field]:
        """Return the fields of the class `Inputs` among the names that a function sees."""
        cls = names.get("Inputs")
        if not isinstance(cls, type):
            return {}
        if id(cls) not in self._fields:
            self._fields[id(cls)] = self._read(cls, names)
        return self._fields[id(cls)]

    def _read(self, cls: type, names: Mapping[str, Any]) -> Mapping[str, Field]:
        try:
            return {name: Field(cls, spec) for name, spec in declared(cls, names).items()}
        except UsageError as error:
            place = locate_name(file_of(cls), cls.__name__)
            self._report.error("GF053", error.message, place, hints=[error.remedy])
            return {}


def declare(
    cast: Cast, fields: Fields, takers: Mapping[str, Sequence[Taker]], report: Report
) -> dict[str, InputSpec]:
    """Return every input with its consumers, the fields of the workflow's own class `Inputs` first."""
    own = fields.of(cast.home.names)
    specs: dict[str, InputSpec] = {}
    for name in dict.fromkeys((*own, *takers)):
        taking = takers.get(name, ())
        found = [own.get(name), *(fields.of(taker.names).get(name) for taker in taking)]
        declared: list[Field | Taker] = [field for field in found if field is not None]
        in_place = [taker for taker in taking if taker.declares]
        first, *others = dict.fromkeys((*declared, *sorted(in_place, key=lambda t: t.default is MISSING)))
        for other in (*others, *(taker for taker in taking if not taker.declares)):
            _agree(name, first, other, report)
        _report_input(name, first, taking, cast, report)
        consumers = tuple(dict.fromkeys(taker.step for taker in taking))
        specs[name] = InputSpec(name, first.annotation, first.default, consumers=consumers)
    return specs


# ---------------------------------------------------------------- what may be wrong


def _agree(name: str, first: Field | Taker, other: Field | Taker, report: Report) -> None:
    """Report what two who declare or take one input say differently about it."""
    if not _is_one_type(first, other):
        ours, theirs = show(first.annotation), show(other.annotation)
        report.error(
            "GF051",
            f"the input `{name}` is {ours} in {first.name}, but {theirs} in {other.name}",
            other.place("annotation"),
            first.place("annotation"),
            hints=[f"an input has one type: write {ours} in both, or {theirs}"],
        )
        return
    is_free = isinstance(first, Field) or (isinstance(other, Taker) and not other.declares)
    if not (is_free and other.default is MISSING) and not _is_same(first.default, other.default):
        ours, theirs = _default_of(first), _default_of(other)
        report.error(
            "GF052",
            f"the default of the input `{name}` is {ours} in {first.name}, but {theirs} in {other.name}",
            other.place("default"),
            first.place("default"),
            hints=[_one_default(name, first)],
        )


def _is_one_type(first: Field | Taker, other: Field | Taker) -> bool:
    """What takes an input by its name takes a value of its type; two that declare it mean the same type."""
    if first.annotation is MISSING or other.annotation is MISSING:
        return True
    fits = assignable(first.annotation, other.annotation) is not False
    if isinstance(other, Taker) and not other.declares:
        return fits
    return fits and assignable(other.annotation, first.annotation) is not False


def _is_same(one: object, other: object) -> bool:
    """Whether two defaults are the same value; 1, 1.0 and True are not."""
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # noqa: BLE001  a comparison of the user's own
        return False


def _default_of(one: Field | Taker) -> str:
    return "missing" if one.default is MISSING else shown(one.default)


def shown(value: object) -> str:
    """Return a value as it may be written; a long one is cut."""
    return f"Path({str(value)!r})" if isinstance(value, Path) else reprlib.repr(value)


def _one_default(name: str, first: Field | Taker) -> str:
    if isinstance(first, Field):
        return f"the default stands in `{first.cls.__name__}`: take the other away"
    default = "" if first.default is MISSING else f" = {shown(first.default)}"
    written = f"{name}: {show(first.annotation)}{default}"
    return f"write one default in both, or declare the input once, in a class `Inputs`: `{written}`"


def _report_input(
    name: str, first: Field | Taker, taking: Sequence[Taker], cast: Cast, report: Report
) -> None:
    if name in OPTIONS:
        hint = f"rename it, say `{name}_`: `--{name}` is an option of `gflow run`"
        report.error(
            "GF050",
            f"the input `{name}` cannot be given: the option is taken",
            first.place("name"),
            hints=[hint],
        )
    if (step := _step_called(name, cast, taking)) is not None:
        report.error(
            "GF013",
            f"`{name}` is a step and an input",
            first.place("name"),
            (locate(step.fn), "the step"),
            hints=[f"rename the input, say `{name}_input`, where it is declared and where it is taken"],
        )
    elif not taking:
        report.note("GF054", f"no step takes the input `{name}`", first.place("name"))
    _report_default(name, first, report)


def _step_called(name: str, cast: Cast, taking: Sequence[Taker]) -> AnyStep | None:
    """Return the step that an input shares its name with, where it is declared or taken."""
    spaces = [cast.home.names, *(taker.names for taker in taking)]
    return next((step for names in spaces if is_step(step := names.get(name))), None)


def _report_default(name: str, first: Field | Taker, report: Report) -> None:
    if isinstance(first, Field) and not hasattr(first.cls, "__dataclass_fields__"):
        return  # a model checks its defaults itself, and a TypedDict has none
    if first.default is MISSING or first.annotation is MISSING:
        return
    if assignable(type_of(first.default), first.annotation) is False:
        kind = show(first.annotation)
        remedy = f"{kind} | None" if first.default is None else type(first.default).__name__
        report.error(
            "GF023",
            f"the default of the input `{name}` is {shown(first.default)}, which is no {kind}",
            first.place("default"),
            hints=[f"write a default of type {kind}, or declare the input as {remedy}"],
        )


def type_of(value: object) -> object:
    """Return the type of a value as far as it is certain, the value itself where Literal may hold it."""
    if value is None:
        return None
    if type(value) in LITERAL or isinstance(value, Enum):
        return Literal[value]
    if isinstance(value, type | FunctionType | ModuleType | Computed) or callable(value):
        return Any
    return type(value)
