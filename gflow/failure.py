"""A failure as data: what was raised, and the lines of the user's own code that led to it."""

from __future__ import annotations

import linecache
import os
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from gflow import secret

MESSAGE_LIMIT: Final = 4000
HERE: Final = str(Path(__file__).parent)
CARRIED: Final = "__gflow_frames__"
"""The attribute in which an exception carries frames that its traceback does not have."""


def type_name(error: BaseException) -> str:
    """Return the name of an exception's type as people write it: without `builtins`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def message(error: BaseException) -> str:
    """Return what an exception says, bounded and masked; a `__str__` that raises is no second failure."""
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001  # any class may be the user's
        text = f"(its message could not be made: {type(second).__name__})"
    shown = secret.head(text, MESSAGE_LIMIT)
    return shown if len(text) <= MESSAGE_LIMIT else f"{shown} … ({len(text)} characters)"


def frames(error: BaseException) -> list[list[Any]]:
    """Return the user's frames, outermost first, as [file, line, function, source line]."""
    carried: list[list[Any]] | None = getattr(error, CARRIED, None)
    return carried or [
        [_relative(tb.tb_frame.f_code.co_filename), tb.tb_lineno, tb.tb_frame.f_code.co_name, _source(tb)]
        for tb in _user_tracebacks(error.__traceback__)
    ]


def carrying(error: BaseException, frames: list[list[Any]]) -> BaseException:
    """Return an exception that was raised in another process, with the frames that it had there."""
    with suppress(AttributeError):  # its class has slots
        setattr(error, CARRIED, frames)
    return error


def trimmed(error: BaseException) -> BaseException:
    """Return the exception with a traceback of the user's frames only."""
    rebuilt: TracebackType | None = None
    for tb in reversed(list(_user_tracebacks(error.__traceback__))):
        rebuilt = TracebackType(rebuilt, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    return error.with_traceback(rebuilt) if rebuilt else error


def unwrapped(error: BaseException) -> BaseException:
    """Return the exception inside groups of one, which task groups make of a single error."""
    inside: Sequence[BaseException] = getattr(error, "exceptions", ())
    return unwrapped(inside[0]) if len(inside) == 1 else error


def _user_tracebacks(tb: TracebackType | None) -> Iterator[TracebackType]:
    """The step's own file is the first outside gflow and Python; libraries that it calls are left out."""
    home: str | None = None
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        folder = str(Path(file).parent)
        if home is None and not file.startswith((HERE, *_python())):
            home = folder
        if home is not None and not file.startswith(HERE) and (folder == home or not _is_library(file)):
            yield tb
        tb = tb.tb_next


@cache
def _python() -> tuple[str, ...]:
    """Return where Python's own modules lie, without what is installed below them."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    packages = (f"{stdlib / name}{os.sep}" for name in ("importlib", "asyncio", "concurrent"))
    return (*packages, "<frozen")


def _is_library(file: str) -> bool:
    return file.startswith(_libraries())


@cache
def _libraries() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return (*{paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}, "<frozen")


def _relative(file: str) -> str:
    return file.removeprefix(f"{Path.cwd()}{os.sep}")


def _source(tb: TracebackType) -> str:
    return secret.mask(linecache.getline(tb.tb_frame.f_code.co_filename, tb.tb_lineno).strip())
