"""Commands that outlive their gflow, with real processes: found, waited for, ended, or reported."""

import json
import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import anyio
import pytest

from gflow import orphans, processes
from gflow.errors import OrphanAlive, StoreError
from gflow.model import Orphans
from gflow.orphans import Orphan, Worker, hold, living, settle, settle_all
from gflow.processes import Identity

ROOT = Path(__file__).parents[1]
RUN = "k3f9"
needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux tells who holds a lock")

GFLOW = """
import sys
from pathlib import Path
from gflow import orphans, shell

class Watcher:
    def __init__(self, path):
        self.hold = orphans.hold(Path(sys.argv[1]), "k3f9", path)
        self.descriptor = self.hold.descriptor
    def started(self, process):
        self.hold.started(process.pid, process.argv)
    def line(self, stream, text):
        print(text, flush=True)
    def ended(self, process):
        self.hold.ended(process.pid)

shell.watcher.set(Watcher(sys.argv[2]))
shell.sh(*sys.argv[3:])
"""
"""What a gflow is to its commands; they say their process ids."""

SLEEPER = "echo $$; exec sleep 1000 >/dev/null 2>&1"
STUBBORN = "trap '' TERM; echo $$; while :; do sleep 1000 >/dev/null 2>&1; done"
DAEMON = "(setsid sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' &) ; exec sleep 1000 >/dev/null 2>&1"
"""A grandchild that has left its parent and its group."""
CLOSE = "import os, time; os.closerange(2, 100); print(os.getpid(), flush=True); time.sleep(1000)"
SECRETIVE = f'exec {sys.executable} -c "{CLOSE}"'
"""A command that closes all that it inherited, as sudo does."""
COMPANION = f'{sys.executable} -c "{CLOSE}" & wait'
"""A grandchild that has closed all that it inherited, and is still in its parent's group."""


class Killed:
    """A gflow that was killed while a command of its attempt ran; `pid` is what that has said."""

    def __init__(self, folder: Path, script: str, path: str = "deploy") -> None:
        command = [sys.executable, "-c", GFLOW, str(folder), path, "sh", "-c", script]
        self.gflow = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.gflow.stdout is not None
        self.pid = int(self.gflow.stdout.readline())
        self.who = processes.identify(self.pid)
        self.gflow.kill()
        self.gflow.communicate()

    def end(self) -> None:
        """End what was left behind."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Callable[..., Killed]]:
    """Return a function that kills a gflow in the middle of a command."""
    made: list[Killed] = []

    def kill(*args: str) -> Killed:
        made.append(Killed(tmp_path, *args))
        return made[-1]

    yield kill
    for each in made:
        each.end()


def end(pid: int) -> None:
    """Kill a process of somebody else's, and wait until it is gone."""
    fd = os.pidfd_open(pid)
    signal.pidfd_send_signal(fd, signal.SIGKILL)
    select.select([fd], [], [])
    os.close(fd)


def settled(folder: Path, policy: Orphans, say: Callable[[str], None] = lambda text: None) -> None:
    """Settle the orphans of the run, all with one policy."""
    anyio.run(settle_all, folder, RUN, lambda step: policy, say)


def only(folder: Path) -> Orphan:
    """Return the one orphan of the run."""
    (orphan,) = living(folder, RUN)
    return orphan


# ---------------------------------------------------------------- found


def test_no_orphans(tmp_path: Path) -> None:
    """A run that left nothing behind has no orphans, and asking makes no files."""
    assert living(tmp_path, RUN) == []
    settled(tmp_path, "fail")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["deploy", "undo:tag", "check[a/b c]", "fix~2/" + "x" * 300, "grüße\udc80"])
def test_found(path: str, tmp_path: Path) -> None:
    """An orphan has the path of its attempt, whatever the path holds, and its step."""
    kept = hold(tmp_path, RUN, path)
    kept.descriptor()
    orphan = only(tmp_path)
    assert (orphan.run, orphan.path, orphan.commands) == (RUN, path, ())
    assert orphan.step == path.removeprefix("undo:")
    kept.release()
    assert living(tmp_path, RUN) == []


def test_found_after_a_kill(tmp_path: Path, killed: Callable[..., Killed]) -> None:
    """A command that outlived its gflow is found, with its process, and its words."""
    orphaned = killed(SLEEPER)
    (command,) = only(tmp_path).commands
    assert command.process == orphaned.who
    assert command.text == f"sh -c '{SLEEPER}'"
    assert str(only(tmp_path)) == (
        f"`deploy` of run k3f9 is still worked on by process {orphaned.pid} (`{command.text}`), "
        "which its gflow left behind"
    )


def test_found_without_its_lock(tmp_path: Path, killed: Callable[..., Killed]) -> None:
    """A command that closed the lock it inherited is found by its process."""
    orphaned = killed(SECRETIVE)
    assert not orphans._is_held(only(tmp_path).lock)
    settled(tmp_path, "kill")
    assert not processes.runs(orphaned.who)


@needs_proc
def test_grandchild_is_found(tmp_path: Path, killed: Callable[..., Killed]) -> None:
    """A grandchild that left its group holds the lock, and is named when its parent is gone."""
    orphaned = killed(DAEMON)
    (parent,) = only(tmp_path).commands
    end(parent.process.pid)
    assert f"by process {orphaned.pid} (`" in str(only(tmp_path))


# ---------------------------------------------------------------- the three policies


def test_wait(tmp_path: Path, killed: Callable[..., Killed]) -> None:
    """The policy "wait" says whom it waits for, and how to end it, and returns when that has ended."""
    orphaned = killed(SLEEPER)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        os.kill(orphaned.pid, signal.SIGKILL)

    settled(tmp_path, "wait", say)
    assert len(said) == 1
    assert said[0].endswith(f"; waiting for its end; to end it: kill -- -{orphaned.pid}")
    assert living(tmp_path, RUN) == []


@needs_proc
def test_wait_for_a_grandchild(
    tmp_path: Path, killed: Callable[..., Killed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy "wait" also waits for a grandchild that left its group, after its parent has ended."""
    orphaned = killed(DAEMON)
    (parent,) = only(tmp_path).commands
    looks: list[bool] = []

    async def pause(seconds: float) -> None:
        looks.append(processes.runs(orphaned.who))
        end(orphaned.pid)

    monkeypatch.setattr(anyio, "sleep", pause)
    settled(tmp_path, "wait", lambda text: end(parent.process.pid))
    assert looks == [True]


def test_waiting_can_be_cancelled(tmp_path: Path, killed: Callable[..., Killed]) -> None:
    """Who waits can give up, and disturbs nothing."""
    orphaned = killed(SLEEPER)

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await settle_all(tmp_path, RUN, lambda step: "wait", lambda text: scope.cancel())

    anyio.run(main)
    assert processes.runs(orphaned.who)


@pytest.mark.parametrize("script", [SLEEPER, STUBBORN, COMPANION, pytest.param(DAEMON, marks=needs_proc)])
def test_kill(
    script: str, tmp_path: Path, killed: Callable[..., Killed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy "kill" ends an orphan with all it has started, even what does not listen to SIGTERM."""
    monkeypatch.setattr(orphans, "GRACE", 0.0 if script == STUBBORN else 60.0)
    orphaned = killed(script)
    (command,) = only(tmp_path).commands
    said: list[str] = []
    settled(tmp_path, "kill", said.append)
    assert said[0].endswith("; ending it")
    assert not processes.runs(orphaned.who)
    assert not processes.group_runs(command.process.pid)
    assert living(tmp_path, RUN) == []
    assert list((tmp_path / "locks").iterdir()) == []


def test_fail(tmp_path: Path, killed: Callable[..., Killed]) -> None:
    """The policy "fail" names the step, the process, its words and what to do, and disturbs nothing."""
    orphaned = killed(SLEEPER)
    with pytest.raises(OrphanAlive) as caught:
        settled(tmp_path, "fail")
    assert caught.value.exit_code == 75
    assert caught.value.message == str(only(tmp_path))
    assert caught.value.remedy == f"to end it: kill -- -{orphaned.pid}; then: gflow resume k3f9"
    assert processes.runs(orphaned.who)


def test_fail_comes_first(tmp_path: Path, killed: Callable[..., Killed]) -> None:
    """Where one orphan makes the resume fail, no other one was touched."""
    first, second = killed(SLEEPER, "a"), killed(SLEEPER, "undo:b")
    policies: dict[str, Orphans] = {"a": "kill", "b": "fail"}
    with pytest.raises(OrphanAlive, match="the undo of `b` of run k3f9 is still worked on by process"):
        anyio.run(settle_all, tmp_path, RUN, policies.__getitem__, print)
    assert processes.runs(first.who)
    assert processes.runs(second.who)


# ---------------------------------------------------------------- nobody else is harmed


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that has nothing to do with any run, in a group of its own."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as popen:
        yield popen
        popen.kill()


def test_a_reused_number_is_never_killed(
    tmp_path: Path, killed: Callable[..., Killed], bystander: subprocess.Popen[bytes]
) -> None:
    """A process that has the number of a command, but was started at another time, is left alone."""
    orphaned = killed(SLEEPER)
    orphan = only(tmp_path)
    foreign = replace(orphan.commands[0].process, pid=bystander.pid)
    orphan.lock.write_text(
        json.dumps(
            {"path": "deploy", "commands": [asdict(Worker(foreign, "sleep")), asdict(orphan.commands[0])]}
        )
    )
    settled(tmp_path, "kill")
    assert not processes.runs(orphaned.who)
    assert bystander.poll() is None


@pytest.mark.parametrize("boot", ["", "another"])
def test_after_a_restart_of_the_machine(
    boot: str, tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    """What was written down before the machine was started anew names no process of today."""
    kept = hold(tmp_path, RUN, "deploy")
    kept.descriptor()
    lock = only(tmp_path).lock
    kept.release()
    process = replace(processes.identify(bystander.pid), boot=boot)
    lock.write_text(json.dumps({"path": "deploy", "commands": [asdict(Worker(process, "sleep"))]}))
    assert living(tmp_path, RUN) == []
    settled(tmp_path, "kill")
    assert bystander.poll() is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1]", b"\xff", b'{"path": "x"}', b'{"path": "x", "commands": [{"process": 1}]}']
)
def test_damaged_words(text: bytes, tmp_path: Path) -> None:
    """An orphan whose words are damaged, or were never written, is still found by its lock."""
    kept = hold(tmp_path, RUN, "deploy")
    kept.descriptor()
    lock = only(tmp_path).lock
    lock.write_bytes(text)
    orphan = only(tmp_path)
    assert orphan.commands == ()
    assert str(orphan).startswith("`deploy-")
    assert str(orphan).endswith(f"is still worked on by whoever has {lock} open, which its gflow left behind")
    kept.release()


def test_what_cannot_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An orphan that survives everything makes the resume fail, in the end."""
    monkeypatch.setattr(orphans, "GRACE", 0.0)
    monkeypatch.setattr(orphans, "LAST_GRACE", 0.0)
    kept = hold(tmp_path, RUN, "deploy")  # held by this very process, which nobody signals
    kept.descriptor()
    with pytest.raises(OrphanAlive, match="and cannot be ended") as caught:
        anyio.run(settle, only(tmp_path), "kill", print)
    assert caught.value.remedy == "wait for its end; then: gflow resume k3f9"
    kept.release()


# ---------------------------------------------------------------- the hold


def test_files(tmp_path: Path) -> None:
    """A lock file belongs to this user alone, and goes with the attempt."""
    kept = hold(tmp_path, RUN, "deploy")
    assert list(tmp_path.iterdir()) == []
    assert kept.descriptor() == kept.descriptor()
    (file,) = (tmp_path / "locks" / RUN).iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    kept.release()
    kept.release()
    assert list((tmp_path / "locks" / RUN).iterdir()) == []
    assert kept.descriptor() is None


def test_case_of_letters(tmp_path: Path) -> None:
    """Two steps whose names differ in case alone have two files, where the case of a file does not count."""
    names = {orphans._file(tmp_path, RUN, path).name.lower() for path in ("build", "Build", "BUILD")}
    assert len(names) == 3


def test_one_attempt_at_a_time(tmp_path: Path) -> None:
    """While one attempt of a step holds its lock, another one starts no command; one of another step may."""
    first, second, other = (hold(tmp_path, RUN, path) for path in ("deploy", "deploy", "build"))
    first.descriptor()
    other.descriptor()
    with pytest.raises(OrphanAlive, match="`deploy` of run k3f9 is still worked on"):
        second.descriptor()
    first.release()
    assert second.descriptor() is not None
    second.release()
    other.release()


def test_left_in_the_background(tmp_path: Path) -> None:
    """What an attempt left in the background when it ended is no orphan, and keeps nobody waiting."""
    first = hold(tmp_path, RUN, "deploy")
    fd = first.descriptor()
    assert fd is not None
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[fd]):
        first.release()
        assert living(tmp_path, RUN) == []
        second = hold(tmp_path, RUN, "deploy")
        assert second.descriptor() is not None
        second.release()


def test_release_where_nothing_can_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its file cannot be removed, an attempt that ends gives its lock up for all who have it."""
    kept = hold(tmp_path, RUN, "deploy")
    fd = kept.descriptor()
    assert fd is not None
    monkeypatch.setattr(Path, "unlink", lambda *_: tmp_path.rmdir())  # which is not empty
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[fd]):
        kept.release()
        assert list((tmp_path / "locks" / RUN).iterdir()) != []
        assert living(tmp_path, RUN) == []


def test_commands_are_struck_off(tmp_path: Path) -> None:
    """Only the commands that run now are written down."""
    kept = hold(tmp_path, RUN, "deploy")
    kept.descriptor()
    kept.started(os.getpid(), ["one", "two words"])
    kept.started(os.getppid(), ["x" * 500])
    assert [command.text for command in only(tmp_path).commands] == ["one 'two words'", "x" * 200 + "…"]
    kept.ended(os.getppid())
    assert [command.text for command in only(tmp_path).commands] == ["one 'two words'"]
    kept.release()


def test_a_forked_child_keeps_nothing(tmp_path: Path) -> None:
    """A child that was forked does not keep the locks of its parent's attempts, nor gives them up."""
    kept = hold(tmp_path, RUN, "deploy")
    kept.descriptor()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.read(reading, 1)
        os._exit(kept.descriptor() is not None)
    holders = processes.holders(only(tmp_path).lock)
    os.write(writing, b".")
    assert holders == []
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert living(tmp_path, RUN) != []
    kept.release()


@pytest.mark.parametrize("run", ["", "../k3f9", "a/b"])
def test_names(run: str, tmp_path: Path) -> None:
    """What is not the id of a run never becomes the name of a folder."""
    with pytest.raises(StoreError, match="is not the id of a run"):
        living(tmp_path, run)
    with pytest.raises(StoreError, match="is not the id of a run"):
        hold(tmp_path, run, "deploy").descriptor()


def test_folder_cannot_be_written(tmp_path: Path) -> None:
    """Where no lock file can be made, the error names it and the remedy."""
    (tmp_path / "locks").write_text("")
    with pytest.raises(StoreError, match=r"locks/k3f9/deploy-\w+\.lock: ") as caught:
        hold(tmp_path, RUN, "deploy").descriptor()
    assert "--store" in caught.value.remedy


def test_links(tmp_path: Path) -> None:
    """A symbolic link in the place of a lock file is not followed."""
    target = tmp_path / "target"
    target.write_text("precious")
    lock = orphans._file(tmp_path, RUN, "deploy")
    lock.parent.mkdir(parents=True)
    lock.symlink_to(target)
    assert living(tmp_path, RUN) == []
    with pytest.raises(StoreError):
        hold(tmp_path, RUN, "deploy").descriptor()
    settled(tmp_path, "kill")
    assert target.read_text() == "precious"


# ---------------------------------------------------------------- whole runs

SHIP = """
import os
from pathlib import Path
from gflow import Context, Policy, sh, task

POLICY = Policy(orphans=os.environ.get("ORPHANS", "wait"), isolation=os.environ.get("ISOLATION", "thread"))

def work(name):
    if not Path("calm").exists():
        sh("sh", "-c", f"echo $$ >> {name}; exec sleep 1000 >/dev/null 2>&1")

@task(policy=POLICY)
def ship(ctx: Context) -> int:
    work("shipping")
    return ctx.attempt

@ship.undo
def take_back(ship: int | None) -> None:
    work("undoing")
"""


class Project:
    """A project whose steps go on until they are killed, or it is calm."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / ".gflow"
        self.left: list[Identity] = []
        self.environ = {**os.environ, "HOME": str(folder), "GFLOW_DURABILITY": "process"}
        self.environ.pop("GFLOW_STORE", None)
        (folder / "pyproject.toml").touch()
        (folder / "ship.py").write_text(SHIP)

    def start(self, *args: str, **environ: str) -> subprocess.Popen[str]:
        """Start a gflow."""
        command = [sys.executable, "-m", "gflow", *args]
        pipe = subprocess.PIPE
        given = {**self.environ, "PYTHONPATH": str(ROOT), **environ}
        return subprocess.Popen(command, cwd=self.folder, env=given, stdout=pipe, stderr=pipe, text=True)

    def kill(self, *args: str, at: str, **environ: str) -> Identity:
        """Kill a gflow as soon as its command has written its number; return the command."""
        (self.folder / at).unlink(missing_ok=True)
        os.mkfifo(self.folder / at)
        with self.start(*args, **environ) as gflow:
            who = processes.identify(int((self.folder / at).read_text()))
            while not self.written_down():  # a moment after its start
                pass
            gflow.kill()
        self.left.append(who)
        assert processes.runs(who)
        return who

    def written_down(self) -> bool:
        """Tell whether a command of the run is written down."""
        return any(b'"pid"' in lock.read_bytes() for lock in (self.store / "locks").glob("*/*.lock"))

    def run(self, *args: str, **environ: str) -> tuple[int, str, str]:
        """Run a gflow to its end; return its code, its output and what it told."""
        with self.start(*args, **environ) as gflow:
            out, err = gflow.communicate()
        return gflow.returncode, out, err

    def calm(self) -> None:
        """Let everything end at once from now on."""
        (self.folder / "calm").touch()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Give a project, and end what its killed gflows left behind."""
    made = Project(tmp_path)
    yield made
    for who in made.left:
        processes.kill_group(who, 0.0)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_resume_kills(isolation: str, project: Project) -> None:
    """With the policy "kill", a resume ends what a killed gflow left behind, and tries its step again."""
    orphan = project.kill("ship.py", at="shipping", ISOLATION=isolation)
    project.calm()
    code, out, err = project.run("resume", "last", "--json", ORPHANS="kill", ISOLATION=isolation)
    assert code == 0, err
    assert json.loads(out)["steps"]["ship"]["attempts"] == 2
    if isolation == "thread":  # an isolated body sees that its gflow is gone, and may end its command first
        assert f"is still worked on by process {orphan.pid} (`" in err
    assert not processes.runs(orphan)


def test_resume_waits(project: Project) -> None:
    """Unless told otherwise, a resume says whom it waits for, and begins when that has ended."""
    orphan = project.kill("ship.py", at="shipping")
    project.calm()
    with project.start("resume", "last", "--json") as gflow:
        assert gflow.stderr is not None
        told = gflow.stderr.readline()
        assert f"; waiting for its end; to end it: kill -- -{orphan.pid}" in told
        os.kill(orphan.pid, signal.SIGKILL)
        out, _ = gflow.communicate()
    assert gflow.returncode == 0
    assert json.loads(out)["steps"]["ship"]["attempts"] == 2


def test_waiting_is_interrupted(project: Project) -> None:
    """Ctrl-C while a resume waits disturbs nothing, and the run can still be resumed."""
    orphan = project.kill("ship.py", at="shipping")
    project.calm()
    with project.start("resume", "last") as gflow:
        assert gflow.stderr is not None
        gflow.stderr.readline()
        gflow.send_signal(signal.SIGINT)
        gflow.communicate()
    assert gflow.returncode == 130
    assert processes.runs(orphan)
    os.kill(orphan.pid, signal.SIGKILL)
    assert project.run("resume", "last")[0] == 0


def test_resume_fails(project: Project) -> None:
    """With the policy "fail", a resume exits with 75, says why, and changes nothing; so does `doctor`."""
    orphan = project.kill("ship.py", at="shipping")
    project.calm()
    code, _, err = project.run("resume", "last", ORPHANS="fail")
    assert code == 75
    assert f"is still worked on by process {orphan.pid} (`" in err
    assert f"kill -- -{orphan.pid}" in err
    assert processes.runs(orphan)
    code, out, _ = project.run("doctor")
    assert code == 1
    assert "BAD orphan       `ship` of run " in out
    os.kill(orphan.pid, signal.SIGKILL)
    assert project.run("resume", "last", ORPHANS="fail")[0] == 0
    assert "orphan" not in project.run("doctor")[1]


def test_rollback_kills(project: Project) -> None:
    """A rollback begins when nothing is left of its steps, and when it is resumed, nothing of their undos."""
    shipping = project.kill("ship.py", at="shipping")
    undoing = project.kill("rollback", "last", "--to", "start", "--yes", at="undoing", ORPHANS="kill")
    assert not processes.runs(shipping)
    project.calm()
    code, _, err = project.run("rollback", "last", "--to", "start", "--yes", ORPHANS="kill")
    assert code == 0, err
    assert "the undo of `ship` of run " in err
    assert not processes.runs(undoing)


def test_nothing_is_left_of_a_run_that_ends(project: Project) -> None:
    """A run that ends by itself leaves no lock files of its attempts."""
    project.calm()
    (project.folder / "ship.py").write_text(SHIP.replace("not Path", "Path").replace("sleep 1000", "true"))
    assert project.run("ship.py")[0] == 0
    assert [path for path in (project.store / "locks").rglob("*.lock") if path.parent.name != "locks"] == []
