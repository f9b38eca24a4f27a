"""`gflow gc` and `gflow doctor`: what is kept on this machine, and what is wrong with it."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from gflow import __version__, documents, orphans, ownership, project, retention
from gflow.checkpoint import Keys
from gflow.cli.words import Command, Parser, folder, parse, prefix, print_json, say
from gflow.errors import GflowError, UsageError
from gflow.retention import Clearance, Kept, Old, Rubbish
from gflow.stores.sqlite import SqliteStore
from gflow.terminal import clean, count, harmless, size_text, some

PACKAGES: Final = ("anyio", "backoff", "loguru", "pydantic", "rich", "typing_extensions")
UNITS: Final = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}
"""Seconds."""
SHOWN: Final = 20
"""The most runs that `gc` names."""
NOTHING: Final = Clearance((), (), Rubbish())


# ---------------------------------------------------------------- gc


def gc(arguments: list[str]) -> int:
    """Remove runs that ended long ago, and what crashes have left."""
    parser = Parser("gc", "Remove runs that ended long ago, and what crashes have left.")
    parser.add_argument(
        "--keep", metavar="TIME", default="30d",
        help="keep what ended less than so many hours, days or weeks ago: 12h, 30d, 2w (default: 30d)",
    )  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="show what would be removed; nothing is touched")
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    keep = _seconds(options.keep)
    cleared = _cleared(options, keep)
    if options.json:
        print_json({"planned": options.plan, "keep_seconds": keep, **_document(cleared)})
    else:
        say(_told(cleared, options.keep, planned=options.plan))
    return 0


def _seconds(text: str) -> float:
    """Return the seconds that a time like `30d` means."""
    found = re.fullmatch(r"([0-9]{1,6})([hdw])", text)
    if found is None:
        raise UsageError(f"`--keep {text}` is no time", "write a number and h, d or w: 12h, 30d, 2w")
    return int(found[1]) * UNITS[found[2]]


def _cleared(options: argparse.Namespace, keep: float) -> Clearance:
    state = folder(options)
    store = SqliteStore.existing(state, None if options.plan else "full")
    if store is None:
        return NOTHING
    act = retention.plan if options.plan else retention.clear
    try:
        return act(store, state, keep, time.time())
    finally:
        store.close()


def _told(cleared: Clearance, keep: str, *, planned: bool) -> str:
    lines = [_first_line(cleared, keep, planned=planned)]
    lines += some([_line(old) for old in cleared.runs], SHOWN)
    lines += [f"kept: {kept.run}, since {kept.why}" for kept in cleared.kept]
    if planned and (cleared.runs or cleared.rubbish):
        lines.append("nothing was changed · leave out --plan to do it")
    return "\n".join(lines)


def _first_line(cleared: Clearance, keep: str, *, planned: bool) -> str:
    runs = f"{count(len(cleared.runs), 'run')} that ended more than {keep} ago" if cleared.runs else ""
    files = f"{count(len(cleared.rubbish), 'file')} that no run names" if cleared.rubbish else ""
    if not runs and not files:
        return f"nothing to remove: no run that ended more than {keep} ago"
    verb = "would remove" if planned else "removed"
    return f"{verb} {' and '.join(filter(None, (runs, files)))}: {size_text(cleared.size)}"


def _line(old: Old) -> str:
    row = old.row
    ended = datetime.fromtimestamp(row.ended or 0.0, UTC).astimezone()
    return f"  {row.id}  {clean(row.workflow)}  {row.status} {ended:%Y-%m-%d}  {size_text(old.size)}"


def _document(cleared: Clearance) -> dict[str, Any]:
    return {
        "bytes": cleared.size,
        "runs": [_old_document(old) for old in cleared.runs],
        "kept": [_kept_document(kept) for kept in cleared.kept],
        "rubbish": {"files": len(cleared.rubbish), "bytes": cleared.rubbish.size},
    }


def _old_document(old: Old) -> dict[str, Any]:
    ended = datetime.fromtimestamp(old.row.ended or 0.0, UTC)
    return {
        "id": old.row.id,
        "workflow": old.row.workflow,
        "status": old.row.status,
        "ended": documents.time_of(ended),
        "bytes": old.size,
    }


def _kept_document(kept: Kept) -> dict[str, str]:
    return {"id": kept.run, "why": kept.why}


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
            print(harmless(f"{'ok ' if ok else 'BAD'} {what:<12} {found}"))
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
            with closing(store):
                yield _database(state, store)
                yield from _orphans(state, store)
                yield _rubbish(state, store)
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


def _rubbish(state: Path, store: SqliteStore) -> tuple[bool, str, str]:
    """Tell what crashes have left: nothing is wrong with that."""
    found = retention.rubbish(store, state, time.time())
    what = f"{count(len(found), 'file')} that no run names, {size_text(found.size)} · {prefix()} gc"
    return True, "rubbish", what if found else "none"


GC = Command("gc", "", "remove runs that ended long ago", gc)
DOCTOR = Command("doctor", "", "versions, permissions, the state folder", doctor)
