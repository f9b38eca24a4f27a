"""Every way to forge a checkpoint that whoever can write files in the project has."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from gflow.checkpoint import Keys, Place, sign
from gflow.inbox import say
from gflow.journal import MAC_SIZE, Journal
from gflow.stores.sqlite import SqliteStore
from tests.crash.scene import KEY, Scene

OTHER: Final = bytes([1] * 32)

Forger = Callable[[Scene], str]


@dataclass(frozen=True, slots=True)
class Forgery:
    """`forge` changes a scene and returns what the refusal must name; "" means that nothing must come of it.

    `prepared` is entered where the genuine store is made.
    """

    name: str
    forge: Forger
    prepared: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext


FORGERIES: list[Forgery] = []


def forgery(forge: Forger) -> Forger:
    FORGERIES.append(Forgery(forge.__name__.replace("_", " "), forge))
    return forge


# ---------------------------------------------------------------- rows of the journal


@forgery
def unsigned_row(scene: Scene) -> str:
    scene.append(lambda _before, _place, _records: b"")
    return f"round {scene.last()[0]} "


@forgery
def row_with_another_key(scene: Scene) -> str:
    ring = Keys((OTHER,))
    scene.append(lambda before, place, records: _signed(ring, before, scene, place, records))
    return f"round {scene.last()[0]} "


def _signed(ring: Keys, before: bytes, scene: Scene, place: bytes, records: bytes) -> bytes:
    return sign(ring, b"round", before, scene.run.encode(), place, records, size=MAC_SIZE)


@forgery
def swapped_rows(scene: Scene) -> str:
    rows = scene.execute("SELECT at, records, mac, vals FROM round WHERE run = ? ORDER BY n", scene.run)
    for n, row in ((2, rows[2]), (3, rows[1])):
        _replace(scene, n, row)
    return "round 2 "


@forgery
def row_of_another_run(scene: Scene) -> str:
    row = scene.execute("SELECT at, records, mac, vals FROM round WHERE run = ? AND n = 2", scene.other)[0]
    _replace(scene, 2, row)
    return "round 2 "


@forgery
def journal_of_another_run(scene: Scene) -> str:
    scene.execute("DELETE FROM round WHERE run = ?", scene.run)
    scene.execute("UPDATE round SET run = ? WHERE run = ?", scene.run, scene.other)
    return "round 1 "


@forgery
def row_left_out(scene: Scene) -> str:
    scene.execute("DELETE FROM round WHERE run = ? AND n = 2", scene.run)
    return "round 2 "


@forgery
def older_copy_of_one_row(scene: Scene) -> str:
    """Let the run go on twice from the same point, and put a row of one future into the other."""
    n = scene.last()[0] + 1
    with tempfile.TemporaryDirectory() as name:
        twin = scene.copy(Path(name))
        twin.victim(["resume", twin.run])
        row = twin.execute("SELECT at, records, mac, vals FROM round WHERE run = ? AND n = ?", scene.run, n)[
            0
        ]
    scene.victim(["resume", scene.run])
    _replace(scene, n, row)
    return f"round {n + 1} "


def _replace(scene: Scene, n: int, row: tuple[Any, ...]) -> None:
    sql = "UPDATE round SET at = ?, records = ?, mac = ?, vals = ? WHERE run = ? AND n = ?"
    scene.execute(sql, *row, scene.run, n)


# ---------------------------------------------------------------- hostile pickles in every column


def _hostile_column(table: str, column: str, named: str) -> None:
    def forge(scene: Scene) -> str:
        scene.loosen(table)
        where = "run" if table == "round" else "id"
        extra = " AND n = 2" if table == "round" else ""
        if column == "vals":
            scene.execute(f"UPDATE round SET vals = ? WHERE run = ?{extra}", scene.hostile(9000), scene.run)
        else:
            sql = f"UPDATE {table} SET {column} = ? WHERE {where} = ?{extra}"
            scene.execute(sql, scene.hostile(), scene.run)
        return named

    FORGERIES.append(Forgery(f"hostile pickle in {table}.{column}", forge))


for _column in ("n", "at"):
    _hostile_column("round", _column, "a round of the journal ")
for _column in ("records", "mac"):
    _hostile_column("round", _column, "round 2 ")
_hostile_column("round", "vals", "small")
for _column in ("workflow", "module", "status", "created", "ended", "summary"):
    _hostile_column("run", _column, "")


@forgery
def hostile_pickle_as_a_run(scene: Scene) -> str:
    scene.loosen("run")
    scene.execute("UPDATE run SET id = ? WHERE id = ?", scene.hostile(), scene.other)
    return ""


# ---------------------------------------------------------------- the inbox


@forgery
def unsigned_cancel(scene: Scene) -> str:
    payload = b'{"who":"mallory","at":1.0,"session":2}'
    _post(scene, payload, b"")
    _post(scene, payload, _inbox_mac(OTHER, scene.run, payload))
    return ""


@forgery
def cancel_of_another_run(scene: Scene) -> str:
    payload = b'{"who":"mallory","at":1.0,"session":2}'
    _post(scene, payload, _inbox_mac(KEY, scene.other, payload))
    return ""


@forgery
def cancel_that_was_for_another_owner(scene: Scene) -> str:
    with contextlib.closing(SqliteStore(scene.store)) as store:
        say(store, Keys((KEY,)), scene.run, "cancel", 1)
    return ""


@forgery
def hostile_pickles_in_the_inbox(scene: Scene) -> str:
    scene.loosen("inbox")
    for place in range(4):
        row: list[object] = [scene.run, "cancel", b"{}", b""]
        row[place] = scene.hostile()
        scene.execute("INSERT INTO inbox(run, kind, payload, mac) VALUES (?, ?, ?, ?)", *row)
    return ""


def _post(scene: Scene, payload: bytes, mac: bytes) -> None:
    sql = "INSERT INTO inbox(run, kind, payload, mac) VALUES (?, 'cancel', ?, ?)"
    scene.execute(sql, scene.run, payload, mac)


def _inbox_mac(key: bytes, run: str, payload: bytes) -> bytes:
    return sign(Keys((key,)), b"inbox", run.encode(), b"cancel", payload)


# ---------------------------------------------------------------- values, signed for another place


def _elsewhere(name: str, change: Callable[[Place], Place]) -> None:
    @contextlib.contextmanager
    def prepared() -> Iterator[None]:
        original = Journal.seal

        def seal(self: Journal, place: Place, payload: bytes) -> Any:
            return original(self, change(place) if place.path == "small" else place, payload)

        with patch.object(Journal, "seal", seal):
            yield

    FORGERIES.append(Forgery(f"value of another {name}", lambda scene: "small", prepared))


_elsewhere("run", lambda place: place._replace(run="zzzz"))
_elsewhere("path", lambda place: place._replace(path="paged"))
_elsewhere("generation", lambda place: place._replace(generation=1))
_elsewhere("attempt", lambda place: place._replace(attempt=2))


@forgery
def values_of_two_rounds_swapped(scene: Scene) -> str:
    small, paged = scene.ref("small").round, scene.ref("paged").round
    sql = "SELECT vals FROM round WHERE run = ? AND n IN (?, ?) ORDER BY n"
    values = [row[0] for row in scene.execute(sql, scene.run, small, paged)]
    for n, value in zip((small, paged), reversed(values), strict=True):
        scene.execute("UPDATE round SET vals = ? WHERE run = ? AND n = ?", value, scene.run, n)
    return "small"


# ---------------------------------------------------------------- files


@forgery
def hostile_pickle_in_a_blob(scene: Scene) -> str:
    path = scene.blob()
    path.write_bytes(scene.hostile(path.stat().st_size))
    return "large"


@forgery
def blob_of_another_run(scene: Scene) -> str:
    there = Scene(scene.folder, scene.other).blob()
    scene.blob().write_bytes(there.read_bytes())
    return "large"


@forgery
def blob_cut_short(scene: Scene) -> str:
    os.truncate(scene.blob(), 1000)
    return "large"


@forgery
def blob_made_longer(scene: Scene) -> str:
    with scene.blob().open("ab") as file:
        file.write(b"x")
    return "large"


@forgery
def blob_removed(scene: Scene) -> str:
    scene.blob().unlink()
    return str(scene.ref("large").blob)


@forgery
def blob_behind_a_link(scene: Scene) -> str:
    elsewhere = scene.folder / "elsewhere"
    scene.blob().rename(elsewhere)
    scene.blob().symlink_to(elsewhere)
    return str(scene.ref("large").blob)


@forgery
def pipe_for_a_blob(scene: Scene) -> str:
    scene.blob().unlink()
    os.mkfifo(scene.blob())
    return str(scene.ref("large").blob)


@forgery
def hostile_pickles_beside_the_store(scene: Scene) -> str:
    for folder in ("logs", "locks", "blobs", "work"):
        (scene.store / folder).mkdir(exist_ok=True)
        (scene.store / folder / "evil.pickle").write_bytes(scene.hostile())
    (scene.store / "logs" / f"{scene.run}.jsonl").write_bytes(scene.hostile())
    (scene.store / "locks" / f"{scene.run}.lock").write_bytes(scene.hostile())
    return ""


# ---------------------------------------------------------------- keys


@forgery
def another_key(scene: Scene) -> str:
    scene.environment["GFLOW_KEY"] = OTHER.hex()
    return "round 1 "


@forgery
def key_that_others_can_read(scene: Scene) -> str:
    return _key_file(scene, lambda path: path.chmod(0o640))


@forgery
def key_that_others_can_replace(scene: Scene) -> str:
    return _key_file(scene, lambda path: path.chmod(0o602))


@forgery
def key_behind_a_link(scene: Scene) -> str:
    def link(path: Path) -> None:
        real = path.rename(path.with_name("real"))
        path.symlink_to(real)

    return _key_file(scene, link)


@forgery
def pipe_for_a_key(scene: Scene) -> str:
    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path, 0o600)

    return _key_file(scene, pipe)


def _key_file(scene: Scene, spoil: Callable[[Path], object]) -> str:
    path = scene.folder / "key"
    path.touch(0o600)
    path.write_text(KEY.hex())
    spoil(path)
    scene.environment.update(GFLOW_KEY="", GFLOW_KEY_FILE=str(path))
    return str(path)
