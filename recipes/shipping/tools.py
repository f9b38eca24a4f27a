"""Command-line tools: the one beside Python first, then the one on PATH."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from gflow import Output, sh

REMEDY = "pip install 'gflow-workflows[recipes]'"

PROGRAMS = ("detect-secrets", "git-cliff", "ruff", "uv")
LIBRARIES = ("griffe", "pypiserver")

QUIET = {
    "NO_COLOR": "1",
    "PY_COLORS": "0",  # pytest asks this one first
    "PYTEST_ADDOPTS": "",  # the options of whoever runs gflow are not those of the package
    "PYTHONPATH": "",  # nor are its modules
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}


class MissingTool(RuntimeError):
    """Something that a step calls is not installed."""


def missing(*names: str) -> MissingTool:
    """Return the error that says what to install."""
    return MissingTool(f"not installed for {sys.executable}: {', '.join(names)}; run {REMEDY}")


def require_all() -> None:
    """Raise MissingTool, with all names at once, unless everything that the steps call is installed."""
    absent = [name for name in PROGRAMS if _path(name) is None]
    absent += [name for name in LIBRARIES if find_spec(name) is None]
    if absent:
        raise missing(*absent)


def find(name: str) -> str:
    """Return the path of a tool.

    Raises:
        MissingTool: it is not installed.
    """
    path = _path(name)
    if path is None:
        raise missing(name)
    return path


def _path(name: str) -> str | None:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name)


def run(
    name: str,
    *argv: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    hide: Iterable[str] = (),
    input: str | None = None,  # noqa: A002  (the name that subprocess gives it)
    check: bool = True,
) -> Output:
    """Run a tool in a folder; `env` is added to the environment, the variables in `hide` are kept from it."""
    command = (*hiding(hide), find(name), *argv)
    return sh(*command, cwd=cwd, env={**QUIET, **(env or {})}, input=input, check=check)


def hiding(variables: Iterable[str]) -> list[str]:
    """Return the beginning of a command that must not see these variables; empty if none is set."""
    found = [name for name in variables if name in os.environ]
    return ["env", *(word for name in found for word in ("-u", name))] if found else []
