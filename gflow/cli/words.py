"""What the commands share: a parser that suggests, and how the process was called."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

from gflow import project, suggest
from gflow.errors import UsageError
from gflow.terminal import fitting

NAMES: Final = (
    "run|check|explain|graph|stats|runs|show|logs|resume|cancel|rollback|fork|approve|reject|new|gc|doctor"
)

_CONTROLS: Final = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


@dataclass(frozen=True)
class Command:
    """One command: its name, what follows it, one line of help, and the function that does it."""

    name: str
    arguments: str
    help: str
    run: Callable[[list[str]], int]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are UsageErrors that suggest what was meant."""

    def __init__(self, name: str, description: str, *, add_help: bool = True) -> None:
        super().__init__(
            f"{prefix()} {name}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=add_help,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, self._suggestion(message) or f"{self.prog} --help")

    def _suggestion(self, message: str) -> str:
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        if unknown is None or not unknown[1].startswith("-"):
            return ""
        known = [option for action in self._actions for option in action.option_strings]
        return suggest.did_you_mean(unknown[1].partition("=")[0], known)

    def add_store(self) -> None:
        self.add_argument("--store", metavar="DIR", help="the state folder (default: .gflow, or GFLOW_STORE)")

    def add_json(self) -> None:
        self.add_argument("--json", action="store_true", help="print one JSON document to stdout")


def folder(options: argparse.Namespace) -> Path:
    """Return the state folder that the options name."""
    return project.state_folder(options.store)


def say(text: str) -> None:
    """Print text to stdout, in characters that it can show."""
    print(fitting(sys.stdout.encoding)(text))


def print_json(document: Any) -> None:
    """Print one document to stdout; json.dumps alone would leave the control characters beyond ASCII."""
    print(json.dumps(document, indent=2, ensure_ascii=False).translate(_CONTROLS))


@cache
def prefix() -> str:
    """Return how this process was called, as it can be typed again: `gflow`, `.venv/bin/python -m gflow`."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return f"{python()} -m gflow"
    return _typed(script.absolute()) if script.name == "gflow" else "gflow"


def python() -> str:
    """Return how to call the Python that runs this process."""
    return _typed(Path(sys.executable))


def _typed(program: Path) -> str:
    found = shutil.which(program.name)
    if found is not None and Path(found).absolute() == program:
        return program.name
    try:
        return os.fspath(program.relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(program)


def as_called(text: str) -> str:
    """Return a text whose commands begin as this process was called."""
    return re.sub(rf"(?<!-m )\bgflow (?=(?:{NAMES})\b)", f"{prefix()} ", text)


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; `--debug` is understood everywhere and shows full tracebacks."""
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)
