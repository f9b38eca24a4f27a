"""Commands that outlive their gflow: they end before their step is tried again, by themselves or not.

So there are never two live attempts of one step. They are found by a lock that they inherit.

An attempt takes a lock of its own before its first command starts, and every command inherits the open
file. A lock of `flock` belongs to the open file, not to a process (flock(2)): after kill -9 the kernel keeps
it while anything lives that the attempt has started. What an attempt that ended has left in the background
on purpose, a server say, is no orphan: the lock is given up when the attempt ends.

What is written in a lock file is not signed. It can have a process ended only if it names the start of that
process and this life of the machine, and whoever can both read those and write here, in a folder of mode
0700, can end the process without gflow.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import shlex
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import anyio

from gflow import processes, secret
from gflow.errors import OrphanAlive, StoreError
from gflow.model import Orphans
from gflow.ownership import lock_file, locked, try_lock
from gflow.processes import Identity

UNDO: Final = "undo:"
"""What the path of an attempt to undo a step begins with."""
GRACE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL."""
LAST_GRACE: Final = 10.0
"""Seconds that SIGKILL has to show an effect: a process may hang in the kernel, or belong to root."""
TICK: Final = 0.1
"""Seconds between two looks at an orphan."""
NAME_LIMIT: Final = 100
"""Characters of a path that its lock file's name shows."""
SIZE_LIMIT: Final = 1 << 20
"""Bytes that are read of a lock file."""
TEXT_LIMIT: Final = 200
"""Characters of a command that are kept."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that an attempt has started: a command's leads a group that has the same number."""

    process: Identity
    text: str
    leads: bool = True

    def __str__(self) -> str:
        return f"process {self.process.pid} (`{self.text}`)"


@dataclass(frozen=True, slots=True)
class Orphan:
    """An attempt whose gflow is gone, and which goes on; `commands` are those known to have been running."""

    run: str
    path: str
    lock: Path
    commands: tuple[Worker, ...]

    @property
    def step(self) -> str:
        """The step that the attempt is, or undoes."""
        return self.path.removeprefix(UNDO)

    def workers(self) -> list[Worker]:
        """Return the processes that live: those that hold the lock, and commands that gave it away."""
        running = [command for command in self.commands if processes.runs(command.process)]
        known = {command.process.pid for command in running}
        return running + [_holder(pid) for pid in processes.holders(self.lock) if pid not in known]

    def lives(self) -> bool:
        """Tell whether something of the attempt still runs."""
        return _is_held(self.lock) or any(processes.runs(command.process) for command in self.commands)

    def __str__(self) -> str:
        who = " and ".join(map(str, self.workers())) or f"whoever has {self.lock} open"
        what = f"the undo of `{self.step}`" if self.path.startswith(UNDO) else f"`{self.step}`"
        return f"{what} of run {self.run} is still worked on by {who}, which its gflow left behind"


# ---------------------------------------------------------------- the attempt's side


class Hold:
    """The lock of one attempt. It is taken when the descriptor is first asked for; `release` gives it up.

    Any thread may call any of this.
    """

    __slots__ = ("_commands", "_fd", "_folder", "_lock", "_over", "_path", "_run")

    def __init__(self, folder: Path, run: str, path: str) -> None:
        self._folder = folder
        self._run = run
        self._path = path
        self._lock = Lock()
        self._fd: int | None = None
        self._over = False
        self._commands: dict[int, Worker] = {}

    def descriptor(self) -> int | None:
        """Return the open file that a command is to inherit; None after the release.

        Raises OrphanAlive if another attempt holds the lock, StoreError if its file cannot be used.
        """
        with self._lock:
            if self._fd is None and not self._over:
                self._fd = self._taken()
                _held.add(self)
                self._write()
            return self._fd

    def started(self, pid: int, argv: Sequence[str]) -> None:
        """Write down a command, so that a later gflow can say what it waits for, and end it."""
        text = shlex.join(argv)
        shown = secret.head(text, TEXT_LIMIT) + "…" * (len(text) > TEXT_LIMIT)
        with self._lock:
            self._commands[pid] = Worker(processes.identify(pid), shown)
            self._write()

    def ended(self, pid: int) -> None:
        """Strike a command off."""
        with self._lock:
            self._commands.pop(pid, None)
            self._write()

    def release(self) -> None:
        """Give the lock up, also in the name of what was left in the background; the file goes with it."""
        with self._lock:
            self._over = True
            fd, self._fd = self._fd, None
        if fd is None:
            return
        _held.discard(self)
        with suppress(OSError):
            _file(self._folder, self._run, self._path).unlink()
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)

    def abandon(self) -> None:
        """Forget the lock without giving it up: what a forked child does with its parent's."""
        fd, self._fd = self._fd, None
        self._over = True
        self._lock = Lock()  # another thread of the parent may have had it
        if fd is not None:
            os.close(fd)

    def _taken(self) -> int:
        path = _file(self._folder, self._run, self._path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = locked(path)
        except OSError as error:
            raise StoreError(
                f"{path}: {error.strerror}", "give a folder on a local disk that can be written: --store"
            ) from error
        if fd is None:
            raise _alive(_read(self._run, path))
        return fd

    def _write(self) -> None:
        if self._fd is None:
            return
        facts = {"path": self._path, "commands": [asdict(each) for each in self._commands.values()]}
        line = json.dumps(facts).encode() + b"\n"
        with suppress(OSError):  # a full disk: then it is found by its lock alone
            os.pwrite(self._fd, line, 0)  # first: a kill between the two leaves a whole line
            os.ftruncate(self._fd, len(line))


def hold(folder: Path, run: str, path: str) -> Hold:
    """Return the lock of an attempt of the step `path`, not taken yet; `folder` is the store's."""
    return Hold(folder, run, path)


_held: set[Hold] = set()


def _abandon_all() -> None:
    for each in list(_held):
        each.abandon()
    _held.clear()


# A forked child that lives on would keep the locks of attempts that it knows nothing of.
os.register_at_fork(after_in_child=_abandon_all)


# ---------------------------------------------------------------- the next process' side


def living(folder: Path, run: str) -> list[Orphan]:
    """Return the attempts of a run that go on without their gflow: of a run that no other process has."""
    found = (_read(run, path) for path in sorted(_folder(folder, run).glob("*.lock")))
    return [orphan for orphan in found if orphan.lives()]


async def settle_all(
    folder: Path, run: str, policy_of: Callable[[str], Orphans], say: Callable[[str], None]
) -> None:
    """See to it that nothing of an earlier process works for a run; call it before anything begins.

    `policy_of` returns the policy of a step, `say` is told what is waited for or ended. Those whose policy
    is to fail come first, so that then nothing was touched. Raises OrphanAlive.
    """
    order: tuple[Orphans, ...] = ("fail", "kill", "wait")
    for orphan in sorted(living(folder, run), key=lambda each: order.index(policy_of(each.step))):
        await settle(orphan, policy_of(orphan.step), say)
    _sweep(_folder(folder, run))


async def settle(orphan: Orphan, policy: Orphans, say: Callable[[str], None]) -> None:
    """Return when an orphan is gone: "wait" for its end, or "kill" it; "fail" raises OrphanAlive.

    "kill" sends SIGTERM, and after a grace of 5 s SIGKILL; it raises OrphanAlive if even that is in vain.
    """
    match policy:
        case "wait":
            say(f"{orphan}; waiting for its end{_how_to_end(orphan)}")
            await _is_gone(orphan, (), math.inf)
        case "kill":
            say(f"{orphan}; ending it")
            await _end(orphan)
        case "fail":
            raise _alive(orphan)


async def _end(orphan: Orphan) -> None:
    groups = [each.process.pid for each in orphan.commands if processes.runs(each.process)]
    _signal(orphan, groups, signal.SIGTERM)
    if await _is_gone(orphan, groups, GRACE):
        return
    _signal(orphan, groups, signal.SIGKILL)
    if not await _is_gone(orphan, groups, LAST_GRACE):
        raise OrphanAlive(f"{orphan}, and cannot be ended", _remedy(orphan))


async def _is_gone(orphan: Orphan, groups: Sequence[int], seconds: float) -> bool:
    """Wait until nothing of an orphan runs; in time that is real, as other processes are. False: too long."""
    end = monotonic() + seconds
    while orphan.lives() or any(map(processes.group_runs, groups)):
        if monotonic() >= end:
            return False
        await anyio.sleep(TICK)
    return True


def _signal(orphan: Orphan, groups: Sequence[int], number: signal.Signals) -> None:
    """Signal the groups, which were once seen to be the orphan's, and each holder of its lock.

    The number of a group is not given away while anything is in it (POSIX, "Process ID Reuse").
    """
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    for pid in processes.holders(orphan.lock):
        processes.signal_holder(pid, orphan.lock, number)


def _holder(pid: int) -> Worker:
    text = shlex.join(processes.command_line(pid)) or "?"
    return Worker(processes.identify(pid), secret.head(text, TEXT_LIMIT), leads=False)


# ---------------------------------------------------------------- what is said


def _alive(orphan: Orphan) -> OrphanAlive:
    return OrphanAlive(str(orphan), _remedy(orphan))


def _remedy(orphan: Orphan) -> str:
    how = _how_to_end(orphan).removeprefix("; ")
    return (how or "wait for its end") + f"; then: gflow resume {orphan.run}"


def _how_to_end(orphan: Orphan) -> str:
    targets = [f"-{each.process.pid}" if each.leads else f"{each.process.pid}" for each in orphan.workers()]
    return f"; to end it: kill -- {' '.join(targets)}" if targets else ""


# ---------------------------------------------------------------- files


def _folder(folder: Path, run: str) -> Path:
    return lock_file(folder, run).with_suffix("")


def _file(folder: Path, run: str, path: str) -> Path:
    """Return the lock file of an attempt: readable, and different even where the case of letters is not."""
    name = quote(path, safe="", errors="backslashreplace")[:NAME_LIMIT]
    digest = blake2b(path.encode(errors="backslashreplace"), digest_size=8).hexdigest()
    return _folder(folder, run) / f"{name}-{digest}.lock"


def _read(run: str, lock: Path) -> Orphan:
    """Return what a lock file says, or at least its name where that cannot be read."""
    try:
        facts: dict[str, Any] = json.loads(_beginning(lock).partition(b"\n")[0])
        return Orphan(run, str(facts["path"]), lock, tuple(map(_command, facts["commands"])))
    except (OSError, ValueError, TypeError, KeyError):
        return Orphan(run, lock.stem, lock, ())


def _command(facts: dict[str, Any]) -> Worker:
    process = facts["process"]
    return Worker(
        Identity(int(process["pid"]), str(process["started"]), str(process["boot"])), str(facts["text"])
    )


def _beginning(lock: Path) -> bytes:
    fd = _opened(lock)
    try:
        return os.pread(fd, SIZE_LIMIT, 0)
    finally:
        os.close(fd)


def _opened(lock: Path) -> int:
    return os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def _is_held(lock: Path) -> bool:
    try:
        fd = _opened(lock)
    except OSError:
        return False
    try:
        return not try_lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _sweep(folder: Path) -> None:
    """Remove what attempts that are gone have left."""
    for lock in folder.glob("*.lock"):
        lock.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
