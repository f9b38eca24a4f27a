"""Write the golden stores: what this version leaves on the disk, which every later one must take up.

    python -m tests.crash.golden.write [STATUS …]

Run it only when a version is made that writes something else, and keep the stores of the version before.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from unittest.mock import patch

import anyio

from gflow import __version__, approval, runner
from gflow.clock import VirtualClock
from gflow.session import Settings
from tests.crash.children import Child
from tests.crash.golden import practice, workflow

HERE: Final = Path(__file__).parent
STORES: Final = HERE / "stores"
NOT_KEPT: Final = ("*-shm", "locks", "logs", "work", ".gitignore")


def settings(folder: Path) -> Settings:
    """Return where a store is, with waits that take no time."""
    return Settings(folder=folder, durability="process", clock=VirtualClock(), signals=True)


def start(folder: Path) -> None:
    anyio.run(runner.start, runner.compile(workflow), {}, settings(folder))


def cancel(folder: Path) -> None:
    anyio.run(runner.cancel_run, "last", settings(folder))


def roll_back(folder: Path) -> None:
    anyio.run(runner.roll_back, "last", runner.rollback.START, settings(folder))


def ask(folder: Path) -> None:
    anyio.run(runner.start, runner.compile(practice), {}, settings(folder))


def reject(folder: Path) -> None:
    anyio.run(partial(approval.decide, yes=False), "last", "ship", settings(folder))
    anyio.run(runner.go_on, "last", {}, settings(folder))


def abort(folder: Path) -> None:
    graph = runner.compile(practice)
    anyio.run(partial(runner.start, approved=["ship"]), graph, {}, settings(folder))


Act = Callable[[Path], None]

STATUSES: Final[dict[str, tuple[str, str, tuple[Act, ...]]]] = {
    "completed": ("", "", (start,)),
    "failed": ("fail", "", (start,)),
    "interrupted": ("interrupt", "", (start,)),
    "running": ("die", "", (start,)),
    "cancelled": ("fail", "", (start, cancel)),
    "rolled_back": ("", "", (start, roll_back)),
    "rolling_back": ("", "die", (start, roll_back)),
    "rollback_incomplete": ("", "fail", (start, roll_back)),
    "waiting": ("", "", (ask,)),
    "rejected": ("", "", (ask, reject)),
    "aborted": ("abort", "", (abort,)),
}
"""What the gate does, what the undo does, and what is called, for a run to end with each status.

An aborted one is rolled back.
"""


def write(status: str) -> None:
    """Write the store of one status."""
    gate, undo, acts = STATUSES[status]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        for act in acts:
            child = Child(lambda: _act(act, folder, gate, undo))  # noqa: B023  # it is forked at once
            assert child.exit_code() in (0, -signal.SIGKILL)
        shutil.rmtree(STORES / status, ignore_errors=True)
        shutil.copytree(folder, STORES / status, ignore=shutil.ignore_patterns(*NOT_KEPT))


def _act(act: Act, folder: Path, gate: str, undo: str) -> None:
    os.environ.update(
        GFLOW_KEY=(HERE / "key").read_text(), GOLDEN_BY=__version__, GOLDEN_GATE=gate, GOLDEN_UNDO=undo
    )
    with patch("socket.gethostname", lambda: "golden"), patch("getpass.getuser", lambda: "writer"):
        act(folder)


if __name__ == "__main__":
    for each in sys.argv[1:] or STATUSES:
        write(each)
        print(f"wrote {STORES / each}")
