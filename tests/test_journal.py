"""The journal: written first, told second, and signed so that no round can be changed, moved or left out."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow import journal as module
from gflow.checkpoint import Keys, Place, dumps, sign, unpickle
from gflow.errors import CheckpointTampered, JournalMoved, StoreError
from gflow.events import Done, Event, Ref, Started, StatusChanged, Stopped, encode
from gflow.journal import LARGEST_INLINE, Journal
from gflow.stores import Round, RunRow
from gflow.stores.memory import MemoryStore
from gflow.stores.sqlite import SqliteStore

KEYS = Keys((b"k" * 32,))
OTHER = Keys((b"o" * 32,))
PLACE = Place("k3f9", "build", 0, 1)
ROUNDS: list[list[Event]] = [
    [StatusChanged("running"), Started("build", 1)],
    [Done("build", Ref(2, 0, 3, "ab"), "a wheel", 0.25), Started("tag", 1)],
    [Stopped("tag")],
    [StatusChanged("interrupted", "Ctrl-C")],
]


@pytest.fixture
def store() -> MemoryStore:
    """Return a store with the rounds of one run."""
    made = MemoryStore()
    written = Journal(made, "k3f9", KEYS)
    for n, events in enumerate(ROUNDS):
        written.append(100.5 + n, events)
    return made


def copied(rounds: Sequence[Round], run: str = "k3f9") -> MemoryStore:
    """Return a store that holds just these rounds."""
    made = MemoryStore()
    for each in rounds:
        made.append(run, each, b"")
    return made


# ---------------------------------------------------------------- rounds


def test_history_comes_back(store: MemoryStore) -> None:
    """What was appended is loaded: number, time and events."""
    assert Journal(store, "k3f9", KEYS).load() == [
        (n + 1, 100.5 + n, events) for n, events in enumerate(ROUNDS)
    ]


def test_numbers() -> None:
    """Rounds are counted from 1, and the number of the next one is known before."""
    journal = Journal(MemoryStore(), "k3f9", KEYS)
    assert journal.load() == []
    assert journal.next_round == 1
    assert [journal.append(1.0, events) for events in ROUNDS] == [1, 2, 3, 4]
    assert journal.next_round == 5


def test_goes_on_after_load(store: MemoryStore) -> None:
    """After a load the journal goes on where the history ends, and the whole still fits."""
    journal = Journal(store, "k3f9", KEYS)
    journal.load()
    assert journal.append(200.0, ROUNDS[0]) == 5
    assert len(Journal(store, "k3f9", KEYS).load()) == 5


def test_load_returns_what_is_new(store: MemoryStore) -> None:
    """A second load returns only what others have added since."""
    journal = Journal(store, "k3f9", KEYS)
    journal.load()
    assert journal.load() == []
    other = Journal(store, "k3f9", KEYS)
    other.load()
    other.append(200.0, ROUNDS[0])
    assert journal.load() == [(5, 200.0, ROUNDS[0])]
    assert journal.append(201.0, ROUNDS[1]) == 6


def test_what_is_signed() -> None:
    """A round is signed with the signature before it, its run, number, time and records."""
    store = MemoryStore()
    journal = Journal(store, "k3f9", KEYS)
    journal.append(100.5, ROUNDS[0])
    journal.append(101.5, ROUNDS[1])
    before = b""
    for n, at, records, mac in store.rounds("k3f9"):
        head = struct.pack(">qd", n, at)
        assert records == encode(ROUNDS[n - 1])
        assert mac == sign(KEYS, b"round", before, b"k3f9", head, records, size=32)
        before = mac


def test_fence(store: MemoryStore) -> None:
    """Who missed a round cannot write it again, and does not count on."""
    one, other = Journal(store, "k3f9", KEYS), Journal(store, "k3f9", KEYS)
    one.load()
    other.load()
    one.append(200.0, ROUNDS[0])
    with pytest.raises(JournalMoved):
        other.append(200.0, ROUNDS[1])
    assert other.next_round == 5
    assert len(Journal(store, "k3f9", KEYS).load()) == 5


def test_row() -> None:
    """A row goes to the store with its round."""
    store = MemoryStore()
    row = RunRow("k3f9", "release", "recipes.release", "running", 1.5)
    Journal(store, "k3f9", KEYS).append(1.5, ROUNDS[0], row=row)
    assert store.runs() == [row]


# ---------------------------------------------------------------- forgeries

Forgery = Callable[[list[Round]], list[Round]]
FORGERIES: dict[str, tuple[Forgery, int]] = {
    "changed records": (lambda r: [r[0], r[1]._replace(records=r[2].records), *r[2:]], 2),
    "changed time": (lambda r: [r[0], r[1]._replace(at=0.0), *r[2:]], 2),
    "missing first": (lambda r: r[1:], 1),
    "missing in between": (lambda r: [r[0], *r[2:]], 2),
    "missing and renumbered": (lambda r: [r[0], *(each._replace(n=each.n - 1) for each in r[2:])], 2),
    "swapped": (lambda r: [r[0], r[2]._replace(n=2), r[1]._replace(n=3), r[3]], 2),
    "repeated at the end": (lambda r: [*r, r[3]._replace(n=5)], 5),
    "no signature": (lambda r: [*r[:3], r[3]._replace(mac=b"")], 4),
    "short signature": (lambda r: [*r[:3], r[3]._replace(mac=r[3].mac[:16])], 4),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_rounds(name: str, store: MemoryStore) -> None:
    """Rounds that were changed, moved, renumbered or taken away are found, and the place is named."""
    forge, n = FORGERIES[name]
    with pytest.raises(CheckpointTampered, match=f"run k3f9: round {n} of the journal ") as caught:
        Journal(copied(forge(store.rounds("k3f9"))), "k3f9", KEYS).load()
    assert "GFLOW_KEY" in caught.value.remedy


def test_another_run(store: MemoryStore) -> None:
    """The rounds of one run do not pass for those of another."""
    with pytest.raises(
        CheckpointTampered, match="run zzzz: round 1 of the journal does not fit its signature"
    ):
        Journal(copied(store.rounds("k3f9"), "zzzz"), "zzzz", KEYS).load()


def test_another_key(store: MemoryStore) -> None:
    """Rounds that another key signed are refused."""
    with pytest.raises(CheckpointTampered, match="round 1"):
        Journal(store, "k3f9", OTHER).load()


def test_forged_tail(store: MemoryStore) -> None:
    """A round that is added without the key is refused, and what was before it has been accepted."""
    last = store.rounds("k3f9")[-1]
    forged = sign(OTHER, b"round", last.mac, b"k3f9", struct.pack(">qd", 5, 1.0), b"[]", size=32)
    store.append("k3f9", Round(5, 1.0, b"[]", forged), b"")
    journal = Journal(store, "k3f9", KEYS)
    with pytest.raises(CheckpointTampered, match="round 5"):
        journal.load()
    assert journal.next_round == 5


@given(st.integers(0, 3), st.integers(0), st.integers(1, 255), st.booleans())
def test_one_changed_byte(which: int, where: int, change: int, in_mac: bool) -> None:
    """A single changed byte in any round or signature is found."""
    store = MemoryStore()
    written = Journal(store, "k3f9", KEYS)
    for events in ROUNDS:
        written.append(1.5, events)
    rounds = store.rounds("k3f9")
    changed = bytearray(rounds[which].mac if in_mac else rounds[which].records)
    changed[where % len(changed)] ^= change
    n, at, records, mac = rounds[which]
    rounds[which] = Round(n, at, records, bytes(changed)) if in_mac else Round(n, at, bytes(changed), mac)
    with pytest.raises(CheckpointTampered, match=f"round {which + 1} "):
        Journal(copied(rounds), "k3f9", KEYS).load()


def test_key_is_replaced(store: MemoryStore) -> None:
    """A run goes on under a new key if the old one is still given."""
    both = Journal(store, "k3f9", Keys((*OTHER.ring, *KEYS.ring)))
    both.load()
    both.append(200.0, ROUNDS[0])
    assert len(Journal(store, "k3f9", Keys((*KEYS.ring, *OTHER.ring))).load()) == 5
    for keys in (KEYS, OTHER):
        with pytest.raises(CheckpointTampered):
            Journal(store, "k3f9", keys).load()


@pytest.mark.parametrize("records", [b'[["invented",1]]', b'[["start"]]', b"[[]", b'"x"'])
def test_newer_events(records: bytes) -> None:
    """Genuine events that this version does not know are an error that says so."""
    store = MemoryStore()
    mac = sign(KEYS, b"round", b"", b"k3f9", struct.pack(">qd", 1, 1.0), records, size=32)
    store.append("k3f9", Round(1, 1.0, records, mac), b"")
    with pytest.raises(StoreError, match="run k3f9, round 1: written by a newer gflow") as caught:
        Journal(store, "k3f9", KEYS).load()
    assert caught.value.remedy == "upgrade gflow"


# ---------------------------------------------------------------- listeners


def test_listeners() -> None:
    """Listeners are told what is true: after it was written, in order."""
    store = MemoryStore()
    journal = Journal(store, "k3f9", KEYS)
    told: list[tuple[float, Sequence[Event], int]] = []
    journal.listeners.append(lambda at, events: told.append((at, events, len(store.rounds("k3f9")))))
    journal.append(1.5, ROUNDS[0])
    journal.append(2.5, ROUNDS[1])
    assert told == [(1.5, ROUNDS[0], 1), (2.5, ROUNDS[1], 2)]


def test_nobody_is_told_what_is_not_written(store: MemoryStore) -> None:
    """When the store refuses a round, no listener hears of it."""
    journal = Journal(store, "k3f9", KEYS)
    told: list[object] = []
    journal.listeners.append(lambda at, events: told.append(events))
    with pytest.raises(JournalMoved):
        journal.append(1.5, ROUNDS[0])
    store.close()
    with pytest.raises(StoreError):
        journal.append(1.5, ROUNDS[0])
    assert told == []


def test_failing_listener() -> None:
    """A listener that fails harms neither the journal nor the other listeners; the last errors are kept."""
    journal = Journal(MemoryStore(), "k3f9", KEYS)
    told: list[float] = []
    numbers = iter(range(1000))

    def fails(at: float, events: Sequence[Event]) -> None:
        raise RuntimeError(next(numbers))

    journal.listeners += [fails, lambda at, events: told.append(at)]
    for n in range(150):
        journal.append(float(n), ROUNDS[0])
    assert len(told) == 150
    assert [error.args[0] for error in journal.listener_errors] == list(range(50, 150))


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("size", "in_blob"), [(0, False), (LARGEST_INLINE, False), (LARGEST_INLINE + 1, True), (3_000_000, True)]
)
def test_large_values(size: int, in_blob: bool) -> None:
    """A value of more than 64 KiB lies in a blob before its round is written."""
    journal = Journal(MemoryStore(), "k3f9", KEYS)
    payload = bytes(size)
    sealed = journal.seal(PLACE, payload)
    assert (sealed.blob is not None) == in_blob
    assert sealed.payload == (b"" if in_blob else payload)
    (ref,) = journal.place_values([sealed])
    assert (ref.length, ref.offset) == (size, 0)
    journal.append(1.0, [Done("build", ref, "", 0.1)], [sealed.payload])
    assert journal.read(ref, PLACE) == payload


@given(st.lists(st.binary(max_size=12), max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_values_of_a_round(payloads: list[bytes], large: list[bool]) -> None:
    """Each value of a round is read back from where it was placed, whatever lies before it."""
    journal = Journal(MemoryStore(), "k3f9", KEYS)
    journal.append(1.0, ROUNDS[0])
    places = [Place("k3f9", f"step[{index}]", 0, 1) for index in range(len(payloads))]
    with pytest.MonkeyPatch.context() as patch:
        sealed = []
        for place, payload, is_large in zip(places, payloads, large, strict=False):
            patch.setattr(module, "LARGEST_INLINE", -1 if is_large else 100)
            sealed.append(journal.seal(place, payload))
    refs = journal.place_values(sealed)
    n = journal.append(2.0, [Done("x", ref, "", 0.1) for ref in refs], [each.payload for each in sealed])
    assert [journal.read(ref, place) for ref, place in zip(refs, places, strict=True)] == payloads
    assert all(ref.round == n for ref in refs)


def written_value(store: MemoryStore, value: object = "a wheel") -> tuple[Journal, Ref]:
    """Return a journal that holds a value at PLACE, and where it lies."""
    journal = Journal(store, "k3f9", KEYS)
    sealed = journal.seal(PLACE, dumps(value))
    (ref,) = journal.place_values([sealed])
    journal.append(1.0, [Done("build", ref, "", 0.1)], [sealed.payload])
    return journal, ref


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another path": ({"path": "deploy"}, {}),
    "another generation": ({"generation": 1}, {}),
    "another attempt": ({"attempt": 2}, {}),
    "another offset": ({}, {"offset": 1}),
    "a shorter value": ({}, {"length": 3}),
    "another signature": ({}, {"tag": "0" * 32}),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_references(name: str) -> None:
    """A value is given out only as what it was stored as."""
    journal, ref = written_value(MemoryStore())
    place_changes, ref_changes = WRONG[name]
    with pytest.raises(CheckpointTampered, match="run k3f9: the stored value of"):
        journal.read(ref._replace(**ref_changes), PLACE._replace(**place_changes))


def test_value_of_another_run() -> None:
    """A value is read from the run that its place names, so that runs can share what they have in common."""
    store = MemoryStore()
    _, ref = written_value(store)
    fork = Journal(store, "f0rk", KEYS)
    assert unpickle(PLACE, fork.read(ref, PLACE)) == "a wheel"
    with pytest.raises(StoreError, match="run f0rk has no round 1"):
        fork.read(ref, PLACE._replace(run="f0rk"))


def test_blob_is_gone_or_changed(tmp_path: Path) -> None:
    """A blob that is missing is a store error that names it; one that was changed is called forged."""
    store = SqliteStore(tmp_path, "process")
    journal = Journal(store, "k3f9", KEYS)
    sealed = journal.seal(PLACE, bytes(100_000))
    (ref,) = journal.place_values([sealed])
    assert ref.blob is not None
    file = tmp_path / "blobs" / ref.blob[:2] / ref.blob
    file.write_bytes(bytes(99_999) + b"x")
    with pytest.raises(CheckpointTampered, match="run k3f9: the stored value of build"):
        journal.read(ref, PLACE)
    file.unlink()
    with pytest.raises(StoreError, match=ref.blob):
        journal.read(ref, PLACE)
    store.close()
