"""A step that is at work although its gflow is dead, or has given it up: nothing is done beside it.

A command outlives its gflow, which is killed; a thread goes on after its timeout. Then the run is resumed, or
rolled back. No new attempt and no undo may begin while the old attempt lives.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from unittest.mock import patch

from gflow import scheduler
from gflow.cli.running import exit_code
from gflow.rollback import START
from tests.crash import lasting, mutations
from tests.crash.children import PATIENCE, Child
from tests.crash.proof import Proof, Violation
from tests.crash.runs import Site

OWNED: Final = 75
FAILED: Final = 1
ROLLED_BACK: Final = 4
GRACE: Final = 0.1
"""Seconds that a thread has to end after its timeout, here."""

Next = Callable[[Site], int]


def check(count: int) -> int:
    """Play each scene `count` times: what lasts, and what is done next."""
    ways: tuple[tuple[Next, int], ...] = ((_resume, 0), (_roll_back, ROLLED_BACK))
    for play in (_command_outlives, _thread_goes_on) * count:
        for go_on, wanted in ways:
            with tempfile.TemporaryDirectory() as folder:
                site = Site(Path(folder), module=lasting)
                play(site, go_on, wanted)
                _judge(site)
    return 2 * len(ways) * count


def _resume(site: Site) -> int:
    lasting.be_in(site.folder)
    return site.resume()


def _roll_back(site: Site) -> int:
    lasting.be_in(site.folder)
    return exit_code(site.roll_back(START), strict=False)


def _command_outlives(site: Site, go_on: Next, wanted: int) -> None:
    """Kill gflow while its command is at work; what comes next ends the command first."""
    child = Child(lambda: _start(site, "command"))
    _wait_for_the_heart(site)
    child.send(signal.SIGKILL)
    child.exit_code()
    if not lasting.beats(site.folder):
        raise Violation("the command has not outlived its gflow: nothing is tried")
    code = Child(lambda: go_on(site)).exit_code()
    if code != wanted:
        raise Violation(f"a run whose command had outlived its gflow goes on, and exits {code}")


def _thread_goes_on(site: Site, go_on: Next, wanted: int) -> None:
    """Let a thread go on after its timeout; nobody gets the run until the process is gone."""
    wait, release = os.pipe()

    def body() -> int:
        with patch.object(scheduler, "STUCK_GRACE", GRACE):
            code = _start(site, "thread")
        (site.folder / "ended").write_text(str(code))
        return len(os.read(wait, 1))

    child = Child(body)
    ended = site.folder / "ended"
    _wait(lambda: ended.exists() and ended.read_text() == str(FAILED))
    _wait_for_the_heart(site)
    code = Child(lambda: go_on(site)).exit_code()
    if code != OWNED:
        raise Violation(f"a thread is at work on a step, and whoever wants the run exits {code}")
    child.send(signal.SIGKILL)
    child.exit_code()
    for descriptor in (wait, release):
        os.close(descriptor)
    code = Child(lambda: go_on(site)).exit_code()
    if code != wanted:
        raise Violation(f"the process of a thread that went on is gone, and the run exits {code}")


def _start(site: Site, lasts: str) -> int:
    lasting.be_in(site.folder, lasts)
    return site.start()


def _wait_for_the_heart(site: Site) -> None:
    _wait(lambda: lasting.beats(site.folder))


def _wait(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not happens():
        if time.monotonic() > until:
            raise Violation("the step that lasts has not begun")
        time.sleep(0.01)


def _judge(site: Site) -> None:
    acts = (site.folder / "acts").read_text().splitlines()
    if beside := [act for act in acts if act.endswith("beside")]:
        raise Violation(f"beside a live attempt of a step: {', '.join(beside)}")


PROOF = Proof(
    "living attempts", "scenes", check, tiny=1, short=10,
    mutations=(mutations.undo_beside_a_live_attempt, mutations.run_given_up_beside_a_thread),
)  # fmt: skip
