"""Bodies in child processes, with real ones: how they end, and that nothing is left behind."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socketpair
from time import monotonic
from types import ModuleType
from typing import Any

import anyio
import pytest

from gflow import failure, logs, processes, runner, secret, shell
from gflow.bodies import Job, _timeout
from gflow.checkpoint import Unpicklable
from gflow.context import Context, StepCancelled
from gflow.executors import BodyFailed, CannotIsolate, ChildDied, process
from gflow.executors.process import ProcessExecutor, child
from gflow.executors.process.channel import Raised
from gflow.model import Call, Node, Run
from gflow.orphans import living
from gflow.processes import Identity
from gflow.project import load
from gflow.session import Settings, log_path
from gflow.shell import Process, StreamName
from gflow.testing import run_in_memory
from gflow.values import where

ROOT = Path(__file__).parents[1]
NAME = "bodies_of_children"
BODIES = """
import atexit, contextvars, ctypes, os, signal, sys, threading, time
from pathlib import Path
from gflow import Context, Secret, sh

class Stubborn(Exception):
    def __init__(self, one, two):
        super().__init__(one)

class Shifty(Exception):
    def __reduce__(self):
        return RuntimeError, ("another",)

def busy(folder: Path):
    try:
        print(os.getpid(), flush=True)
        while True:
            pass
    finally:
        (folder / "cleaned").touch()

def deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
    while True:
        time.sleep(1000)

def polite(ctx: Context):
    try:
        print(os.getpid(), flush=True)
        time.sleep(1000)
    except BaseException as error:
        ctx.check_cancelled()

def command():
    sh("sh", "-c", "echo $$; exec sleep 1000")

def beside(call):
    thread = threading.Thread(target=contextvars.copy_context().run, args=(call,))
    thread.start()
    return thread

def command_in_a_thread():
    beside(command).join()

def crash_beside_a_command(how):
    beside(command)
    while not Path("ready").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), how)

def leave(code):
    print("last words", file=sys.stderr)
    os._exit(code)

def crash():
    ctypes.string_at(0)

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def leave_too_late():
    atexit.register(os._exit, 3)
    return "done"

def lock():
    return {"lock": threading.Lock()}

def outer():
    raise ValueError("wrong")

def fail(kind):
    raise kind("one", "two") if kind is Stubborn else kind("one")

def fail_deeper():
    outer()

def say():
    print("out")
    print("err", file=sys.stderr)
    return os.getcwd(), sys.path, Path("/dev/stdin").exists() and sys.stdin.read(), sys.argv[1:]

def tell(ctx: Context):
    value = Secret.from_env("TOKEN_OF_GFLOW").reveal()
    print("printed", value)
    ctx.log(f"logged {value}")
    sh("echo", "commanded", value)
    raise ValueError(f"raised {value}")

def fork():
    if not os.fork():
        print(os.getpid(), flush=True)
        time.sleep(1000)
    return "done"

def fork_and_leave():
    fork()
    os._exit(3)

def clean_command():
    sh("sh", "-c", "trap 'touch cleaned; exit' TERM; echo $$; while :; do sleep 0.01; done")

def clean_command_beside():
    beside(clean_command).join()

async def asynchronous(): ...

def maker():
    def inner(): ...
    return inner

inner = maker()
nameless = lambda: None

def replaced(): ...
old = replaced
def replaced(): ...

class Callable:
    def __call__(self): ...
callable_object = Callable()
"""


class Listener:
    """An attempt that remembers, and calls `on_line` with each line."""

    def __init__(self, on_line: Callable[["Listener", str], None] = lambda listener, text: None) -> None:
        self.cancelled = False
        self.degraded: str | None = None
        self.on_line = on_line
        self.logged: list[str] = []
        self.lines: list[tuple[StreamName, str]] = []
        self.process: Process | None = None
        self.who: list[Identity] = []

    def log(self, level: str, message: str) -> None:
        self.logged.append(message)

    def progress(self, fraction: float, message: str) -> None:
        self.logged.append(f"{fraction} {message}")

    def started(self, process: Process) -> None:
        self.process = process
        if self.cancelled:
            process.kill()

    def line(self, stream: StreamName, text: str) -> None:
        self.lines.append((stream, text))
        if text.isdigit():
            self.who.append(processes.identify(int(text)))
        self.on_line(self, text)

    def ended(self, process: Process) -> None: ...

    def cancel(self) -> None:
        """End the body, as a timeout or a cancelled run does."""
        self.cancelled = True
        assert self.process is not None
        threading.Thread(target=self.process.kill).start()


def cancelled_when_it_runs() -> Listener:
    """Return an attempt that is cancelled as soon as its body, or its command, has said its number."""
    return Listener(lambda listener, text: listener.cancel() if text.isdigit() else None)


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Yield a module of bodies; its folder is the current one."""
    (tmp_path / f"{NAME}.py").write_text(BODIES)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    yield load(NAME)
    del sys.modules[NAME]


def called(fn: Any, *, attempt: Listener | None = None, **arguments: object) -> Any:
    """Call a body in a child."""
    return ProcessExecutor().call("step", fn, arguments, attempt or Listener())


# ---------------------------------------------------------------- ended from outside


def test_busy_body_is_ended(bodies: ModuleType, tmp_path: Path) -> None:
    """A body that never looks up is ended, and may clean up before."""
    attempt = cancelled_when_it_runs()
    with pytest.raises(StepCancelled, match="step"):
        called(bodies.busy, attempt=attempt, folder=tmp_path)
    assert (tmp_path / "cleaned").exists()
    assert not processes.runs(attempt.who[0])


def test_deaf_body_is_killed(bodies: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not listen is killed after the grace."""
    monkeypatch.setattr(shell, "GRACE", 0.0)
    attempt = cancelled_when_it_runs()
    with pytest.raises(StepCancelled):
        called(bodies.deaf, attempt=attempt)
    assert not processes.runs(attempt.who[0])


def test_context_knows(bodies: ModuleType) -> None:
    """A body that caught its cancellation is told by its context that it is cancelled."""
    attempt = cancelled_when_it_runs()
    with pytest.raises(StepCancelled):
        called(bodies.polite, attempt=attempt, ctx=Context(_attempt=attempt))


def test_cancelled_before_it_began(bodies: ModuleType) -> None:
    """A body that was cancelled before its process was there does not run to its end."""
    attempt = Listener()
    attempt.cancelled = True
    with pytest.raises(StepCancelled):
        called(bodies.deaf, attempt=attempt)


@pytest.mark.parametrize("body", ["command", "command_in_a_thread"])
def test_commands_are_ended(body: str, bodies: ModuleType) -> None:
    """The commands of a body that is ended are ended before."""
    attempt = cancelled_when_it_runs()
    with pytest.raises(StepCancelled):
        called(getattr(bodies, body), attempt=attempt)
    assert not processes.runs(attempt.who[0])


@pytest.mark.parametrize("body", ["clean_command", "clean_command_beside"])
def test_commands_may_clean_up(body: str, bodies: ModuleType, tmp_path: Path) -> None:
    """A command of a body that is ended is asked before it is killed, whichever thread has started it."""
    with pytest.raises(StepCancelled):
        called(getattr(bodies, body), attempt=cancelled_when_it_runs())
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_commands_of_the_dead(how: int, bodies: ModuleType) -> None:
    """The commands of a child that died do not go on without it."""
    attempt = Listener(lambda listener, text: Path("ready").touch() if text.isdigit() else None)
    with pytest.raises(ChildDied):
        called(bodies.crash_beside_a_command, attempt=attempt, how=how)
    assert not processes.runs(attempt.who[0])


def test_watcher_fails(bodies: ModuleType, tmp_path: Path) -> None:
    """If whoever hears a body fails, the body is ended, and that error is raised."""

    def full(listener: Listener, text: str) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        called(bodies.busy, attempt=Listener(full), folder=tmp_path)


def test_hearing_fails(bodies: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds for what comes from inside the body, such as the lines of its commands."""

    def full(stream: StreamName, text: str) -> None:
        raise OSError("disk full")

    attempt = Listener()
    monkeypatch.setattr(attempt, "line", full)
    with pytest.raises(OSError, match="disk full"):
        called(bodies.command, attempt=attempt)


# ---------------------------------------------------------------- ended by itself


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("leave", 3, "ended with exit code 3, before its body had returned or raised\nlast words"),
        ("leave", 0, "ended with exit code 0, before its body had returned or raised\nlast words"),
        ("crash", -signal.SIGSEGV, "was ended by signal 11 (Segmentation fault), before its body"),
        ("kill", -signal.SIGKILL, "signal 9 (Killed), which the system also sends when memory runs out, bef"),
    ],
)
def test_child_dies(body: str, code: int, words: str, bodies: ModuleType) -> None:
    """A child that dies says how, and its last words; that is a failure of its step like any other."""
    given: dict[str, Any] = {"code": code} if body == "leave" else {}
    with pytest.raises(ChildDied) as caught:
        called(getattr(bodies, body), **given)
    assert str(caught.value).startswith("the child process of `step` ")
    assert words in str(caught.value)
    assert caught.value.code == code
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.code) == (str(caught.value), code)


def test_child_dies_before_it_listens(bodies: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that dies before it has read its arguments, however large, is a death like any other."""
    boot = Path("boot_that_dies.py")
    boot.write_text("import sys; sys.exit(4)")
    monkeypatch.setattr(process, "BOOT", boot)
    with pytest.raises(ChildDied, match="exit code 4"):
        called(bodies.fail, kind="x" * 10_000_000)


def test_crash_says_where(bodies: ModuleType) -> None:
    """The last words of a crash in foreign code name the line of the body."""
    with pytest.raises(ChildDied, match=f'File ".*{NAME}.py", line \\d+ in crash'):
        called(bodies.crash)


def test_death_after_the_value(bodies: ModuleType) -> None:
    """A body that has returned has returned, however its process ends."""
    assert called(bodies.leave_too_late) == "done"


def test_forked_process_stays(bodies: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that the body forked and left in the background keeps nobody waiting."""
    monkeypatch.setattr(shell, "LINGER", 0.2)
    attempt = Listener()
    assert called(bodies.fork, attempt=attempt) == "done"
    with pytest.raises(ChildDied, match="exit code 3"):
        called(bodies.fork_and_leave, attempt=attempt)
    for who in attempt.who:
        os.kill(who.pid, signal.SIGKILL)


# ---------------------------------------------------------------- what comes back


def test_frames_come_back(bodies: ModuleType) -> None:
    """An exception keeps the lines of the body that led to it, as data and in a note."""
    with pytest.raises(ValueError, match="wrong") as caught:
        called(bodies.fail_deeper)
    frames = failure.frames(caught.value)
    assert [(file, function, text) for file, _, function, text in frames] == [
        (f"{NAME}.py", "fail_deeper", "outer()"),
        (f"{NAME}.py", "outer", 'raise ValueError("wrong")'),
    ]
    assert caught.value.__notes__[0].endswith('in outer\n    raise ValueError("wrong")')


@pytest.mark.parametrize("kind", ["Stubborn", "Shifty"])
def test_stand_in(kind: str, bodies: ModuleType) -> None:
    """An exception that cannot be read back comes as a stand-in, with its type, message and frames."""
    with pytest.raises(BodyFailed, match=f"{NAME}.{kind}: one") as caught:
        called(bodies.fail, kind=getattr(bodies, kind))
    assert (caught.value.type_name, caught.value.message) == (f"{NAME}.{kind}", "one")
    assert failure.frames(caught.value)[0][2] == "fail"
    assert str(BodyFailed("Odd", "")) == "Odd"


def test_stand_in_for_a_class_that_is_gone() -> None:
    """A class that only the child has is named too."""
    raised = Raised(None, "mine.Odd", "one", [])
    assert str(process._exception(raised, b"no pickle")) == "mine.Odd: one"


def test_unpicklable(bodies: ModuleType) -> None:
    """What cannot be pickled is named, on the way in and on the way out."""
    with pytest.raises(Unpicklable, match=r"step\['lock'\]: cannot pickle"):
        called(bodies.lock)
    with pytest.raises(Unpicklable, match=r"arguments\['kind'\].*: "):
        called(bodies.fail, kind=threading.Lock())


def test_output(bodies: ModuleType, tmp_path: Path) -> None:
    """What a body prints is followed line by line; it has its parent's folder and modules, and no input."""
    attempt = Listener()
    folder, path, read, argv = called(bodies.say, attempt=attempt)
    assert sorted(attempt.lines) == [("stderr", "err"), ("stdout", "out")]
    assert Path(folder) == tmp_path.resolve()
    assert (path, read, argv) == (sys.path, "", [])


def test_secrets_are_masked(bodies: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that only the child has read is masked in all that comes from there, also afterwards."""
    monkeypatch.setenv("TOKEN_OF_GFLOW", "hunter22")
    attempt = Listener()
    with secret.forgetting():
        with pytest.raises(ValueError, match="raised") as caught:
            called(bodies.tell, attempt=attempt, ctx=Context(_attempt=attempt))
        assert failure.message(caught.value) == "raised ***"
        lines = sorted(attempt.lines)  # a print and a command reach the parent by different ways
        assert secret.mask(str(lines)) == "[('stdout', 'commanded ***'), ('stdout', 'printed ***')]"
        assert secret.mask(attempt.logged[0]) == "logged ***"
    assert ("stdout", "printed ***") in attempt.lines  # masked in the child: it came another way


# ---------------------------------------------------------------- what cannot be isolated


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("asynchronous", "`step` is async: only a sync body runs in a child process"),
        ("inner", "`step` is defined inside a function"),
        ("nameless", "`step` is defined inside a function"),
        ("callable_object", "`step` is defined inside a function"),
        ("old", f"`step` is not what {NAME}.replaced is"),
    ],
)
def test_cannot_isolate(name: str, reason: str, bodies: ModuleType) -> None:
    """A body that a child cannot find by its name is refused, with the reason, and nothing is started."""
    attempt = Listener()
    with pytest.raises(CannotIsolate) as caught:
        called(getattr(bodies, name), attempt=attempt)
    assert str(caught.value).startswith(reason)
    assert attempt.process is None


def test_program_itself(bodies: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body in the program itself is refused: importing it would start the program again."""
    monkeypatch.setattr(bodies.say, "__module__", "__main__")
    with pytest.raises(CannotIsolate, match="`step` is in the program that was started"):
        called(bodies.say)


def test_module_that_has_changed(bodies: ModuleType, tmp_path: Path) -> None:
    """A module that cannot be imported any more is named, with what is wrong."""
    (tmp_path / f"{NAME}.py").write_text("1 / 0")
    with pytest.raises(CannotIsolate, match="cannot take over `step`: ZeroDivisionError: division by zero"):
        called(bodies.say)


# ---------------------------------------------------------------- the parent dies

PARENT = f"""
import sys; sys.path[:0] = [sys.argv[2], sys.argv[1]]
from pathlib import Path
import {NAME} as bodies
from gflow import orphans
from gflow.executors.process import ProcessExecutor

class Attempt:
    cancelled, degraded = False, None
    hold = orphans.hold(Path(sys.argv[1]), "k3f9", "step")
    def descriptor(self): return self.hold.descriptor()
    def log(self, level, message): ...
    def started(self, process): self.hold.started(process.pid, process.argv); print(process.pid, flush=True)
    def line(self, stream, text): print(text, flush=True)
    def ended(self, process): ...

ProcessExecutor().call("step", bodies.command, {{}}, Attempt())
"""


def test_parent_is_killed(bodies: ModuleType, tmp_path: Path) -> None:
    """A child ends with its parent; its command goes on, and is found by the lock of the attempt."""
    program = [sys.executable, "-c", PARENT, str(tmp_path), str(ROOT)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    body, command = map(processes.identify, pids)
    end = monotonic() + 30
    while processes.runs(body) and monotonic() < end:  # it ends by itself, when it notices
        pass
    assert not processes.runs(body)
    assert processes.runs(command)
    (orphan,) = living(tmp_path, "k3f9")
    assert [worker.process for worker in orphan.workers()] == [command]
    os.kill(command.pid, signal.SIGKILL)


def test_parent_is_gone_already() -> None:
    """A child whose parent died before it could ask for anything ends."""
    reading, writing = socketpair()
    writing.close()
    assert child.main(reading.detach()) is None  # type: ignore[func-returns-value]


# ---------------------------------------------------------------- in a run

STEPS = """
from gflow import Context, Policy, stage, task

ISOLATED = Policy(isolation="process")

@task
def first() -> list[int]:
    return [1]

@task(policy=ISOLATED)
def second(first: list[int], ctx: Context) -> list[int]:
    print("printed", ctx.attempt)
    ctx.degrade("in part")
    return [*first, 2]

@task(policy=ISOLATED)
def wrong(second: list[int]) -> int:
    raise ValueError("wrong")

@task(policy=ISOLATED, timeout=0.1, attempts=1)
def endless() -> int:
    while True:
        pass

@stage(policy=ISOLATED)
def flow(second: list[int]) -> int:
    return sum(second)
"""


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Yield a module of isolated steps."""
    (tmp_path / "isolated_steps.py").write_text(STEPS)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield load("isolated_steps")
    del sys.modules["isolated_steps"]


def ended(step: Any, folder: Path) -> Run:
    """Run a step with all it needs, in the store of a folder."""
    settings = Settings(folder=folder, durability="process")
    return anyio.run(runner.start, runner.compile(step), {}, settings)


def test_isolated_steps_are_steps(steps: ModuleType, tmp_path: Path) -> None:
    """Isolated steps and groups get values, give values, degrade and log like any other."""
    run = ended(steps.flow, tmp_path / "store")
    assert (run.status, run.results["flow"], run.degraded) == ("completed", 3, ("second",))
    entries, _ = logs.read(log_path(tmp_path / "store", run.id))
    assert [(e["step"], e["stream"], e["message"]) for e in entries] == [("second", "stdout", "printed 1")]


def test_isolated_step_fails(steps: ModuleType, tmp_path: Path) -> None:
    """A failure in a child is the failure of its step, with the line of the body."""
    run = ended(steps.wrong, tmp_path / "store")
    (error,) = run.errors
    assert (run.status, error.type, error.message) == ("failed", "ValueError", "wrong")
    assert error.frames[-1].text == 'raise ValueError("wrong")'
    with pytest.raises(ValueError, match="wrong"):
        run.raise_for_status()


def test_isolated_step_times_out(steps: ModuleType, tmp_path: Path) -> None:
    """A timeout ends what never looks up: it is a timeout, and nothing is stuck."""
    run = ended(steps.endless, tmp_path / "store")
    (error,) = run.errors
    assert (run.status, error.type) == ("failed", "gflow.errors.StepTimeout")


def test_timeout_keeps_the_place() -> None:
    """A timeout names the line at which it ended a body, also one in a child."""
    node = Node("endless", "task", len, timeout=0.1)
    job = Job(node, where(node, "endless"), Call(len), 1, 0)
    job.timed_out = True
    job.error = failure.carrying(StepCancelled("endless"), [["ship.py", 7, "endless", "pass"]])
    assert failure.frames(_timeout(job)) == [["ship.py", 7, "endless", "pass"]]
    job.error = None
    assert failure.frames(_timeout(job)) == []


def test_isolated_step_is_replaced(steps: ModuleType) -> None:
    """In a test, an isolated step can be replaced by a function that no child could find."""
    run = run_in_memory(steps.flow, overrides={"second": lambda: [40, 2]})
    assert run.results["flow"] == 42
