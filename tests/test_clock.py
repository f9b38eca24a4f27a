"""Real and virtual time."""

from __future__ import annotations

import time

from gflow.clock import VirtualClock, WallClock


def test_the_wall_clock_cannot_be_skipped() -> None:
    """Real time passes by itself: who wants it later has to wait."""
    assert WallClock().skip_to(time.time() + 100) is False
    assert abs(WallClock().now() - time.time()) < 60


def test_virtual_time_jumps_forward_only() -> None:
    """Virtual time stands still, jumps when asked, and never goes back."""
    clock = VirtualClock(100.0)
    assert clock.now() == 100.0
    assert clock.skip_to(250.0)
    assert clock.skip_to(50.0)
    assert clock.now() == 250.0
