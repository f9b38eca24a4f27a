"""kill -9 inside rollbacks: they are finished, the ledger nets to zero, and the run goes on from there."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from typing import Final

from gflow.cli.running import exit_code
from gflow.rollback import START
from tests.crash import ledger, mutations, runs
from tests.crash.children import Child, call
from tests.crash.killing import ENOUGH
from tests.crash.proof import Proof, Violation
from tests.crash.runs import Announce, Site, Sites

TARGETS: Final = (START, "tools", "prepared", "core", "built", "checked")
"""Where to go back to: enough comes after each of them."""
MARGIN: Final = 2
"""So many undos before the last one is the last at which a kill is aimed."""


def check(count: int) -> int:
    """Kill `count` rollbacks of runs that had completed, or died themselves, and finish them."""
    dice = random.Random(count)
    hits = 0
    with runs.sites() as sites:
        for _ in range(count):
            with sites.new() as site:
                hits += _go_back(sites, site, dice)
    if hits < ENOUGH * count:
        raise Violation(f"only {hits} of {count} kills hit between the first and the last undo")
    return count


def _go_back(sites: Sites, site: Site, dice: random.Random) -> bool:
    """Return whether the kill has hit."""
    if dice.random() < 0.5:
        call(site.start)
    else:
        _die(site.start, dice.randint(sites.lines // 2, sites.lines - 4))
    to = dice.choice(TARGETS)
    later = set(runs.bodies()) if to == START else ledger.later_steps(runs.graph())[to]
    begun = {line.step for line in site.lines()} & later & runs.undoable()
    at = dice.randint(1, max(1, len(begun) - MARGIN))
    hit = _die(lambda tell: exit_code(site.roll_back(to, tell), strict=False), at)
    call(lambda: _undo(site, to, later))
    if call(lambda: site.finish(sites.expected)) != 0:
        raise Violation(f"after a rollback to {to} that was killed, the run does not complete")
    _judge(site)
    return hit


def _die(act: Callable[[Announce], int], at: int) -> bool:
    """Kill a child about when it writes its line number `at`; return whether it was alive."""
    heard, announce = os.pipe()
    child = Child(lambda: act(lambda: os.write(announce, b".")))
    os.close(announce)
    runs.hear(heard, at)
    child.send(signal.SIGKILL)
    code = child.exit_code()
    os.close(heard)
    return code == -signal.SIGKILL


def _undo(site: Site, to: str, later: set[str]) -> int:
    """Finish the rollback, which may have been over; nothing stands that comes after its target."""
    run = site.roll_back(to)
    standing = _judge(site) & later
    if run.status != "rolled_back" or standing:
        raise Violation(f"rolled back to {to}, the run is {run.status}, and these stand: {standing}")
    return 0


def _judge(site: Site) -> set[str]:
    return ledger.audit_undos(site.lines(), runs.graph(), runs.undoable())


PROOF = Proof(
    "kill -9 in rollback", "kills", check, tiny=12, short=100,
    mutations=(
        mutations.undo_ascending, mutations.undo_of_completed_only, mutations.one_key_for_two_generations,
    ),
)  # fmt: skip
