"""One process advances a run: who, is asked of a kernel lock."""

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gflow import ownership, processes
from gflow.errors import RunOwned, StoreError

ROOT = Path(__file__).parents[1]


def lock_file(folder: Path, run: str = "k3f9") -> Path:
    """Return the lock file of a run."""
    return folder / "locks" / f"{run}.lock"


# ---------------------------------------------------------------- claiming


def test_claim(tmp_path: Path) -> None:
    """Who claims a run is its owner, with host, process, boot and time."""
    before = time.time()
    claim = ownership.claim(tmp_path, "k3f9")
    owner = ownership.owner(tmp_path, "k3f9")
    assert owner is not None
    assert (owner.host, owner.pid, owner.alive) == (socket.gethostname(), os.getpid(), True)
    assert owner.boot == processes.boot_id()
    assert before <= owner.at <= time.time()
    claim.release()


def test_nobody_claimed(tmp_path: Path) -> None:
    """A run that nobody ever claimed has no owner, and asking makes nothing."""
    assert ownership.owner(tmp_path, "k3f9") is None
    assert list(tmp_path.iterdir()) == []


def test_release(tmp_path: Path) -> None:
    """After the release the last owner is known, but not alive, and the run can be claimed."""
    claim = ownership.claim(tmp_path, "k3f9")
    claim.release()
    claim.release()
    owner = ownership.owner(tmp_path, "k3f9")
    assert owner is not None
    assert (owner.pid, owner.alive) == (os.getpid(), False)
    ownership.claim(tmp_path, "k3f9").release()


def test_release_beside_a_copy(tmp_path: Path) -> None:
    """The release also holds while another process has the descriptor, between its fork and its exec."""
    claim = ownership.claim(tmp_path, "k3f9")
    assert claim._fd is not None
    copy = os.dup(claim._fd)
    claim.release()
    ownership.claim(tmp_path, "k3f9").release()
    os.close(copy)


def test_owner_signs_in_alone(tmp_path: Path) -> None:
    """Nothing is left of what an earlier owner wrote."""
    ownership.claim(tmp_path, "k3f9").release()
    lock_file(tmp_path).write_text("x" * 500)
    claim = ownership.claim(tmp_path, "k3f9")
    owner = ownership.owner(tmp_path, "k3f9")
    assert owner is not None
    assert owner.pid == os.getpid()
    claim.release()


def test_claimed_already(tmp_path: Path) -> None:
    """A run that is owned cannot be claimed, and the error names the owner."""
    claim = ownership.claim(tmp_path, "k3f9")
    told = f"run k3f9 is being run by process {os.getpid()} on {socket.gethostname()}"
    with pytest.raises(RunOwned, match=told) as caught:
        ownership.claim(tmp_path, "k3f9")
    assert caught.value.exit_code == 75
    assert caught.value.remedy
    ownership.claim(tmp_path, "zzzz").release()
    claim.release()


def test_files(tmp_path: Path) -> None:
    """Lock files belong to this user alone."""
    ownership.claim(tmp_path, "k3f9").release()
    assert stat.S_IMODE(lock_file(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(lock_file(tmp_path).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", [b"", b"no json", b"[1]", b'{"host": "a"}', b"\xff", b'{"pid": "x"}'])
def test_owner_without_words(text: bytes, tmp_path: Path) -> None:
    """An owner that had no time to sign in, or whose words are damaged, still holds the run."""
    claim = ownership.claim(tmp_path, "k3f9")
    lock_file(tmp_path).write_bytes(text)
    assert ownership.owner(tmp_path, "k3f9") == ownership.Owner("", 0, "", 0.0, alive=True)
    with pytest.raises(RunOwned, match="run k3f9 is being run by another process"):
        ownership.claim(tmp_path, "k3f9")
    claim.release()


@pytest.mark.parametrize("run", ["", "../k3f9", "a/b", "..", "a.b", "a\0b", "a\n"])
def test_names(run: str, tmp_path: Path) -> None:
    """What is not the id of a run never becomes the name of a file."""
    for ask in (ownership.claim, ownership.owner):
        with pytest.raises(StoreError, match="is not the id of a run"):
            ask(tmp_path, run)
    assert list(tmp_path.iterdir()) == []


def test_link(tmp_path: Path) -> None:
    """A symbolic link in the place of a lock file is not followed."""
    target = tmp_path / "target"
    target.write_text("precious")
    lock_file(tmp_path).parent.mkdir()
    lock_file(tmp_path).symlink_to(target)
    with pytest.raises(StoreError, match=r"k3f9\.lock: "):
        ownership.claim(tmp_path, "k3f9")
    assert ownership.owner(tmp_path, "k3f9") is None
    assert target.read_text() == "precious"


def test_folder_cannot_be_written(tmp_path: Path) -> None:
    """Where no lock file can be made, the error names it and the remedy."""
    (tmp_path / "locks").write_text("")
    with pytest.raises(StoreError, match=r"locks/k3f9\.lock: ") as caught:
        ownership.claim(tmp_path, "k3f9")
    assert "--store" in caught.value.remedy


def test_claim_meets_a_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who just asks for the owner does not keep another one from claiming the run."""
    ownership.claim(tmp_path, "k3f9").release()
    asking = os.open(lock_file(tmp_path), os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    waits: list[float] = []

    def answered(seconds: float) -> None:
        waits.append(seconds)
        os.close(asking)

    monkeypatch.setattr(time, "sleep", answered)
    ownership.claim(tmp_path, "k3f9").release()
    assert len(waits) == 1


def test_claim_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim does not wait longer than a moment for an owner that stays."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    claim = ownership.claim(tmp_path, "k3f9")
    with pytest.raises(RunOwned):
        ownership.claim(tmp_path, "k3f9")
    assert 0 < sum(waits) < 0.1
    claim.release()


def test_file_is_deleted_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on a file that has just been deleted is worth nothing: the claim takes the new file."""
    ownership.claim(tmp_path, "k3f9").release()
    try_lock: Callable[[int, int], bool] = ownership.try_lock

    def overtaken(fd: int, kind: int) -> bool:
        monkeypatch.setattr(ownership, "try_lock", try_lock)
        lock_file(tmp_path).unlink()
        return try_lock(fd, kind)

    monkeypatch.setattr(ownership, "try_lock", overtaken)
    claim = ownership.claim(tmp_path, "k3f9")
    owner = ownership.owner(tmp_path, "k3f9")
    assert owner is not None
    assert owner.alive
    claim.release()


# ---------------------------------------------------------------- other processes

CLAIM = "import os, subprocess, sys; from pathlib import Path; from gflow import ownership\n"
CLAIM += "claim = ownership.claim(Path(sys.argv[1]), 'k3f9')\n"
WAIT = "print('ready', flush=True); sys.stdin.read()\n"


@contextmanager
def process(folder: Path, script: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script until it says that it is ready; kill it in the end."""
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            yield running
        finally:
            running.kill()


def test_owner_is_killed(tmp_path: Path) -> None:
    """The right to advance a run ends with its process, however that ends, and the process is remembered."""
    with process(tmp_path, CLAIM + WAIT) as running:
        owner = ownership.owner(tmp_path, "k3f9")
        assert owner is not None
        assert (owner.pid, owner.alive) == (running.pid, True)
        with pytest.raises(RunOwned, match=f"process {running.pid} on "):
            ownership.claim(tmp_path, "k3f9")
        running.send_signal(signal.SIGKILL)
        running.wait()
        owner = ownership.owner(tmp_path, "k3f9")
        assert owner is not None
        assert (owner.pid, owner.alive) == (running.pid, False)
        ownership.claim(tmp_path, "k3f9").release()


CHILDREN = {
    "a command": "child = subprocess.Popen(['cat'], stdin=subprocess.PIPE, close_fds=False)\n",
    "a forked child": "child = os.fork()\nif not child: os.read(0, 1); os._exit(0)\n",
}


@pytest.mark.parametrize("kind", CHILDREN)
def test_owner_leaves_a_child(kind: str, tmp_path: Path) -> None:
    """A child that outlives the owner does not look like it."""
    with process(tmp_path, CLAIM + CHILDREN[kind] + WAIT) as running:
        running.send_signal(signal.SIGKILL)
        running.wait()
        ownership.claim(tmp_path, "k3f9").release()


def test_child_gives_nothing_up(tmp_path: Path) -> None:
    """A forked child that ends, or releases what it inherited, does not take the run from its parent."""
    child = "if not os.fork(): claim.release(); sys.exit(0)\nos.wait()\n"
    with process(tmp_path, CLAIM + child + WAIT):
        owner = ownership.owner(tmp_path, "k3f9")
        assert owner is not None
        assert owner.alive


def test_child_may_claim(tmp_path: Path) -> None:
    """What the parent releases, a forked child can claim."""
    script = CLAIM + (
        "claim.release()\n"
        "if os.fork(): os.wait(); sys.exit(0)\n"
        "again = ownership.claim(Path(sys.argv[1]), 'k3f9')\n"
    )
    with process(tmp_path, script + WAIT) as running:
        owner = ownership.owner(tmp_path, "k3f9")
        assert owner is not None
        assert owner.alive
        assert owner.pid != running.pid
        assert running.stdin is not None
        running.stdin.close()
        running.wait()
