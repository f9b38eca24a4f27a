"""Telling processes apart."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gflow import processes
from gflow.processes import Identity

HAS_PROC = Path("/proc/self").exists()
needs_proc = pytest.mark.skipif(not HAS_PROC, reason="only Linux tells who holds a lock")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that sleeps, in a group of its own."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as popen:
        yield popen
        popen.kill()


@pytest.fixture(params=["proc", "ps"])
def _system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask in both ways: as on Linux, and as on macOS."""
    if request.param == "ps":
        monkeypatch.setattr(processes, "_stat", processes._stat_of_ps)
    elif not HAS_PROC:
        pytest.skip("there is no /proc")


@pytest.mark.usefixtures("_system")
def test_a_process_is_itself(sleeper: subprocess.Popen[bytes]) -> None:
    """A process runs until it ends, and what is known of it never fits another process."""
    who = processes.identify(sleeper.pid)
    assert processes.runs(who)
    assert not processes.runs(replace(who, pid=os.getpid()))
    assert not processes.runs(replace(who, started="earlier"))
    assert not processes.runs(replace(who, boot="another start of the machine"))
    sleeper.kill()
    sleeper.wait()
    assert not processes.runs(who)


@pytest.mark.usefixtures("_system")
def test_a_zombie_does_not_run(sleeper: subprocess.Popen[bytes]) -> None:
    """A process that ended and was not collected yet does not run."""
    who = processes.identify(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.runs(who)


@pytest.mark.parametrize("field", ["started", "boot"])
def test_what_is_not_known_fits_nothing(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system did not tell when a process or the machine was started, nothing is taken for it."""
    who = replace(processes.identify(os.getpid()), **{field: ""})
    monkeypatch.setattr(processes, "boot_id", lambda: who.boot)
    assert not processes.runs(who)


def test_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that no process has, and a machine without any of the means, say nothing."""
    nobody = 2**22 + 1  # more than Linux and macOS ever give
    assert processes.identify(nobody) == Identity(nobody, "", processes.boot_id())
    assert processes._asked("no-such-program-of-gflow") == ""
    assert processes._asked("false") == ""
    assert processes.command_line(nobody) == []
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))
    monkeypatch.setattr(processes, "_asked", lambda *argv: " ".join(argv))
    assert processes.boot_id.__wrapped__() == "sysctl -n kern.bootsessionuuid"


def test_group(sleeper: subprocess.Popen[bytes]) -> None:
    """A group runs while one of its processes does, and a group of zombies has ended."""
    assert processes.group_runs(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    os.killpg(sleeper.pid, 0)
    assert not processes.group_runs(sleeper.pid)
    sleeper.wait()
    assert not processes.group_runs(sleeper.pid)


@needs_proc
def test_command_line() -> None:
    """A command line is its words."""
    assert processes.command_line(os.getpid()) == sys.orig_argv


# ---------------------------------------------------------------- who holds a lock

LOOK = "import sys; file = open(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"


@needs_proc
def test_holders(tmp_path: Path) -> None:
    """Who inherited a locked file holds the lock, and who only has the file open does not."""
    lock = tmp_path / "lock"
    fd = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(["cat"], stdin=pipe, pass_fds=[fd]) as heir,
        subprocess.Popen([sys.executable, "-c", LOOK, str(lock)], stdin=pipe, stdout=pipe) as reader,
    ):
        assert reader.stdout is not None
        reader.stdout.readline()
        assert processes.holders(lock) == [heir.pid]
        processes.signal_holder(reader.pid, lock, signal.SIGKILL)
        processes.signal_holder(heir.pid, lock, signal.SIGKILL)
        assert heir.wait() == -signal.SIGKILL
        assert processes.holders(lock) == []
        assert reader.poll() is None
        reader.communicate()
        assert reader.returncode == 0
    os.close(fd)
    assert processes.holders(tmp_path / "missing") == []
