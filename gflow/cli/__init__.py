"""The command line: `gflow COMMAND …`, or `gflow MODULE …`, short for `gflow run MODULE …`.

Progress goes to stderr, data to stdout. Every command is a function from its arguments to an exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from gflow import __version__, suggest
from gflow.cli import checking, deciding, keeping, making, reading, running
from gflow.cli.words import Command, as_called, prefix, say
from gflow.errors import GflowError, UsageError
from gflow.secret import masked_output
from gflow.terminal import harmless

COMMANDS: Final[tuple[Command, ...]] = (
    running.RUN,
    checking.CHECK,
    checking.EXPLAIN,
    reading.GRAPH,
    reading.STATS,
    reading.RUNS,
    reading.SHOW,
    reading.LOGS,
    running.RESUME,
    running.CANCEL,
    deciding.APPROVE,
    deciding.REJECT,
    running.ROLLBACK,
    running.FORK,
    making.NEW,
    keeping.GC,
    keeping.DOCTOR,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` defaults to the process's arguments."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with masked_output():
        return _main(arguments)


def _main(arguments: list[str]) -> int:
    try:
        _refuse_windows()
        return _dispatch(arguments)
    except GflowError as error:
        if "--debug" in arguments:
            raise
        print(as_called(harmless(f"gflow: {error}")), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def _refuse_windows() -> None:
    if sys.platform == "win32":
        raise UsageError(
            "gflow does not run on Windows itself", "use it in WSL: learn.microsoft.com/windows/wsl"
        )


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        say(_overview())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"gflow {__version__}")
        return 0
    command, rest = _command(arguments)
    return command.run(rest)


def _command(arguments: list[str]) -> tuple[Command, list[str]]:
    """Return the command that is meant; what is no command but looks like a module is run."""
    first = arguments[0]
    for command in COMMANDS:
        if command.name == first:
            return command, arguments[1:]
    names = [command.name for command in COMMANDS]
    if first.startswith("-"):
        raise UsageError(f"`{first}` comes before a command or a module", "write `gflow run MODULE …`")
    if running.looks_like_a_module(first):
        return running.RUN, arguments
    near = suggest.did_you_mean(first, names)
    raise UsageError(f"`{first}` is neither a command nor a module", near or f"commands: {', '.join(names)}")


def _overview() -> str:
    width = max(len(f"{command.name} {command.arguments}") for command in COMMANDS)
    rows = [f"  {f'{c.name} {c.arguments}':<{width}}  {c.help}" for c in COMMANDS]
    return "\n".join([
        "gflow runs a software team's development workflows.",
        "",
        f"  {prefix()} MODULE [options]      run a workflow: a dotted name or a .py file (short for run)",
        f"  {prefix()} MODULE --help         its description and its inputs",
        "",
        *rows,
        "",
        "RUN is an id, a unique prefix of one, or `last`.",
        "State is in .gflow/ at the project's root; --store DIR names another folder.",
    ])  # fmt: skip
