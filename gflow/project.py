"""The user's project: its root, its modules, its state folder."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from gflow import failure, suggest
from gflow.errors import UsageError

STATE: Final = ".gflow"


def root(start: Path | None = None) -> Path:
    """Return the nearest folder upwards that holds a pyproject.toml, else `start` (the current folder)."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    return start


def state_folder(given: str | None = None) -> Path:
    """Return where runs are kept: `given` (--store), else `GFLOW_STORE`, else `.gflow` at the root."""
    named = given or os.environ.get("GFLOW_STORE")
    return Path(named).resolve() if named else root() / STATE


def load(name: str) -> ModuleType:
    """Import a workflow by dotted name or by the path of its .py file; the root comes first on sys.path.

    Raises UsageError: no such module (with near misses), or it fails to import (with the user's line).
    """
    if name.endswith(".py") or os.sep in name:
        return _load_file(Path(name))
    _come_first(root())
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        found = None
    if found is None:
        raise UsageError(f"there is no module `{name}`", _where_to_look(name))
    return _import(name)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        near = suggest.did_you_mean(path.name, [p.name for p in path.parent.glob("*.py")])
        raise UsageError(f"there is no file `{path}`", near)
    path = path.resolve()
    base = root(path.parent)
    _come_first(base)
    name = ".".join(path.relative_to(_home(path, base)).with_suffix("").parts)
    name = name.removesuffix(".__init__")
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(
            f"`{path.name}` cannot be imported: a module's name is a Python identifier", "rename it"
        )
    module = sys.modules.get(name)
    if module is not None and _is_from(module, path):
        return module
    module = _import(name)
    if _is_from(module, path):
        return module
    other = getattr(module, "__file__", "a built-in one")
    raise UsageError(f"`{path.name}` is hidden by another module of that name, {other}", "rename it")


def _home(path: Path, base: Path) -> Path:
    """Return the folder that a file's dotted name begins in: the root, or one below that holds its package.

    If `src` is on sys.path, src/pkg/flow.py is `pkg.flow` to all others, and no second module to gflow. The
    current folder does not count: `python -m` has put it there.
    """
    found = {Path(entry).resolve() for entry in sys.path if entry} - {Path.cwd()}
    for folder in path.parents:
        package = folder / path.relative_to(folder).parts[0]
        if folder == base or (folder in found and (package / "__init__.py").is_file()):
            return folder
    return base


def _is_from(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve() == path


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(_what_failed(name, error)) from error


def _what_failed(name: str, error: BaseException) -> str:
    lines = [f"`{name}` fails to import: {failure.type_name(error)}: {failure.message(error)}"]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(f"  {error.filename}:{error.lineno}")
    lines += [
        f"  {file}:{line}, in {function}\n    {text}" for file, line, function, text in failure.frames(error)
    ]
    return "\n".join(lines)


def _come_first(folder: Path) -> None:
    text = str(folder)
    if not sys.path or sys.path[0] != text:
        sys.path.insert(0, text)
        importlib.invalidate_caches()


def _where_to_look(name: str) -> str:
    parent, _, last = name.rpartition(".")
    try:
        package = importlib.import_module(parent) if parent else None
    except Exception:  # noqa: BLE001  # only looking for near misses
        package = None
    places = list(package.__path__) if package and hasattr(package, "__path__") else [str(root())]
    names = [module.name for module in pkgutil.iter_modules(places)]
    near = suggest.near(last, names)
    if near:
        return "did you mean " + " or ".join(f"`{parent}.{n}`" if parent else f"`{n}`" for n in near) + "?"
    return f"looked from {root()}; MODULE is a dotted name or the path of a .py file"
