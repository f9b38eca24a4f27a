"""What other processes say about a run: signed messages, so that who can only write files says nothing.

The owner of a run looks twice a second whether anybody has written, and hears each message once: that it
was heard is an event of the journal, in the round that acts on it.
"""

from __future__ import annotations

import getpass
import json
import socket
import time
from dataclasses import dataclass
from typing import Any, Final, Literal

from gflow.checkpoint import Keys, fits, sign
from gflow.stores import Message, Store

Kind = Literal["cancel", "approve", "reject"]

KINDS: Final = ("cancel", "approve", "reject")


@dataclass(frozen=True, slots=True)
class Word:
    """A message that was verified: what is said, by whom (`user@host`), when (Unix seconds).

    A decision names its question: the step's `path`, its generation, the digest of what was shown.
    """

    id: int
    kind: str
    who: str
    at: float
    path: str = ""
    generation: int = 0
    digest: str = ""
    comment: str = ""


def sender() -> str:
    """Return who speaks: `user@host`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def say(store: Store, keys: Keys, run: str, kind: Kind, session: int, **about: object) -> None:
    """Put a signed message into a run's inbox, for the process that took it over as number `session`.

    A copy of it that somebody puts there later is for nobody. `about` is what a decision says of its
    question: `path`, `generation`, `digest`, `comment`.
    """
    said = {"who": sender(), "at": time.time(), "session": session, **about}
    payload = json.dumps(said, separators=(",", ":")).encode()
    store.post(run, kind, payload, sign(keys, *_signed(run, kind, payload)))


class Inbox:
    """The inbox of one run, as its owner number `session` reads it, from message `after` on.

    `refused` counts the messages that were not genuine, or for another owner.
    """

    def __init__(self, store: Store, keys: Keys, run: str, *, session: int, after: int = 0) -> None:
        self._store = store
        self._keys = keys
        self._run = run
        self._session = session
        self._after = after
        self._news = -1
        self.refused = 0

    @property
    def has_news(self) -> bool:
        """Whether there is something genuine to hear; it stays there to be heard."""
        return any(self._verified(message) for message in self._store.inbox(self._run, self._after))

    def hear(self) -> list[Word]:
        """Return what was said since; if nobody has written, this costs one question to the store."""
        news = self._store.news()
        if news == self._news:
            return []
        self._news = news
        messages = self._store.inbox(self._run, self._after)
        words = [word for word in map(self._verified, messages) if word is not None]
        self._after = max((message.id for message in messages), default=self._after)
        self.refused += len(messages) - len(words)
        return words

    def _verified(self, message: Message) -> Word | None:
        number, run, kind, payload, mac = message
        if (
            kind not in KINDS  # first: a forged row may hold any type
            or (type(mac), type(payload)) != (bytes, bytes)
            or not fits(self._keys, mac, *_signed(run, kind, payload))
        ):
            return None
        said: dict[str, Any] = json.loads(payload)
        if said["session"] != self._session:
            return None
        about = {name: said[name] for name in ("path", "generation", "digest", "comment") if name in said}
        return Word(number, kind, str(said["who"]), float(said["at"]), **about)


def _signed(run: str, kind: str, payload: bytes) -> tuple[bytes, ...]:
    return b"inbox", run.encode(), kind.encode(), payload
