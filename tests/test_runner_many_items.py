"""Fan-outs over very many items: killed, resumed, and held to a limit of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from gflow.journal import Journal
from gflow.scheduler import CROWD
from gflow.session import THREADS, Settings, opened
from gflow.state import State

MEGABYTES = 150
"""What a process may need at its peak, Python and libraries included."""

HEAD = """
import mmap
import os
import signal
from typing import Annotated

from gflow import Each, stage, task

ITEMS = int(os.environ["ITEMS"])
DEADLY = int(os.environ["DEADLY"])
with open("ledger", "r+b") as file:
    LEDGER = mmap.mmap(file.fileno(), 0)  # a mapped file keeps what a killed process has written


def note(place: int) -> None:
    LEDGER[place] += 1
    if place == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)


@task
def numbers() -> list[int]:
    return list(range(ITEMS))
"""
STEP = """

@task
def first(n: Annotated[int, Each(numbers)]) -> int:
    note(n)
    return 2 * n


@task
def total(first: list[int]) -> int:
    return sum(first)
"""
GROUP = """

@task
def first(n: int) -> int:
    note(n)
    return n


@task
def second(first: int) -> int:
    note(ITEMS + first)
    return 2 * first


@stage
def item(n: Annotated[int, Each(numbers)], first: int, second: int) -> int:
    return second


@task
def total(item: list[int]) -> int:
    return sum(item)


@stage
def flow(numbers: list[int], item: list[int], total: int) -> int:
    return total
"""
LAUNCHER = """
import json, os, sys
pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "gflow", *sys.argv[1:]])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss]))
"""
"""Starts gflow from a small process: at its start a child counts the memory of its parent as its own."""


class Ended(NamedTuple):
    """How a gflow ended, and the megabytes that it needed at its peak."""

    code: int
    megabytes: float


def gflow(folder: Path, *arguments: str, items: int, deadly: int = -1) -> Ended:
    """Run gflow in a process of its own; the step that notes the place `deadly` kills it."""
    env = os.environ | {"ITEMS": str(items), "DEADLY": str(deadly), "GFLOW_DURABILITY": "process"}
    command = [sys.executable, "-c", LAUNCHER, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    code, size = json.loads(done.stdout.splitlines()[-1])
    return Ended(code, size / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def state_of(folder: Path) -> State:
    """Return what the journal of the only run says."""
    with opened(Settings(folder=folder / ".gflow"), "read") as (store, keys):
        return State().fold(Journal(store, store.runs(1)[0].id, keys).follow())


@pytest.mark.parametrize(
    ("source", "members", "items"),
    [
        pytest.param(STEP, ["first"], 100_000, id="step"),
        pytest.param(GROUP, ["first", "second"], 5_000, id="group"),
    ],
)
def test_hundred_thousand_items(
    source: str, members: list[str], items: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fan-out that is killed and resumed runs no completed item again, and stays small in memory."""
    monkeypatch.setenv("GFLOW_KEY", "0123456789abcdef" * 4)
    (tmp_path / "many.py").write_text(HEAD + source)
    ledger = tmp_path / "ledger"
    ledger.write_bytes(bytes(len(members) * items))

    killed = gflow(tmp_path, "run", "many.py", items=items, deadly=items // 2)
    state = state_of(tmp_path)
    places = [f"{member}[{n}]" for member in members for n in range(items)]
    completed = [place for place, path in enumerate(places) if state.is_done(path)]
    resumed = gflow(tmp_path, "resume", "last", items=items)
    counts = ledger.read_bytes()

    assert (killed.code, resumed.code) == (-9, 0)
    assert len(completed) > 0.3 * items
    assert {counts[place] for place in completed} == {1}
    assert 0 not in counts
    assert sum(count > 1 for count in counts) <= CROWD + THREADS  # what had begun, and was lost
    assert state_of(tmp_path).slots["total"].preview == str(items * (items - 1))
    assert max(killed.megabytes, resumed.megabytes) <= MEGABYTES
    print(killed.megabytes, resumed.megabytes)
