"""Where runs are kept: the contract of a store. Each store is a file beside this one.

A store keeps bytes and knows nothing of what they mean: the journal has made and signed them.
`tests/contracts/test_store.py` holds the contract for every store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gflow.errors import JournalMoved


class Round(NamedTuple):
    """One row of the journal, without its values; `at` are Unix seconds."""

    n: int
    at: float
    records: bytes
    mac: bytes


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as lists and statistics show it: a view of the journal, never the truth about the run.

    `created` and `ended` are Unix seconds; `summary` is JSON text that the store does not read.
    """

    id: str
    workflow: str
    module: str
    status: str
    created: float
    ended: float | None = None
    summary: str = "{}"


class Message(NamedTuple):
    """What another process says about a run; `id` is its place in the inbox, `mac` signs the rest."""

    id: int
    run: str
    kind: str
    payload: bytes
    mac: bytes


class Blob(NamedTuple):
    """A large value that is kept by itself: its name, its size in bytes, since when (Unix seconds)."""

    name: str
    size: int
    at: float


class Store(Protocol):
    """A place that keeps the rounds of runs, their values, and the list of runs.

    What holds for every store:

    - What a method did has happened when it returns: it survives what the store's durability level
      promises to survive. What it did not do has not happened in part.
    - `append`, `tidy`, `forget`, `compact` and `close` are called by one thread at a time, though not
      always by the same one. Everything else may be called by any thread at any time, also during an
      `append`.
    - When an `append` fails for another reason than JournalMoved, nobody knows whether it happened.
      The store is *poisoned*: from then on every call but `close` raises StoreError. The truth is read
      by whoever opens the store next.
    - A store raises StoreError and its subclasses, and no other errors.
    """

    def append(self, run: str, added: Round, values: bytes, row: RunRow | None = None) -> None:
        """Add a round to a run, and with `row`, in the same transaction, replace the run's row.

        `values` are the small values of the round, back to back. A round of one number exists once,
        whoever wrote it: this is the fence between processes. Raises JournalMoved if it exists already,
        whatever it holds; then nothing has changed, not even the row, and the store can still be used.
        """
        ...

    def rounds(self, run: str, after: int = 0) -> list[Round]:
        """Return the rounds of a run beyond number `after`, in order, without reading their values."""
        ...

    def value(self, run: str, n: int, offset: int, length: int) -> bytes:
        """Return `length` bytes of the values of round `n`, from `offset` on.

        What lies beyond their end is missing from the answer: the signature will not fit. Raises
        StoreError if there is no such round.
        """
        ...

    def put_blob(self, payload: bytes) -> str:
        """Keep a large value by itself and return the name under which it is found.

        A round that names the blob is appended afterwards; a blob that no round names is rubbish. A
        failure is StoreError and poisons nothing: the blob is not there, and no round speaks of it.
        """
        ...

    def blob(self, name: str) -> bytes:
        """Return the value that `put_blob` kept under `name`. Raises StoreError if it is not there."""
        ...

    def runs(self, limit: int | None = None) -> list[RunRow]:
        """Return the rows of all runs, or of the newest `limit`: those first that came last."""
        ...

    def find(self, prefix: str) -> list[RunRow]:
        """Return the rows of the runs whose id begins with `prefix`, those first that came last.

        Upper and lower case differ, and no character has a meaning of its own.
        """
        ...

    def durations(self, workflow: str, last: int = 20) -> list[str]:
        """Return the summaries of the `last` completed runs of a workflow, those first that came last."""
        ...

    def post(self, run: str, kind: str, payload: bytes, mac: bytes) -> None:
        """Add a message to the inbox of a run; any process may, also one that does not own the run."""
        ...

    def inbox(self, run: str, after: int = 0) -> list[Message]:
        """Return the messages to a run whose id is beyond `after`, in the order in which they came."""
        ...

    def news(self) -> int:
        """Return a number that differs when another process has written since; it costs next to nothing."""
        ...

    def weight(self, run: str) -> int:
        """Return how many bytes the rounds of a run take, with their small values."""
        ...

    def forget(self, run: str) -> None:
        """Remove a run, all of it or nothing: its rounds, its row, its inbox. What is not there is no error.

        Its blobs stay, as rubbish. Nobody works on the run, and no other run names its values.
        """
        ...

    def blobs(self) -> list[Blob]:
        """Return all blobs, also those that no round names, and what a crash has left of others."""
        ...

    def drop_blobs(self, names: Iterable[str]) -> None:
        """Remove blobs that `blobs` has returned and no round names. One that is gone is no error."""
        ...

    def compact(self) -> None:
        """Give room back that has become free, if that is much; it may take as long as copying all runs."""
        ...

    def tidy(self, *, idle: bool) -> None:
        """Do the housekeeping that is due: after each turn, or `idle`, when no step waits for a turn.

        It costs next to nothing while nothing is due. Raises StoreError, and then poisons the store.
        """
        ...

    def close(self) -> None:
        """Let go of everything; a second call does nothing. Other calls then raise StoreError."""
        ...


def moved(run: str, n: int) -> JournalMoved:
    """Return the error that says that a round exists already."""
    return JournalMoved(
        f"run {run}: round {n} was written by another process, which goes on with the run",
        f"look at it: gflow show {run}",
    )
