"""A run on a terminal: what was told becomes lines, and on a real terminal an area that is drawn again.

`Terminal` follows a run; `summary`, `describe`, `listing` and `stats` are pure functions to text. What
goes elsewhere than through a Terminal is made to fit its stream by `fitting(stream.encoding)`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, tzinfo
from threading import Event as Flag
from threading import Lock, Thread, current_thread
from typing import Final, Self, TextIO

from gflow.events import Event
from gflow.model import Run
from gflow.terminal.describe import describe
from gflow.terminal.lines import title
from gflow.terminal.listing import Listed, listing, stats
from gflow.terminal.screen import Mode, Plain, Screen, mode
from gflow.terminal.summary import summary
from gflow.terminal.text import clean, count, fitting, harmless, size_text, some
from gflow.terminal.view import Session, View

__all__ = [
    "Listed", "Session", "Terminal", "View", "clean", "count", "describe", "fitting", "harmless", "listing",
    "size_text", "some", "stats", "summary",
]  # fmt: skip

FRAME: Final = 0.1
"""Seconds between two drawings of the live area."""
HEARTBEAT: Final = 30.0
"""Seconds between two signs of life where nothing is drawn."""
LOST: Final = (OSError, ValueError)
"""What is raised where nobody reads any more: the pipe is broken, the stream is closed."""


def _screen(stream: TextIO, wanted: Mode) -> Screen:
    if not wanted.live and not wanted.styled:
        return Plain(stream)
    from gflow.terminal.live import Rich  # noqa: PLC0415  # loads rich

    return Rich(stream, wanted)


class Terminal:
    """Follows one run on a stream; a context manager, or `close` it.

    Give `listener` to `runner.Settings`. It may be called by any thread; on a live terminal it only
    queues lines, which a thread of the terminal's own draws. A stream that cannot be written to harms
    no run: what it was to show is lost.

    Args:
        stream: where to write, usually standard error.
        environ: says whether that is a terminal to draw on, and in colors (TERM, CI, NO_COLOR, FORCE_COLOR).
        command: how this process was called; what is printed to be typed begins with it.
        verbose: tell also when a step begins.
        zone: of the time stamps that each line has where nothing is drawn (default: this machine's).
        wait: waits for a flag for so many seconds and returns whether it is set.
    """

    def __init__(
        self,
        stream: TextIO,
        environ: Mapping[str, str],
        *,
        command: str = "gflow",
        verbose: bool = False,
        zone: tzinfo | None = None,
        wait: Callable[[Flag, float], bool] = Flag.wait,
    ) -> None:
        self._mode = mode(stream.isatty(), environ)
        self._screen = _screen(stream, self._mode)
        self._command = command
        self._verbose = verbose
        self._zone = zone
        self._lock = Lock()
        self._view: View | None = None
        self._queued: list[str] = []
        self._frame = 0
        self._over = Flag()
        self._wait = wait
        self._thread = Thread(target=self._keep_alive, name="gflow-terminal", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def listener(self, session: Session) -> Callable[[float, Sequence[Event]], None]:
        """Begin to follow a session; return what is to be told its rounds, after each commit."""
        view = self._view = View(session, verbose=self._verbose, command=self._command)
        return lambda at, events: self._hear(view, at, events)

    def say(self, text: str) -> None:
        """Print a line that belongs to no event of the run."""
        with self._lock:
            self._print([text])

    @contextmanager
    def pause(self) -> Generator[None, None, None]:
        """Draw nothing while somebody reads a question and answers it."""
        with self._lock:
            self._settle()
            yield

    def close(self) -> None:
        """Take the live area away and end the thread; called again it does nothing."""
        self._over.set()
        with self._lock:
            self._settle()
        if self._thread.is_alive() and self._thread is not current_thread():
            self._thread.join()

    def conclude(self, run: Run) -> None:
        """Print how the run ended, and what to type next."""
        self.close()
        view = self._view
        if view is None or view.began is None:
            line = f"{title(run.workflow, run.version, run.id)} · {run.status}: nothing was left to do"
            self._print([line])
            return
        nodes = view.graph.nodes.values()
        text = summary(
            run,
            self._command,
            began=datetime.fromtimestamp(view.began, UTC),
            standing=[node.name for node in nodes if node.undo or node.effects == "irreversible"],
            known=view.session.known,
        )
        self._print([*[""] * view.has_headings, *text.splitlines()])

    # ------------------------------------------------------------ from any thread

    def _hear(self, view: View, at: float, events: Sequence[Event]) -> None:
        with self._lock:
            opening: list[str] = []
            if view.began is None:
                opening = [self._stamped(at, view.header()), *[""] * view.has_headings]
                self._thread.start()
            lines = [self._stamped(at, line) for line in view.tell(at, events)]
            self._print(opening)
            if self._mode.live:
                self._queued += lines
            else:
                self._print(lines)
            if view.is_over:
                self._over.set()
                self._settle()

    def _stamped(self, at: float, line: str) -> str:
        if self._mode.live:
            return line
        return f"{datetime.fromtimestamp(at, UTC).astimezone(self._zone):%H:%M:%S} {line}"

    def _keep_alive(self) -> None:
        """Draw again and again, or give a sign of life now and then: the terminal's own thread."""
        seconds = FRAME if self._mode.live else HEARTBEAT
        while not self._wait(self._over, seconds):
            with self._lock:
                if not self._over.is_set() and self._view is not None:
                    self._beat(self._view)

    def _beat(self, view: View) -> None:
        now = view.session.clock.now()
        if not self._mode.live:
            line = view.heartbeat(now)
            self._print([self._stamped(now, line)] if line else [])
            return
        self._frame += 1
        self._draw(view.area(now, self._frame))

    def _settle(self) -> None:
        with suppress(*LOST):
            self._screen.close()
        self._draw([])

    def _draw(self, area: Sequence[str]) -> None:
        lines, self._queued = self._queued, []
        with suppress(*LOST):
            self._screen.draw(lines, area)

    def _print(self, lines: Sequence[str]) -> None:
        with suppress(*LOST):
            self._screen.print(lines)
