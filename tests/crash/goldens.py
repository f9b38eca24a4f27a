"""Stores that an earlier version wrote, one of each status: this one takes every run up where it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final

import anyio

from gflow import approval, cli, runner
from gflow.events import StatusChanged, decode
from gflow.model import Run
from gflow.rollback import START
from gflow.stores.sqlite import SqliteStore
from tests.crash import mutations
from tests.crash.children import call
from tests.crash.golden import practice, workflow
from tests.crash.golden.write import HERE, STORES, settings
from tests.crash.proof import Proof, Violation

UNDOING: Final = ("rolling_back", "rollback_incomplete")
ASKING: Final = ("waiting", "rejected", "aborted")
UNDONE: Final = ("rolled_back", *UNDOING)


def check(count: int) -> int:
    """Take up a copy of every golden store."""
    statuses = sorted(path.name for path in STORES.iterdir())
    for status in statuses:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "store"
            shutil.copytree(STORES / status, folder)
            call(lambda: _examine(status, folder))  # noqa: B023  # it is forked at once
    return len(statuses)


def _examine(status: str, folder: Path) -> None:
    os.environ.update(GFLOW_KEY=(HERE / "key").read_text(), GOLDEN_BY="later", GOLDEN_GATE="", GOLDEN_UNDO="")
    if (said := _status(folder)) != ("rolled_back" if status == "aborted" else status):
        raise Violation(f"the golden store of {status} says {said}")
    for command in (["runs"], ["show", "last"], ["logs", "last"]):
        if cli.main([*command, "--store", str(folder)]) != 0:
            raise Violation(f"{status}: gflow {' '.join(command)} fails")
    if status in UNDOING:
        undone = anyio.run(runner.roll_back, "last", START, settings(folder))
        if undone.status != "rolled_back":
            raise Violation(f"{status}: the rollback ends as {undone.status}")
    if status in ASKING:
        _judge_practice(status, folder)
    else:
        _judge(status, anyio.run(_go_on, folder, workflow))


async def _go_on(folder: Path, module: ModuleType) -> Run:
    return await runner.go_on("last", {}, settings(folder), workflow=module)


def _judge_practice(status: str, folder: Path) -> None:
    """It asks, or asks anew; with a yes it is completed, and what was complete is not done again."""
    if status != "waiting" and (run := anyio.run(_go_on, folder, practice)).status != "waiting":
        raise Violation(f"{status}: the run does not ask: it is {run.status}")
    anyio.run(partial(approval.decide, yes=True), "last", "ship", settings(folder))
    run = anyio.run(_go_on, folder, practice)
    if run.status != "completed" or run.results["practice"] != ["a", "b roughly"]:
        raise Violation(f"{status}: the run is {run.status}: {'; '.join(map(str, run.errors))}")
    if (by := run.value("first")["by"]) != "later" and status == "aborted":
        raise Violation(f"{status}: what was undone stands, written by {by}")
    if by == "later" and status != "aborted":
        raise Violation(f"{status}: the first step was done again")


def _judge(status: str, run: Run) -> None:
    if run.status != "completed" or run.results["golden"] != 70_001 or run.value("large") != bytes(70_000):
        raise Violation(f"{status}: the run is {run.status}: {'; '.join(map(str, run.errors))}")
    by = run.value("first")["by"]
    if (by == "later") != (status in UNDONE):
        raise Violation(f"{status}: the first step's value was written by {by}")


def _status(folder: Path) -> str:
    store = SqliteStore.existing(folder)
    assert store is not None
    with closing(store):
        rounds = store.rounds(store.runs(1)[0].id)
    events = [event for each in rounds for event in decode(each.records)]
    return [event.status for event in events if isinstance(event, StatusChanged)][-1]


PROOF = Proof("golden stores", "stores", check, tiny=1, short=1, most=1, mutations=(mutations.event_renamed,))
