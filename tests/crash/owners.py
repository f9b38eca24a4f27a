"""Several processes want one run: one has it, and one that lost it without knowing writes nothing more."""

from __future__ import annotations

import functools
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gflow.cli.running import exit_code
from gflow.errors import RunOwned
from gflow.rollback import START
from tests.crash import held, mutations, runs
from tests.crash.children import Child
from tests.crash.proof import Proof, Violation
from tests.crash.runs import Site, Sites

OWNED: Final = 75
STORE_ERROR: Final = 74
CROWD: Final = 4


class Holder:
    """A process that has begun a run and holds it in its middle, until `release`."""

    def __init__(self, site: Site) -> None:
        wait, self._release = os.pipe()
        heard, announce = os.pipe()

        def body() -> int:
            os.close(self._release)
            held.hold_on(wait)
            return site.start(lambda: os.write(announce, b"."))

        self.child = Child(body)
        for descriptor in (wait, announce):
            os.close(descriptor)
        lines = len(os.read(heard, 1)) + len(os.read(heard, 1))
        os.close(heard)
        if lines != 2:
            raise Violation("the run did not come to its middle")

    def release(self) -> int:
        """Let the run go on, and return the exit code of its process."""
        os.close(self._release)
        return self.child.exit_code()


def check(count: int) -> int:
    """Play each of the three scenes `count` times."""
    dice = random.Random(count)
    with runs.sites(module=held) as sites:
        for _ in range(count):
            for play in (_second_comes, _crowd_comes, functools.partial(_zombie_wakes_up, dice)):
                with sites.new() as site:
                    play(sites, site)
    return 3 * count


def _second_comes(sites: Sites, site: Site) -> None:
    """Who wants a run that another process has, or to roll it back, is told so, and by whom."""
    holder = Holder(site)
    before = site.rounds()
    code = Child(functools.partial(_try, site)).exit_code()
    if code != OWNED or site.rounds() != before:
        raise Violation(f"a second process took the run of process {holder.child.pid} and exits {code}")
    code = Child(lambda: exit_code(site.roll_back(START), strict=False)).exit_code()
    if code != OWNED or site.rounds() != before:
        raise Violation(f"a rollback beside the run of process {holder.child.pid} exits {code}")
    told = (site.folder / "told").read_text()
    if f"process {holder.child.pid} " not in told:
        raise Violation(f"the owner {holder.child.pid} is not named: {told}")
    _end_well(holder.release())
    _judge(sites, site)


def _try(site: Site) -> int:
    try:
        return site.resume()
    except RunOwned as error:
        (site.folder / "told").write_text(str(error))
        raise


def _crowd_comes(sites: Sites, site: Site) -> None:
    """Of several processes that want a run whose owner has died, one at a time has it."""
    holder = Holder(site)
    holder.child.send(signal.SIGKILL)
    holder.child.exit_code()
    codes = [child.exit_code() for child in [Child(site.resume) for _ in range(CROWD)]]
    if 0 not in codes or not set(codes) <= {0, OWNED}:
        raise Violation(f"{CROWD} processes wanted one run, and exit {codes}")
    _judge(sites, site)


def _zombie_wakes_up(dice: random.Random, sites: Sites, site: Site) -> None:
    """A process sleeps, loses its lock file and so its run, and wakes up when another has written."""
    holder = Holder(site)
    with _asleep(holder):
        for lock in (site.store / "locks").iterdir():
            lock.unlink()
        _end_well(Child(site.resume).exit_code())
        before = site.rounds()
    code = holder.release()
    if site.rounds() != before:
        raise Violation("a zombie wrote into a run that another process had finished")
    if code != STORE_ERROR:
        raise Violation(f"a zombie exits {code}")
    _judge(sites, site)


@contextmanager
def _asleep(holder: Holder) -> Iterator[None]:
    holder.child.send(signal.SIGSTOP)
    try:
        yield
    finally:
        holder.child.send(signal.SIGCONT)


def _end_well(code: int) -> None:
    if code != 0:
        raise Violation(f"the owner of the run exits {code}")


def _judge(sites: Sites, site: Site) -> None:
    _end_well(Child(lambda: site.finish(sites.expected)).exit_code())


PROOF = Proof("owners", "scenes", check, tiny=1, short=10, mutations=(mutations.no_lock, mutations.no_fence))
