"""A store that forgets: everything in memory, for tests and throw-away runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable

from gflow.errors import StoreError
from gflow.stores import Blob, Message, Round, RunRow, moved


class MemoryStore:
    """Keeps everything until it is closed, and keeps to the contract of `Store` otherwise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rounds: dict[str, dict[int, tuple[Round, bytes]]] = {}
        self._blobs: dict[str, tuple[float, bytes]] = {}
        self._rows: dict[str, RunRow] = {}
        self._inbox: list[Message] = []
        self._posted = 0
        self._fault = ""

    def append(self, run: str, added: Round, values: bytes, row: RunRow | None = None) -> None:
        n, at, records, mac = added
        with self._lock:
            self._check()
            rounds = self._rounds.setdefault(run, {})
            if n in rounds:
                raise moved(run, n)
            try:
                rounds[n] = Round(n, float(at), bytes(records), bytes(mac)), bytes(values)
            except (TypeError, ValueError) as error:
                self._fault = f"the store failed before and is not used any more: {error}"
                raise StoreError(f"run {run}: round {n} cannot be kept: {error}") from error
            if row is not None:
                self._rows[run] = row

    def rounds(self, run: str, after: int = 0) -> list[Round]:
        with self._lock:
            self._check()
            kept = self._rounds.get(run, {})
            return [kept[n][0] for n in sorted(kept) if n > after]

    def value(self, run: str, n: int, offset: int, length: int) -> bytes:
        with self._lock:
            self._check()
            kept = self._rounds.get(run, {}).get(n)
        if kept is None:
            raise StoreError(f"run {run} has no round {n}")
        return kept[1][offset : offset + length]

    def put_blob(self, payload: bytes) -> str:
        name = os.urandom(16).hex()
        with self._lock:
            self._check()
            self._blobs[name] = time.time(), payload
        return name

    def blob(self, name: str) -> bytes:
        with self._lock:
            self._check()
            if name not in self._blobs:
                raise StoreError(f"the blob {name} is missing")
            return self._blobs[name][1]

    def runs(self, limit: int | None = None) -> list[RunRow]:
        return self._newest()[:limit]

    def find(self, prefix: str) -> list[RunRow]:
        return [row for row in self._newest() if row.id.startswith(prefix)]

    def durations(self, workflow: str, last: int = 20) -> list[str]:
        rows = self._newest()
        return [row.summary for row in rows if row.workflow == workflow and row.status == "completed"][:last]

    def post(self, run: str, kind: str, payload: bytes, mac: bytes) -> None:
        with self._lock:
            self._check()
            self._posted += 1
            self._inbox.append(Message(self._posted, run, kind, payload, mac))

    def inbox(self, run: str, after: int = 0) -> list[Message]:
        with self._lock:
            self._check()
            return [message for message in self._inbox if message.run == run and message.id > after]

    def news(self) -> int:
        with self._lock:
            self._check()
            return self._posted

    def weight(self, run: str) -> int:
        with self._lock:
            self._check()
            rounds = self._rounds.get(run, {}).values()
            return sum(len(each.records) + len(values) for each, values in rounds)

    def forget(self, run: str) -> None:
        with self._lock:
            self._check()
            self._rounds.pop(run, None)
            self._rows.pop(run, None)
            self._inbox = [message for message in self._inbox if message.run != run]

    def blobs(self) -> list[Blob]:
        with self._lock:
            self._check()
            return [Blob(name, len(payload), at) for name, (at, payload) in self._blobs.items()]

    def drop_blobs(self, names: Iterable[str]) -> None:
        with self._lock:
            self._check()
            for name in names:
                self._blobs.pop(name, None)

    def compact(self) -> None:
        self._check()

    def tidy(self, *, idle: bool) -> None:
        self._check()

    def close(self) -> None:
        with self._lock:
            self._fault = "the store is closed"
            self._rounds, self._blobs, self._rows = {}, {}, {}

    def _newest(self) -> list[RunRow]:
        with self._lock:
            self._check()
            return list(reversed(self._rows.values()))

    def _check(self) -> None:
        if self._fault:
            raise StoreError(self._fault)
