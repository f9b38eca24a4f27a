"""A run as it goes: a fold of the events that were told, and what a terminal shows of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from gflow import progress
from gflow.clock import Clock
from gflow.events import (
    Done,
    Event,
    Reset,
    Reverted,
    Started,
    StatusChanged,
    Stopped,
    Tripped,
    Undone,
    step_of,
)
from gflow.model import Graph, Progress, duration
from gflow.state import State
from gflow.terminal.lines import (
    AGAIN,
    BEGUN,
    DEGRADED,
    ENDED,
    FAILED,
    OK,
    UNDONE,
    Columns,
    again_text,
    done_text,
    elapsed,
    failed_text,
    given,
    heading,
    section_of,
    title,
    told_of,
)
from gflow.terminal.text import clean, count, some

SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
ROWS: Final = 8
"""The most steps that the live area shows at once."""
NAMES: Final = 3
"""The most steps that one line names."""


class Named(Protocol):
    """A journal knows which run it is the journal of."""

    @property
    def run(self) -> str: ...


class Session(Protocol):
    """What is watched: one process's work on one run (`runner.Session`)."""

    @property
    def graph(self) -> Graph: ...
    @property
    def state(self) -> State: ...
    @property
    def journal(self) -> Named: ...
    @property
    def known(self) -> Mapping[str, float]: ...
    @property
    def clock(self) -> Clock: ...


class View:
    """Folds the rounds of a run, as they are told, into lines.

    `running` and `waiting` map a step to the time when its attempt began, or when the next one will
    (Unix seconds). The session's state is read when the view is made, for what an earlier process has
    done, and later for estimates only: it is ahead of what was told.
    """

    def __init__(self, session: Session, *, verbose: bool = False) -> None:
        graph, state = session.graph, session.state
        told = told_of(graph)
        self.session = session
        self.graph = graph
        self.verbose = verbose
        self.told = {node.name for node in told}
        self.counted = {node.name for node in graph.leaves()} or set(graph.nodes)
        self.kept = sum(state.is_done(name) for name in self.counted)
        self.done = {name for name in self.counted if state.is_done(name)}
        self.previews = {name: slot.preview or "" for name, slot in state.slots.items()}
        self.is_rerun = False
        self.is_resumed = state.session > 1
        self.columns = Columns.of([node.name for node in told], [node.role or "" for node in told])
        sections = {section_of(node) for node in told if not state.is_done(node.name)}
        self.has_headings = len(sections) > 1 and bool(graph.leaves())
        self.section: str | None = None
        self.began: float | None = None
        self.is_over = False
        self.running: dict[str, float] = {}
        self.waiting = {
            name: slot.retry_at
            for name, slot in state.slots.items()
            if slot.retry_at is not None and slot.status == "pending"
        }
        self._attempts: dict[str, int] = {}
        self._first: dict[str, float] = {}
        self._waits: dict[str, list[float]] = {}
        self._eta: tuple[float, float | None] = (0.0, None)
        self._order = {name: place for place, name in enumerate(graph.nodes)}

    def header(self) -> str:
        """Return the line that the run begins with."""
        title_line = title(self.graph.name, self.graph.version, self.session.journal.run)
        reset = self.session.state.reset
        if reset is not None:
            return f"{title_line} · rolling back to {reset.to}"
        forked = self.session.state.forked
        if self.is_resumed or forked:
            how = "resumed" if self.is_resumed or not forked else f"forked from {forked.run} at {forked.at}"
            to_do = len(self.counted) - self.kept
            return f"{title_line} · {how}: {count(self.kept, 'step')} kept, {to_do} to do"
        inputs = given(self.session.state.previews)
        return f"{title_line} · {inputs}" if inputs else title_line

    # ------------------------------------------------------------ what is told

    def tell(self, at: float, events: Sequence[Event]) -> list[str]:
        """Fold one round, written at `at` (Unix seconds), and return the lines that it adds."""
        if self.began is None:
            self.began = at
        rows = [(path, row) for event in events for path, row in self._fold(at, event)]
        lines, self.section = self._under_headings(rows)
        return lines

    def _fold(self, at: float, event: Event) -> Iterator[tuple[str, str]]:
        match event:
            case Started():
                yield from self._started(at, event)
            case Done():
                yield from self._done(event)
            case Tripped():
                yield event.path, self._tripped(at, event)
            case Stopped():
                seconds = at - self.running.pop(event.path, at)
                yield event.path, self._row(ENDED, event.path, seconds, "stopped")
            case Reset():
                self.is_rerun = event.why == "rerun"
            case Undone():
                yield event.path, self._undone(event)
            case Reverted():
                self.done.difference_update(event.paths)
            case StatusChanged():
                goes_on = self.is_rerun and event.status == "rolled_back"
                self.is_over = event.status not in ("running", "rolling_back") and not goes_on
            case _:
                pass

    def _started(self, at: float, event: Started) -> Iterator[tuple[str, str]]:
        path = event.path
        self.running[path] = at
        self.waiting.pop(path, None)
        self._attempts[path] = event.attempt
        self._first.setdefault(path, at)
        if self.verbose:
            yield path, self._row(BEGUN, path, None, done_text(event.attempt, None, None))

    def _done(self, event: Done) -> Iterator[tuple[str, str]]:
        path = event.path
        self.running.pop(path, None)
        if path in self.counted:
            self.done.add(path)
        if path in self.told or event.degraded:
            mark = DEGRADED if event.degraded else OK
            text = done_text(self._attempts.get(path, 1), event.degraded, event.preview)
            yield path, self._row(mark, path, event.seconds, text)

    def _tripped(self, at: float, event: Tripped) -> str:
        path = event.path
        self.running.pop(path, None)
        attempt, waits = self._attempts.get(path, 1), self._waits.setdefault(path, [])
        if event.retry_at is not None:
            waits.append(event.retry_at - at)
            self.waiting[path] = event.retry_at
            return self._row(
                AGAIN, path, event.seconds, again_text(attempt, waits[-1], event.type, event.message)
            )
        seconds = at - self._first.get(path, at) if waits else event.seconds
        return self._row(FAILED, path, seconds, failed_text(attempt, waits, event.type, event.message))

    def _undone(self, event: Undone) -> str:
        node = self.graph.nodes.get(step_of(event.path))
        if event.error is not None:
            return self._row(FAILED, event.path, None, f"undo failed: {clean(event.error)}")
        self.done.discard(event.path)
        what = node.undo.doc.partition("\n")[0].rstrip(".") if node and node.undo else ""
        preview = clean(self.previews.get(event.path, ""))
        return self._row(UNDONE, event.path, None, ": ".join(filter(None, (what, preview))))

    def _row(self, mark: str, path: str, seconds: float | None, text: str) -> str:
        return self.columns.row(mark, path, self._role(path), seconds, text)

    def _role(self, path: str) -> str | None:
        node = self.graph.nodes.get(step_of(path))
        return node.role if node else None

    def _under_headings(self, rows: Iterable[tuple[str, str]]) -> tuple[list[str], str | None]:
        """Put the heading of its group before each row whose group is not that of the row before."""
        lines: list[str] = []
        section = self.section
        for path, row in rows:
            group = section_of(self.graph.nodes[step_of(path)])
            if self.has_headings and group is not None and group != section:
                lines.append(heading(self.graph.nodes[group]))
                section = group
            lines.append(row)
        return lines, section

    # ------------------------------------------------------------ what goes on

    def progress(self, now: float) -> Progress:
        """Return how far the run is; what waits for its next attempt is current if nothing else is."""
        running = [name for name in self.running if name in self.counted] or [*self.running]
        current = some(running or [*self.waiting] or ["…"], NAMES)
        return Progress(len(self.counted), len(self.done), tuple(current), self._seconds_left(now))

    def _seconds_left(self, now: float) -> float | None:
        """Estimate now and then: it takes a walk through the graph. What is overdue has no estimate."""
        at, left = self._eta
        if now - at >= max(1.0, len(self.graph.nodes) / 1000):
            at, left = self._eta = now, progress.eta(self.session.state, self.session.known, now)
        return None if left is None or left <= now - at else left - (now - at)

    def area(self, now: float, frame: int) -> list[str]:
        """Return what stands below the lines on a live terminal: what runs, and how far the run is.

        `frame` counts the drawings, for the spinner.
        """
        spinner = SPINNER[frame % len(SPINNER)]
        paths = sorted([*self.running, *self.waiting], key=lambda path: self._order.get(step_of(path), 0))
        lines, _ = self._under_headings((path, self._going_on(path, now, spinner)) for path in paths[:ROWS])
        if len(paths) > ROWS:
            lines.append(f"  … and {len(paths) - ROWS} more")
        return [*lines, *[""] * (self.has_headings and bool(lines)), str(self.progress(now))]

    def _going_on(self, path: str, now: float, spinner: str) -> str:
        if path in self.running:
            text = done_text(self._attempts[path], None, None)
            return self._row(spinner, path, now - self.running[path], text)
        return self._row(AGAIN, path, None, f"again in {duration(max(0.0, self.waiting[path] - now))}")

    def heartbeat(self, now: float) -> str:
        """Return the line that says that the run lives, where nothing is drawn; "" if nothing goes on."""
        running = [f"{name} {elapsed(now - began)}" for name, began in self.running.items()]
        waiting = [
            f"{name} again in {elapsed(max(0.0, until - now))}" for name, until in self.waiting.items()
        ]
        parts = [
            f"still running: {', '.join(some(running, NAMES))}" if running else "",
            f"waiting: {', '.join(some(waiting, NAMES))}" if waiting else "",
        ]
        if not running and not waiting:
            return ""
        far = self.progress(now)
        eta = "" if far.eta_seconds is None else f", eta {duration(far.eta_seconds)}"
        return f"… {'; '.join(filter(None, parts))} ({far.percent}% complete){eta}"
