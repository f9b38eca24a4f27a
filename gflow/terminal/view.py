"""A run as it goes: what is told of it, and what a terminal shows of what goes on."""

from __future__ import annotations

from typing import Final

from gflow import progress
from gflow.events import step_of
from gflow.model import Progress, duration
from gflow.terminal.lines import AGAIN, ASKS, asked_text, done_text, elapsed, fill_text
from gflow.terminal.telling import NAMES, Session, Telling
from gflow.terminal.text import clean, some

__all__ = ["Session", "View"]

SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
ROWS: Final = 8
"""The most steps that the live area shows at once."""


class View(Telling):
    """Shows, beside what is told, how far the run is, and what runs or waits now."""

    def progress(self, now: float) -> Progress:
        """Return how far the run is; what waits is current if nothing else is."""
        counted = [path for path in self.running if self._counts(path)]
        current = counted or [*self.running] or [*self.waiting] or [*self.asked] or ["…"]
        tally = self.tally
        return Progress(
            tally.total, tally.completed, tuple(some(current, NAMES)), self._seconds_left(now),
            partly=tally.partly,
        )  # fmt: skip

    def _counts(self, path: str) -> bool:
        shape = self.tally.shapes.get(step_of(path))
        return shape is not None and shape.counted

    def _seconds_left(self, now: float) -> float | None:
        """Estimate now and then: it takes a walk through the graph. What is overdue has no estimate."""
        at, left = self._eta
        if now - at >= max(1.0, len(self.graph.nodes) / 1000):
            at, left = self._eta = now, progress.eta(self.session.state, self.session.known, now)
        return None if left is None or left <= now - at else left - (now - at)

    def area(self, now: float, frame: int) -> list[str]:
        """Return what stands below the lines on a live terminal: what runs, and how far the run is.

        `frame` counts the drawings, for the spinner. All items of a fan-out have one line.
        """
        spinner = SPINNER[frame % len(SPINNER)]
        going_on = {self._around(path) or path: None for path in [*self.running, *self.waiting, *self.asked]}
        paths = sorted(going_on, key=lambda path: self._order.get(step_of(path), 0))
        lines, _ = self._under_headings((path, self._going_on(path, now, spinner)) for path in paths[:ROWS])
        if len(paths) > ROWS:
            lines.append(f"  … and {len(paths) - ROWS} more")
        return [*lines, *[""] * (self.has_headings and bool(lines)), str(self.progress(now))]

    def _going_on(self, path: str, now: float, spinner: str) -> str:
        if path in self.running:
            text = done_text(self._attempts[path], None, None, self._stand_in(path))
            text = " · ".join(filter(None, [clean(self.session.reached(path)), text]))
            return self._row(spinner, path, now - self.running[path], text)
        if path in self.waiting:
            return self._row(AGAIN, path, None, f"again in {duration(max(0.0, self.waiting[path] - now))}")
        if path in self.asked:
            return self._row(ASKS, path, None, asked_text(self.asked[path].text))
        return self._row(spinner, path, now - self.opened.get(path, now), self._filling(path, NAMES))

    def _filling(self, path: str, names: int) -> str:
        """Return how far a fan-out is, and which of its items run."""
        fill = self.tally.fills.get(path)
        running = [each for each in self.running if self._around(each) == path]
        shown = some([clean(each) for each in running], names) if names else []
        if fill is None:
            return ", ".join(shown)
        return fill_text(fill.ended, fill.n, fill.failed, shown)

    def heartbeat(self, now: float) -> str:
        """Return the line that says that the run lives, where nothing is drawn; "" if nothing goes on."""
        going_on = {self._around(path) or path: None for path in self.running}
        running = [self._alive(path, now) for path in going_on]
        waiting = [
            f"{name} again in {elapsed(max(0.0, until - now))}" for name, until in self.waiting.items()
        ]
        waiting += [f"{name} for an approval" for name in self.asked]
        parts = [
            f"still running: {', '.join(some(running, NAMES))}" if running else "",
            f"waiting: {', '.join(some(waiting, NAMES))}" if waiting else "",
        ]
        if not running and not waiting:
            return ""
        far = self.progress(now)
        eta = "" if far.eta_seconds is None else f", eta {duration(far.eta_seconds)}"
        return f"… {'; '.join(filter(None, parts))} ({far.percent}% complete){eta}"

    def _alive(self, path: str, now: float) -> str:
        if path in self.running:
            return f"{path} {elapsed(now - self.running[path])}"
        return f"{path} {self._filling(path, 0)} {elapsed(now - self.opened.get(path, now))}"
