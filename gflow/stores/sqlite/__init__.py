"""The default store: one SQLite database in WAL mode, and a file for each large value.

    .gflow/state.db        round: the journal, one row for each commit; run: the list of runs
    .gflow/blobs/ab/abcd…  values that are too large for a row

It works with SQLite 3.40. Every commit is one statement where it can be: the interpreter lock is given
up and won back once. Of SQLite's ways to empty the write-ahead log only TRUNCATE is used, which holds
the write lock and so cannot meet the WAL-reset bug (https://sqlite.org/wal.html#walresetbug).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from gflow.errors import CheckpointTampered, StoreError
from gflow.model import Durability
from gflow.stores import Blob, Message, Round, RunRow, moved
from gflow.stores.sqlite.files import Blobs, as_store_error, reported, sole_opener

APPLICATION_ID: Final = 0x67666C77  # "gflw"
SCHEMA: Final = 1
BUSY_SECONDS: Final = 30
IDLE_WAL: Final = 4 << 20
LARGEST_WAL: Final = 64 << 20
LEAST_FREE: Final = 16 << 20
"""Bytes: less is not worth the copying; later runs will use it."""
UNKNOWN: Final = "?"
YEAR_9999: Final = 253_370_764_800
"""Its first second, in Unix seconds: later times are no dates to Python."""

# `vals` comes last: a fold of the records never reads the overflow pages on which large values lie.
# `seq` is the order in which runs were created, which no clock can change.
_TABLES: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE round(
    run TEXT NOT NULL, n INTEGER NOT NULL, at REAL NOT NULL, records BLOB NOT NULL, mac BLOB NOT NULL,
    vals BLOB NOT NULL, PRIMARY KEY(run, n)
) STRICT;
CREATE TABLE run(
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL, module TEXT NOT NULL,
    status TEXT NOT NULL, created REAL NOT NULL, ended REAL, summary TEXT NOT NULL
) STRICT;
CREATE TABLE inbox(
    id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA};
COMMIT;
"""
_ADD_ROUND: Final = "INSERT INTO round(run, n, at, records, mac, vals) VALUES (?, ?, ?, ?, ?, ?)"
_PUT_ROW: Final = """
INSERT INTO run(id, workflow, module, status, created, ended, summary) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT(id) DO UPDATE SET workflow = excluded.workflow, module = excluded.module,
    status = excluded.status, created = excluded.created, ended = excluded.ended, summary = excluded.summary
"""
_ROW: Final = "SELECT id, workflow, module, status, created, ended, summary FROM run"


class SqliteStore:
    """Keeps runs in a folder.

    `durability` is "full", which survives power loss, or "process", which survives the death of the
    process but not of the machine. Raises StoreError if the folder cannot be used, holds the database
    of another program, or one of a newer gflow.
    """

    def __init__(self, folder: Path, durability: Durability = "full", *, read_only: bool = False) -> None:
        self._path = folder / "state.db"
        self._blobs = Blobs(folder / "blobs", synced=durability == "full")
        self._fault = ""
        self._wal_size = 0  # about: it decides when the log is emptied
        self._lock = threading.Lock()  # guards the reader
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        if not read_only:
            self._writer = self._open(folder, durability)

    @classmethod
    def existing(cls, folder: Path, durability: Durability | None = None) -> SqliteStore | None:
        """Return the store of a folder, or None, and nothing is made, if there is none.

        It is for reading only, unless a durability is given.
        """
        path = folder / "state.db"
        if not path.is_file() or not _is_store(path):
            return None
        return cls(folder, durability) if durability else cls(folder, read_only=True)

    # ------------------------------------------------------------ writing

    def append(self, run: str, added: Round, values: bytes, row: RunRow | None = None) -> None:
        if self._fault or self._writer is None:
            raise self._refusal()
        n, at, records, mac = added
        try:
            if row is None:
                self._writer.execute(_ADD_ROUND, (run, n, at, records, mac, values))
            else:
                self._append_with(self._writer, (run, n, at, records, mac, values), row)
        except BaseException as error:
            if _is_duplicate(error):
                raise moved(run, n) from error
            raise self._poison(error) from error
        self._wal_size += len(records) + len(values) + 12_000  # a small round changes about three pages

    def tidy(self, *, idle: bool) -> None:
        if self._fault or self._writer is None:
            raise self._refusal()
        if self._wal_size < (IDLE_WAL if idle else LARGEST_WAL):
            return
        self._wal_size = 0  # also if a reader is in the way: then it is tried again after as much more
        try:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except BaseException as error:
            raise self._poison(error) from error

    def check(self) -> str:
        """Return what SQLite finds wrong with the database, "" if nothing: for `gflow doctor`."""
        try:
            found = [str(line) for (line,) in self._query("PRAGMA integrity_check(10)")]
        except StoreError as error:
            return error.message
        return "" if found == ["ok"] else "; ".join(found)

    def close(self) -> None:
        """Let go of the database; SQLite empties and deletes its log if nobody else uses it."""
        self._fault = self._fault or f"{self._path} is closed"
        with self._lock, suppress(sqlite3.Error):
            if self._reader is not None:
                self._reader.close()
            if self._writer is not None:
                self._writer.close()

    @staticmethod
    def _append_with(writer: sqlite3.Connection, values: tuple[Any, ...], row: RunRow) -> None:
        with _transaction(writer):
            writer.execute(_ADD_ROUND, values)
            writer.execute(
                _PUT_ROW,
                (row.id, row.workflow, row.module, row.status, row.created, row.ended, row.summary),
            )

    # ------------------------------------------------------------ forgetting

    def weight(self, run: str) -> int:
        sql = "SELECT coalesce(sum(length(records) + length(vals)), 0) FROM round WHERE run = ?"
        size: int = self._query(sql, run)[0][0]
        return size

    def forget(self, run: str) -> None:
        if self._fault or self._writer is None:
            raise self._refusal()
        self._wal_size += self.weight(run)  # SQLite may overwrite what it gives up
        with reported(self._path), _transaction(self._writer):
            self._writer.execute("DELETE FROM round WHERE run = ?", (run,))
            self._writer.execute("DELETE FROM inbox WHERE run = ?", (run,))
            self._writer.execute("DELETE FROM run WHERE id = ?", (run,))
        self.tidy(idle=False)

    def compact(self) -> None:
        if self._fault or self._writer is None:
            raise self._refusal()
        free, pages, size = (
            self._query(f"PRAGMA {name}")[0][0] for name in ("freelist_count", "page_count", "page_size")
        )
        if free * size < LEAST_FREE or 2 * free < pages:
            return
        with reported(self._path):
            self._writer.execute("VACUUM")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # ------------------------------------------------------------ reading

    def rounds(self, run: str, after: int = 0) -> list[Round]:
        sql = "SELECT n, at, records, mac FROM round WHERE run = ? AND n > ? ORDER BY n"
        return [_checked(run, Round(*found)) for found in self._query(sql, run, after)]

    def value(self, run: str, n: int, offset: int, length: int) -> bytes:
        sql = "SELECT substr(vals, ?, ?) FROM round WHERE run = ? AND n = ?"
        found = self._query(sql, offset + 1, length, run, n)
        if not found:
            raise StoreError(f"{self._path}: run {run} has no round {n}")
        value = found[0][0]
        if not isinstance(value, bytes):
            raise CheckpointTampered(f"{self._path}: the values of round {n} of run {run} are no bytes")
        return value

    def runs(self, limit: int | None = None) -> list[RunRow]:
        found = self._query(f"{_ROW} ORDER BY seq DESC LIMIT ?", -1 if limit is None else limit)
        return [_listed(*row) for row in found]

    def find(self, prefix: str) -> list[RunRow]:
        found = self._query(f"{_ROW} WHERE substr(id, 1, ?) = ? ORDER BY seq DESC", len(prefix), prefix)
        return [_listed(*row) for row in found]

    def durations(self, workflow: str, last: int = 20) -> list[str]:
        sql = "SELECT summary FROM run WHERE workflow = ? AND status = 'completed' ORDER BY seq DESC LIMIT ?"
        return [_text(summary) for (summary,) in self._query(sql, workflow, last)]

    def _query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Answer a question from a connection of its own: it never waits for a commit, nor delays one."""
        with self._lock, reported(self._path):
            if self._fault:
                raise self._refusal()
            return self._connection().execute(sql, values).fetchall()

    def _connection(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = _connect(_for_reading(self._path))
        return self._reader

    # ------------------------------------------------------------ what other processes say

    def post(self, run: str, kind: str, payload: bytes, mac: bytes) -> None:
        if self._fault or self._writer is None:
            raise self._refusal()
        sql = "INSERT INTO inbox(run, kind, payload, mac) VALUES (?, ?, ?, ?)"
        with reported(self._path):
            self._writer.execute(sql, (run, kind, payload, mac))

    def inbox(self, run: str, after: int = 0) -> list[Message]:
        sql = "SELECT id, run, kind, payload, mac FROM inbox WHERE run = ? AND id > ? ORDER BY id"
        return [Message(*found) for found in self._query(sql, run, after)]

    def news(self) -> int:
        number: int = self._query("PRAGMA data_version")[0][0]
        return number

    # ------------------------------------------------------------ large values

    def put_blob(self, payload: bytes) -> str:
        if self._fault or self._writer is None:
            raise self._refusal()
        return self._blobs.put(payload)

    def blob(self, name: str) -> bytes:
        if self._fault:
            raise self._refusal()
        return self._blobs.get(name)

    def blobs(self) -> list[Blob]:
        if self._fault:
            raise self._refusal()
        return self._blobs.all()

    def drop_blobs(self, names: Iterable[str]) -> None:
        if self._fault or self._writer is None:
            raise self._refusal()
        for name in names:
            self._blobs.drop(name)

    # ------------------------------------------------------------ opening and failing

    def _open(self, folder: Path, durability: Durability) -> sqlite3.Connection:
        with reported(self._path), sole_opener(folder, synced=durability == "full"):
            log = self._path.with_name("state.db-wal")
            self._wal_size = log.stat().st_size if log.exists() else 0
            writer = _connect(self._path.absolute().as_uri())
            try:
                _prepare(writer, self._path, durability)
            except BaseException:
                writer.close()
                raise
            return writer

    def _refusal(self) -> StoreError:
        return StoreError(self._fault or f"{self._path} was opened for reading only")

    def _poison(self, error: BaseException) -> BaseException:
        """Refuse everything from now on; return what to raise for `error`."""
        self._fault = f"{self._path} failed before and is not used any more: {error}"
        return as_store_error(self._path, error) if isinstance(error, Exception) else error


# ---------------------------------------------------------------- the database


@contextmanager
def _transaction(writer: sqlite3.Connection) -> Generator[None]:
    writer.execute("BEGIN IMMEDIATE")
    try:
        yield
        writer.execute("COMMIT")
    except BaseException:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        raise


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )
    for pragma in ("trusted_schema = OFF", "mmap_size = 0", "wal_autocheckpoint = 0", "fullfsync = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _is_store(path: Path) -> bool:
    # A rollback journal is there if gflow died while it made the database: whoever may write rolls back.
    died_young = path.with_name("state.db-journal").exists()
    with reported(path):
        connection = _connect(path.absolute().as_uri() if died_young else _for_reading(path))
        try:
            return _identify(connection, path)
        finally:
            connection.close()


def _for_reading(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def _prepare(connection: sqlite3.Connection, path: Path, durability: Durability) -> None:
    if not _identify(connection, path):
        _set_wal(connection, path)
        connection.executescript(_TABLES)
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")


def _set_wal(connection: sqlite3.Connection, path: Path) -> None:
    mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"{path}: SQLite cannot keep a write-ahead log here (on a network file system?)",
            "give a folder on a local disk: --store, or GFLOW_STORE",
        )


def _identify(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell whether the tables are there; refuse what another program or a newer gflow wrote."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if (application, version, tables) == (0, 0, 0):
        return False
    if application != APPLICATION_ID:
        raise StoreError(f"{path} belongs to another program", "give another folder: --store, or GFLOW_STORE")
    if version > SCHEMA:
        raise StoreError(
            f"{path} was written by a newer gflow (schema {version}; this one knows {SCHEMA})",
            "upgrade gflow, or give another folder: --store, or GFLOW_STORE",
        )
    return True


def _checked(run: str, found: Round) -> Round:
    """Refuse a row of other types than were written: who changed the file may have changed those too."""
    if tuple(map(type, found)) != (int, float, bytes, bytes):
        raise CheckpointTampered(f"run {run}: a round of the journal holds what gflow does not write")
    return found


def _listed(*cells: object) -> RunRow:
    """Return a row of the list; it is not signed, so what gflow does not write stands there as unknown."""
    run, workflow, module, status, created, ended, summary = cells
    texts = _text(run), _text(workflow), _text(module), _text(status)
    return RunRow(*texts, _time(created) or 0.0, _time(ended), _text(summary))


def _text(cell: object) -> str:
    return cell if isinstance(cell, str) else UNKNOWN


def _time(cell: object) -> float | None:
    return float(cell) if isinstance(cell, int | float) and 0 <= cell < YEAR_9999 else None


def _is_duplicate(error: BaseException) -> bool:
    return (
        isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"
    )
