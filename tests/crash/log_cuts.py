"""The write-ahead log is cut short or garbled, as a power loss may leave it, and the run is resumed.

What can be read is always a beginning of what was written: no gap, no round without its values. From
there the run goes on; where not even its creation is left, the resume says that there is no run.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gflow.checkpoint import Keys, Place
from gflow.cli.running import exit_code
from gflow.errors import GflowError, UsageError
from gflow.events import Done
from gflow.journal import Journal
from gflow.state import State
from gflow.stores import Round
from gflow.stores.sqlite import SqliteStore
from tests.crash import ledger, mutations, runs
from tests.crash.children import Child, call
from tests.crash.proof import Proof, Violation
from tests.crash.runs import Site, Sites

HEADER: Final = 32
FRAME: Final = 24 + 4096
"""Bytes of a log's header and of each frame in it (https://sqlite.org/fileformat2.html#walformat)."""
NO_RUN: Final = 2
"""The exit code of a resume that finds no run: the log is lost from its beginning on."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to the bytes of a log."""

    says: str
    change: Callable[[bytes], bytes]


def damage(dice: random.Random, size: int) -> Damage:
    """Make up one damage of a log of `size` bytes."""
    at = _anywhere(dice, size)
    match dice.choice(["cut", "cut", "flip", "zero", "noise", "swap"]):
        case "cut":
            return Damage(f"cut at {at} of {size}", lambda log: log[:at])
        case "flip":
            bit = 1 << dice.randrange(8)
            return Damage(
                f"flip {bit} at {at}", lambda log: log[:at] + bytes([log[at] ^ bit]) + log[at + 1 :]
            )
        case "zero":
            return Damage(f"zeros at {at}", lambda log: _over(log, at, bytes(4096)))
        case "noise":
            noise = dice.randbytes(dice.choice([4, 100, 4096]))
            return Damage(f"{len(noise)} bytes of noise at {at}", lambda log: _over(log, at, noise))
        case _:
            one, other = _frame(dice, size), _frame(dice, size)
            return Damage(f"frames {one} and {other} swapped", lambda log: _swapped(log, one, other))


def _anywhere(dice: random.Random, size: int) -> int:
    """Return a place in a log: often near the beginning of a frame, where it matters most."""
    at = _frame(dice, size) + dice.choice([-1, 0, 1, 24]) if dice.random() < 0.5 else dice.randrange(size)
    return min(max(at, 0), size - 1)


def _frame(dice: random.Random, size: int) -> int:
    return HEADER + FRAME * dice.randrange((size - HEADER) // FRAME)


def _over(log: bytes, at: int, piece: bytes) -> bytes:
    return (log[:at] + piece + log[at + len(piece) :])[: len(log)]


def _swapped(log: bytes, one: int, other: int) -> bytes:
    return _over(_over(log, one, log[other : other + FRAME]), other, log[one : one + FRAME])


# ---------------------------------------------------------------- cases


@dataclass(frozen=True, slots=True)
class History:
    """What was written before the damage."""

    run: str
    rounds: list[Round]
    log: bytes


def check(count: int) -> int:
    """Damage `count` copies of one log, and go on with each."""
    dice = random.Random(count)
    with runs.sites() as sites, sites.new("origin") as origin:
        _die_late(sites, origin)
        history = _history(origin)
        for _ in range(count):
            with sites.new() as site:
                damaged = damage(dice, len(history.log))
                _damage(origin, site, history, damaged)
                _examine(sites, site, history, damaged)
    return count


def _die_late(sites: Sites, origin: Site) -> None:
    """Run until all but a few steps are done, and die there: nothing empties the log."""
    left = itertools.count(sites.lines - 3, -1)

    def announce() -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if Child(lambda: origin.start(announce)).exit_code() != -signal.SIGKILL:
        raise Violation("the run ended before it was killed")


def _history(origin: Site) -> History:
    log = _log(origin).read_bytes()
    with _reading(origin) as store:
        run = store.runs(1)[0].id
        return History(run, store.rounds(run), log)


def _log(site: Site) -> Path:
    return site.store / "state.db-wal"


@contextlib.contextmanager
def _reading(site: Site) -> Iterator[SqliteStore]:
    store = SqliteStore.existing(site.store)
    if store is None:
        raise UsageError("there is nothing to be read")
    with contextlib.closing(store):
        yield store


def _damage(origin: Site, site: Site, history: History, damaged: Damage) -> None:
    shutil.copytree(origin.store, site.store, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    _log(site).write_bytes(damaged.change(history.log))


def _examine(sites: Sites, site: Site, history: History, damaged: Damage) -> None:
    try:
        state = _what_is_left(site, history)
    except UsageError:
        state = State()
    except GflowError as error:
        raise Violation(f"{damaged.says}: {error}") from error
    begun = {path: slot.attempt for path, slot in state.slots.items()}
    code = call(lambda: _go_on(sites, site, begun))
    if code != 0 and (state.created is not None or code != NO_RUN):
        raise Violation(f"{damaged.says}: {len(state.slots)} steps are left, and the resume exits {code}")


def _what_is_left(site: Site, history: History) -> State:
    """Read all that can be read; it is a beginning of what was written, values and all."""
    with _reading(site) as store:
        found = store.rounds(history.run)
        if found != history.rounds[: len(found)]:
            raise Violation(f"{len(found)} rounds are left, and are no beginning of what was written")
        journal = Journal(store, history.run, Keys.load(os.environ, site.folder))
        rounds = journal.load()
        state = State().fold(rounds)
        for event in (event for _, _, events in rounds for event in events):
            if isinstance(event, Done) and event.value is not None:
                slot = state.slot(event.path)
                journal.read(event.value, Place(history.run, event.path, slot.generation, slot.attempt))
        return state


def _go_on(sites: Sites, site: Site, begun: dict[str, int]) -> int:
    run = site.go_on()
    ledger.audit(site.lines(), begun)
    ledger.audit_end(site.lines(), run, sites.expected)
    return exit_code(run, strict=False)


PROOF = Proof("damaged log", "logs", check, tiny=40, short=200, mutations=(mutations.torn_round,))
