"""Bodies in child processes: a timeout or a cancellation ends them, whatever they do.

Each call starts a Python of its own, in a session of its own, which imports the body by its name. Forking
would be faster, but a fork of a process with threads may hang in the first lock it meets (fork(2)), and it
would inherit what the engine has open. What the child prints is followed line by line, as of any command.
"""

from __future__ import annotations

import pickle
import signal
import socket
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from inspect import iscoroutinefunction
from pathlib import Path
from threading import Thread
from typing import Any, Final

from gflow import failure, processes, secret, shell
from gflow.checkpoint import dumps
from gflow.context import Context, LooseAttempt, StepCancelled
from gflow.executors import BodyFailed, CannotIsolate, ChildDied, Watched
from gflow.executors.process.channel import (
    Channel,
    Ended,
    Learned,
    Line,
    Logged,
    Message,
    Raised,
    Reached,
    Request,
    Returned,
    Started,
)
from gflow.processes import Identity

BOOT: Final = Path(__file__).with_name("boot.py")
MODULE_LEVEL: Final = "a child process imports its body by name: write it at the top level of a module"


class ProcessExecutor:
    """Calls each body in a process of its own; `attempt.started` gets that process, to kill it.

    Arguments and result are pickled. A killed body is asked first, by `StepCancelled` wherever it is, and
    has a grace of 5 s to clean up. If this process is killed, the child ends too, and its commands are left
    as they are of any other step.

    Raises, beside what the body raises: CannotIsolate if the child cannot find or be given what it is to
    call, ChildDied if it ended first, StepCancelled if it was killed, BodyFailed for what cannot be pickled.
    """

    def call(self, step: str, fn: Callable[..., Any], arguments: Mapping[str, Any], attempt: Watched) -> Any:
        module, qualname = _address(step, fn)
        payload = _packed(arguments)
        ours, theirs = socket.socketpair()
        with closing(Channel(ours)) as channel, _watching(attempt):
            with theirs:
                fd, name = theirs.fileno(), f"{module}:{qualname}"
                process = shell.start(sys.executable, "-P", BOOT, name, fd, *sys.path, pass_fds=[fd])
            conversation = _Conversation(channel, attempt, process)
            request = Request(step, module, qualname, _lock(attempt), secret.known())
            return conversation.result(step, conversation.follow(request, payload))


class _Conversation:
    """What is said between a child's start and its end, and what came of it."""

    def __init__(self, channel: Channel, attempt: Watched, process: shell.Process) -> None:
        self._channel = channel
        self._attempt = attempt
        self._process = process
        self._commands: dict[int, Identity] = {}
        self._outcome: Returned | Raised | None = None
        self._value = b""
        self._error: Exception | None = None

    def follow(self, request: Request, payload: bytes) -> shell.Ending:
        """Follow the child to its end: this thread its output, another one what it says."""
        thread = Thread(target=self._talk, args=(request, payload), name="gflow-child", daemon=True)
        thread.start()
        ending = self._process.wait()
        thread.join(shell.LINGER)
        self._channel.shut()  # a process that the child has forked may keep its end open
        thread.join()
        self._end_commands()
        return ending

    def result(self, step: str, ending: shell.Ending) -> Any:
        """Return what the body returned, or raise what it raised, or what kept it from doing either."""
        if ending.error is not None:
            raise ending.error
        if self._outcome is not None and self._outcome.degraded is not None:
            self._attempt.degraded = self._outcome.degraded
        if isinstance(self._outcome, Returned):
            return _value(step, self._value)
        if self._outcome is not None:
            raise _exception(self._outcome, self._value)
        if self._attempt.cancelled or (ending.cause == "kill" and self._error is None):
            raise StepCancelled(step)
        if self._error is not None:
            raise self._error
        raise _death(step, ending.output)

    def _talk(self, request: Request, payload: bytes) -> None:
        try:
            with suppress(ConnectionError):  # the child is gone already: how, says its ending
                self._channel.send(request, payload)
            while self._outcome is None and (received := self._channel.receive()) is not None:
                self._hear(*received)
        except Exception as error:  # noqa: BLE001  (raised to the caller, when the child is gone)
            self._error = error
            self._process.kill()

    def _hear(self, message: Message, value: bytes) -> None:
        match message:
            case Line(stream, text):
                self._attempt.line(stream, text)
            case Logged(level, text):
                self._attempt.log(level, text)
            case Reached(fraction, text):
                self._attempt.progress(fraction, text)
            case Started(process):
                self._commands[process.pid] = process
            case Ended(pid):
                self._commands.pop(pid, None)
            case Learned(values):
                for each in values:
                    secret.hide(each)
            case Returned() | Raised():
                self._outcome, self._value = message, value
            case Request():
                raise AssertionError("a child asks for nothing")

    def _end_commands(self) -> None:
        """End what a child that died could not end itself."""
        for process in self._commands.values():
            processes.kill_group(process, shell.LINGER)


@contextmanager
def _watching(attempt: Watched) -> Generator[None]:
    token = shell.watcher.set(attempt)
    try:
        yield
    finally:
        shell.watcher.reset(token)


def _address(step: str, fn: Callable[..., Any]) -> tuple[str, str]:
    """Return the module and the name under which a child finds a body. Raises CannotIsolate."""
    module = getattr(fn, "__module__", None) or ""
    qualname: str = getattr(fn, "__qualname__", "<nameless>")
    if iscoroutinefunction(fn):
        raise CannotIsolate(f"`{step}` is async: only a sync body runs in a child process")
    if "<" in qualname:
        raise CannotIsolate(f"`{step}` is defined inside a function; {MODULE_LEVEL}")
    if module == "__main__":
        raise CannotIsolate(f"`{step}` is in the program that was started; {MODULE_LEVEL} that it imports")
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    if getattr(found, "fn", found) is not fn:
        raise CannotIsolate(
            f"`{step}` is not what {module}.{qualname} is; {MODULE_LEVEL}, under its own name"
        )
    return module, qualname


def _packed(arguments: Mapping[str, Any]) -> bytes:
    """Return the arguments as bytes. A context leaves its attempt behind; a secret goes as its reference."""
    given = {
        name: replace(value, _attempt=LooseAttempt()) if isinstance(value, Context) else value
        for name, value in arguments.items()
    }
    with secret.storable():
        return dumps(given, "arguments")


def _lock(attempt: Watched) -> int | None:
    give: Callable[[], int | None] | None = getattr(attempt, "descriptor", None)
    return give() if give else None


def _value(step: str, payload: bytes) -> Any:
    try:
        return pickle.loads(payload)  # noqa: S301  (from a child of this process)
    except Exception as error:
        reason = f"{failure.type_name(error)}: {failure.message(error)}"
        raise CannotIsolate(f"what `{step}` returned cannot be read back: {reason}") from error


def _exception(raised: Raised, payload: bytes) -> BaseException:
    """Return what a body raised, with a note of where, for its traceback stayed behind."""
    error: BaseException = BodyFailed(raised.type_name, raised.message)
    if payload:
        with suppress(Exception):
            error = pickle.loads(payload)  # noqa: S301  (from a child of this process)
    if raised.frames:
        error.add_note("in its child process:" + "".join(map(_frame, raised.frames)))
    return failure.carrying(error, raised.frames)


def _frame(frame: list[Any]) -> str:
    file, line, function, text = frame
    return f'\n  File "{file}", line {line}, in {function}\n    {text}'


def _death(step: str, output: shell.Output) -> ChildDied:
    code = output.code
    if code >= 0:
        return ChildDied(step, code, f"ended with exit code {code}", shell.last_words(output))
    ending = f"was ended by signal {-code} ({signal.strsignal(-code)})"
    if code == -signal.SIGKILL:
        ending += ", which the system also sends when memory runs out"
    return ChildDied(step, code, ending, shell.last_words(output))
