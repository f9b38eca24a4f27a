"""The inputs of a workflow as options of a command line, and as a JSON file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO, cast

from gflow.errors import BadInputs
from gflow.inputs.fields import helps
from gflow.inputs.spelling import bare, default_text, flag_of, is_list, option_type, quoted
from gflow.model import MISSING, Graph, InputSpec

_DEST: Final = "input:"


def from_file(path_or_dash: str, stdin: TextIO) -> dict[str, object]:
    """Return the inputs in a JSON file, or in `stdin` for "-": an object of names and values.

    Raises BadInputs if the file cannot be read or holds anything else.
    """
    name = "standard input" if path_or_dash == "-" else path_or_dash
    remedy = 'it should hold an object such as {"part": "minor"}'
    try:
        text = stdin.read() if path_or_dash == "-" else Path(path_or_dash).read_text(encoding="utf-8-sig")
        value: Any = json.loads(text)
    except OSError as error:
        raise BadInputs([f"{name} cannot be read: {error.strerror}"]) from error
    except json.JSONDecodeError as error:
        raise BadInputs([f"{name}:{error.lineno}:{error.colno}: no JSON: {error.msg}"], remedy) from error
    except UnicodeDecodeError as error:
        raise BadInputs([f"{name} is no text in UTF-8"], remedy) from error
    if not isinstance(value, dict):
        raise BadInputs([f"{name} holds {quoted(value)}, no JSON object"], remedy)
    return cast("dict[str, object]", value)


def add_options(parser: argparse.ArgumentParser, graph: Graph) -> None:
    """Give a parser one option for every input; `_` may be typed for `-`.

    A bool is `--flag/--no-flag`, a list is repeated; everything else stays text until `bind`. Nothing is
    required here, so that `bind` can report everything at once; what is not typed is not in the namespace.
    """
    if not graph.inputs:
        return
    add = parser.add_argument_group(f"inputs of {graph.name}").add_argument
    texts = helps(graph)
    for spec in graph.inputs.values():
        _add_option(add, flag_of(spec.name), spec, _option_help(spec, texts[spec.name]))
        if "_" in spec.name:
            _add_option(add, f"--{spec.name}", spec, argparse.SUPPRESS)


def _add_option(add: Callable[..., object], flag: str, spec: InputSpec, text: str) -> None:
    kind = bare(spec.annotation)
    common: dict[str, Any] = {"dest": _DEST + spec.name, "default": argparse.SUPPRESS, "help": text}
    if kind is bool:
        add(flag, action=argparse.BooleanOptionalAction, **common)
    else:
        add(flag, action="append" if is_list(kind) else "store", metavar=option_type(kind), **common)


def _option_help(spec: InputSpec, text: str) -> str:
    """Return the text that argparse shows, which wants every % doubled."""
    notes = ["repeatable"] if is_list(bare(spec.annotation)) else []
    if spec.required:
        notes.append("required")
    elif default := default_text(spec):
        notes.append(f"default: {default}")
    note = f"({', '.join(notes)})" if notes else ""
    return f"{text} {note}".strip().replace("%", "%%")


def options_of(namespace: argparse.Namespace, graph: Graph) -> dict[str, object]:
    """Return what was typed for the inputs of a graph, by name; the argument of `bind`."""
    typed = {name: getattr(namespace, _DEST + name, MISSING) for name in graph.inputs}
    return {name: _sole_json(value) for name, value in typed.items() if value is not MISSING}


def _sole_json(value: object) -> object:
    """Return the JSON of a whole list, if that is all that its option was given."""
    match value:
        case [str(text)] if text.startswith("["):
            return text
        case _:
            return value
