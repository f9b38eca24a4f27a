"""Ctrl-C and SIGTERM: the first one ends the run in order, a second one at once; both can be resumed."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from gflow.events import StatusChanged, decode
from gflow.scheduler import Scheduler
from tests.crash import held, mutations, runs
from tests.crash.children import Child
from tests.crash.proof import Proof, Violation
from tests.crash.runs import Site, Sites

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)


class Signalled:
    """A process that holds its run in the middle, and was sent a signal that it has heard."""

    def __init__(self, site: Site, number: signal.Signals) -> None:
        wait, self._release = os.pipe()
        heard, self._announce = os.pipe()

        def body() -> int:
            os.close(self._release)
            held.hold_on(wait)
            with patch.object(Scheduler, "stop", self._telling(Scheduler.stop)):
                return replace(site, signals=True).start(self._tell)

        self.child = Child(body)
        for descriptor in (wait, self._announce):
            os.close(descriptor)
        for _ in range(2):
            os.read(heard, 1)
        self.child.send(number)
        os.read(heard, 1)
        os.close(heard)

    def _tell(self) -> None:
        os.write(self._announce, b".")

    def _telling(self, stop: Any) -> Any:
        def stop_and_tell(*arguments: Any) -> None:
            stop(*arguments)
            self._tell()

        return stop_and_tell

    def release(self) -> int:
        """Let the held step end, and return the exit code of the process."""
        os.close(self._release)
        return self.child.exit_code()

    def end(self, number: signal.Signals) -> int:
        """Send a second signal; return the exit code of the process, whose step is still held."""
        self.child.send(number)
        code = self.child.exit_code()
        os.close(self._release)
        return code


def check(count: int) -> int:
    """Send one signal, and two, `count` times each, and once more while steps run thick and fast."""
    dice = random.Random(count)
    with runs.sites(module=held) as sites:
        for _ in range(count):
            for play in (_once, _twice):
                with sites.new() as site:
                    play(sites, site, dice.choice(NUMBERS))
    with runs.sites() as sites:
        for _ in range(count):
            with sites.new() as site:
                _anywhere(sites, site, dice)
    return 3 * count


def _once(sites: Sites, site: Site, number: signal.Signals) -> None:
    """What runs may end, nothing more begins, and the run is interrupted."""
    code = Signalled(site, number).release()
    begun = [line.step for line in site.lines()]
    if code != 128 + number or begun != ["before", "held"] or _status(site) != "interrupted":
        raise Violation(f"after {number.name} it exits {code}, {_status(site)}; begun: {begun}")
    _judge(sites, site, [*begun, "after", "whole"])


def _twice(sites: Sites, site: Site, number: signal.Signals) -> None:
    """The process ends although a step runs; the step is lost, and begins again."""
    code = Signalled(site, number).end(number)
    if code != 128 + number or _status(site) != "running":
        raise Violation(f"after {number.name} twice it exits {code}, {_status(site)}")
    _judge(sites, site, ["before", "held", "held", "after", "whole"])


def _anywhere(sites: Sites, site: Site, dice: random.Random) -> None:
    """Interrupt the thirty steps at a random line."""
    heard, announce = os.pipe()
    child = Child(lambda: replace(site, signals=True).start(lambda: os.write(announce, b".")))
    os.close(announce)
    runs.hear(heard, dice.randint(1, sites.lines - 1))
    number = dice.choice(NUMBERS)
    child.send(number)
    code = child.exit_code()
    os.close(heard)
    if code not in (0, 128 + number, -number):  # the last: before or after gflow listens
        raise Violation(f"interrupted by {number.name}, it exits {code}")
    _end(sites, site)


def _status(site: Site) -> str:
    events = [event for each in site.rounds() for event in decode(each.records)]
    return [event.status for event in events if isinstance(event, StatusChanged)][-1]


def _judge(sites: Sites, site: Site, expected: list[str]) -> None:
    _end(sites, site)
    begun = [line.step for line in site.lines()]
    if begun != expected:
        raise Violation(f"after the resume these have begun: {begun}")


def _end(sites: Sites, site: Site) -> None:
    code = Child(lambda: site.finish(sites.expected)).exit_code()
    if code != 0:
        raise Violation(f"the resumed run exits {code}")


PROOF = Proof("signals", "signals", check, tiny=1, short=15, mutations=(mutations.signal_ignored,))
