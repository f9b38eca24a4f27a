"""What a fault test is: a promise, many cases of it, and the mutations of gflow that must break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.crash.mutations import Mutation


class Violation(AssertionError):
    """A promise was broken; the message says in which case, and how to see it again."""


class Skipped(Exception):
    """What a proof needs is not on this machine; the message says what."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One fault test.

    `check(count)` examines `count` cases, or so many of each kind, returns how many it has examined, and
    raises Violation at the first that breaks the promise. `tiny` is its count under pytest, `short` under
    `nox -s crash`; `--long` takes ten times as many, unless `most` says that there are no more. `told`
    returns what else there is to show when all is examined.
    """

    name: str
    unit: str
    check: Callable[[int], int]
    tiny: int
    short: int
    mutations: tuple[Mutation, ...]
    most: int | None = None
    told: Callable[[], str] = str

    def count(self, level: str) -> int:
        """Return the count at a level: tiny, short or long."""
        counts = {"tiny": self.tiny, "short": self.short, "long": 10 * self.short}
        return min(counts[level], self.most or counts[level])
