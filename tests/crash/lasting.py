"""A short workflow that lasts: as a command that outlives its gflow, or as a thread that no timeout ends.

What lasts holds the lock of a file, its `heart`. Whatever works on that step meanwhile, a new attempt or its
undo, finds the lock taken, and writes that down.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from pathlib import Path

from gflow import Policy, sh, stage, task

BEAT = """
import fcntl, os, sys, time
heart = open(sys.argv[1], "w")
fcntl.flock(heart, fcntl.LOCK_EX)
while os.path.exists(sys.argv[1]):
    time.sleep(0.1)
"""


class Here:
    """Where the bodies of this process are, and which step `lasts`."""

    folder = Path()
    lasts = ""


def beats(folder: Path) -> bool:
    """Tell whether a step of the run in a folder is at work."""
    with (folder / "heart").open("w") as heart:
        try:
            fcntl.flock(heart, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two that only ask do not meet
        except BlockingIOError:
            return True
    return False


def _note(act: str) -> None:
    alone = "beside" if beats(Here.folder) else "alone"
    with (Here.folder / "acts").open("a") as file:
        file.write(f"{act} {alone}\n")
        file.flush()
        os.fsync(file.fileno())


@task
def before() -> int:
    return 1


@task(policy=Policy(orphans="kill"))
def command(before: int) -> int:
    _note("do")
    if Here.lasts == "command":
        sh(sys.executable, "-S", "-c", BEAT, Here.folder / "heart")
    return before


@command.undo
def end_command(command: int | None) -> None:
    _note("undo")


def _last() -> None:
    with (Here.folder / "heart").open("w") as heart:
        fcntl.flock(heart, fcntl.LOCK_EX)
        while True:
            time.sleep(1)


@task(timeout=0.1)
def thread(command: int) -> int:
    _note("do")
    if Here.lasts == "thread":
        _last()
    return command


@thread.undo
def end_thread(thread: int | None) -> None:
    _note("undo")


@stage
def whole(before: int, command: int, thread: int) -> int:
    return thread


def be_in(folder: Path, lasts: str = "") -> None:
    """Let the bodies of this process work in a folder; one step `lasts`."""
    Here.folder, Here.lasts = folder, lasts
