"""Telling the team what became of a run: `Workflow(notify=[Post(url), Command("notify-send", "{message}")])`.

A notifier is anything that can be called with a `Notice`; it gets whatever somebody has to look at, but not
that a run completed. `Command`, `Post` and `Call` choose by `on=`, and how long they may take by `timeout=`.
None of them can fail or delay a run: `gflow.notify.outbox` says how they are called.
"""

from __future__ import annotations

import json
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final
from urllib.parse import urlsplit

from gflow.notice import EVENTS, ORDINARY, Event, Notice
from gflow.secret import Secret
from gflow.shell import sh
from gflow.suggest import did_you_mean

__all__ = ["EVENTS", "ORDINARY", "Call", "Command", "Event", "Notice", "Notifier", "Post", "as_notifier"]

TIMEOUT: Final = 10.0
"""Seconds that a notifier has for one notice, a second try included."""

Text = str | Secret | tuple[str | Secret, ...]
"""A text that may be, or hold, a secret: its parts are put together when they are needed."""

ORIGIN: Final = re.compile(r"(https?://[^/?#@]+)($|[/?#])?")
"""Scheme and host of a URL, and what shows that the host ends there."""

PLACEHOLDER: Final = re.compile(r"\{(message|event|run|workflow|version|status)\}")


class Notifier(ABC):
    """How the team is told: `on` names the events that are told, `timeout` the seconds there are for it."""

    on: Iterable[Event] | Event
    timeout: float

    def __call__(self, notice: Notice, /) -> None:
        """Tell the team, in this thread. Raises whatever goes wrong."""
        self.send(notice, self.timeout)

    @abstractmethod
    def send(self, notice: Notice, seconds: float) -> None:
        """Tell the team, within `seconds` if that can be helped. Raises whatever goes wrong."""

    @property
    def events(self) -> tuple[Event, ...]:
        """The events that are told."""
        return (self.on,) if isinstance(self.on, str) else tuple(self.on)

    def _check(self) -> None:
        """Raise ValueError if this notifier could not be used."""
        object.__setattr__(self, "on", self.events)  # what was given may be used up by looking at it
        for event in self.events:
            if event not in EVENTS:
                near = did_you_mean(event, EVENTS) or f"it is one of {', '.join(EVENTS)}"
                raise ValueError(f"on={event!r} of {self} is no event; {near}")
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout={self.timeout} of {self}: seconds above 0")


def as_notifier(given: Callable[[Notice], object]) -> Notifier:
    """Return a notifier: the given one, or what calls the given function."""
    return given if isinstance(given, Notifier) else Call(given)


# ---------------------------------------------------------------- a command


@dataclass(frozen=True, init=False)
class Command(Notifier):
    """Tell the team by a command, which gets the notice as JSON on standard input.

    `{message}`, `{event}`, `{run}`, `{workflow}`, `{version}` and `{status}` are filled in. There is no
    shell, and nothing is added to the environment.

    Args:
        argv: the program and its arguments.
        on: the events to tell of; by default all but `completed`.
        timeout: seconds after which the command is killed, with everything it has started.

    Raises:
        ValueError: no program, an unknown event, or a timeout that is none.

    >>> Command("notify-send", "gflow", "{message}", on=["failed", "waiting"])
    Command('notify-send', …)
    """

    argv: tuple[str, ...]
    on: Iterable[Event] | Event
    timeout: float

    def __init__(
        self,
        *argv: str | os.PathLike[str],
        on: Iterable[Event] | Event = ORDINARY,
        timeout: float = TIMEOUT,
    ) -> None:
        if not argv:
            raise ValueError("Command() needs the program to run, and its arguments")
        object.__setattr__(self, "argv", tuple(os.fspath(word) for word in argv))
        object.__setattr__(self, "on", on)
        object.__setattr__(self, "timeout", timeout)
        self._check()

    def send(self, notice: Notice, seconds: float) -> None:
        """Run the command. Raises CommandError if it cannot be started, fails, or takes too long."""
        argv = [_filled_in(word, notice) for word in self.argv]
        sh(*argv, input=json.dumps(notice.document()) + "\n", timeout=seconds)

    def __repr__(self) -> str:
        return f"Command({self.argv[0]!r}{', …' * (len(self.argv) > 1)})"


def _filled_in(word: str, notice: Notice) -> str:
    """Replace what stands for a part of the notice; any other braces, as of JSON, are left alone."""
    return PLACEHOLDER.sub(lambda found: _part(notice, found[1]), word)


def _part(notice: Notice, name: str) -> str:
    return str(notice) if name == "message" else str(getattr(notice, name))


# ---------------------------------------------------------------- a request


@dataclass(frozen=True)
class Post(Notifier):
    """Tell the team by an HTTP request: POST, with the notice as JSON, which must be answered by 2xx.

    A redirect is not followed: it could carry the headers to someone else. Neither URL nor headers are ever
    shown; what is secret in them belongs into the environment or a file, not into the code.

    Args:
        url: http or https; a `Secret` if whoever knows it may post.
        headers: a value is a text, a `Secret`, or parts to put together: `("Bearer ", Secret("env:TOKEN"))`.
        body: makes the JSON of the request, for services that want another shape.
        on: the events to tell of; by default all but `completed`.
        timeout: seconds that there are for it.

    Raises:
        ValueError: a URL, an event or a timeout that cannot be used.

    >>> Post(Secret.from_env("CHAT_WEBHOOK"), body=lambda notice: {"content": str(notice)})
    Post(env:CHAT_WEBHOOK)
    """

    url: Text
    _: KW_ONLY
    headers: Mapping[str, Text] = field(default_factory=dict[str, Text])
    body: Callable[[Notice], object] = Notice.document
    on: Iterable[Event] | Event = ORDINARY
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        if isinstance(self.url, str):
            _check_url(self.url)
        self._check()

    def send(self, notice: Notice, seconds: float) -> None:
        """Send the request. Raises NotSent, or UsageError if a secret is missing."""
        from gflow.notify.http import post  # noqa: PLC0415  # few workflows post, and urllib is large

        url = _revealed(self.url)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "gflow",  # that of urllib is turned away by some services
            **{name: _revealed(value) for name, value in self.headers.items()},
        }
        _check_url(url)
        post(url, headers, json.dumps(self.body(notice)).encode(), seconds)

    def __repr__(self) -> str:
        return f"Post({_shown(self.url)})"


def _revealed(text: Text) -> str:
    parts = text if isinstance(text, tuple) else (text,)
    return "".join(part.reveal() if isinstance(part, Secret) else part for part in parts)


def _check_url(url: str) -> None:
    """Raise ValueError, without the URL, if it is none to post to."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("the URL of a Post cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the URL of a Post begins with https:// or http://, and names a host")
    if parts.username is not None:
        raise ValueError('the URL of a Post holds no password: headers={"Authorization": Secret(…)}')


def _shown(url: Text) -> str:
    """Return what may be said of a URL: where it leads, or the reference of what is secret in it."""
    first = next(iter(url), "") if isinstance(url, tuple) else url
    if isinstance(first, Secret):
        return str(first)
    origin = ORIGIN.match(first)
    return origin[1] if origin and (origin[2] or first is url) else "…"


# ---------------------------------------------------------------- a function


@dataclass(frozen=True)
class Call(Notifier):
    """Tell the team by a function, which is called in a thread of its own: `Call(tell, on=["completed"])`.

    Args:
        function: takes the notice; what it returns is ignored.
        on: the events to tell of; by default all but `completed`.
        timeout: seconds that it has. A function cannot be ended: it is left behind then, and the process
            ends without it.

    Raises:
        ValueError: an unknown event, or a timeout that is none.
    """

    function: Callable[[Notice], object]
    _: KW_ONLY
    on: Iterable[Event] | Event = ORDINARY
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        self._check()

    def send(self, notice: Notice, seconds: float) -> None:
        """Call the function. Raises whatever it raises."""
        self.function(notice)

    def __repr__(self) -> str:
        return f"Call({getattr(self.function, '__qualname__', type(self.function).__name__)})"
