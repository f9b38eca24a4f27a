"""Power loss: what `durability="full"` promises and a kill cannot test, since the system outlives it.

A run is recorded, system call by system call (recorder.c, preloaded). At every line of its ledger, and
after every sync, the disk is rebuilt as if the power had failed there: only what was synced is there, or
besides that some of the rest. All that had been acknowledged must be there, and the run goes on from it.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gflow.checkpoint import Keys, Place, loads
from gflow.cli.running import exit_code
from gflow.errors import GflowError
from gflow.journal import Journal
from gflow.state import State
from gflow.stores.sqlite import SqliteStore
from tests.crash import ledger, mutations, runs
from tests.crash.children import call
from tests.crash.disk import Disk, recorded
from tests.crash.ledger import Line, Made
from tests.crash.proof import Proof, Skipped, Violation
from tests.crash.runs import Site, Sites

SOURCE: Final = Path(__file__).with_name("recorder.c")
ENDED: Final = "ended"
"""A file that is written when the run has told its caller that it completed."""
FORGOTTEN: Final = ("-shm", ".lock", ".jsonl")
"""Files that need not survive."""


# ---------------------------------------------------------------- recording


def recorder(folder: Path) -> Path:
    """Compile recorder.c; Skipped says why that cannot be done."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        raise Skipped("needs Linux and a C compiler")
    library = folder / "recorder.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


def record(site: Site, library: Path) -> Path:
    """Run the thirty steps in a process that is recorded, and return the log."""
    log = site.folder.with_suffix(".log")
    log.unlink(missing_ok=True)
    environment = os.environ | {
        "LD_PRELOAD": str(library), "RECORD_LOG": str(log), "RECORD_ROOT": str(site.folder),
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.crash.power", str(site.folder), *mutations.ACTIVE]
    subprocess.run(command, env=environment, check=True)
    return log


def main(folder: str, *active: str) -> None:
    """Be the process that is recorded."""
    mutations.apply_for_good(active)
    site = Site(Path(folder), "full")
    run = site.run()
    (site.folder / ENDED).write_text(run.status)


# ---------------------------------------------------------------- cutting


@dataclass
class Moment:
    """The power fails: `lines` of the ledger had been written, and perhaps the end had been told."""

    lines: list[Line]
    ended: bool
    says: str


def moments(log: Path, site: Site, disk: Disk) -> Iterator[Moment]:
    """Replay a record, and stop before each line of the ledger and after each sync."""
    text = b""
    ended = False
    for number, operation in enumerate(recorded(log)):
        if operation.path.endswith(FORGOTTEN):
            continue
        if operation.path == str(site.ledger):
            text += operation.data
            if operation.kind == "w":
                yield Moment(ledger.parsed(text), ended, f"before operation {number}")
            continue
        if operation.path.endswith(ENDED):
            ended = ended or operation.kind == "w"
            if operation.kind == "w":
                yield Moment(ledger.parsed(text), True, "after the end was told")
            continue
        disk.do(operation)
        if operation.kind == "s":
            yield Moment(ledger.parsed(text), ended, f"after operation {number}, sync of {operation.path}")


def check(count: int) -> int:
    """Let the power fail `count` times, in as many recordings as that takes, and go on each time."""
    dice = random.Random(count)
    left = count
    with runs.sites("full") as sites, tempfile.TemporaryDirectory() as name:
        library = recorder(Path(name))
        while left > 0:
            with sites.new("recorded") as site:
                left -= _fail_in(sites, site, record(site, library), left, dice)
    return count


def _fail_in(sites: Sites, site: Site, log: Path, most: int, dice: random.Random) -> int:
    """Let the power fail at every moment of a record, and go on from some of what that leaves."""
    found = sum(1 for _ in moments(log, site, Disk(site.folder)))
    chosen = set(dice.sample(range(found), min(most, found)))
    disk = Disk(site.folder)
    for number, moment in enumerate(moments(log, site, disk)):
        with sites.new("left") as left:
            disk.write(left.folder)
            _is_there(left, moment)
        if number in chosen:
            with sites.new("left") as left:
                disk.write(left.folder, dice if dice.random() < 0.5 else None)
                _goes_on(sites, left, moment)
    return len(chosen)


# ---------------------------------------------------------------- judging


def _is_there(left: Site, moment: Moment) -> None:
    """All that the ledger's lines rest on is there: their own starts, and what they were given."""
    if not moment.lines:
        return  # the store may be half made
    state, values = _read(left)
    for line in moment.lines:
        slot = state.slot(line.step)
        if slot.attempt < line.attempt:
            raise Violation(f"{moment.says}: attempt {line.attempt} of {line.step} had begun, and is lost")
        for producer, token in line.seen.items():
            if producer not in values or values[producer].token != token:
                raise Violation(f"{moment.says}: {line.step} had used {producer}, whose value is lost")
    if moment.ended and state.status != "completed":
        raise Violation(f"{moment.says}: the run had completed, and is {state.status}")


def _read(left: Site) -> tuple[State, dict[str, Made]]:
    """Read what is left of a run, and all its values."""
    ring = Keys.load(os.environ, left.folder)
    try:
        store = SqliteStore.existing(left.store)
        if store is None or not (rows := store.runs(1)):
            return State(), {}
        journal = Journal(store, rows[0].id, ring)
        state = State().fold(journal.load())
        values = {}
        for path, slot in state.slots.items():
            if slot.ref is not None:
                place = Place(journal.run, path, slot.generation, slot.attempt)
                values[path] = loads(ring, place, slot.ref.tag, journal.read(slot.ref, place))
        store.close()
    except GflowError as error:
        raise Violation(f"what a power loss leaves cannot be read: {error}") from error
    return state, values


def _goes_on(sites: Sites, left: Site, moment: Moment) -> None:
    left.ledger.unlink(missing_ok=True)
    code = call(functools.partial(_finish, sites, left, moment))
    if code != 0:
        raise Violation(f"{moment.says}: the resume exits {code}")


def _finish(sites: Sites, left: Site, moment: Moment) -> int:
    try:
        run = left.go_on()
    except GflowError as error:
        if moment.lines:
            raise Violation(f"{moment.says}: {error}") from error
        return left.start()
    lines = [*moment.lines, *left.lines()]
    ledger.audit(lines)
    ledger.audit_end(lines, run, sites.expected)
    return exit_code(run, strict=False)


PROOF = Proof(
    "power loss", "power losses", check, tiny=30, short=200,
    mutations=(
        mutations.synchronous_off, mutations.no_directory_sync, mutations.no_blob_sync,
        mutations.body_before_commit,
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
