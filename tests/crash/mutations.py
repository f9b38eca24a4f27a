"""Ways to break gflow that the fault tests must notice: the proof that they prove something.

Each is a context manager that replaces a function of gflow in this process. `python -m tests.crash`
applies them in forked children.
"""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any
from unittest.mock import patch

import anyio.lowlevel

from gflow import (
    agenda,
    bodies,
    checkpoint,
    compensation,
    drift,
    events,
    fingerprint,
    inbox,
    journal,
    ownership,
    rollback,
    runner,
    salvage,
    scheduler,
    session,
    values,
)
from gflow.agenda.places import Places
from gflow.agenda.scopes import Scopes
from gflow.checkpoint import Place, Unpicklable, keys
from gflow.errors import JournalMoved, StoreError
from gflow.state import State
from gflow.stores import Round, memory, sqlite
from gflow.stores.sqlite import files


@dataclass(frozen=True, slots=True)
class Mutation:
    """A broken gflow: `with mutation.applied(): …`."""

    name: str
    breaks: Callable[[], AbstractContextManager[None]]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Break gflow in this process, and in the processes that it forks."""
        with self.breaks():
            ACTIVE.append(self.name)
            try:
                yield
            finally:
                ACTIVE.remove(self.name)


ALL: dict[str, Mutation] = {}
"""Every mutation by name; there is nobody to call the functions below but this."""
ACTIVE: list[str] = []
"""The names of those that are applied: a process that is started anew has to apply them again."""
_FOR_GOOD = ExitStack()


def apply_for_good(names: Iterable[str]) -> None:
    """Break this process for the rest of its life."""
    for name in names:
        _FOR_GOOD.enter_context(ALL[name].applied())


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
        self._lock = Lock()  # bodies read from their threads

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
        with self._lock:
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
    with patch.object(Places, "full_limit", lambda self, name, frame: None):
        yield


@mutation
def shared_values() -> Iterator[None]:
    """Consumers get the object itself, from memory, not a copy of what is stored."""
    alive: dict[tuple[int, str], Any] = {}
    seal, one = bodies.Bodies._returned, values.Values._one

    def returned(self: Any, job: Any) -> Any:
        alive[id(self.values), job.path] = job.value
        return seal(self, job)

    def shared(self: Any, path: str, *rest: Any, **more: Any) -> Any:
        found = alive.get((id(self), path))
        return one(self, path, *rest, **more) if found is None else found

    with patch.object(bodies.Bodies, "_returned", returned), patch.object(values.Values, "_one", shared):
        yield


@mutation
def signal_ignored() -> Iterator[None]:
    """An interrupted run goes on admitting steps."""
    with patch.object(scheduler.Scheduler, "stop", lambda self, status, reason="": None):
        yield


# ---------------------------------------------------------------- going back


@mutation
def undo_ascending() -> Iterator[None]:
    """Steps are taken back in the order in which they completed."""
    original = compensation.entries

    def entries(state: State, steps: Iterable[str], to: str) -> tuple[Any, ...]:
        return original(state, steps, to)[::-1]

    with patch.object(compensation, "entries", entries):
        yield


@mutation
def undo_of_completed_only() -> Iterator[None]:
    """What was begun and did not complete is not taken back, though it may have acted."""
    original = compensation.entries

    def entries(state: State, steps: Iterable[str], to: str) -> tuple[Any, ...]:
        return tuple(entry for entry in original(state, steps, to) if entry.completed)

    with patch.object(compensation, "entries", entries):
        yield


@mutation
def one_key_for_two_generations() -> Iterator[None]:
    """What begins anew after a rollback uses the keys that were undone."""
    original = bodies.Job.__init__

    def init(self: Any, *arguments: Any, **more: Any) -> None:
        original(self, *arguments, **more)
        self.key = "g0"

    with patch.object(bodies.Job, "__init__", init):
        yield


@mutation
def consumers_kept() -> Iterator[None]:
    """A rollback forgets what the graph orders after what it takes back."""
    original = rollback.Order.after

    def after(self: Any, step: str, *, inclusive: bool = False) -> set[str]:
        return set(sorted(original(self, step, inclusive=inclusive))[1:])

    with patch.object(rollback.Order, "after", after):
        yield


# ---------------------------------------------------------------- the disk


@mutation
def synchronous_off() -> Iterator[None]:
    """SQLite syncs nothing."""
    original = sqlite._prepare

    def prepare(connection: Any, *rest: Any) -> None:
        original(connection, *rest)
        connection.execute("PRAGMA synchronous = OFF")

    with patch.object(sqlite, "_prepare", prepare):
        yield


@mutation
def no_directory_sync() -> Iterator[None]:
    """The name of a new file is not synced."""
    with patch.object(files, "_sync_folder", lambda folder: None):
        yield


@mutation
def no_blob_sync() -> Iterator[None]:
    """The bytes of a large value are not synced."""

    def write(self: Any, path: Any, payload: bytes) -> None:
        with files._new_file(path) as file:
            file.write(payload)

    with patch.object(files.Blobs, "_write", write):
        yield


@mutation
def torn_round() -> Iterator[None]:
    """A round is written in two transactions: what happened, then its values."""
    original = sqlite.SqliteStore.append

    def append(self: Any, run: str, added: Round, values: bytes, row: Any = None) -> None:
        original(self, run, added, b"", row)
        self._writer.execute("UPDATE round SET vals = ? WHERE run = ? AND n = ?", (values, run, added.n))

    with patch.object(sqlite.SqliteStore, "append", append):
        yield


@mutation
def store_error_ignored() -> Iterator[None]:
    """A round that cannot be written is not missed: the run goes on in memory."""
    original = sqlite.SqliteStore.append

    def append(self: Any, *round_: Any) -> None:
        try:
            original(self, *round_)
        except JournalMoved:
            raise
        except StoreError:
            self._fault = ""

    with patch.object(sqlite.SqliteStore, "append", append):
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


@mutation
def no_lock() -> Iterator[None]:
    """A run can be claimed while another process has it."""

    def try_lock(fd: int, kind: int) -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        return True

    with patch.object(ownership, "try_lock", try_lock):
        yield


@mutation
def undo_beside_a_live_attempt() -> Iterator[None]:
    """Nobody asks whether a command of a killed process is still at work."""

    async def settle_orphans(self: Any) -> None:
        await anyio.lowlevel.checkpoint()

    with patch.object(session.Session, "settle_orphans", settle_orphans):
        yield


@mutation
def run_given_up_beside_a_thread() -> Iterator[None]:
    """A process gives its run up though a thread of it is still at work on a step."""
    original = session.claimed

    @contextmanager
    def claimed(*of: Any) -> Iterator[set[str]]:
        with original(*of) as outliving:
            yield outliving
            outliving.clear()

    with patch.object(runner, "claimed", claimed):
        yield


# ---------------------------------------------------------------- poison


@mutation
def deaths_uncounted() -> Iterator[None]:
    """A process that died with a run is forgotten by the next one."""
    original = State._claimed

    def claimed(self: State, event: Any) -> None:
        original(self, event)
        self.lost = 0

    with patch.object(State, "_claimed", claimed):
        yield


@mutation
def progress_forgotten() -> Iterator[None]:
    """What completes between two deaths does not count."""
    with patch.multiple(State, _done=_keeping(State._done), _undone=_keeping(State._undone)):
        yield


def _keeping(original: Callable[..., None]) -> Callable[..., None]:
    def keeping(self: State, *event: Any) -> None:
        lost = self.lost
        original(self, *event)
        self.lost = lost

    return keeping


@mutation
def verdict_forgotten() -> Iterator[None]:
    """A run that was given up is given up again whenever somebody goes on with it."""
    original = State._status

    def status(self: State, at: float, event: Any) -> None:
        original(self, at, event)
        if "poison" in event.reason:
            self.status = "running"

    with patch.object(State, "_status", status):
        yield


# ---------------------------------------------------------------- signatures


@mutation
def unsigned_accepted() -> Iterator[None]:
    """What carries no signature is believed."""
    original = checkpoint.fits

    def fits(ring: Any, mac: bytes, *parts: bytes, **size: int) -> bool:
        return mac == b"" or original(ring, mac, *parts, **size)

    with (
        patch.object(checkpoint, "fits", fits),
        patch.object(journal, "fits", fits),
        patch.object(inbox, "fits", fits),
    ):
        yield


@mutation
def signature_ignored() -> Iterator[None]:
    """A round is believed whatever its signature is."""
    with patch.object(journal, "fits", lambda *parts, **size: True):
        yield


@mutation
def unpickled_before_verified() -> Iterator[None]:
    """A value is unpickled first, and refused afterwards."""
    original = journal.verify

    def verify(ring: Any, place: Any, tag: str, payload: bytes) -> None:
        with suppress(Exception):
            pickle.loads(payload)
        original(ring, place, tag, payload)

    with patch.object(journal, "verify", verify):
        yield


@mutation
def rounds_unchained() -> Iterator[None]:
    """A round's signature does not cover the one before it."""
    sign, fits = journal.sign, journal.fits

    def alone(ring: Any, kind: bytes, _before: bytes, *parts: bytes, **size: int) -> bytes:
        return sign(ring, kind, b"", *parts, **size)

    def fits_alone(ring: Any, mac: bytes, kind: bytes, _before: bytes, *parts: bytes, **size: int) -> bool:
        return fits(ring, mac, kind, b"", *parts, **size)

    with patch.multiple(journal, sign=alone, fits=fits_alone):
        yield


@mutation
def place_unsigned() -> Iterator[None]:
    """A value's signature does not cover the place that it belongs to."""
    with patch.object(Place, "encode", lambda self: b""):
        yield


@mutation
def loose_key_accepted() -> Iterator[None]:
    """A key that others can read or replace signs all the same."""
    with patch.object(keys, "_check", lambda path, found: None):
        yield


# ---------------------------------------------------------------- values and versions


@mutation
def unstorable_as_text() -> Iterator[None]:
    """A value that cannot be pickled is stored as its repr, and nobody is told."""
    original = bodies.dumps

    def dumps(value: object, name: str = "result") -> bytes:
        try:
            return original(value, name)
        except Unpicklable:
            return pickle.dumps(repr(value))

    with patch.object(bodies, "dumps", dumps):
        yield


@mutation
def event_renamed() -> Iterator[None]:
    """A later version writes and reads `done` under another name."""
    kinds = {"completed" if name == "done" else name: kind for name, kind in events._KINDS.items()}
    names = {kind: name for name, kind in kinds.items()}
    with patch.multiple(events, _KINDS=kinds, _NAMES=names):
        yield


# ---------------------------------------------------------------- changed code


@mutation
def drift_unheeded() -> Iterator[None]:
    """A run goes on, whatever has changed."""
    with patch.object(drift, "find", lambda *all_of_it: []):
        yield


@mutation
def result_type_ignored() -> Iterator[None]:
    """What a step returns is no part of its signature."""
    original = fingerprint._signature

    def signature(*of: Any) -> str:
        return original(*of).partition(" -> ")[0]

    with patch.object(fingerprint, "_signature", signature):
        yield


@mutation
def positions_counted() -> Iterator[None]:
    """Where a body stands is part of it."""
    original = fingerprint._flat

    def flat(body: Any) -> list[str]:
        return [*original(body), str([(each.lineno, each.col_offset) for each in body])]

    with patch.object(fingerprint, "_flat", flat):
        yield


# ---------------------------------------------------------------- conditions, items, rounds, rungs, people


def _unwritten(kind: type[Any], is_meant: Callable[[Any], bool] = lambda event: True) -> Any:
    """Return a patch that keeps one kind of event out of the journal."""
    original = journal.Journal.append

    def append(self: Any, at: float, told: Sequence[Any], *rest: Any) -> int:
        kept = [event for event in told if not (isinstance(event, kind) and is_meant(event))]
        return original(self, at, kept, *rest)

    return patch.object(journal.Journal, "append", append)


def _forgotten_by_claim(forget: Callable[[Any], None]) -> Any:
    """Return a patch that lets a claim forget something of every step."""
    original = State._claimed

    def claimed(self: State, event: Any) -> None:
        original(self, event)
        for slot in self.slots.values():
            forget(slot)

    return patch.object(State, "_claimed", claimed)


@mutation
def condition_not_journaled() -> Iterator[None]:
    """What a condition has answered is in memory alone; the next process asks it again."""
    with _unwritten(events.Decided, lambda event: event.question == "when"):
        yield


@mutation
def list_not_journaled() -> Iterator[None]:
    """The items of a fan-out are in memory alone; the next process lists them again."""
    with _unwritten(events.Opened):
        yield


@mutation
def round_asked_again() -> Iterator[None]:
    """Whether a round was the last is asked again by the next process."""

    def forget(slot: Any) -> None:
        slot.until = None

    with _forgotten_by_claim(forget):
        yield


@mutation
def handled_failure_tried_again() -> Iterator[None]:
    """A failure that was taken as a value is tried again when the run goes on."""

    def forget(slot: Any) -> None:
        if slot.status == "failed" and slot.handled:
            slot.status, slot.handled = "pending", False

    with _forgotten_by_claim(forget):
        yield


@mutation
def rung_forgotten() -> Iterator[None]:
    """After a crash a step begins at its first rung again."""

    def forget(slot: Any) -> None:
        if slot.status == "pending":
            slot.rung = 0

    with _forgotten_by_claim(forget):
        yield


@mutation
def abort_beside_a_live_attempt() -> Iterator[None]:
    """An abort takes steps back while others are at work."""
    original = agenda.next_events

    def next_events(of: Any, *rest: Any) -> Any:
        turn = original(of, *rest)
        over = any(isinstance(event, events.StatusChanged) for event in turn.events)
        if not of.aborting or over or not of.places.flying:
            return turn
        of.abandoned = True
        more = original(of, [], of.now, *rest[2:])
        turn.events.extend(more.events)
        return turn

    with patch.object(scheduler, "next_events", next_events):
        yield


@mutation
def early_yes_for_every_generation() -> Iterator[None]:
    """A yes that was given early answers the question of each generation."""
    with patch.object(State, "_make_void", lambda self, begun_anew: None):
        yield


@mutation
def answer_for_another_question() -> Iterator[None]:
    """Whatever is answered is the answer to the question that is open."""

    def hear(self: Any, event: Any) -> str:
        slot = self.state.slot(event.path)
        if slot.status == "waiting":
            self.answer(event)
        return ""

    with patch.object(agenda.Agenda, "hear", hear):
        yield


@mutation
def answered_twice() -> Iterator[None]:
    """An answer is taken although there was one before."""

    def hear(self: Any, event: Any) -> str:
        self.answer(event)
        return ""

    with patch.object(agenda.Agenda, "hear", hear):
        yield


@mutation
def skip_not_propagated() -> Iterator[None]:
    """Whoever reads a step that was skipped runs all the same."""
    original = agenda.Agenda._prospect

    def prospect(self: Any, *of: Any) -> Any:
        fate, salvages, why = original(self, *of)
        return (None if fate == "skipped" else fate), salvages, why

    with patch.object(agenda.Agenda, "_prospect", prospect):
        yield


@mutation
def previous_round_leaks() -> Iterator[None]:
    """Previous reads the first round, whichever came before."""
    original = values.Values._previous

    def previous(self: Any, param: Any, step: str, at: Any) -> Any:
        first = tuple("~2" if each.startswith("~") else each for each in at.coordinates)
        return original(self, param, step, at._replace(coordinates=first))

    with patch.object(values.Values, "_previous", previous):
        yield


@mutation
def items_beyond_the_limit() -> Iterator[None]:
    """A fan-out opens as many items as there is room for, whatever its limit is."""
    original = Scopes._has_place

    def has_place(self: Any, scope: Any, room: Any) -> bool:
        each = scope.node.each
        if each is None or each.limit is None:
            return original(self, scope, room)
        node, scope.node = scope.node, replace(scope.node, each=replace(each, limit=None))
        try:
            return original(self, scope, room)
        finally:
            scope.node = node

    with patch.object(Scopes, "_has_place", has_place):
        yield


@mutation
def teardown_kept() -> Iterator[None]:
    """What had run on a failure stays, though what failed is tried again."""
    with patch.object(salvage, "ran_on_failures", lambda graph, state: []):
        yield


@mutation
def cancelled_by_an_abort_interrupted() -> Iterator[None]:
    """What an abort has ended counts as interrupted."""
    original = agenda.Agenda.judge

    def judge(self: Any, outcome: Any) -> None:
        aborting, self.aborting = self.aborting, self.aborting and not isinstance(outcome, agenda.Ended)
        original(self, outcome)
        self.aborting = self.aborting or aborting

    with patch.object(agenda.Agenda, "judge", judge):
        yield
