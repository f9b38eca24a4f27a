"""The one place where something becomes true: written first, told second.

A journal is the history of one run, in rounds. Each round is signed together with the signature of the
round before it, so a round can neither be changed, nor moved, nor left out. Not found is an older copy:
a history without its newest rounds is one that was true.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from gflow.checkpoint import Keys, Place, fits, sign, tag, verify
from gflow.errors import CheckpointTampered, StoreError
from gflow.events import Event, Ref, decode, encode
from gflow.stores import Round, RunRow, Store

LARGEST_INLINE: Final = 64 * 1024
"""A longer value becomes a blob, so that a round stays small."""

MAC_SIZE: Final = 32
ROUND: Final = 1 << 30
"""More bytes than the values of a round can have."""

Listener = Callable[[float, Sequence[Event]], None]
_pack = struct.Struct(">qd").pack


class Sealed(NamedTuple):
    """A value on its way into the journal: signed, and if it is large, already in a blob."""

    payload: bytes
    length: int
    tag: str
    blob: str | None = None


class Journal:
    """The history of one run in a store.

    `listeners` are told each round after it was written: `listener(at, events)`. One that fails harms
    nothing; its error is kept in `listener_errors` (the last 100).

    `append` is called by one thread at a time; `seal` and `read` by any.
    """

    def __init__(self, store: Store, run: str, keys: Keys) -> None:
        self._store = store
        self.run = run
        self._keys = keys
        self._id = run.encode()
        self._head = 0
        self._mac = b""
        self._nearby: tuple[str, int, bytes] = ("", 0, b"")
        self.listeners: list[Listener] = []
        self.listener_errors: deque[Exception] = deque(maxlen=100)

    @property
    def next_round(self) -> int:
        """The number that the next round will have; rounds count from 1."""
        return self._head + 1

    # ------------------------------------------------------------ rounds

    def append(
        self, at: float, events: Sequence[Event], values: Iterable[bytes] = (), row: RunRow | None = None
    ) -> int:
        """Write a round and return its number; when this returns, the events are true.

        `at` are Unix seconds. `values` are the payloads that the events refer to, in the order in which
        `place_values` placed them. `row` replaces the run's row in the same transaction. Raises
        JournalMoved if another process has written this round, StoreError if the store has failed;
        then this journal is not used any further.
        """
        n = self._head + 1
        records = encode(events)
        mac = sign(self._keys, b"round", self._mac, self._id, _pack(n, at), records, size=MAC_SIZE)
        self._store.append(self.run, Round(n, at, records, mac), b"".join(values), row)
        self._head, self._mac = n, mac
        if self.listeners:
            self._tell(at, events)
        return n

    def tidy(self, *, idle: bool) -> None:
        """Let the store do the housekeeping that is due; `idle` when no step waits for a turn."""
        self._store.tidy(idle=idle)

    def _tell(self, at: float, events: Sequence[Event]) -> None:
        for listener in self.listeners:
            try:
                listener(at, events)
            except Exception as error:  # noqa: BLE001  (what is written is true, whoever cannot bear it)
                self.listener_errors.append(error)

    def load(self) -> list[tuple[int, float, list[Event]]]:
        """Return the rounds not seen yet, as (number, Unix seconds, events), and go on from there.

        So the first call returns the whole history, and a later one what another process has added.
        Raises CheckpointTampered if a round is missing, out of order, or not signed as it stands.
        """
        return list(self.follow())

    def follow(self) -> Iterator[tuple[int, float, list[Event]]]:
        """Yield what `load` returns, one round at a time: a long history need not be in memory at once."""
        for each in self._store.rounds(self.run, self._head):
            yield self._accept(each)

    def _accept(self, found: Round) -> tuple[int, float, list[Event]]:
        n, at, records, mac = found
        if n != self._head + 1:
            raise self._tampered(self._head + 1, "is missing")
        if not fits(self._keys, mac, b"round", self._mac, self._id, _pack(n, at), records, size=MAC_SIZE):
            raise self._tampered(n, "does not fit its signature")
        self._head, self._mac = n, mac
        return n, at, self._decode(n, records)

    def _decode(self, n: int, records: bytes) -> list[Event]:
        try:
            return decode(records)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"run {self.run}, round {n}: written by a newer gflow: {type(error).__name__}: {error}",
                "upgrade gflow",
            ) from error

    def _tampered(self, n: int, what: str) -> CheckpointTampered:
        return CheckpointTampered(
            f"run {self.run}: round {n} of the journal {what}",
            "if it was written with another key, give that by GFLOW_KEY or GFLOW_KEY_FILE",
        )

    # ------------------------------------------------------------ values

    def seal(self, place: Place, payload: bytes) -> Sealed:
        """Sign a pickled value, and put a large one into a blob: the work that needs no turn."""
        signature = tag(self._keys, place, payload)
        if len(payload) <= LARGEST_INLINE:
            return Sealed(payload, len(payload), signature)
        return Sealed(b"", len(payload), signature, self._store.put_blob(payload))

    def place_values(self, sealed: Iterable[Sealed]) -> list[Ref]:
        """Return where values will lie if the next round is appended with their payloads, in this order."""
        refs: list[Ref] = []
        offset = 0
        for payload, length, signature, blob in sealed:
            refs.append(Ref(self._head + 1, 0 if blob else offset, length, signature, blob))
            offset += len(payload)
        return refs

    def read(self, ref: Ref, place: Place, *, nearby: bool = False) -> bytes:
        """Return the pickled value that `ref` refers to, verified; it lies in the run that `place` names.

        `nearby` says that others of the same round will be read next. Raises CheckpointTampered if it is not
        what was stored at `place`, StoreError if it is gone.
        """
        if ref.blob is not None:
            payload = self._store.blob(ref.blob)
        elif nearby:
            payload = self._values_of(place.run, ref.round)[ref.offset : ref.offset + ref.length]
        else:
            payload = self._store.value(place.run, ref.round, ref.offset, ref.length)
        verify(self._keys, place, ref.tag, payload)
        return payload

    def _values_of(self, run: str, n: int) -> bytes:
        """Return all small values of a round; the last one read is kept."""
        nearby = self._nearby
        if nearby[:2] != (run, n):
            nearby = self._nearby = run, n, self._store.value(run, n, 0, ROUND)
        return nearby[2]
