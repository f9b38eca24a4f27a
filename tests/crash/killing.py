"""kill -9: a run of thirty steps dies at a random line of its ledger, is resumed, and dies again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.crash import mutations, runs
from tests.crash.children import Child, call
from tests.crash.proof import Proof, Violation
from tests.crash.runs import Site, Sites

JITTER: Final = 0.001
"""Seconds: a kill comes at most so long after the line that it was aimed at."""
MARGIN: Final = 4
"""So many lines before the last one is the last at which a kill is aimed."""
ENOUGH: Final = 0.8
"""So many of the kills must hit between the first and the last step, or they prove nothing."""


@dataclass
class Kills:
    """How many processes were killed, and how many of them between the first and the last step."""

    dice: random.Random
    made: int = 0
    hit: int = 0

    def kill(self, site: Site, act: Callable[[runs.Announce], int], lines: int) -> None:
        """Run `act` in a child and kill it about when it writes its n-th line, of about `lines`."""
        heard, announce = os.pipe()
        child = Child(lambda: act(lambda: os.write(announce, b".")))
        os.close(announce)
        runs.hear(heard, self.dice.randint(1, max(1, lines - MARGIN)))
        time.sleep(self.dice.random() * JITTER)
        child.send(signal.SIGKILL)
        died = child.exit_code() == -signal.SIGKILL
        os.close(heard)
        begun = {line.step for line in site.lines()}
        self.made += 1
        self.hit += died and 0 < len(begun) < len(runs.bodies())


def check(count: int) -> int:
    """Kill `count` processes, and let each run come to its end."""
    kills = Kills(random.Random(count))
    with runs.sites() as sites:
        while kills.made < count:
            with sites.new() as site:
                _kill_and_judge(sites, site, kills)
    if kills.hit < ENOUGH * kills.made:
        raise Violation(f"only {kills.hit} of {kills.made} kills hit between the first and the last step")
    return kills.made


def _kill_and_judge(sites: Sites, site: Site, kills: Kills) -> None:
    kills.kill(site, site.start, sites.lines)
    if kills.dice.random() < 0.4:
        kills.kill(site, site.resume, sites.lines - len(site.lines()))
    code = call(lambda: site.finish(sites.expected))
    if code != 0:
        raise Violation(f"the resumed run exits {code}")


PROOF = Proof(
    "kill -9", "kills", check, tiny=16, short=300,
    mutations=(
        mutations.body_before_commit, mutations.no_started_record, mutations.done_forgotten_by_claim,
        mutations.shared_values,
    ),
)  # fmt: skip
