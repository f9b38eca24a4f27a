"""From what somebody typed to typed inputs: command line, JSON file and Python values alike.

Text stays text until `bind`, which checks every value against its declared type and reports all that is
wrong at once. pydantic does the checking; it is imported here alone, and only where a value needs it.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import GenericAlias
from typing import Any, Final, TypeGuard, cast

from gflow import secret
from gflow.annotations import Unresolved, show
from gflow.errors import BadInputs, UsageError
from gflow.inputs.fields import Computed, declared, help_texts, helps, is_model, is_typed_dict
from gflow.inputs.options import add_options, from_file, options_of
from gflow.inputs.spelling import (
    arms_of,
    bare,
    choices_of,
    default_of,
    default_text,
    describe,
    is_list,
    item_type_of,
    option,
    option_type,
    picks,
    previews,
    quoted,
    without_none,
)
from gflow.model import MISSING, Graph, InputSpec
from gflow.secret import Secret
from gflow.suggest import did_you_mean

__all__ = [
    "Computed", "add_options", "bind", "declared", "default_of", "default_text", "describe", "from_file",
    "help_texts", "helps", "option", "option_type", "options_of", "previews",
    "unreadable",
]  # fmt: skip

_SCALARS: Final = (str, int, float, bool)


# ---------------------------------------------------------------- the values of a run


def bind(graph: Graph, given: Mapping[str, object]) -> dict[str, object]:
    """Return the value of every input of `graph`, by name.

    `given` holds text, JSON values or Python values. pydantic reads them in its lax mode: "5" is an int where
    an int is declared. A class `Inputs` is then called with them and its fields are read, so that its own
    checks and changes count; only a ValueError from it means bad input, other exceptions pass. Secrets are
    read once, to see that they are there.

    Raises BadInputs with every unknown name, missing input, ill-typed value and unreadable secret.
    """
    given = _secrets_by_default(graph) | dict(given)
    values, problems = _values(graph, given)
    problems = [*_unknown(graph, given), *_missing(graph, given), *problems]
    if not problems or is_model(graph.inputs_type):
        values, refusals = _settle(graph.inputs_type, values)
        problems += refusals
    defaults = {name: spec.default for name, spec in graph.inputs.items() if name not in given}
    problems += unreadable(defaults | values)
    if problems:
        raise BadInputs(problems, _usage(graph))
    return {name: values[name] if name in values else default_of(spec) for name, spec in graph.inputs.items()}


def unreadable(values: Mapping[str, object]) -> list[str]:
    """Read the secrets in the values of inputs, which masks them from now on; return why some cannot be."""
    problems: list[str] = []
    for name, value in values.items():
        for reference in secret.inside(value):
            try:
                reference.reveal()
            except UsageError as error:
                problems.append(f"`{name}`: {error.message}; {error.remedy}")
    return problems


def _secrets_by_default(graph: Graph) -> dict[str, object]:
    """Return the secrets whose default is written as text, which is then read as if it were given."""
    return {
        name: spec.default
        for name, spec in graph.inputs.items()
        if isinstance(spec.default, str) and bare(spec.annotation) is Secret
    }


def _values(graph: Graph, given: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Return the values that have their declared type, and the problems of the others.

    The fields of a pydantic model are left to the model, which checks them with the validators it has.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    fields_of_model = getattr(graph.inputs_type, "model_fields", ())
    for spec in graph.inputs.values():
        if spec.name not in given:
            continue
        value = _read(spec.annotation, given[spec.name])
        try:
            values[spec.name] = value if spec.name in fields_of_model else _checked(spec, value)
        except BadInputs as error:
            problems += error.problems
    return values, problems


def _unknown(graph: Graph, given: Mapping[str, object]) -> Iterator[str]:
    for name in given:
        if name not in graph.inputs:
            yield f"`{name}` is not an input of {graph.name}{_or_else(name, graph.inputs)}"


def _missing(graph: Graph, given: Mapping[str, object]) -> Iterator[str]:
    missing = [spec for spec in graph.inputs.values() if spec.required and spec.name not in given]
    texts = helps(graph) if missing else {}
    for spec in missing:
        text = texts[spec.name].partition("\n")[0]
        yield f"`{spec.name}` is missing{': ' * bool(text)}{text} ({option(spec)})"


def _usage(graph: Graph) -> str:
    options = ", ".join(option(spec) for spec in graph.inputs.values())
    return f"{graph.name} takes {options or 'no inputs'}"


def _settle(inputs_type: Any, values: dict[str, object]) -> tuple[dict[str, object], list[str]]:
    """Return the values as the class `Inputs` leaves them, and what it refuses."""
    if inputs_type is None or is_typed_dict(inputs_type):
        return values, []
    keywords = _keywords(inputs_type)
    arguments = {keyword: values[name] for name, keyword in keywords.items() if name in values}
    try:
        made = inputs_type(**arguments)
    except ValueError as error:
        return values, _refusals(error, arguments)
    return values | {name: getattr(made, name) for name in keywords}, []


def _keywords(inputs_type: Any) -> dict[str, str]:
    """Return the fields that a class `Inputs` is called with, by the keyword of each: a model has aliases."""
    if not is_model(inputs_type):
        return {field.name: field.name for field in dataclasses.fields(inputs_type) if field.init}
    aliases = {name: field.validation_alias for name, field in inputs_type.model_fields.items()}
    return {name: alias if isinstance(alias, str) else name for name, alias in aliases.items()}


def _refusals(error: ValueError, arguments: Mapping[str, object]) -> list[str]:
    """Return what a class `Inputs` says is wrong. Fields that are missing have been reported before."""
    errors: Any = getattr(error, "errors", None)  # pydantic's ValidationError is a ValueError that has them
    if not callable(errors):
        return [str(error) or type(error).__name__]
    found: Any = errors()
    return _problems([each for each in found if each["type"] != "missing" or len(each["loc"]) > 1], arguments)


# ---------------------------------------------------------------- one value


def _read(annotation: object, value: object) -> object:
    """Return what a value stands for, where pydantic would not see it.

    Text may name a choice of a Literal or an Enum; for a list it is JSON, or the only item.
    """
    kind = bare(annotation)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if is_list(kind):
        items = _items(value) if isinstance(value, str) else value
        return [_read(item_type_of(kind), item) for item in items] if _are_items(items) else value
    arms = arms_of(kind)
    picked = [] if str in arms else [choice for arm in arms for choice in picks(arm, value)]
    return picked[0] if picked else value


def _items(text: str) -> list[object]:
    value = _parsed(text)
    return value if _are_items(value) else [text]


def _are_items(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _parsed(value: object) -> object:
    """Return what the JSON of an object or a list means, anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _checked(spec: InputSpec, value: object) -> object:
    """Return a value as its declared type; pydantic is asked only if a look does not suffice.

    Raises BadInputs if the value is not of that type.
    """
    kind = without_none(spec.annotation)
    if (value is None and kind is not spec.annotation) or _is_plainly(kind, value):
        return value
    if kind is Secret:
        return _secret(spec.name, value)
    if strays := _strays(spec.name, kind, value):
        raise BadInputs(strays)
    return value if choices_of(kind) else _validated(spec, value)


def _secret(name: str, value: object) -> Secret:
    try:
        return Secret.read(value)
    except ValueError as error:
        raise BadInputs([f"`{name}`: {error}"]) from None


def _strays(place: str, kind: object, value: object) -> list[str]:
    """Return a problem for every value that should be a choice of a Literal or an Enum and is none."""
    if is_list(kind) and _are_items(value):
        item_type = bare(item_type_of(kind))
        return [stray for i, item in enumerate(value) for stray in _strays(f"{place}[{i}]", item_type, item)]
    choices = choices_of(kind)
    if not choices or picks(kind, value):
        return []
    return [f"`{place}`: {_not_a_choice(value, [describe(choice) for choice in choices])}"]


def _is_plainly(kind: object, value: object) -> bool:
    """Tell at a glance that a value is right; False leaves it open."""
    if kind is Path or kind is Secret:
        return isinstance(value, kind)
    if isinstance(kind, Unresolved) or any(kind is anything for anything in (MISSING, Any, object)):
        return True
    return any(kind is type(value) is scalar for scalar in _SCALARS)


def _validated(spec: InputSpec, value: object) -> object:
    """Return a value as pydantic reads it; text may also be the JSON of what is declared.

    Classes that pydantic does not know are checked by isinstance. The mapping around the value puts the
    input's name into the errors, and lets types with a configuration of their own have one.
    """
    import pydantic  # noqa: PLC0415

    problems: list[str] = []
    wanted: Any = GenericAlias(dict, (str, spec.annotation))
    try:
        adapter: Any = pydantic.TypeAdapter(wanted, config={"arbitrary_types_allowed": True})
        for reading in ({spec.name: value}, {spec.name: _parsed(value)}):
            try:
                return adapter.validate_python(reading)[spec.name]
            except pydantic.ValidationError as error:
                problems = _problems(error.errors(), reading)
    except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticUndefinedAnnotation) as error:
        reason = "use typing_extensions.TypedDict" if error.code == "typed-dict-version" else error.message
        problems = [f"`{spec.name}`: its type {show(spec.annotation)} cannot be checked: {reason}"]
    raise BadInputs(problems)


# ---------------------------------------------------------------- what is wrong with a value


def _problems(errors: Sequence[Any], root: Mapping[str, object]) -> list[str]:
    """Return pydantic's errors as problems; those of one place, a union's arms, are one problem."""
    said: dict[str, list[str]] = {}
    for error in [each for each in errors if each["type"] != "none_required"] or errors:
        said.setdefault(_place(error, root), []).append(_sentence(error))
    return [
        f"`{place}`: {text}" if place else text
        for place, texts in said.items()
        for text in ["; ".join(dict.fromkeys(texts))]
    ]


def _place(error: Any, root: Mapping[str, object]) -> str:
    """Return where in the values an error is: `server.ports[0]`.

    A part of its location that leads nowhere is a label of pydantic's, say for an arm of a union.
    """
    place, here = "", cast("object", root)
    for part in error["loc"]:
        below = _member(here, part)
        if below is not MISSING or (error["type"] == "missing" and part == error["loc"][-1]):
            place += f"[{part}]" if isinstance(part, int) else f".{part}"
            here = below
    return place.removeprefix(".")


def _member(value: Any, part: str | int) -> object:
    reachable = isinstance(value, dict) or (isinstance(value, list | tuple) and isinstance(part, int))
    try:
        return cast("Any", value)[part] if reachable else MISSING
    except LookupError:
        return MISSING


def _sentence(error: Any) -> str:
    kind, message, value = error["type"], error["msg"], error["input"]
    if kind == "missing":
        return "missing"
    if kind in ("value_error", "assertion_error"):  # raised by a validator
        return str(error["ctx"]["error"]) or message
    if kind in ("literal_error", "enum") and (choices := re.findall(r"'([^']*)'", message)):
        return _not_a_choice(value, choices)
    wanted = message.removeprefix("Input should be ")
    return f"{quoted(value)}: {message}" if wanted == message else f"{quoted(value)} is not {wanted}"


def _not_a_choice(value: object, choices: Collection[str]) -> str:
    return f"{quoted(value)} is none of {', '.join(choices)}{_or_else(str(value), choices)}"


def _or_else(word: str, words: Collection[str]) -> str:
    question = did_you_mean(word, words)
    return f"; {question}" if question else ""
