"""Time is the engine's: one clock, real or virtual.

A loop's own clock cannot do it: workers are threads, which a loop takes for idle.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time in Unix seconds; `skip_to` is called when nothing runs until then."""

    def now(self) -> float: ...

    def skip_to(self, moment: float) -> bool:
        """Jump to `moment` and return True, or return False: the caller has to wait."""
        ...


class WallClock:
    """The time on the wall."""

    def now(self) -> float:
        return time.time()

    def skip_to(self, moment: float) -> bool:
        return False


class VirtualClock:
    """A clock for tests: it stands still while steps run and jumps when all wait for a time."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.moment = start

    def now(self) -> float:
        return self.moment

    def skip_to(self, moment: float) -> bool:
        self.moment = max(self.moment, moment)
        return True
