"""The child's side: call one body, tell the parent what it says, send what came of it."""

from __future__ import annotations

import faulthandler
import importlib
import io
import os
import pickle
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from socket import socket
from threading import Thread
from time import monotonic
from types import FrameType
from typing import Any, Final

from gflow import failure, processes, secret
from gflow.checkpoint import dumps
from gflow.context import Context, StepCancelled
from gflow.executors import CannotIsolate
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
from gflow.shell import Process, StreamName, watcher

DRAWN: Final = 0.1
"""Seconds between two messages that say how far the body is."""


class ChildAttempt:
    """The attempt as the body knows it; all it hears goes on to the parent."""

    def __init__(self, channel: Channel, request: Request) -> None:
        self.cancelled = False
        self.degraded: str | None = None
        self._channel = channel
        self._request = request
        self._told = request.secrets
        self._running: list[Process] = []
        self._said_at = float("-inf")

    def descriptor(self) -> int | None:
        return self._request.lock

    def log(self, level: str, message: str) -> None:
        self.tell(Logged(level, message))

    def progress(self, fraction: float, message: str) -> None:
        """Tell the parent, which draws; what comes between two drawings stays here."""
        if (now := monotonic()) - self._said_at >= DRAWN or fraction >= 1:
            self._said_at = now
            self.tell(Reached(fraction, message))

    def line(self, stream: StreamName, text: str) -> None:
        self.tell(Line(stream, text))

    def started(self, process: Process) -> None:
        self._running.append(process)
        self.tell(Started(processes.identify(process.pid)))
        if self.cancelled:
            process.kill()

    def ended(self, process: Process) -> None:
        self._running.remove(process)
        self.tell(Ended(process.pid))

    def tell(self, message: Message, value: bytes = b"") -> None:
        """Send a message; the secrets that were read since the last one go before it."""
        known = secret.known()
        if known != self._told:
            self._told = known
            self._channel.send(Learned(known))
        self._channel.send(message, value)

    def end(self, _number: int, _frame: FrameType | None) -> None:
        """End the body: what a parent that cancels it asks for by SIGTERM."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.cancelled = True
        for process in self._running:
            process.kill()
        raise StepCancelled(self._request.step)

    def wait_for_commands(self) -> None:
        """Wait until the commands of a body that was ended are gone, those of its other threads too."""
        for process in list(self._running) if self.cancelled else ():
            process.wait()


def main(descriptor: int) -> None:
    """Serve the parent at the other end of a socket: one call, then the process ends as any Python does."""
    os.set_inheritable(descriptor, False)
    channel = Channel(socket(fileno=descriptor))
    received = channel.receive()
    if received is None:  # the parent is gone already
        channel.close()
        return
    request, arguments = received
    assert isinstance(request, Request)
    _open_output()
    for value in request.secrets:
        secret.hide(value)
    attempt = ChildAttempt(channel, request)
    signal.signal(signal.SIGTERM, attempt.end)
    Thread(target=_leave_with_parent, args=(channel,), daemon=True).start()
    with secret.masked_output():
        outcome = _outcome(request, arguments, attempt)
        attempt.wait_for_commands()
        attempt.tell(*outcome)


def _open_output() -> None:
    """Let lines out as soon as they are complete, and say where a crash in foreign code happened."""
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def _leave_with_parent(channel: Channel) -> None:
    """End when the parent is gone, as a body in a thread of it would have.

    Commands go on, and hold the lock of the attempt; so does this process, if it cannot even do this.
    """
    channel.wait_for_end()
    os._exit(1)


def _outcome(request: Request, arguments: bytes, attempt: ChildAttempt) -> tuple[Message, bytes]:
    """Call the body; return what to send, and the value or the exception, pickled."""
    try:
        fn, given = _call(request, arguments, attempt)
        watcher.set(attempt)
        value = dumps(fn(**given), request.step)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # too late: it has returned
    except BaseException as error:  # noqa: BLE001  (it is raised again in the parent)
        frames = failure.frames(error)
        raised = Raised(attempt.degraded, failure.type_name(error), failure.message(error), frames)
        return raised, _pickled(error)
    return Returned(attempt.degraded), value


def _call(
    request: Request, arguments: bytes, attempt: ChildAttempt
) -> tuple[Callable[..., Any], Mapping[str, Any]]:
    """Return the body and its arguments; a context among them tells this attempt."""
    try:
        found: Any = importlib.import_module(request.module)
        for name in request.qualname.split("."):
            found = getattr(found, name)
        given: dict[str, Any] = pickle.loads(arguments)  # noqa: S301  (from the parent)
    except Exception as error:
        reason = f"{failure.type_name(error)}: {failure.message(error)}"
        raise CannotIsolate(f"a child process cannot take over `{request.step}`: {reason}") from error
    fn: Callable[..., Any] = getattr(found, "fn", found)  # a step holds its body
    return fn, {
        name: replace(value, _attempt=attempt) if isinstance(value, Context) else value
        for name, value in given.items()
    }


def _pickled(error: BaseException) -> bytes:
    """Return an exception as bytes; none if they could not be read back, as of some with an `__init__`."""
    try:
        data = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        copy = pickle.loads(data)  # noqa: S301  (made one line before)
    except Exception:  # noqa: BLE001  (any class may be the user's)
        return b""
    return data if type(copy) is type(error) and str(copy) == str(error) else b""
