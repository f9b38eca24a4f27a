"""The N-th thing that a run does to its store goes wrong: the process dies there, or the disk says no.

Every statement of SQLite, every write, sync, rename and read of a large value is an operation. A full
disk is a database that may not grow: SQLite's own error, at whatever statement it happens.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from gflow.stores.sqlite import files
from tests.crash import mutations, runs
from tests.crash.children import call
from tests.crash.proof import Proof, Violation
from tests.crash.runs import Site, Sites

DEAD: Final = 99
"""The exit code of a child that was made to die."""
WENT_ON: Final = 98
"""The exit code of a child that wrote once more after a commit that had failed."""
STORE_ERROR: Final = 74
KINDS: Final = ("dies before", "dies after", "EIO", "EIO after it was done", "ENOSPC", "BUSY")
FULL: Final = "may not grow"
WRITING: Final = ("INSERT", "BEGIN", "COMMIT")
SQLITE_NAMES: Final = {"EIO": "SQLITE_IOERR", "ENOSPC": "SQLITE_FULL", "BUSY": "SQLITE_BUSY"}
ERRNOS: Final = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "BUSY": errno.EBUSY}


class Fault(NamedTuple):
    """What goes wrong at operation `n`; for a database that may not grow, `n` is its size in pages."""

    kind: str
    n: int

    def __str__(self) -> str:
        return f"{self.kind} at {self.n}"


class Faults:
    """Counts the operations of this process, and lets one of them go wrong."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.count = 0
        self.commit_failed = False

    def operation(self, act: Callable[[], Any], error: Callable[[str], Exception]) -> Any:
        """Do what is asked for, unless it is the one that goes wrong."""
        self.count += 1
        if self.fault.kind == FULL or self.count != self.fault.n:
            return act()
        kind = self.fault.kind
        if "after" in kind:
            act()
        if "dies" in kind:
            os._exit(DEAD)
        raise error(kind.partition(" ")[0])

    def statement(self, sql: str, act: Callable[[], Any]) -> Any:
        """Let a statement run; after a commit that failed, nothing may be written by this process."""
        if self.commit_failed and sql.startswith(WRITING):
            os._exit(WENT_ON)
        try:
            return self.operation(act, _database_error)
        except sqlite3.Error:
            self.commit_failed = self.commit_failed or sql.startswith(WRITING)
            raise

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Let every operation of the store pass through here."""
        faults = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *rest: Any) -> Any:
                return faults.statement(sql, lambda: sqlite3.Connection.execute(self, sql, *rest))

            def executescript(self, sql: str) -> Any:
                return faults.statement(sql, lambda: sqlite3.Connection.executescript(self, sql))

        def connect(*arguments: Any, **options: Any) -> Connection:
            connection: Connection = original(*arguments, factory=Connection, **options)
            if faults.fault.kind == FULL:
                sqlite3.Connection.execute(connection, f"PRAGMA max_page_count = {faults.fault.n}")
            return connection

        original = sqlite3.connect
        with (
            patch.object(sqlite3, "connect", connect),
            patch.object(files, "_sync", self._wrapped(files._sync)),
            patch.object(files.Blobs, "_write", self._wrapped(files.Blobs._write)),
            patch.object(files.Blobs, "get", self._wrapped(files.Blobs.get, _blob_error)),
            patch.object(Path, "rename", self._wrapped(Path.rename)),
        ):
            yield

    def _wrapped(
        self, function: Callable[..., Any], error: Callable[[str], Exception] | None = None
    ) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*arguments: Any) -> Any:
            return self.operation(lambda: function(*arguments), error or _file_error)

        return wrapped


def _database_error(kind: str) -> Exception:
    error = sqlite3.OperationalError(f"made to fail: {kind}")
    error.sqlite_errorname = SQLITE_NAMES[kind]
    return error


def _file_error(kind: str) -> Exception:
    return OSError(ERRNOS[kind], os.strerror(ERRNOS[kind]))


def _blob_error(kind: str) -> Exception:
    return files.as_store_error(Path("a large value"), _file_error(kind))


# ---------------------------------------------------------------- cases


def check(count: int) -> int:
    """Let `count` runs have one fault each, spread over all operations and kinds, and resume them."""
    with runs.sites("full") as sites:
        cases = list(_cases(sites))
        random.Random(count).shuffle(cases)
        for fault in itertools.islice(itertools.cycle(cases), count):
            with sites.new() as site:
                try:
                    _examine(sites, site, fault)
                except Violation as error:
                    raise Violation(f"{fault}: {error}") from error
    return count


def _cases(sites: Sites) -> Iterator[Fault]:
    with sites.new() as site:
        call(functools.partial(_count, site))
        if not (site.folder / "counted").exists():
            raise Violation("a run without a fault did not end")
        operations, pages = map(int, (site.folder / "counted").read_text().split())
    yield from (Fault(kind, n) for n in range(1, operations + 1) for kind in KINDS)
    yield from (Fault(FULL, n) for n in range(1, pages + 1))


def _count(site: Site) -> int:
    """Run without a fault, and leave word of how many operations and pages there were."""
    faults = Faults(Fault("none", 0))
    with faults.installed():
        code = site.start()
    with contextlib.closing(sqlite3.connect(site.store / "state.db")) as database:
        pages = database.execute("PRAGMA page_count").fetchone()[0]
    (site.folder / "counted").write_text(f"{faults.count} {pages}")
    return code


def _examine(sites: Sites, site: Site, fault: Fault) -> None:
    code = call(functools.partial(_with, fault, site))
    allowed = {0, DEAD if "dies" in fault.kind else STORE_ERROR}  # 0: it came to its end before
    if code not in allowed:
        raise Violation(f"the run exits {code}")
    before = len(site.lines())
    ended = call(lambda: site.finish(sites.expected))
    if ended != 0:
        raise Violation(f"the run exits {code}, and when it is resumed, {ended}")
    if code == 0 and len(site.lines()) != before:
        raise Violation("the run said that it had completed, and went on when it was resumed")


def _with(fault: Fault, site: Site) -> int:
    with Faults(fault).installed():
        return site.start()


PROOF = Proof(
    "N-th operation", "faults", check, tiny=24, short=300,
    mutations=(mutations.body_before_commit, mutations.store_error_ignored),
)  # fmt: skip
