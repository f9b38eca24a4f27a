"""Runs that kill their process again and again: the fifth death without progress is the last."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from gflow.cli.running import exit_code
from gflow.poison import DEATHS
from gflow.rollback import START
from tests.crash import deadly, mutations, runs
from tests.crash.children import call
from tests.crash.proof import Proof, Violation
from tests.crash.runs import Site, Sites

FAILED: Final = 1
INCOMPLETE: Final = 5
STEPS: Final = ("early", "late")


def check(count: int) -> int:
    """Poison `count` runs and as many rollbacks, each with some progress between its deaths."""
    dice = random.Random(count)
    with runs.sites(module=deadly) as sites:
        for _ in range(count):
            for play in (_run, _rollback):
                with sites.new() as site:
                    play(sites, site, dice.randrange(1, DEATHS))
    return 2 * count


def _run(sites: Sites, site: Site, deaths: int) -> None:
    """Let `early` kill a few processes, and `late` as many as it may."""
    _expect(deadly.DIES, site.start, "early")
    for _ in range(deaths - 1):
        _expect(deadly.DIES, site.resume, "early")
    for _ in range(DEATHS):
        _expect(deadly.DIES, site.resume, "late")
    _expect(FAILED, site.resume, "late")
    begun = [line.step for line in site.lines()]
    if begun.count("late") != DEATHS:
        raise Violation(f"`late` has begun {begun.count('late')} times, and not {DEATHS}")
    _expect(deadly.DIES, site.resume, "late")  # who was told may try again
    _expect(0, lambda: site.finish(sites.expected))


def _rollback(sites: Sites, site: Site, deaths: int) -> None:
    """Let the undo of `late` kill a few processes, and that of `early` as many as it may."""

    def back() -> int:
        return exit_code(site.roll_back(START), strict=False)

    _expect(0, site.start)
    _expect(deadly.DIES, back, "-late")
    for _ in range(deaths - 1):
        _expect(deadly.DIES, site.resume, "-late")
    for _ in range(DEATHS):
        _expect(deadly.DIES, site.resume, "-early")
    _expect(INCOMPLETE, site.resume, "-early")
    call(back)
    undone = [line.step for line in site.lines() if line.act == "undo"]
    if undone != ["late", "early"]:
        raise Violation(f"the undos that came to their end are {undone}")
    _expect(0, lambda: site.finish(sites.expected))


def _expect(wanted: int, act: Callable[[], int], *dies_in: str) -> None:
    def body() -> int:
        deadly.die_in(*dies_in)
        return act()

    code = call(body)
    if code != wanted:
        raise Violation(
            f"a process that dies in {', '.join(dies_in) or 'nothing'} exits {code}, not {wanted}"
        )


PROOF = Proof(
    "poison", "runs", check, tiny=2, short=20,
    mutations=(mutations.deaths_uncounted, mutations.progress_forgotten, mutations.verdict_forgotten),
)  # fmt: skip
