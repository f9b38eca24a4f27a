"""The SQLite store: what it writes, what it refuses, and what it does when the disk fails.

What it shares with other stores is in tests/contracts/test_store.py.
"""

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gflow import model
from gflow.errors import CheckpointTampered, JournalMoved, StoreError
from gflow.stores import Round, RunRow
from gflow.stores import sqlite as module
from gflow.stores.sqlite import APPLICATION_ID, SqliteStore, files

ROW = RunRow("k3f9", "release", "recipes.release", "running", 1.5)


def numbered(n: int) -> Round:
    """Return a round."""
    return Round(n, float(n), b"records%d" % n, b"mac")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where a store is to be made."""
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> Iterator[SqliteStore]:
    """Yield a new store."""
    made = SqliteStore(folder)
    yield made
    made.close()


def writer_of(store: SqliteStore) -> sqlite3.Connection:
    """Return the connection that writes."""
    assert store._writer is not None
    return store._writer


def change(folder: Path, *statements: str) -> None:
    """Change a database behind gflow's back."""
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def permissions(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


# ---------------------------------------------------------------- what is made


def test_folder(store: SqliteStore, folder: Path) -> None:
    """Folder and files belong to this user alone, and git ignores them."""
    store.append("k3f9", numbered(1), b"")
    name = store.put_blob(b"x")
    folders = [folder, folder / "blobs", folder / "blobs" / name[:2]]
    assert [permissions(each) for each in folders] == [0o700] * 3
    assert {permissions(each) for each in folder.rglob("*") if each.is_file()} == {0o600}
    assert (folder / ".gitignore").read_text() == "*\n"
    assert {each.name for each in folder.iterdir()} >= {".gitignore", "state.db", "blobs"}


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("process", 1)])
def test_pragmas(durability: model.Durability, synchronous: int, folder: Path) -> None:
    """The database is in WAL mode, empties its log only when told, and syncs as its durability demands."""
    wanted = {
        "journal_mode": "wal",
        "synchronous": synchronous,
        "wal_autocheckpoint": 0,
        "busy_timeout": 30_000,
        "trusted_schema": 0,
        "mmap_size": 0,
        "application_id": APPLICATION_ID,
        "user_version": 1,
    }
    with closing(SqliteStore(folder, durability)) as store:
        found = {name: writer_of(store).execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}
        assert found == wanted


def test_values_come_last(store: SqliteStore) -> None:
    """The values are the last column, so that a fold of the records does not read through them."""
    columns = writer_of(store).execute("PRAGMA table_info(round)").fetchall()
    assert columns[-1][1] == "vals"


def test_one_statement(store: SqliteStore) -> None:
    """A round is one statement that commits by itself; with a row it is one transaction."""
    told: list[str] = []
    writer_of(store).set_trace_callback(told.append)
    store.append("k3f9", numbered(1), b"")
    assert [line.split("(")[0] for line in told] == ["INSERT INTO round"]
    told.clear()
    store.append("k3f9", numbered(2), b"", ROW)
    words = [line.split("(")[0].strip() for line in told]
    assert words == ["BEGIN IMMEDIATE", "INSERT INTO round", "INSERT INTO run", "COMMIT"]


def test_opened_again(folder: Path) -> None:
    """Everything is there when the store is opened again, and what was opened again goes on."""
    with closing(SqliteStore(folder)) as store:
        store.append("k3f9", numbered(1), b"value", ROW)
        name = store.put_blob(b"blob")
    with closing(SqliteStore(folder)) as store:
        store.append("k3f9", numbered(2), b"")
        assert store.rounds("k3f9") == [numbered(1), numbered(2)]
        assert (store.value("k3f9", 1, 0, 5), store.blob(name), store.runs()) == (b"value", b"blob", [ROW])


def test_opened_by_many_at_once(folder: Path) -> None:
    """Many may open a new folder at the same moment, and use it together."""

    def use(number: int) -> None:
        with closing(SqliteStore(folder, "process")) as store:
            store.append(f"r{number}", numbered(1), b"", ROW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(16)))
    with closing(SqliteStore(folder)) as store:
        assert all(store.rounds(f"r{number}") for number in range(16))


def test_fence_between_two(store: SqliteStore, folder: Path) -> None:
    """Who missed a round that another one wrote cannot write it again."""
    with closing(SqliteStore(folder)) as other:
        store.append("k3f9", numbered(1), b"")
        other.append("k3f9", numbered(2), b"")
        with pytest.raises(JournalMoved):
            store.append("k3f9", numbered(2), b"")
        assert other.rounds("k3f9") == store.rounds("k3f9") == [numbered(1), numbered(2)]


# ---------------------------------------------------------------- opening for reading only


@pytest.mark.parametrize("content", [None, b""], ids=["no file", "an empty file"])
def test_nothing_to_read(content: bytes | None, folder: Path) -> None:
    """Where there is no store, opening for reading finds none and makes nothing."""
    assert SqliteStore.existing(folder) is None
    assert not folder.exists()
    folder.mkdir()
    if content is not None:
        (folder / "state.db").write_bytes(content)
    before = sorted(folder.iterdir())
    assert SqliteStore.existing(folder) is None
    assert SqliteStore.existing(folder, "full") is None
    assert sorted(folder.iterdir()) == before


def test_reading_only(folder: Path) -> None:
    """A store that was opened for reading shows everything, and changes nothing."""
    with closing(SqliteStore(folder)) as store:
        store.append("k3f9", numbered(1), b"value", ROW)
    before = (folder / "state.db").read_bytes()
    reading = SqliteStore.existing(folder)
    assert reading is not None
    with closing(reading):
        assert (reading.rounds("k3f9"), reading.find("k"), reading.value("k3f9", 1, 0, 5)) == (
            [numbered(1)],
            [ROW],
            b"value",
        )
        calls: list[Callable[[], object]] = [
            lambda: reading.append("k3f9", numbered(2), b""),
            lambda: reading.put_blob(b""),
            lambda: reading.tidy(idle=True),
        ]
        for call in calls:
            with pytest.raises(StoreError, match="was opened for reading only"):
                call()
    assert (folder / "state.db").read_bytes() == before


def test_existing_for_writing(store: SqliteStore, folder: Path) -> None:
    """A store that exists is opened for writing if a durability is given."""
    existing = SqliteStore.existing(folder, "process")
    assert existing is not None
    with closing(existing):
        existing.append("k3f9", numbered(1), b"")
    assert store.rounds("k3f9") == [numbered(1)]


def test_reading_what_a_killed_process_left(store: SqliteStore, folder: Path, tmp_path: Path) -> None:
    """What is only in the log, because its writer died, is read."""
    store.append("k3f9", numbered(1), b"")
    left = tmp_path / "left"
    left.mkdir()
    for name in ("state.db", "state.db-wal"):
        shutil.copy(folder / name, left / name)
    reading = SqliteStore.existing(left)
    assert reading is not None
    with closing(reading):
        assert reading.rounds("k3f9") == [numbered(1)]
    with closing(SqliteStore(left)) as again:
        assert again.rounds("k3f9") == [numbered(1)]


def die_young(folder: Path) -> None:
    """Leave what SQLite leaves if the process dies while it makes a database: half of it, and a journal."""
    folder.mkdir()
    made = folder / "made.db"
    with closing(sqlite3.connect(made, isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN")
        database.execute("CREATE TABLE round(vals BLOB)")
        database.execute("INSERT INTO round VALUES (zeroblob(100000))")
        for end in ("", "-journal"):
            shutil.copy(f"{made}{end}", folder / f"state.db{end}")
    made.unlink()


@pytest.mark.parametrize("durability", [None, "full"])
def test_maker_died_young(durability: model.Durability | None, folder: Path) -> None:
    """Where gflow died while it made the database, there is no store yet, and one can be made."""
    die_young(folder)
    assert (folder / "state.db").stat().st_size > 0
    assert SqliteStore.existing(folder, durability) is None
    assert not (folder / "state.db-journal").exists()
    with closing(SqliteStore(folder)) as made:
        made.append("k3f9", numbered(1), b"")
        assert made.rounds("k3f9") == [numbered(1)]


def test_made_where_another_died_young(folder: Path) -> None:
    """What a process left that died while it made the database is no obstacle to the next one."""
    die_young(folder)
    with closing(SqliteStore(folder)) as made:
        made.append("k3f9", numbered(1), b"", ROW)
        assert made.runs() == [ROW]


# ---------------------------------------------------------------- what is refused

REFUSED = {
    "a newer schema": (("PRAGMA user_version = 2",), "written by a newer gflow .schema 2; this one knows 1"),
    "another program": (("PRAGMA application_id = 7",), "belongs to another program"),
    "an unnamed program": (
        ("PRAGMA application_id = 0", "PRAGMA user_version = 0"),
        "belongs to another program",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_databases(name: str, folder: Path) -> None:
    """A database of another program or of a newer gflow is refused, and stays as it is."""
    SqliteStore(folder).close()
    statements, message = REFUSED[name]
    change(folder, *statements)
    before = (folder / "state.db").read_bytes()
    for opening in (SqliteStore, SqliteStore.existing):
        with pytest.raises(StoreError, match=message) as caught:
            opening(folder)
        assert "--store" in caught.value.remedy
    assert (folder / "state.db").read_bytes() == before


def test_not_a_database(folder: Path) -> None:
    """A file that is no database is refused."""
    folder.mkdir()
    (folder / "state.db").write_bytes(b"something else" * 100)
    for opening in (SqliteStore, SqliteStore.existing):
        with pytest.raises(StoreError, match=r"state\.db: file is not a database .SQLITE_NOTADB") as caught:
            opening(folder)
        assert "move it away" in caught.value.remedy


def test_folder_cannot_be_made(tmp_path: Path) -> None:
    """Where the folder cannot be made, the error names the path and how to choose another."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(StoreError, match=f"{folder}/state.db: ") as caught:
            SqliteStore(folder)
        assert "GFLOW_STORE" in caught.value.remedy
        assert SqliteStore.existing(folder) is None


def test_no_write_ahead_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system on which SQLite cannot keep its log is refused."""
    connect = module._connect
    # A database in memory has no log, as one on some network file systems.
    monkeypatch.setattr(module, "_connect", lambda uri: connect("file::memory:"))
    with pytest.raises(StoreError, match="cannot keep a write-ahead log here"):
        SqliteStore(folder)


FORGED_COLUMNS = {
    "number": "UPDATE round SET n = 'one'",
    "time": "UPDATE round SET at = 'now'",
    "records": "UPDATE round SET records = 'text'",
    "signature": "UPDATE round SET mac = 'text'",
}


def loosen(folder: Path) -> None:
    """Take away what makes SQLite check types, as whoever can write the file can."""
    change(
        folder,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(replace(sql, 'STRICT', ''), ' NOT NULL', '')",
    )


@pytest.mark.parametrize("column", FORGED_COLUMNS)
def test_rows_of_other_types(column: str, store: SqliteStore, folder: Path) -> None:
    """A row that holds other types than gflow writes is called forged."""
    store.append("k3f9", numbered(1), b"value")
    store.close()
    loosen(folder)
    change(folder, FORGED_COLUMNS[column])
    with closing(SqliteStore(folder)) as again, pytest.raises(CheckpointTampered, match="run k3f9"):
        again.rounds("k3f9")


@pytest.mark.parametrize(
    "value", ["NULL", "x'80'", "'text'", "-1.5", "1e300", "9e999", "9223372036854775807"]
)
def test_list_of_other_types(value: str, store: SqliteStore, folder: Path) -> None:
    """What gflow does not write into the list of runs, which is not signed, is read as unknown."""
    store.append("k3f9", numbered(1), b"", ROW)
    store.close()
    loosen(folder)
    text = value if value == "'text'" else None
    columns = ("workflow", "module", "status", "created", "ended", "summary")
    change(folder, *(f"UPDATE run SET {column} = {value}" for column in columns))
    with closing(SqliteStore(folder)) as again:
        (row,) = again.runs()
        assert again.find("k3f9") == [row]
        assert (row.id, row.created, row.ended) == ("k3f9", 0.0, None)
        texts = (row.workflow, row.module, row.status, row.summary)
        assert all(isinstance(cell, str) for cell in texts)
        assert text is None or set(texts) == {"text"}


@pytest.mark.parametrize("value", ["NULL", "'text'"])
def test_values_of_other_types(value: str, store: SqliteStore, folder: Path) -> None:
    """Values that are no bytes are called forged."""
    store.append("k3f9", numbered(1), b"value")
    store.close()
    loosen(folder)
    change(folder, f"UPDATE round SET vals = {value}")
    with (
        closing(SqliteStore(folder)) as again,
        pytest.raises(CheckpointTampered, match="round 1 of run k3f9"),
    ):
        again.value("k3f9", 1, 0, 3)


def test_check(store: SqliteStore, folder: Path) -> None:
    """The check finds nothing in a sound database, and names what does not fit in another."""
    store.append("k3f9", numbered(1), b"")
    assert store.check() == ""
    change(
        folder,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'records BLOB', 'records TEXT')",
    )
    with closing(SqliteStore(folder)) as again:
        assert again.check() == "non-TEXT value in round.records"


def test_check_of_a_damaged_file(folder: Path) -> None:
    """The check also tells of damage that keeps it from looking any further."""
    with closing(SqliteStore(folder)) as store:
        for n in range(1, 200):
            store.append("k3f9", numbered(n), b"")
    content = bytearray((folder / "state.db").read_bytes())
    content[3 * 4096 : 3 * 4096 + 200] = bytes(200)
    (folder / "state.db").write_bytes(content)
    reading = SqliteStore.existing(folder)
    assert reading is not None
    with closing(reading):
        assert "malformed" in reading.check()


# ---------------------------------------------------------------- failures


def test_disk_full(folder: Path) -> None:
    """A full disk is a store error with a remedy; what was written before is whole."""
    store = SqliteStore(folder)
    store.append("k3f9", numbered(1), b"value")
    writer_of(store).execute("PRAGMA max_page_count = 10")
    with pytest.raises(StoreError, match=r"state\.db: database or disk is full .SQLITE_FULL") as caught:
        store.append("k3f9", numbered(2), bytes(100_000), ROW)
    assert caught.value.remedy == "make room on the disk, then resume the run"
    assert caught.value.exit_code == 74
    with pytest.raises(StoreError, match="failed before"):
        store.append("k3f9", numbered(2), b"")
    store.close()
    with closing(SqliteStore(folder)) as again:
        assert again.rounds("k3f9") == [numbered(1)]
        assert again.runs() == []


@pytest.mark.parametrize("row", [None, ROW], ids=["without row", "with row"])
def test_locked_for_too_long(row: RunRow | None, store: SqliteStore, folder: Path) -> None:
    """Another process that keeps the database locked ends in a store error, never in a silent loss."""
    writer_of(store).execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked") as caught:
            store.append("k3f9", numbered(1), b"", row)
    assert "another process" in caught.value.remedy


class Interrupted:
    """A connection during which Ctrl-C is pressed."""

    in_transaction = False

    def execute(self, *_: object) -> None:
        raise KeyboardInterrupt

    def close(self) -> None:
        pass


@pytest.mark.parametrize("row", [None, ROW], ids=["without row", "with row"])
def test_interrupted(row: RunRow | None, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during a commit passes through, and nobody goes on as if the commit had not been."""
    with monkeypatch.context() as patch:
        connection: Any = Interrupted()
        patch.setattr(store, "_writer", connection)
        with pytest.raises(KeyboardInterrupt):
            store.append("k3f9", numbered(1), b"", row)
    with pytest.raises(StoreError, match="failed before"):
        store.append("k3f9", numbered(1), b"")


def test_reading_fails(store: SqliteStore, folder: Path) -> None:
    """A question that cannot be answered is a store error, and poisons nothing."""
    change(folder, "DROP TABLE run")
    with pytest.raises(StoreError, match="no such table"):
        store.runs()
    store.append("k3f9", numbered(1), b"")
    assert store.rounds("k3f9") == [numbered(1)]


# ---------------------------------------------------------------- the write-ahead log


def log_size(folder: Path) -> int:
    """Return the size of the log, 0 if there is none."""
    log = folder / "state.db-wal"
    return log.stat().st_size if log.exists() else 0


def test_log_grows_until_told(store: SqliteStore, folder: Path) -> None:
    """Nothing empties the log by itself, however long it is."""
    for n in range(1, 4):
        store.append("k3f9", numbered(n), bytes(5_000_000))
    assert log_size(folder) > 15_000_000


@pytest.mark.parametrize(
    ("size", "idle", "emptied"), [(1, True, False), (5, True, True), (5, False, False), (9, False, True)]
)
def test_tidy(
    size: int, idle: bool, emptied: bool, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is emptied when it has 64 MiB (here 8), or 4 MiB and nobody waits."""
    assert module.LARGEST_WAL == 64 << 20
    monkeypatch.setattr(module, "LARGEST_WAL", 8 << 20)
    store.append("k3f9", numbered(1), bytes(size << 20))
    store.tidy(idle=idle)
    assert (log_size(store._path.parent) == 0) == emptied
    assert store.rounds("k3f9") == [numbered(1)]


def test_tidy_what_another_left(store: SqliteStore, folder: Path) -> None:
    """A log that another process let grow is emptied too."""
    store.append("k3f9", numbered(1), bytes(5 << 20))
    with closing(SqliteStore(folder)) as other:
        other.tidy(idle=True)
        assert log_size(folder) == 0


def test_tidy_beside_a_reader(store: SqliteStore, folder: Path) -> None:
    """A reader that is in the way is left in peace, and not asked again at once."""
    writer_of(store).execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as reader:
        store.append("k3f9", numbered(1), bytes(5 << 20))
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM run").fetchall()
        store.append("k3f9", numbered(2), b"")
        store.tidy(idle=True)
        assert log_size(folder) > 0
        told: list[str] = []
        writer_of(store).set_trace_callback(told.append)
        store.tidy(idle=True)
        assert told == []
    store.append("k3f9", numbered(3), bytes(5 << 20))
    store.tidy(idle=True)
    assert log_size(folder) == 0


def test_close_empties_the_log(folder: Path) -> None:
    """Who closes a store last leaves no log."""
    store = SqliteStore(folder)
    store.append("k3f9", numbered(1), b"")
    assert store.rounds("k3f9")
    store.close()
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "state.db"]


# ---------------------------------------------------------------- blobs


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of what is synced and renamed, in order."""
    events: list[str] = []
    sync, rename = files._sync, Path.rename

    def synced(fd: int) -> None:
        events.append("sync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync file")
        sync(fd)

    def renamed(path: Path, target: Path) -> Path:
        events.append("rename")
        return rename(path, target)

    monkeypatch.setattr(files, "_sync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    return events


def test_order_of_syncs(folder: Path, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob is synced before it has its name, and its name before anybody knows it."""
    monkeypatch.setattr(os, "urandom", lambda size: bytes(size - 1) + bytes([len(told)]))
    with closing(SqliteStore(folder)) as store:
        assert told == ["sync folder", "sync folder"]  # state.db in its folder, the folder in its own
        told.clear()
        store.put_blob(b"x")
        assert told == ["sync folder", "sync folder", "sync file", "rename", "sync folder"]
        told.clear()
        store.put_blob(b"x")
        assert told == ["sync file", "rename", "sync folder"]


def test_folder_that_another_made_is_synced(
    folder: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is there already may not be on the disk yet: each process syncs it once."""
    monkeypatch.setattr(os, "urandom", lambda size: bytes(size - 1) + bytes([len(told)]))
    with closing(SqliteStore(folder)) as one, closing(SqliteStore(folder)) as other:
        one.put_blob(b"x")
        told.clear()
        other.put_blob(b"y")
        assert told == ["sync folder", "sync folder", "sync file", "rename", "sync folder"]


def test_no_syncs(folder: Path, told: list[str]) -> None:
    """With durability "process" nothing is synced."""
    with closing(SqliteStore(folder, "process")) as store:
        store.put_blob(b"x")
    assert told == ["rename"]


def test_new_folders_are_synced(tmp_path: Path, told: list[str]) -> None:
    """Every folder that is made on the way to the store is synced into the one that holds it."""
    SqliteStore(tmp_path / "a" / "b" / "state").close()
    assert told == ["sync folder"] * 4


def test_blob_cannot_be_written(store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob that cannot be written leaves nothing behind, names the remedy, and poisons nothing."""

    def full(fd: int) -> None:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")

    store.put_blob(b"x")
    before = sorted((folder / "blobs").rglob("??????*"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"No space left on device .ENOSPC") as caught:
            store.put_blob(b"y")
    assert caught.value.remedy == "make room on the disk, then resume the run"
    assert sorted((folder / "blobs").rglob("??????*")) == before
    store.append("k3f9", numbered(1), b"")


def test_blob_outside(store: SqliteStore, tmp_path: Path) -> None:
    """The name of a blob leads nowhere else."""
    store.put_blob(b"x")
    (tmp_path / "secret").write_text("secret")
    for name in ("../secret", str(tmp_path / "secret")):
        with pytest.raises(StoreError, match="is not the name of a blob"):
            store.blob(name)


def test_blob_is_another_kind_of_file(store: SqliteStore, folder: Path) -> None:
    """What lies in the place of a blob and is no plain file is neither followed nor waited for."""
    shard = folder / "blobs" / "00"
    shard.mkdir(parents=True)
    link, pipe, inner = "0" * 31 + "1", "0" * 31 + "2", "0" * 31 + "3"
    (shard / link).symlink_to("/etc/hostname")
    os.mkfifo(shard / pipe)
    (shard / inner).mkdir()
    for name in (link, pipe, inner):
        with pytest.raises(StoreError, match=name):
            store.blob(name)


# ---------------------------------------------------------------- forgetting


def test_forget_is_one_transaction(store: SqliteStore, folder: Path) -> None:
    """A run that cannot be forgotten as a whole is not forgotten in part."""
    store.append("k3f9", numbered(1), b"x", ROW)
    store.post("k3f9", "cancel", b"x", b"m")
    change(folder, "CREATE TRIGGER no BEFORE DELETE ON run BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StoreError, match="no"):
        store.forget("k3f9")
    assert store.rounds("k3f9") == [numbered(1)]
    assert len(store.inbox("k3f9")) == 1
    change(folder, "DROP TRIGGER no")
    store.forget("k3f9")
    assert store.rounds("k3f9") == []


@pytest.mark.parametrize(("runs", "kept", "shrinks"), [(40, 2, True), (40, 22, False), (4, 0, False)])
def test_compact(store: SqliteStore, folder: Path, runs: int, kept: int, shrinks: bool) -> None:
    """The file becomes smaller if most of it is free, and that is worth the copying."""
    for number in range(runs):
        store.append(f"r{number}", numbered(1), bytes(1 << 20))
    for number in range(kept, runs):
        store.forget(f"r{number}")
    store.tidy(idle=True)
    before = (folder / "state.db").stat().st_size
    store.compact()
    after = (folder / "state.db").stat().st_size
    assert (after < before) == shrinks


def test_nothing_is_forgotten_by_a_reader(store: SqliteStore, folder: Path) -> None:
    """A store that was opened for reading only removes nothing."""
    name = store.put_blob(b"x")
    reader = SqliteStore.existing(folder)
    assert reader is not None
    calls: list[Callable[[], None]] = [
        lambda: reader.forget("k3f9"), lambda: reader.drop_blobs([name]), reader.compact,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(StoreError, match="opened for reading only"):
            call()
    assert [blob.name for blob in reader.blobs()] == [name]
    reader.close()
