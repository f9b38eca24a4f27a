"""What is kept of runs that have ended, and what `gflow gc` removes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import gflow
from gflow import cli, ownership, retention
from gflow.cli.keeping import GC
from gflow.errors import StoreError, UsageError
from gflow.orphans import hold
from gflow.retention import DAY, Clearance
from gflow.stores import Round, RunRow
from gflow.stores.sqlite import SqliteStore

NOW = 1_800_000_000.0
MONTH = 30 * DAY
FLOW = """
from pathlib import Path
from gflow import stage, task

@task
def big() -> bytes: return bytes(100_000)

@task
def size(big: bytes) -> int:
    if Path("fails").exists(): raise ValueError("no")
    return len(big)

@stage
def flow(big: bytes, size: int) -> int: return size
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(state: Path) -> Iterator[SqliteStore]:
    """Yield an empty store in `state`."""
    with closing(SqliteStore(state, "process")) as opened:
        yield opened


def row_of(run: str, status: str = "completed", days: float = 40) -> RunRow:
    return RunRow(run, "w", "m", status, 0.0, NOW - days * DAY)


def made(store: SqliteStore, run: str, *blobs: str, shares: str = "", **row: object) -> RunRow:
    """Put a run into a store that names some blobs, and shares values of another one."""
    told: list[object] = [["adopted", "a", None, "", 0.1, None, shares, 0, 1, None]] if shares else []
    told += [["done", "b", [2, 0, 9, "tag", blob], "", 0.1, None] for blob in blobs]
    made_row = row_of(run, **row)  # type: ignore[arg-type]
    store.append(run, Round(1, 0.0, json.dumps(told).encode(), b"mac"), b"values", made_row)
    return made_row


def files_of(state: Path, run: str) -> list[Path]:
    """Make the files that a run has."""
    paths = [
        state / "logs" / f"{run}.jsonl",
        state / "work" / run / "deep" / "file",
        state / "locks" / f"{run}.lock",
    ]
    paths.append(state / "locks" / run / "step.lock")
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return paths


def aged(days: float, *paths: Path) -> None:
    for path in paths:
        os.utime(path, (NOW - days * DAY, NOW - days * DAY))


def blob_file(state: Path, name: str) -> Path:
    return state / "blobs" / name[:2] / name


def planned(store: SqliteStore, state: Path) -> Clearance:
    return retention.plan(store, state, MONTH, NOW)


def ids(cleared: Clearance) -> list[str]:
    return [old.row.id for old in cleared.runs]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a run that ended just now, and a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "GFLOW_STORE", "GFLOW_KEY", "GFLOW_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GFLOW_DURABILITY", "process")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (project / "kept.py").write_text(FLOW)
    sys.modules.pop("kept", None)
    return project


Captured = pytest.CaptureFixture[str]


# ---------------------------------------------------------------- which runs


@pytest.mark.parametrize(
    ("status", "days", "goes"),
    [
        ("completed", 31, True),
        ("completed", 29, False),
        ("failed", 31, True),
        ("rejected", 31, True),
        ("cancelled", 31, True),
        ("rolled_back", 31, True),
        ("rollback_incomplete", 999, False),
        ("rolling_back", 999, False),
        ("interrupted", 999, False),
        ("waiting", 999, False),
        ("running", 999, False),
        ("pending", 999, False),
        ("?", 999, False),
    ],
)
def test_what_has_nothing_left_to_do_goes(
    store: SqliteStore, state: Path, status: str, days: float, goes: bool
) -> None:
    """Only a run that ended, and that longer ago than is kept, is removed."""
    made(store, "k3f9", status=status, days=days)
    assert ids(planned(store, state)) == (["k3f9"] if goes else [])


def test_a_run_without_an_end_stays(store: SqliteStore, state: Path) -> None:
    """A row that does not say when its run ended names nothing to remove."""
    store.append("k3f9", Round(1, 0.0, b"[]", b""), b"", replace(row_of("k3f9"), ended=None))
    assert ids(planned(store, state)) == []


@pytest.mark.parametrize("run", ["..", "../work", "a/b", "", "a.b", "/"])
def test_a_forged_id_names_no_files(store: SqliteStore, state: Path, run: str) -> None:
    """The list is not signed: a row whose id is none removes nothing."""
    made(store, run)
    assert ids(retention.clear(store, state, MONTH, NOW)) == []


def test_a_run_that_a_process_has_stays(store: SqliteStore, state: Path) -> None:
    """Whoever holds the lock of a run keeps it."""
    made(store, "k3f9")
    held = ownership.claim(state, "k3f9")
    (kept,) = planned(store, state).kept
    assert kept.why == f"process {os.getpid()} has it"
    assert ids(retention.clear(store, state, MONTH, NOW)) == []
    held.release()
    assert ids(retention.clear(store, state, MONTH, NOW)) == ["k3f9"]


def test_a_run_with_a_living_command_stays(store: SqliteStore, state: Path) -> None:
    """While something of an attempt still runs, its lock must not go."""
    made(store, "k3f9")
    attempt = hold(state, "k3f9", "build")
    assert attempt.descriptor() is not None
    (kept,) = planned(store, state).kept
    assert kept.why == "a command of it still runs"
    attempt.release()


# ---------------------------------------------------------------- forks


def test_what_a_kept_run_shares_stays(store: SqliteStore, state: Path) -> None:
    """An old run stays as long as a run that is kept has values of it."""
    made(store, "old1")
    made(store, "fork", shares="old1", days=1)
    cleared = planned(store, state)
    assert ids(cleared) == []
    assert [(kept.run, kept.why) for kept in cleared.kept] == [("old1", "run fork shares its values")]


def test_what_is_kept_for_a_fork_keeps_its_own_origin(store: SqliteStore, state: Path) -> None:
    """A fork that is kept for a fork of it keeps the run whose values it shares, too."""
    made(store, "old1")
    made(store, "old2", shares="old1")
    made(store, "fork", shares="old2", days=1)
    assert ids(planned(store, state)) == []


def test_a_fork_goes_with_its_origin(store: SqliteStore, state: Path) -> None:
    """If both are old, both go, and the fork first; what they share is counted once."""
    name = store.put_blob(bytes(1000))
    made(store, "old1", name)
    made(store, "fork", name, shares="old1")
    cleared = retention.clear(store, state, MONTH, NOW)
    assert ids(cleared) == ["fork", "old1"]
    assert 1000 < cleared.size < 2000
    assert store.blobs() == []


def test_an_origin_stays_if_its_fork_was_taken_up_meanwhile(
    store: SqliteStore, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be removed keeps what it shares."""
    name = store.put_blob(bytes(1000))
    made(store, "old1", name)
    made(store, "fork", name, shares="old1")
    original = ownership.claim

    def taken_up(folder: Path, run: str) -> ownership.Claim:
        if run == "fork":
            store.append("fork", Round(2, 0.0, b"[]", b""), b"", row_of("fork", "running"))
        return original(folder, run)

    monkeypatch.setattr(ownership, "claim", taken_up)
    assert ids(retention.clear(store, state, MONTH, NOW)) == []
    assert store.blob(name) == bytes(1000)
    assert len(store.runs()) == 2


@pytest.mark.parametrize("taken_up", [False, True])
def test_a_fork_that_goes_leaves_what_its_origin_has(
    store: SqliteStore, state: Path, monkeypatch: pytest.MonkeyPatch, taken_up: bool
) -> None:
    """A shared value belongs to the run that made it, whether that is kept from the start or in between."""
    name = store.put_blob(bytes(1000))
    made(store, "orig", name, days=40 if taken_up else 1)
    made(store, "fork", name, shares="orig")
    original = ownership.claim

    def claim(folder: Path, run: str) -> ownership.Claim:
        if run == "orig":
            store.append("orig", Round(2, 0.0, b"[]", b""), b"", row_of("orig", "running"))
        return original(folder, run)

    monkeypatch.setattr(ownership, "claim", claim)
    assert ids(retention.clear(store, state, MONTH, NOW)) == ["fork"]
    assert store.blob(name) == bytes(1000)


def test_an_unreadable_run_stops_it(store: SqliteStore, state: Path) -> None:
    """A run that may share anything keeps everything, and is named."""
    made(store, "k3f9")
    store.append("newr", Round(1, 0.0, b'[["teleported"]]', b""), b"", row_of("newr", days=1))
    with pytest.raises(StoreError, match="run newr cannot be read"):
        retention.clear(store, state, MONTH, NOW)
    assert len(store.runs()) == 2


def test_a_fork_is_not_made_of_what_is_gone(store: SqliteStore, state: Path) -> None:
    """A fork looks once more whether the run is there, while nothing can be removed."""
    made(store, "k3f9")
    with retention.put_off(state):
        retention.ensure_kept(store, ["k3f9"])
    retention.clear(store, state, MONTH, NOW)
    with retention.put_off(state), pytest.raises(StoreError, match="run k3f9 has no round 1"):
        retention.ensure_kept(store, ["k3f9"])


# ---------------------------------------------------------------- what goes with a run


def test_everything_of_a_run_goes(store: SqliteStore, state: Path) -> None:
    """Its rounds, row, inbox, blobs, log, work folder and locks; nothing of others."""
    mine, other = store.put_blob(bytes(700)), store.put_blob(bytes(800))
    made(store, "k3f9", mine)
    made(store, "zzzz", other, days=1)
    store.post("k3f9", "cancel", b"x", b"m")
    gone, stay = files_of(state, "k3f9"), files_of(state, "zzzz")
    foreseen = planned(store, state)
    cleared = retention.clear(store, state, MONTH, NOW)
    assert cleared == foreseen
    assert cleared.size == store.weight("zzzz") + 700 + 4 * 5
    assert [blob.name for blob in store.blobs()] == [other]
    assert store.rounds("k3f9") == store.inbox("k3f9") == []
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in stay)
    assert not (state / "work" / "k3f9").exists()
    assert not (state / "locks" / "k3f9").exists()


def test_a_plan_touches_nothing(store: SqliteStore, state: Path) -> None:
    """Looking removes nothing, and makes no lock either."""
    made(store, "k3f9", store.put_blob(b"x"))
    before = sorted(path for path in state.rglob("*"))
    assert ids(planned(store, state)) == ["k3f9"]
    assert sorted(path for path in state.rglob("*")) == before


def test_a_link_is_removed_and_what_it_points_to_stays(
    store: SqliteStore, state: Path, tmp_path: Path
) -> None:
    """A step may leave links in its folder; they lead nowhere here."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    made(store, "k3f9")
    (state / "work").mkdir()
    (state / "work" / "k3f9").symlink_to(outside)
    retention.clear(store, state, MONTH, NOW)
    assert not (state / "work" / "k3f9").is_symlink()
    assert (outside / "precious").exists()


# ---------------------------------------------------------------- rubbish


def test_rubbish_is_what_no_run_names_for_a_day(store: SqliteStore, state: Path) -> None:
    """A blob that no journal names goes when it is a day old; so does what a crash left half written."""
    young, old, named = (store.put_blob(bytes(100)) for _ in range(3))
    made(store, "k3f9", named, days=1)
    half = blob_file(state, old).with_suffix(".tmp")
    half.write_bytes(b"half")
    aged(0.5, blob_file(state, young))
    aged(2, half, *(blob_file(state, name) for name in (old, named)))
    cleared = retention.clear(store, state, MONTH, NOW)
    assert (len(cleared.rubbish), cleared.rubbish.size) == (2, 104)
    assert {blob.name for blob in store.blobs()} == {young, named}


def test_the_files_of_no_run_are_rubbish(store: SqliteStore, state: Path) -> None:
    """A kill between the rows and the files of a run leaves files, which the next gc finds."""
    made(store, "zzzz", days=1)
    gone, young, stay = files_of(state, "k3f9"), files_of(state, "youn"), files_of(state, "zzzz")
    for run in ("k3f9", "zzzz"):
        aged(2, *files_of(state, run), state / "work" / run, state / "locks" / run)
    aged(0.5, *young, state / "work" / "youn", state / "locks" / "youn")
    assert len(retention.clear(store, state, MONTH, NOW).rubbish) == 4
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in [*young, *stay])


def test_nothing_is_rubbish_that_a_live_run_may_still_name(store: SqliteStore, state: Path) -> None:
    """A process may sleep for days between a blob and its row: what is younger than it stays."""
    made(store, "live", status="running")
    name = store.put_blob(b"x")
    aged(2, blob_file(state, name))
    held = ownership.claim(state, "live")
    lock = state / "locks" / "live.lock"
    lock.write_text(json.dumps(json.loads(lock.read_text()) | {"at": NOW - 3 * DAY}))
    assert len(planned(store, state).rubbish) == 0
    held.release()
    assert len(planned(store, state).rubbish) == 1


def test_strange_locks_are_no_runs(store: SqliteStore, state: Path) -> None:
    """A file that no run could have is judged by its age alone."""
    (state / "locks").mkdir()
    strange = state / "locks" / "no run at all.lock"
    strange.touch()
    aged(2, strange)
    assert len(retention.clear(store, state, MONTH, NOW).rubbish) == 1
    assert not strange.exists()


# ---------------------------------------------------------------- killed half-way


STEPS: list[str] = ["forget", "drop_blobs"]


@pytest.mark.parametrize("at", STEPS)
def test_a_killed_gc_leaves_only_rubbish(
    store: SqliteStore, state: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Whatever it dies at, no run is left without its files, and the next gc finds the rest."""
    name = store.put_blob(bytes(100))
    made(store, "k3f9", name)
    paths = files_of(state, "k3f9")
    aged(2, *paths, blob_file(state, name), state / "work" / "k3f9", state / "locks" / "k3f9")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(store, at, dies)
        with pytest.raises(KeyboardInterrupt):
            retention.clear(store, state, MONTH, NOW)
    if store.runs():
        assert all(path.exists() for path in paths)
        assert store.blob(name)
    later = NOW + 10 * 365 * DAY  # the lock was signed in the present
    retention.clear(store, state, MONTH, later)
    assert store.runs() == store.blobs() == []
    assert not any(path.exists() for path in paths)


@pytest.mark.parametrize("command", ["resume", "cancel", "rollback"])
def test_a_run_that_goes_while_somebody_takes_it_up_is_gone(
    home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Whoever has found a run that is removed before it is claimed is told so, and writes nothing."""
    (home / "fails").touch()
    run = gflow.run("kept.py")
    original = ownership.claim

    def claim(folder: Path, run_id: str) -> ownership.Claim:
        with monkeypatch.context() as real:
            real.setattr(ownership, "claim", original)
            GC.run(["--keep", "0h"])
        return original(folder, run_id)

    monkeypatch.setattr(ownership, "claim", claim)
    assert cli.main([command, run.id, *(["--to", "start", "--yes"] if command == "rollback" else [])]) == 74
    assert f"run {run.id} has no round 1" in capsys.readouterr().err
    monkeypatch.undo()
    with closing(SqliteStore(home / ".gflow", "process")) as store:
        assert store.runs() == store.rounds(run.id) == []


# ---------------------------------------------------------------- the command


def test_gc_removes_what_is_old(home: Path, capsys: Captured) -> None:
    """It says what went, and how much that was; nothing of the run is left."""
    run = gflow.run("kept.py")
    assert GC.run(["--keep", "0h", "--plan"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("would remove 1 run that ended more than 0h ago: 9")
    assert f"  {run.id}  kept  completed" in out
    assert out.endswith("nothing was changed · leave out --plan to do it\n")
    assert GC.run(["--keep", "0h"]) == 0
    assert capsys.readouterr().out.startswith("removed 1 run that ended more than 0h ago: 9")
    left = [path.name for path in (home / ".gflow").rglob("*") if path.is_file()]
    assert run.id not in "".join(left)
    assert GC.run(["--keep", "0h"]) == 0
    assert capsys.readouterr().out == "nothing to remove: no run that ended more than 0h ago\n"


def test_gc_keeps_what_a_fork_shares(home: Path, capsys: Captured) -> None:
    """A fork that goes on needs its origin, and works after the other old runs are gone."""
    origin, lone = gflow.run("kept.py"), gflow.run("kept.py")
    fork = gflow.fork(origin.id, at="size")
    held = ownership.claim(home / ".gflow", fork.id)
    assert GC.run(["--keep", "0h"]) == 0
    held.release()
    out = capsys.readouterr().out
    assert f"kept: {origin.id}, since run {fork.id} shares its values" in out
    assert lone.id in out
    assert cli.main(["resume", fork.id]) == 0
    assert len(fork.value("big")) == 100_000


def test_gc_prints_one_document(home: Path, capsys: Captured) -> None:
    """With --json stdout is one document, the same for a plan."""
    run = gflow.run("kept.py")
    documents = []
    for words in (["--plan"], []):
        GC.run(["--keep", "0d", "--json", *words])
        documents.append(json.loads(capsys.readouterr().out))
    plan, done = documents
    assert (plan.pop("planned"), done.pop("planned")) == (True, False)
    assert plan == done
    assert list(done) == ["keep_seconds", "bytes", "runs", "kept", "rubbish"]
    assert [each["id"] for each in done["runs"]] == [run.id]
    assert done["bytes"] > 100_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600), ("0d", 0)]
)
def test_times(home: Path, capsys: Captured, text: str, seconds: float) -> None:
    """A time is a number of hours, days or weeks."""
    GC.run(["--keep", text, "--json"])
    assert json.loads(capsys.readouterr().out)["keep_seconds"] == seconds


@pytest.mark.parametrize("text", ["30", "", "d", "-1d", "1.5d", "30 d", "5m", "30D", "9999999d", "٣d"])
def test_bad_times(home: Path, text: str) -> None:
    """Anything else is bad usage, and nothing is removed."""
    with pytest.raises(UsageError, match="is no time"):
        GC.run([f"--keep={text}"])


def test_gc_without_a_store(home: Path, capsys: Captured) -> None:
    """Where there is nothing, there is nothing to remove, and nothing is made."""
    assert GC.run([]) == 0
    assert capsys.readouterr().out == "nothing to remove: no run that ended more than 30d ago\n"
    assert not (home / ".gflow").exists()


def test_doctor_tells_rubbish(home: Path, capsys: Captured) -> None:
    """What crashes have left is no fault, and `doctor` says how to remove it."""
    gflow.run("kept.py")
    stray = home / ".gflow" / "blobs" / "ab" / ("ab" * 16)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(bytes(2048))
    os.utime(stray, (time.time() - 2 * DAY,) * 2)
    assert cli.main(["doctor"]) == 0
    assert "ok  rubbish      1 file that no run names, 2.0 KiB · " in capsys.readouterr().out
    GC.run([])
    cli.main(["doctor"])
    assert "ok  rubbish      none\n" in capsys.readouterr().out
