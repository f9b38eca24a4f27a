"""What every store promises; see `gflow.stores.Store`."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gflow.errors import JournalMoved, StoreError
from gflow.stores import Round, RunRow, Store
from gflow.stores.memory import MemoryStore
from gflow.stores.sqlite import SqliteStore

STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda folder: MemoryStore(),
    "sqlite": lambda folder: SqliteStore(folder / "state"),
    "sqlite-process": lambda folder: SqliteStore(folder / "state", "process"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Yield an empty store of each kind."""
    made = STORES[request.param](tmp_path)
    yield made
    made.close()


def numbered(n: int) -> Round:
    """Return a round that differs from all others."""
    return Round(n, 1764000000.5 + n, b'[["start","a",%d]]' % n, b"mac%d" % n)


def row_of(run: str, status: str = "running", **changes: Any) -> RunRow:
    """Return a row of a run."""
    return replace(RunRow(run, "release", "recipes.release", status, 1.5), **changes)


NOT_A_ROUND: Any = Round(2, 0.0, object(), b"")  # type: ignore[arg-type]  # what no store can keep


# ---------------------------------------------------------------- rounds


def test_rounds_come_back(store: Store) -> None:
    """Rounds come back as they were appended, in order, each run's apart."""
    added = [numbered(n) for n in (1, 2, 3)]
    for each in added:
        store.append("k3f9", each, b"values")
        store.append("zzzz", each._replace(records=b"other"), b"")
    assert store.rounds("k3f9") == added
    assert [each.records for each in store.rounds("zzzz")] == [b"other"] * 3
    assert store.rounds("nobody") == []


def test_rounds_in_order(store: Store) -> None:
    """Rounds come in the order of their numbers, whatever the order in which they were written."""
    for n in (10, 2, 1):
        store.append("k3f9", numbered(n), b"")
    assert [each.n for each in store.rounds("k3f9")] == [1, 2, 10]


@pytest.mark.parametrize(("after", "numbers"), [(0, [1, 2, 3]), (1, [2, 3]), (3, []), (9, [])])
def test_rounds_after(store: Store, after: int, numbers: list[int]) -> None:
    """Only the rounds beyond a number are returned if it is given."""
    for n in (1, 2, 3):
        store.append("k3f9", numbered(n), b"")
    assert [each.n for each in store.rounds("k3f9", after)] == numbers


def test_types_of_a_round(store: Store) -> None:
    """A time is a float when it comes back, also if it was a whole number of seconds."""
    store.append("k3f9", Round(1, 7, b"", b""), b"")
    (found,) = store.rounds("k3f9")
    assert isinstance(found, Round)
    assert [type(part) for part in found] == [int, float, bytes, bytes]


@pytest.mark.parametrize("at", [0.0, -1.5, 0.1 + 0.2, 1764000000.123457, 5e-324, 1.7976931348623157e308])
def test_times_come_back_exactly(store: Store, at: float) -> None:
    """A time comes back bit by bit: it is part of what is signed."""
    store.append("k3f9", Round(1, at, b"", b""), b"")
    assert store.rounds("k3f9")[0].at.hex() == at.hex()


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("offset", "length", "value"),
    [(0, 3, b"one"), (3, 3, b"two"), (0, 0, b""), (3, 99, b"two\x00\xff"), (99, 1, b"")],
)
def test_values(store: Store, offset: int, length: int, value: bytes) -> None:
    """A value is a slice of its round's values; what lies beyond their end is missing."""
    store.append("k3f9", numbered(1), b"onetwo\x00\xff")
    assert store.value("k3f9", 1, offset, length) == value


def test_value_of_a_large_round(store: Store) -> None:
    """A value is found among values that fill many pages."""
    store.append("k3f9", numbered(1), bytes(200_000) + b"here" + bytes(200_000))
    assert store.value("k3f9", 1, 200_000, 4) == b"here"


def test_value_of_no_round(store: Store) -> None:
    """Asking for a value of a round that does not exist is an error."""
    store.append("k3f9", numbered(1), b"x")
    for run, n in (("k3f9", 2), ("zzzz", 1)):
        with pytest.raises(StoreError, match=f"run {run} has no round {n}"):
            store.value(run, n, 0, 1)


# ---------------------------------------------------------------- the fence


def test_fence(store: Store) -> None:
    """A round that exists is not written again, whatever is in it; the store can still be used."""
    store.append("k3f9", numbered(1), b"first")
    with pytest.raises(JournalMoved, match="run k3f9: round 1 was written by another process") as caught:
        store.append("k3f9", numbered(1)._replace(records=b"mine"), b"second")
    assert "gflow show k3f9" in caught.value.remedy
    assert store.rounds("k3f9") == [numbered(1)]
    assert store.value("k3f9", 1, 0, 5) == b"first"
    store.append("k3f9", numbered(2), b"")
    store.append("zzzz", numbered(1), b"")


def test_fence_keeps_the_row(store: Store) -> None:
    """A round that is refused does not change the run's row either."""
    store.append("k3f9", numbered(1), b"", row_of("k3f9"))
    with pytest.raises(JournalMoved):
        store.append("k3f9", numbered(1), b"", row_of("k3f9", "failed"))
    assert [row.status for row in store.runs()] == ["running"]
    store.append("k3f9", numbered(2), b"", row_of("k3f9", "completed"))
    assert [row.status for row in store.runs()] == ["completed"]


# ---------------------------------------------------------------- a failure


@pytest.mark.parametrize("row", [None, row_of("k3f9")], ids=["without row", "with row"])
def test_failure_poisons(store: Store, row: RunRow | None) -> None:
    """After an append that failed, whether it happened is unknown, and nothing works any more."""
    store.append("k3f9", numbered(1), b"x")
    name = store.put_blob(b"blob")
    with pytest.raises(StoreError):
        store.append("k3f9", NOT_A_ROUND, b"", row)
    calls: list[Callable[[], object]] = [
        lambda: store.append("k3f9", numbered(2), b""),
        lambda: store.append("k3f9", numbered(2), b"", row_of("k3f9")),
        lambda: store.rounds("k3f9"),
        lambda: store.value("k3f9", 1, 0, 1),
        lambda: store.put_blob(b""),
        lambda: store.blob(name),
        store.runs,
        lambda: store.find("k"),
        lambda: store.durations("release"),
        lambda: store.tidy(idle=True),
        lambda: store.tidy(idle=False),
        lambda: store.weight("k3f9"),
        lambda: store.forget("k3f9"),
        store.blobs,
        lambda: store.drop_blobs([name]),
        store.compact,
    ]
    for call in calls:
        with pytest.raises(StoreError, match="failed before and is not used any more"):
            call()
    store.close()


def test_close(store: Store) -> None:
    """A closed store refuses to work, and closing it again does nothing."""
    store.append("k3f9", numbered(1), b"")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.append("k3f9", numbered(2), b"")
    with pytest.raises(StoreError, match="is closed"):
        store.rounds("k3f9")
    with pytest.raises(StoreError, match="is closed"):
        store.put_blob(b"")


@pytest.mark.parametrize("idle", [True, False])
def test_tidy_changes_nothing(store: Store, idle: bool) -> None:
    """Housekeeping changes nothing that can be seen."""
    store.append("k3f9", numbered(1), bytes(5_000_000), row_of("k3f9"))
    store.tidy(idle=idle)
    store.append("k3f9", numbered(2), b"")
    assert store.rounds("k3f9") == [numbered(1), numbered(2)]
    assert store.runs() == [row_of("k3f9")]


# ---------------------------------------------------------------- blobs


@pytest.mark.parametrize("payload", [b"", b"x", bytes(3_000_000)], ids=len)
def test_blobs(store: Store, payload: bytes) -> None:
    """A large value comes back under the name that it was given; equal values have names of their own."""
    name, other = store.put_blob(payload), store.put_blob(payload)
    assert name != other
    assert store.blob(name) == store.blob(other) == payload


@pytest.mark.parametrize("name", ["0" * 32, "", "..", "../../etc/passwd", "x" * 32, "/" * 32, "\udcff" * 32])
def test_missing_blob(store: Store, name: str) -> None:
    """Asking for a blob that is not there is an error, also if it has the name of another file."""
    with pytest.raises(StoreError):
        store.blob(name)


# ---------------------------------------------------------------- the list of runs


def test_rows_come_back(store: Store) -> None:
    """A row comes back as it was written."""
    full = RunRow("k3f9", "release", "recipes.release", "completed", 1.25, 9.75, '{"é": 1}')
    store.append("k3f9", numbered(1), b"", full)
    assert store.runs() == [full]


def test_newest_first(store: Store) -> None:
    """Runs are listed in the order of their creation, the last one first, whatever the clock said."""
    for run, created in (("a", 30.0), ("b", 10.0), ("c", 20.0)):
        store.append(run, numbered(1), b"", row_of(run, created=created))
    store.append("a", numbered(2), b"", row_of("a", "completed", created=30.0))
    assert [row.id for row in store.runs()] == ["c", "b", "a"]
    assert [row.id for row in store.runs(2)] == ["c", "b"]
    assert store.runs(0) == []


def test_row_is_replaced(store: Store) -> None:
    """A row replaces the one that its run had before, in every column."""
    store.append("k3f9", numbered(1), b"", row_of("k3f9"))
    last = RunRow("k3f9", "other", "other.module", "completed", 2.5, 3.5, "[]")
    store.append("k3f9", numbered(2), b"", last)
    assert store.runs() == [last]


def test_run_without_row(store: Store) -> None:
    """A run that never had a row is not listed."""
    store.append("k3f9", numbered(1), b"")
    assert store.runs() == store.find("") == []


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", ["a_b", "k%", "K3", "k3f9", "k3"]),
        ("k", ["k%", "k3f9", "k3"]),
        ("k3", ["k3f9", "k3"]),
        ("k3f9", ["k3f9"]),
        ("k3f9x", []),
        ("K", ["K3"]),
        ("k%", ["k%"]),
        ("a_", ["a_b"]),
        ("k_", []),
        ("*", []),
        ("'", []),
    ],
)
def test_find(store: Store, prefix: str, found: list[str]) -> None:
    """A prefix finds the runs whose ids begin with it; upper case counts, and no character is special."""
    for run in ("k3", "k3f9", "K3", "k%", "a_b"):
        store.append(run, numbered(1), b"", row_of(run))
    assert [row.id for row in store.find(prefix)] == found


def test_durations(store: Store) -> None:
    """The summaries of the newest completed runs of one workflow are returned, the last one first."""
    for number in range(5):
        store.append(f"r{number}", numbered(1), b"", row_of(f"r{number}", "completed", summary=str(number)))
    store.append("bad", numbered(1), b"", row_of("bad", "failed"))
    store.append("other", numbered(1), b"", row_of("other", "completed", workflow="other", summary="o"))
    assert store.durations("release") == ["4", "3", "2", "1", "0"]
    assert store.durations("release", 2) == ["4", "3"]
    assert store.durations("other") == ["o"]
    assert store.durations("nobody") == []


# ---------------------------------------------------------------- forgetting


def filled(store: Store) -> None:
    """Give a store two runs of two rounds, with messages."""
    for run in ("k3f9", "zzzz"):
        store.append(run, numbered(1), b"one", row_of(run))
        store.append(run, numbered(2), b"two", row_of(run, "completed"))
        store.post(run, "cancel", b"x", b"m")


def test_forget(store: Store) -> None:
    """A run is forgotten with its rounds, its row and its inbox; others are not."""
    filled(store)
    store.forget("k3f9")
    assert store.rounds("k3f9") == store.inbox("k3f9") == store.find("k3f9") == []
    with pytest.raises(StoreError):
        store.value("k3f9", 1, 0, 3)
    assert [each.n for each in store.rounds("zzzz")] == [1, 2]
    assert store.value("zzzz", 2, 0, 3) == b"two"
    assert [row.id for row in store.runs()] == ["zzzz"]
    assert len(store.inbox("zzzz")) == 1


def test_forget_what_is_not_there(store: Store) -> None:
    """Forgetting a run that is not there, or no longer, does nothing."""
    filled(store)
    store.forget("nobody")
    store.forget("k3f9")
    store.forget("k3f9")
    assert [row.id for row in store.runs()] == ["zzzz"]


def test_forgotten_run_is_new_again(store: Store) -> None:
    """An id that was forgotten is free: its rounds begin at 1, and its messages have new numbers."""
    filled(store)
    seen = store.inbox("zzzz")[-1].id
    store.forget("zzzz")
    store.append("zzzz", numbered(1), b"", row_of("zzzz"))
    store.post("zzzz", "cancel", b"y", b"m")
    assert [each.n for each in store.rounds("zzzz")] == [1]
    assert store.inbox("zzzz")[0].id > seen


def test_news_of_forgetting(store: Store) -> None:
    """Who waits for a message hears it, also if as many have been forgotten."""
    filled(store)
    before = store.news()
    store.forget("k3f9")
    store.post("zzzz", "cancel", b"y", b"m")
    assert store.news() != before
    assert [message.payload for message in store.inbox("zzzz")] == [b"x", b"y"]


def test_weight(store: Store) -> None:
    """A run weighs what its records and its small values take."""
    filled(store)
    assert store.weight("k3f9") == sum(len(numbered(n).records) + 3 for n in (1, 2))
    assert store.weight("nobody") == 0


def test_blobs_are_listed(store: Store) -> None:
    """Every blob is listed with its size and its time, whether a round names it or not."""
    assert store.blobs() == []
    name = store.put_blob(bytes(3000))
    (found,) = store.blobs()
    assert (found.name, found.size) == (name, 3000)
    assert found.at > 1_500_000_000


def test_drop_blobs(store: Store) -> None:
    """What is dropped is gone, the rest is not, and dropping it again does nothing."""
    names = [store.put_blob(b"%d" % number) for number in range(3)]
    store.drop_blobs(names[:2])
    store.drop_blobs(names[:2])
    assert [blob.name for blob in store.blobs()] == names[2:]
    assert store.blob(names[2]) == b"2"
    with pytest.raises(StoreError):
        store.blob(names[0])


def test_compact_changes_nothing(store: Store) -> None:
    """Giving room back changes nothing that can be seen."""
    for number in range(20):
        store.append(f"r{number}", numbered(1), bytes(2_000_000), row_of(f"r{number}"))
    filled(store)
    for number in range(20):
        store.forget(f"r{number}")
    store.compact()
    assert [row.id for row in store.runs()] == ["zzzz", "k3f9"]
    assert store.value("k3f9", 2, 0, 3) == b"two"
    store.append("k3f9", numbered(3), b"")


# ---------------------------------------------------------------- threads


def test_append_from_any_thread(store: Store) -> None:
    """Rounds are appended by one thread after another."""
    for n in (1, 2, 3):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(store.append, "k3f9", numbered(n), b"", row_of("k3f9")).result()
    assert [each.n for each in store.rounds("k3f9")] == [1, 2, 3]


def test_reading_beside_an_append(store: Store) -> None:
    """What has been appended can be read by any thread, while others read and one appends."""
    written = 0
    over = threading.Event()

    def read() -> int:
        looks = 0
        while not over.is_set() or not looks:
            n = written
            assert len(store.rounds("k3f9")) >= n
            if n:
                assert store.value("k3f9", n, 0, 9) == b"value %03d" % n
                assert store.blob(name) == b"blob"
                assert len(store.runs()) == 1
            looks += 1
        return looks

    name = store.put_blob(b"blob")
    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        for n in range(1, 101):
            store.append("k3f9", numbered(n), b"value %03d" % n, row_of("k3f9") if n % 10 == 1 else None)
            written = n
        over.set()
        assert all(reader.result() for reader in readers)


def test_blobs_from_many_threads(store: Store) -> None:
    """Large values are put by many threads at the same time."""
    payloads = [b"%d" % number for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(store.put_blob, payloads))
    assert [store.blob(name) for name in names] == payloads


# ---------------------------------------------------------------- what other processes say


def test_inbox(store: Store) -> None:
    """Messages come back in the order in which they came, each run's apart, from any place on."""
    store.post("k3f9", "cancel", b"one", b"m1")
    store.post("other", "cancel", b"x", b"m2")
    store.post("k3f9", "cancel", b"two", b"m3")
    found = store.inbox("k3f9")
    assert [(m.run, m.kind, m.payload, m.mac) for m in found] == [
        ("k3f9", "cancel", b"one", b"m1"),
        ("k3f9", "cancel", b"two", b"m3"),
    ]
    assert store.inbox("k3f9", found[0].id) == found[1:]


def test_news(store: Store) -> None:
    """A reader learns from `news` that somebody else has posted, and of nothing while nobody has."""
    before = store.news()
    assert store.news() == before
    other = SqliteStore(store._path.parent, "process") if isinstance(store, SqliteStore) else store
    other.post("k3f9", "cancel", b"one", b"m")
    assert store.news() != before
    if other is not store:
        other.close()
