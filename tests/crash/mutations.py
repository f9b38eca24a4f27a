"""Ways to break gflow that the fault tests must notice: the proof that they prove something.

Each is a context manager that replaces a function of gflow in this process. `python -m tests.crash`
applies them in forked children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from gflow import agenda, bodies, events, journal
from gflow.state import State
from gflow.stores import Round, memory, sqlite


@dataclass(frozen=True, slots=True)
class Mutation:
    """A broken gflow: `with mutation.applied(): …`."""

    name: str
    applied: Callable[[], AbstractContextManager[None]]


ALL: dict[str, Mutation] = {}
"""Every mutation by name; there is nobody to call the functions below but this."""


def mutation(apply: Callable[[], Iterator[None]]) -> Mutation:
    """Make a mutation of a generator that replaces something and puts it back."""
    name = apply.__name__.replace("_", "-")
    ALL[name] = Mutation(name, contextmanager(apply))
    return ALL[name]


# ---------------------------------------------------------------- the order of things


class _Late:
    """A store that acknowledges a round before it has it: it is written with the next one."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._owed: tuple[Any, ...] | None = None

    def append(self, run: str, added: Round, values: bytes, row: Any = None) -> None:
        self._settle()
        if row is None:
            self._owed = (run, added, values)
        else:  # how a run begins and ends is told to others
            self._store.append(run, added, values, row)

    def value(self, *place: Any) -> Any:
        self._settle()
        return self._store.value(*place)

    def close(self) -> None:
        self._settle()
        self._store.close()

    def _settle(self) -> None:
        if self._owed is not None:
            owed, self._owed = self._owed, None
            self._store.append(*owed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@mutation
def body_before_commit() -> Iterator[None]:
    """What a round starts begins before the round is written."""
    original = journal.Journal.__init__

    def init(self: Any, store: Any, *rest: Any) -> None:
        original(self, _Late(store), *rest)

    with patch.object(journal.Journal, "__init__", init):
        yield


@mutation
def no_started_record() -> Iterator[None]:
    """Attempts begin without a record."""
    original = journal.Journal.append

    def append(self: Any, at: float, told: Sequence[Any], *rest: Any) -> int:
        kept = [event for event in told if not isinstance(event, events.Started)]
        return original(self, at, kept, *rest)

    with patch.object(journal.Journal, "append", append):
        yield


@mutation
def open_attempts_survive() -> Iterator[None]:
    """A claim leaves the attempts of a dead process open, as if they ran."""
    original = State._claimed

    def claimed(self: State, event: Any) -> None:
        running = dict(self.open)
        original(self, event)
        for path in running:
            self.slots[path].status = "running"
        self.open.update(running)

    with patch.object(State, "_claimed", claimed):
        yield


@mutation
def done_forgotten_by_claim() -> Iterator[None]:
    """A claim takes the steps that completed last for lost, too."""
    original = State._claimed

    def claimed(self: State, event: Any) -> None:
        original(self, event)
        completed = [slot for slot in self.slots.values() if slot.status == "completed"]
        if completed:
            completed[-1].status = "pending"

    with patch.object(State, "_claimed", claimed):
        yield


@mutation
def limit_ignored() -> Iterator[None]:
    """A group's `limit=` limits nothing."""
    with patch.object(agenda.Agenda, "_full_limit", lambda self, name: None):
        yield


@mutation
def shared_values() -> Iterator[None]:
    """Consumers get the object itself, from memory, not a copy of what is stored."""
    alive: dict[tuple[int, str], Any] = {}
    seal, value = bodies.Bodies._returned, bodies.Bodies.value

    def returned(self: Any, job: Any) -> Any:
        alive[id(self), job.node.name] = job.value
        return seal(self, job)

    def shared(self: Any, path: str, *rest: Any) -> Any:
        found = alive.get((id(self), path))
        return value(self, path, *rest) if found is None else found

    with patch.multiple(bodies.Bodies, _returned=returned, value=shared):
        yield


# ---------------------------------------------------------------- one owner


@mutation
def no_fence() -> Iterator[None]:
    """A round that another process has written is overwritten."""
    original = memory.MemoryStore.append

    def append(self: Any, run: str, added: Round, values: bytes, row: Any = None) -> None:
        self._rounds.get(run, {}).pop(added.n, None)
        original(self, run, added, values, row)

    replacing = sqlite._ADD_ROUND.replace("INSERT", "INSERT OR REPLACE")
    with patch.object(memory.MemoryStore, "append", append), patch.object(sqlite, "_ADD_ROUND", replacing):
        yield
