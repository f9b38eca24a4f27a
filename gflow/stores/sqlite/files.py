"""The files of a store's folder: made for this user alone, and on the disk before anything speaks of them."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
import string
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from gflow.errors import StoreError
from gflow.stores import Blob

_ROOM: Final = "make room on the disk, then resume the run"
_FOLDER: Final = "give a folder on a local disk that can be written: --store, or GFLOW_STORE"
_REMEDIES: Final = {
    "SQLITE_BUSY": "another process keeps the database locked: end it, then resume the run",
    "SQLITE_CORRUPT": "move the damaged database away, or give another folder: --store, or GFLOW_STORE",
    "SQLITE_NOTADB": "move it away, or give another folder: --store, or GFLOW_STORE",
    "SQLITE_FULL": _ROOM, "ENOSPC": _ROOM, "EDQUOT": _ROOM,
    "SQLITE_CANTOPEN": _FOLDER, "SQLITE_READONLY": _FOLDER,
    "EACCES": _FOLDER, "EPERM": _FOLDER, "EROFS": _FOLDER, "ENOTDIR": _FOLDER, "EEXIST": _FOLDER,
}  # fmt: skip


@contextmanager
def reported(path: Path) -> Generator[None]:
    """Turn what SQLite and the system raise into a StoreError that names the path and the remedy."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise as_store_error(path, error) from error


def as_store_error(path: Path, error: Exception) -> StoreError:
    """Return the error that says what went wrong with `path`, and what to do."""
    code: str = getattr(error, "sqlite_errorname", "")
    reason = str(error)
    if isinstance(error, OSError):
        code, reason = errno.errorcode.get(error.errno or 0, ""), error.strerror or reason
    family = "_".join(code.split("_")[:2])  # SQLITE_IOERR_FSYNC is a SQLITE_IOERR
    return StoreError(f"{path}: {reason}{f' ({code})' if code else ''}", _REMEDIES.get(family, ""))


@contextmanager
def sole_opener(folder: Path, *, synced: bool) -> Generator[None]:
    """Make the folder and an empty database if they are missing; one process at a time.

    Two processes that turn one new database into WAL mode would lock each other out.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()] or [folder]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        _make_file(folder / ".gitignore", b"*\n")
        _make_file(folder / "state.db", b"")
        if synced:  # also what was there: whoever made it may have died before this line
            _sync(fd)
            for each in missing:
                _sync_folder(each.parent)
        yield
    finally:
        os.close(fd)


def _make_file(path: Path, content: bytes) -> None:
    with suppress(FileExistsError), _new_file(path) as file:
        file.write(content)


def _new_file(path: Path) -> IO[bytes]:
    """Open a file that is not there yet, and is for this user alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


# ---------------------------------------------------------------- large values


class Blobs:
    """Large values as files: each is complete and on the disk before its name is known to anybody."""

    def __init__(self, folder: Path, *, synced: bool) -> None:
        self._folder = folder
        self._synced = synced
        self._ready: set[Path] = set()  # folders that are there, and will be after a power loss

    def put(self, payload: bytes) -> str:
        """Write a value: the bytes, their sync, the name, its sync. Return the name."""
        name = os.urandom(16).hex()
        shard = self._folder / name[:2]
        temp = shard / f"{name}.tmp"
        with reported(shard / name):
            self._prepare(shard)
            try:
                self._write(temp, payload)
                temp.rename(shard / name)
            except BaseException:
                temp.unlink(missing_ok=True)
                raise
            if self._synced:
                _sync_folder(shard)
        return name

    def get(self, name: str) -> bytes:
        """Read a value; what is no plain file is refused, not waited for."""
        if len(name) != 32 or not set(name) <= set(string.hexdigits):
            raise StoreError(f"{name!r} is not the name of a blob")
        path = self._folder / name[:2] / name
        with reported(path):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise StoreError(f"{path} is not a file")
                return file.read()

    def all(self) -> list[Blob]:
        """Return all that lies here, in no order; also what a crash has left half written."""
        found: list[Blob] = []
        with reported(self._folder):
            for path in self._folder.glob("??/*"):
                facts = path.lstat()
                found.append(Blob(path.name, facts.st_size, facts.st_mtime))
        return found

    def drop(self, name: str) -> None:
        """Remove what `all` has named."""
        path = self._folder / name[:2] / name
        with reported(path):
            path.unlink(missing_ok=True)

    def _prepare(self, shard: Path) -> None:
        """Make the folders. Who did not make one syncs its name too: its maker may not have come to that."""
        for folder in (self._folder, shard):
            if folder in self._ready:
                continue
            folder.mkdir(mode=0o700, exist_ok=True)
            if self._synced:
                _sync_folder(folder.parent)
            self._ready.add(folder)

    def _write(self, path: Path, payload: bytes) -> None:
        with _new_file(path) as file:
            file.write(payload)
            file.flush()
            if self._synced:
                _sync(file.fileno())


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _sync(fd)
    finally:
        os.close(fd)


def _sync(fd: int) -> None:
    """Bring a file to the disk; on macOS fsync alone leaves it in the drive's cache (fsync(2))."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)
