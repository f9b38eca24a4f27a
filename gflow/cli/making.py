"""`gflow new` and `gflow doctor`."""

from __future__ import annotations

import keyword
import os
import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Final

from gflow import __version__, orphans, ownership, project, suggest
from gflow.checkpoint import Keys
from gflow.cli.words import Command, Parser, folder, parse, prefix, print_json, python
from gflow.errors import GflowError, UsageError
from gflow.stores.sqlite import SqliteStore

PACKAGES: Final = ("anyio", "backoff", "loguru", "pydantic", "rich", "typing_extensions")


# ---------------------------------------------------------------- new


def new(arguments: list[str]) -> int:
    """Write a workflow and its test."""
    parser = Parser("new", "Write a workflow and its test; both are green at once.")
    parser.add_argument("name", metavar="NAME", help="a Python identifier: the module's name")
    parser.add_argument(
        "--from", dest="recipe", metavar="RECIPE", help="begin with a recipe, such as release"
    )
    options = parse(parser, arguments)
    _refuse_name(options.name)
    files = _files(options.name, options.recipe)
    for path in files:
        if path.exists():
            raise UsageError(f"{path} exists", "give another name; nothing was written")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    print(f"\nrun it    {prefix()} {options.name}.py")
    print(f"test it   {python()} -m pytest tests/test_{options.name}.py")
    return 0


def _refuse_name(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(
            f"`{name}` is no Python identifier", "write letters, digits and underscores: `ship`, `new_api`"
        )
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        raise UsageError(
            f"there is a module `{name}` already, which would hide this one", "give another name"
        )


def _files(name: str, recipe: str | None) -> dict[Path, str]:
    workflow = _recipe(recipe) if recipe else _template("workflow.py.txt", name)
    files = {Path(f"{name}.py"): workflow}
    return files if recipe else files | {Path("tests") / f"test_{name}.py": _template("test.py.txt", name)}


def _template(file: str, name: str) -> str:
    text = resources.files("gflow").joinpath("docs", "new", file).read_text("utf-8")
    return Template(text).substitute(name=name)


def _recipe(name: str) -> str:
    """Return the source of a recipe that came with gflow; a project's own `recipes` is not asked."""
    folder = Path(__file__).parents[2] / "recipes"
    known = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    if name not in known:
        near = suggest.did_you_mean(name, known)
        raise UsageError(
            f"there is no recipe `{name}`", near or f"recipes: {', '.join(known) or 'none installed'}"
        )
    return (folder / f"{name}.py").read_text("utf-8")


# ---------------------------------------------------------------- doctor


def doctor(arguments: list[str]) -> int:
    """Say what gflow finds on this machine, and what is wrong with it."""
    parser = Parser("doctor", "Versions, permissions and the state folder: what is there, what is wrong.")
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    checks = list(_checks(folder(options)))
    healthy = all(ok for ok, _, _ in checks)
    if options.json:
        print_json({"healthy": healthy, "checks": [{"ok": ok, "what": w, "found": f} for ok, w, f in checks]})
    else:
        for ok, what, found in checks:
            print(f"{'ok ' if ok else 'BAD'} {what:<12} {found}")
    return 0 if healthy else 1


def _checks(state: Path) -> Iterator[tuple[bool, str, str]]:
    yield True, "gflow", f"{__version__} with Python {platform.python_version()} on {platform.system()}"
    yield sqlite3.sqlite_version_info >= (3, 37), "sqlite", sqlite3.sqlite_version
    for name in PACKAGES:
        yield find_spec(name) is not None, "package", name
    yield True, "root", str(project.root())
    yield shutil.which("git") is not None, "git", shutil.which("git") or "not found: recipes need it"
    yield from _state_checks(state)


def _state_checks(state: Path) -> Iterator[tuple[bool, str, str]]:
    if not state.exists():
        parent = next(folder for folder in state.parents if folder.exists())
        yield os.access(parent, os.W_OK), "state", f"{state} (not there yet)"
        return
    mode = stat.S_IMODE(state.stat().st_mode)
    yield os.access(state, os.W_OK), "state", f"{state} (mode {mode:o})"
    try:
        Keys.load(os.environ, Path.home(), create=False)
        yield True, "key", "readable by you alone"
        store = SqliteStore.existing(state)
        if store is not None:
            yield _database(state, store)
            yield from _orphans(state, store)
            store.close()
    except GflowError as error:
        yield False, "store", str(error).replace("\n", " ·")


def _database(state: Path, store: SqliteStore) -> tuple[bool, str, str]:
    rows = store.runs()
    running = sum(1 for row in rows if (owner := ownership.owner(state, row.id)) and owner.alive)
    problem = store.check()
    return not problem, "database", problem or f"{len(rows)} runs, {running} running, integrity ok"


def _orphans(state: Path, store: SqliteStore) -> Iterator[tuple[bool, str, str]]:
    """Name the commands that go on although no process has their run."""
    for row in store.runs():
        owner = ownership.owner(state, row.id)
        if owner is None or not owner.alive:
            for orphan in orphans.living(state, row.id):
                yield False, "orphan", f"{orphan} · {prefix()} resume {row.id}"


NEW = Command("new", "NAME", "write a workflow and its test", new)
DOCTOR = Command("doctor", "", "versions, permissions, the state folder", doctor)
