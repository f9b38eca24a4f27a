"""What a gflow and the child that runs a body say to each other, over a socket that only these two have.

Messages are pickled: both are the same program, and nobody else can write to the socket (socketpair(2)), so
nothing has to be signed. Values follow as they are, pickled by whoever knows what they are called.
"""

from __future__ import annotations

import pickle
import struct
from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Lock
from typing import Any, Final, Literal, NamedTuple

from gflow.processes import Identity

HEADER: Final = struct.Struct(">QQ")
"""The lengths of the message and of the value behind it, in bytes."""


class Request(NamedTuple):
    """Call this body; its arguments follow. `lock` is an open file that its commands are to inherit.

    `secrets` are the values to mask.
    """

    step: str
    module: str
    qualname: str
    lock: int | None
    secrets: frozenset[str]


class Learned(NamedTuple):
    """Secrets were read: mask these values too."""

    secrets: frozenset[str]


class Logged(NamedTuple):
    """The body logged a message through its context."""

    level: str
    message: str


class Reached(NamedTuple):
    """The body said through its context how far it is."""

    fraction: float
    message: str


class Line(NamedTuple):
    """A command of the body put out a line."""

    stream: Literal["stdout", "stderr"]
    text: str


class Started(NamedTuple):
    """A command of the body runs, in a group of its own."""

    process: Identity


class Ended(NamedTuple):
    """A command of the body is over."""

    pid: int


class Returned(NamedTuple):
    """The body returned; the value follows."""

    degraded: str | None


class Raised(NamedTuple):
    """The body raised; the exception follows, unless it cannot be pickled. `frames` are `failure.frames`."""

    degraded: str | None
    type_name: str
    message: str
    frames: list[list[Any]]


Message = Request | Learned | Logged | Reached | Line | Started | Ended | Returned | Raised


class Channel:
    """One end of the socket. Any thread may send; one at a time receives."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")
        self._sending = Lock()

    def send(self, message: Message, value: bytes = b"") -> None:
        """Send a message, and the pickled value that belongs to it. Raises OSError if nobody is there."""
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._sending:
            self._connection.sendall(HEADER.pack(len(data), len(value)) + data)
            self._connection.sendall(value)

    def receive(self) -> tuple[Message, bytes] | None:
        """Wait for a message; None when the other end is closed, be it in the middle of one."""
        try:
            header = self._reader.read(HEADER.size)
            if len(header) < HEADER.size:
                return None
            lengths: tuple[int, int] = HEADER.unpack(header)
            data, value = (self._reader.read(length) for length in lengths)
        except ConnectionError:  # closed before it had read all that was sent to it
            return None
        if (len(data), len(value)) != lengths:
            return None
        return pickle.loads(data), value  # noqa: S301  (see above)

    def shut(self) -> None:
        """Let this end be at its end, for who waits for a message too."""
        with suppress(OSError):
            self._connection.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Close this end."""
        self._reader.close()
        self._connection.close()

    def wait_for_end(self) -> None:
        """Wait until the other end is closed; it must have nothing more to say."""
        with suppress(OSError):
            self._connection.recv(1)
