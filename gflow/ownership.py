"""Who advances a run: a kernel lock on a file of its own, which ends with the process that holds it.

Whether the owner lives is asked of the lock, never of what somebody once wrote down. `flock`, not
`lockf`: that one is lost as soon as any descriptor of the file is closed (fcntl(2), "Advisory record
locking").
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gflow.errors import RunOwned, StoreError
from gflow.processes import boot_id

_PAUSES: Final = (0.002, 0.01, 0.05)
"""Who only asks holds the lock for some microseconds: a claim that meets it tries again, in seconds."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that claimed a run last; `alive` tells whether it still holds it.

    `boot` names the start of the machine: a process id means nothing after the next one. `at` are Unix
    seconds.
    """

    host: str
    pid: int
    boot: str
    at: float
    alive: bool


class Claim:
    """The right to advance a run, until it is released or the process ends."""

    def __init__(self, run: str, fd: int) -> None:
        self.run = run
        self._fd: int | None = fd
        _held.add(self)

    def release(self) -> None:
        """Give the run up; a second call does nothing."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        _held.discard(self)
        fcntl.flock(fd, fcntl.LOCK_UN)  # close() alone would leave it to a child that inherited it
        os.close(fd)

    def abandon(self) -> None:
        """Forget the claim without giving it up: what a forked child does with its parent's."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


_held: set[Claim] = set()


def _abandon_all() -> None:
    for claim in _held:
        claim.abandon()
    _held.clear()


# A child that lives on must not look like its dead parent, whose lock it has inherited.
os.register_at_fork(after_in_child=_abandon_all)


def claim(folder: Path, run: str) -> Claim:
    """Claim a run of the store in `folder` for this process.

    Raises RunOwned if a live process holds it, StoreError if the lock file cannot be used.
    """
    path = lock_file(folder, run)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = locked(path)
        if fd is None:
            raise _owned(run, owner(folder, run))
        _sign_in(fd)
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror}", "give a folder on a local disk that can be written: --store"
        ) from error
    return Claim(run, fd)


def owner(folder: Path, run: str) -> Owner | None:
    """Return who holds a run, or held it last; None if nobody ever claimed it."""
    try:
        fd = os.open(lock_file(folder, run), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        alive = not try_lock(fd, fcntl.LOCK_SH)
        return _read_owner(os.pread(fd, 4096, 0), alive=alive)
    finally:
        os.close(fd)


def lock_file(folder: Path, run: str) -> Path:
    """Return the lock file of a run. Raises StoreError for what is not the id of one."""
    if not re.fullmatch(r"[\w-]+", run):  # a run's row is not signed: its id may be anything
        raise StoreError(f"{run!r} is not the id of a run")
    return folder / "locks" / f"{run}.lock"


def locked(path: Path) -> int | None:
    """Make the file if need be; return a descriptor that holds its lock, None if somebody else does."""
    for pause in (*_PAUSES, None):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if try_lock(fd, fcntl.LOCK_EX) and _is_current(fd, path):
            return fd
        os.close(fd)
        if pause is not None:
            time.sleep(pause)
    return None


def try_lock(fd: int, kind: int) -> bool:
    """Lock an open file, `fcntl.LOCK_EX` or `LOCK_SH`, without waiting; return whether that worked."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(fd: int, path: Path) -> bool:
    """Tell whether the file still has its name: one that was deleted meanwhile protects nothing."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _sign_in(fd: int) -> None:
    facts = {"host": socket.gethostname(), "pid": os.getpid(), "boot": boot_id(), "at": time.time()}
    os.ftruncate(fd, 0)
    os.pwrite(fd, json.dumps(facts).encode(), 0)


def _read_owner(text: bytes, *, alive: bool) -> Owner:
    try:
        facts: dict[str, Any] = json.loads(text)
        return Owner(str(facts["host"]), int(facts["pid"]), str(facts["boot"]), float(facts["at"]), alive)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return Owner("", 0, "", 0.0, alive)  # its process had no time to sign in


def _owned(run: str, who: Owner | None) -> RunOwned:
    name = f"process {who.pid} on {who.host}" if who and who.pid else "another process"
    return RunOwned(f"run {run} is being run by {name}", "wait until it ends, or end that process first")
