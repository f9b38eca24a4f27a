"""Telling a process from one that has its number by now: by when it was started, and the machine too."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Final, NamedTuple

TICK: Final = 0.01
"""Seconds between two looks at a process that was killed."""
ENDED: Final = frozenset("ZX")
"""The states of a process that is dead, but not collected by its parent yet."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One process and no other: its number, when it was started, and in which life of the machine.

    The last two are opaque, and only ever compared. Either is empty where the system did not tell.
    """

    pid: int
    started: str
    boot: str


class _Stat(NamedTuple):
    state: str
    group: int
    started: str


def identify(pid: int) -> Identity:
    """Return the identity of a process that surely exists, such as a child not waited for yet."""
    stat = _stat(pid)
    return Identity(pid, stat.started if stat else "", boot_id())


def runs(who: Identity) -> bool:
    """Tell whether this very process runs.

    A zombie does not, nor does another process with its number; what cannot be told apart, neither.
    """
    if not who.started or not who.boot or who.boot != boot_id():
        return False
    stat = _stat(who.pid)
    return stat is not None and stat.state not in ENDED and stat.started == who.started


def group_runs(group: int) -> bool:
    """Tell whether a process of a group runs.

    Zombies do not: in a container whose first process collects no orphans they stay for ever. Where there
    is no /proc (macOS), a group of zombies answers with EPERM.
    """
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    pids = numbers()
    return not pids or any(_is_in(group, pid) for pid in pids)


def kill_group(leader: Identity, patience: float) -> None:
    """Kill a process, if it runs, with the group that it leads; wait until all are gone, for some seconds."""
    if not runs(leader):
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)
    end = monotonic() + patience
    while group_runs(leader.pid) and monotonic() < end:
        sleep(TICK)


def numbers() -> list[int]:
    """Return the numbers of all processes, none where there is no /proc (proc(5))."""
    return [int(path[6:]) for path in glob.glob("/proc/[0-9]*")]  # noqa: PTH207  (half the time of Path.glob)


@cache
def boot_id() -> str:
    """Return what names this life of the machine, until the next start; empty if the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _asked("sysctl", "-n", "kern.bootsessionuuid")  # macOS


def _is_in(group: int, pid: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat.group == group and stat.state not in ENDED


def _stat(pid: int) -> _Stat | None:
    """Return what the system says of a process, None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None if Path("/proc/self").exists() else _stat_of_ps(pid)
    fields = text.rpartition(")")[2].split()  # proc_pid_stat(5), from the third on: a name may hold anything
    return _Stat(fields[0], int(fields[2]), fields[19])


def _stat_of_ps(pid: int) -> _Stat | None:
    """Return it where there is no /proc, as on macOS; lines look like `Ss 4711 Mon Jan  5 10:00:00 2026`."""
    words = _asked("ps", "-o", "stat=,pgid=,lstart=", "-p", str(pid)).split()
    return _Stat(words[0][0], int(words[1]), " ".join(words[2:])) if words else None


def _asked(*argv: str) -> str:
    """Return what a program of the system says, empty if it is missing or says nothing."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


# ---------------------------------------------------------------- who holds a lock


def holders(lock: Path) -> list[int]:
    """Return the processes, other than this one, that hold the exclusive lock of a file (flock(2)).

    There are several when they inherited the same open file. None where there is no /proc.
    """
    try:
        file = lock.stat()
    except OSError:
        return []
    return [pid for pid in numbers() if pid != os.getpid() and _holds(pid, file)]


def signal_holder(pid: int, lock: Path, number: signal.Signals) -> None:
    """Signal a process if it holds a lock; through a descriptor, so that it is surely that process."""
    if sys.platform != "linux":
        return
    with suppress(OSError):
        fd = os.pidfd_open(pid)
        try:
            if _holds(pid, lock.stat()):
                signal.pidfd_send_signal(fd, number)
        finally:
            os.close(fd)


def command_line(pid: int) -> list[str]:
    """Return the words with which a process was started, none where the system does not tell."""
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return data.removesuffix(b"\0").decode(errors="replace").split("\0") if data else []


def _holds(pid: int, file: os.stat_result) -> bool:
    try:
        return any(_is_locked(pid, name) for name in _descriptors(pid, file))
    except OSError:  # it has just ended, or is another user's
        return False


def _descriptors(pid: int, file: os.stat_result) -> Iterator[str]:
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with suppress(OSError):
                if os.path.samestat(entry.stat(), file):
                    yield entry.name


def _is_locked(pid: int, descriptor: str) -> bool:
    """Tell whether a descriptor holds a lock: who only looks has the file open too (proc_pid_fdinfo(5))."""
    lines = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines()
    return any("FLOCK" in line and "WRITE" in line for line in lines)
