"""A genuine store of the workflow `target`, copied for each forgery, and what a forger knows of it."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import shutil
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import anyio

from gflow import cli, runner
from gflow.checkpoint import Keys
from gflow.events import Done, Event, Ref, Started, encode
from gflow.journal import Journal, _pack
from gflow.session import Settings
from gflow.stores.sqlite import SqliteStore
from tests.crash import target
from tests.crash.children import Child
from tests.crash.proof import Violation

KEY: Final = bytes(32)
TRACEBACK: Final = 71
"""The exit code that stands for an error which gflow did not expect."""


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@dataclass(frozen=True, slots=True)
class Scene:
    """A store with two runs that wait at their gates, `other` and then `run`; the forger works on `run`.

    `environment` is what the victim's environment is given.
    """

    folder: Path
    run: str = ""
    other: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def canary(self) -> Path:
        return self.folder / "canary"

    # ------------------------------------------------------------ making

    def copy(self, folder: Path) -> Scene:
        """Return the same scene in a folder of its own."""
        shutil.copytree(self.store, folder / "store")
        return replace(self, folder=folder, environment={})

    def victim(self, *commands: list[str], gate: bool = False) -> tuple[int, str]:
        """Run commands as the user would, in one child; return the last exit code, and all they said.

        A command that raises what it should not is said, too, and exits TRACEBACK.
        """
        said = self.folder / "said"

        def body() -> int:
            with said.open("a") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            self.enter(gate=gate)
            return [self._call(command) for command in commands][-1]

        code = Child(body).exit_code()
        return code, said.read_text(errors="replace")

    def _call(self, command: list[str]) -> int:
        try:
            return cli.main([*command, "--store", str(self.store)])
        except Exception:  # noqa: BLE001  # whatever a forger has brought about
            traceback.print_exc()
            return TRACEBACK

    def enter(self, *, gate: bool = False) -> None:
        """Be the user: set this process's environment."""
        os.chdir(self.folder)
        os.environ.update({"HOME": str(self.folder), "GFLOW_DURABILITY": "process", "GFLOW_KEY": KEY.hex()})
        os.environ["CRASH_GATE"] = str(self.store if gate else self.folder / "closed")
        os.environ.update(self.environment)

    # ------------------------------------------------------------ what a forger does

    def hostile(self, length: int = 0) -> bytes:
        """Return a pickle that makes the canary sing, padded to `length`."""
        return pickle.dumps(Canary(self.canary)).ljust(length, b".")

    def execute(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Change the database behind gflow's back."""
        with contextlib.closing(sqlite3.connect(self.store / "state.db", isolation_level=None)) as database:
            return database.execute(sql, values).fetchall()

    def last(self) -> tuple[int, bytes]:
        """Return number and signature of the last round."""
        found = self.execute("SELECT n, mac FROM round WHERE run = ? ORDER BY n DESC LIMIT 1", self.run)
        return found[0][0], found[0][1]

    def append(self, mac: Callable[[bytes, bytes, bytes], bytes]) -> None:
        """Add a round that says that the gate is done.

        `mac` signs it, given the last round's signature, number and time of the new one, and its records.
        """
        n, before = self.last()
        payload = self.hostile()
        records = encode([Started("gate", 9), Done("gate", Ref(n + 1, 0, len(payload), ""), "", 0.0)])
        signature = mac(before, _pack(n + 1, 1.0), records)
        row = (self.run, n + 1, 1.0, records, signature, payload)
        self.execute("INSERT INTO round(run, n, at, records, mac, vals) VALUES (?, ?, ?, ?, ?, ?)", *row)

    def loosen(self, table: str) -> None:
        """Let the columns of a table hold anything."""
        with contextlib.closing(sqlite3.connect(self.store / "state.db", isolation_level=None)) as database:
            rows = database.execute(f"SELECT * FROM {table}").fetchall()
            (made,) = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            database.execute(f"DROP TABLE {table}")
            database.execute(re.sub(" (TEXT|BLOB|REAL|STRICT)", "", made))
            for row in rows:
                database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    # ------------------------------------------------------------ what a forger looks up

    @contextlib.contextmanager
    def opened(self) -> Iterator[SqliteStore]:
        """Open the store for reading."""
        store = SqliteStore.existing(self.store)
        assert store is not None
        with contextlib.closing(store):
            yield store

    def events(self) -> list[Event]:
        """Return what the genuine journal says."""
        with self.opened() as store:
            rounds = Journal(store, self.run, Keys((KEY,))).load()
            return [event for _, _, events in rounds for event in events]

    def ref(self, step: str) -> Ref:
        """Return where a step's value lies."""
        refs = [event.value for event in self.events() if isinstance(event, Done) and event.path == step]
        assert refs[0] is not None
        return refs[0]

    def blob(self, step: str = "large") -> Path:
        """Return the file of a large value."""
        name = self.ref(step).blob
        assert name is not None
        return self.store / "blobs" / name[:2] / name


def built(folder: Path, prepared: Callable[[], contextlib.AbstractContextManager[object]]) -> Scene:
    """Make a scene; `prepared` is entered in the process that makes the run that will be forged."""
    scene = Scene(folder)
    graph = runner.compile(target)
    settings = Settings(folder=scene.store, durability="process")

    def start(word: str) -> str:
        return anyio.run(runner.start, graph, {"word": word}, settings).id

    def make() -> None:
        scene.enter()
        other = start("foreign")
        with prepared():
            (folder / "runs").write_text(f"{start('genuine')} {other}")

    if Child(make).exit_code() != 0:
        raise Violation("the genuine runs could not be made")
    run, other = (folder / "runs").read_text().split()
    return replace(scene, run=run, other=other)
