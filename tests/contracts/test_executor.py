"""What every executor promises; see `gflow.executors.Executor`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gflow import shell
from gflow.context import Context
from gflow.executors import Executor
from gflow.executors.process import ProcessExecutor
from gflow.executors.thread import ThreadExecutor
from gflow.project import load
from gflow.shell import Process, StreamName

EXECUTORS: dict[str, Executor] = {"thread": ThreadExecutor(), "process": ProcessExecutor()}

BODIES = """
from dataclasses import dataclass
from gflow import Context, Secret, sh, task

@dataclass
class Point:
    x: int

class OddError(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code

def move(point: Point, by: int = 1) -> Point:
    point.x += by
    return point

@task
def decorated() -> str:
    return "decorated"

class Inside:
    @staticmethod
    def nested():
        return "nested"

def fail(code: int):
    raise OddError(code)

def leave():
    raise SystemExit(3)

def talk(ctx: Context):
    ctx.log("hello", "WARNING")
    ctx.degrade("no network")
    ctx.progress(1.5, "done")
    sh("echo", "from a command")
    return ctx.key, ctx.workspace

def give_up(ctx: Context):
    ctx.degrade("half done")
    raise OddError(2)

def read(token: Secret) -> int:
    return len(token.reveal())

def lock():
    import threading
    return threading.Lock()
"""


class Listener:
    """An attempt that remembers what it is told."""

    def __init__(self) -> None:
        self.cancelled = False
        self.degraded: str | None = None
        self.logged: list[tuple[str, str]] = []
        self.reached: list[tuple[float, str]] = []
        self.lines: list[tuple[StreamName, str]] = []
        self.running: list[Process] = []

    def log(self, level: str, message: str) -> None:
        self.logged.append((level, message))

    def progress(self, fraction: float, message: str) -> None:
        self.reached.append((fraction, message))

    def started(self, process: Process) -> None:
        self.running.append(process)

    def line(self, stream: StreamName, text: str) -> None:
        self.lines.append((stream, text))

    def ended(self, process: Process) -> None:
        self.running.remove(process)


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    """Return an executor of each kind."""
    return EXECUTORS[request.param]


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Yield a module of bodies."""
    (tmp_path / "bodies_of_contract.py").write_text(BODIES)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    yield load("bodies_of_contract")
    del sys.modules["bodies_of_contract"]


def called(executor: Executor, fn: Any, listener: Listener | None = None, **arguments: object) -> Any:
    """Call a body."""
    return executor.call("step", fn, arguments, listener or Listener())


def test_a_value_is_returned(executor: Executor, bodies: ModuleType) -> None:
    """A body gets its arguments by name, and what it returns is returned."""
    assert called(executor, bodies.move, point=bodies.Point(1)) == bodies.Point(2)
    assert called(executor, bodies.move, point=bodies.Point(1), by=2) == bodies.Point(3)
    assert called(executor, bodies.decorated.fn) == "decorated"
    assert called(executor, bodies.Inside.nested) == "nested"


def test_an_exception_is_raised(executor: Executor, bodies: ModuleType) -> None:
    """What a body raises is raised, with what it carries, be it an Exception or not."""
    with pytest.raises(bodies.OddError) as caught:
        called(executor, bodies.fail, code=2)
    assert caught.value.code == 2
    with pytest.raises(SystemExit, match="3"):
        called(executor, bodies.leave)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'code'"):
        called(executor, bodies.fail)


def test_a_body_tells_its_attempt(executor: Executor, bodies: ModuleType, tmp_path: Path) -> None:
    """What a body says through its context, and what its commands put out, has arrived when it returns."""
    listener = Listener()
    context = Context(key="k3f9:step", workspace=tmp_path, _attempt=listener)
    assert called(executor, bodies.talk, listener, ctx=context) == ("k3f9:step", tmp_path)
    assert listener.logged == [("WARNING", "hello")]
    assert listener.reached == [(1.0, "done")]
    assert listener.lines == [("stdout", "from a command")]
    assert listener.degraded == "no network"
    assert listener.running == []


def test_a_failure_tells_too(executor: Executor, bodies: ModuleType) -> None:
    """What a body said before it raised is kept."""
    listener = Listener()
    with pytest.raises(bodies.OddError):
        called(executor, bodies.give_up, listener, ctx=Context(_attempt=listener))
    assert listener.degraded == "half done"


def test_a_secret_is_read_where_it_is_needed(
    executor: Executor, bodies: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret among the arguments can be read by the body."""
    monkeypatch.setenv("TOKEN_OF_GFLOW", "abcdefgh")
    assert called(executor, bodies.read, token=bodies.Secret.from_env("TOKEN_OF_GFLOW")) == 8


def test_the_watcher_is_as_before(executor: Executor, bodies: ModuleType) -> None:
    """After a call, commands belong to whom they belonged before."""
    called(executor, bodies.decorated.fn)
    assert shell.watcher.get() is None
