"""The log of a run: a file of JSON lines, from gflow, from the run's commands and from the users' loggers.

gflow is a library: what it has to say goes through loguru, disabled until a program wants to hear it
(loguru's documentation, "Suitable for scripts and libraries"). But loguru takes 0.2 s to import, and its
sinks are the user's to remove. So the file is written first, and loguru is told second, if it is loaded.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Lock, RLock
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Literal, NotRequired, Self, TypedDict, cast

if TYPE_CHECKING:
    from loguru import Logger, Message, Record

StreamName = Literal["stdout", "stderr"]
_Spot = tuple[str | None, int | None]
"""A step and an attempt."""


class Entry(TypedDict):
    """One line of the file.

    `at` counts seconds since 1970, to the microsecond: `gflow logs` sorts entries among the journal's events
    by it. `level` is a name of loguru's. `step` and `attempt` are None for what belongs to no step. `stream`
    is where a command's line came out, else None. `exception` is a traceback as text.
    """

    at: float
    level: str
    step: str | None
    attempt: int | None
    stream: StreamName | None
    message: str
    exception: NotRequired[str]


class RunLog:
    """The log of a run, open for writing: a context manager, or `close` it.

    A log never harms its run: a line that cannot be written, for want of space say, is counted in `lost`.

    Args:
        path: the file, to which lines are appended; it is created for its owner alone, with its folder.
        run_id: the run, as loguru's sinks see it.
        mask: hides secrets in a text; every message and traceback goes through it.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, run_id: str, mask: Callable[[str], str] = str) -> None:
        self.run_id = run_id
        self.lost = 0
        self._mask = mask
        self._lock = RLock()  # a signal handler may log while its thread does
        self._sink: int | None = None
        self._closed = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        size = os.fstat(self._fd).st_size
        self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"  # the writer before was killed
        self.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the sink away from loguru and close the file; what still comes is dropped."""
        with _sinks:
            self._closed = True
        if self._sink is not None:
            with suppress(ValueError):  # the user has removed all sinks
                _loguru().remove(self._sink)
            self._sink = None
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    @contextmanager
    def bound(self, step: str, attempt: int) -> Generator[None]:
        """Log in the name of a step: what this block, its tasks and its anyio threads say belongs to it.

        A bare `ThreadPoolExecutor` calls in no context at all, as its commands and messages do then: they
        belong to no step. `pool.submit(contextvars.copy_context().run, function, item)` takes it along.
        """
        self.listen()
        token = _place.set(_Place(self, step, attempt))
        try:
            with self._contextualized(step, attempt):
                yield
        finally:
            _place.reset(token)

    def line(self, step: str | None, attempt: int | None, stream: StreamName, text: str) -> None:
        """Write a line that a command has put out."""
        self._say(self._entry((step, attempt), "INFO", text, at=time.time(), stream=stream))

    def write(self, step: str | None, attempt: int | None, level: str, message: str) -> None:
        """Write a message of gflow's, or of a step's through its context; `level` in either case."""
        self._say(self._entry((step, attempt), level.upper(), message, at=time.time()))

    def listen(self) -> None:
        """Add the sink that hears the users' loggers, once loguru is there; called again it does nothing."""
        if self._sink is not None or "loguru" not in sys.modules:
            return
        with _sinks:
            if self._sink is None and not self._closed:
                self._sink = _loguru().add(
                    self._hear,
                    level=0,
                    format=_traceback_only,
                    filter=self._is_mine,
                    colorize=False,
                    backtrace=False,
                    diagnose=False,  # it shows the values of variables
                    enqueue=False,
                )

    def _contextualized(self, step: str, attempt: int) -> AbstractContextManager[None]:
        """Name the step to the other sinks, which are the user's."""
        if "loguru" not in sys.modules:
            return nullcontext()
        return _loguru().contextualize(run=self.run_id, step=step, attempt=attempt)

    def _is_mine(self, record: Record) -> bool:
        if record["name"] == __name__:  # it is in the file already
            return False
        place = _place.get()
        return place.log is self if place else record["extra"].get("run") == self.run_id

    def _hear(self, message: Message) -> None:
        """Write what a user's logger said: loguru's sink."""
        record = message.record
        spot, at = _spot_of(record["extra"]), record["time"].timestamp()
        entry = self._entry(spot, record["level"].name, record["message"], at=at)
        if record["exception"]:
            entry["exception"] = self._mask(message.rstrip("\n"))
        self._append(entry)

    def _say(self, entry: Entry) -> None:
        self._append(entry)
        if "loguru" not in sys.modules:
            return
        self.listen()
        logger = _loguru()
        extra = {name: entry[name] for name in ("step", "attempt", "stream")}
        logger.bind(run=self.run_id, **extra).log(_level(logger, entry["level"], "INFO"), entry["message"])

    def _entry(
        self, spot: _Spot, level: str, text: str, *, at: float, stream: StreamName | None = None
    ) -> Entry:
        step, attempt = spot
        return {
            "at": round(at, 6),
            "level": level,
            "step": step,
            "attempt": attempt,
            "stream": stream,
            "message": self._mask(text),
        }

    def _append(self, entry: Entry) -> None:
        """Write a line in one call, so that the lines of several threads and processes never mix."""
        text = json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
        data = text.encode(errors="backslashreplace")  # a lone surrogate becomes JSON's own escape for it
        with self._lock:
            if self._fd < 0:
                return
            line = b"\n" + data if self._torn else data
            written = 0
            with suppress(OSError):
                written = os.write(self._fd, line)
            self._torn = written < len(line) if written else self._torn
            self.lost += written < len(line)


@dataclass(frozen=True, slots=True)
class _Place:
    """The attempt that a context works for."""

    log: RunLog
    step: str
    attempt: int


_place: ContextVar[_Place | None] = ContextVar("gflow_logs_place", default=None)
_sinks = Lock()
_enabled = Event()


def enable() -> None:
    """Let gflow be heard through loguru: for a program that owns its process, such as the command line.

    loguru's own sink on standard error, where the user has kept it, leaves the lines of the runs to their
    files from now on, because it would write across the progress. loguru is not loaded for any of this.
    """
    _enabled.set()
    if "loguru" in sys.modules:
        _give_voice(_loguru())


class Interceptor(logging.Handler):
    """Hands the records of `logging` on to loguru, and with it to the log of the run they belong to.

    From loguru's documentation, "Entirely compatible with standard logging", and two cares more: it takes no
    lock, which another thread could take in the other order, and where the user hands loguru's messages on
    to `logging`, none goes in circles.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Log the record again, in the name of the line that logged it; `emit` without its lock."""
        stack = list(_frames(inspect.currentframe()))
        if any(frame.f_globals.get("__name__") == "loguru._handler" for frame in stack):  # inside a sink
            return True
        inside = (frame.f_code.co_filename == logging.__file__ for frame in stack[1:])
        depth = 1 + next((count for count, within in enumerate(inside) if not within), 0)
        try:
            logger = _loguru()
            if place := _place.get():
                place.log.listen()
            level = _level(logger, record.levelname, record.levelno)
            logger.opt(depth=depth, exception=record.exc_info).log(level, record.getMessage())
        except Exception:  # noqa: BLE001  (as every handler does: logging never harms who logs)
            self.handleError(record)
        return True


def install_interceptor() -> None:
    """Let what goes to the root of `logging` reach the runs' logs; once, however often it is called."""
    root = logging.getLogger()
    if not any(isinstance(handler, Interceptor) for handler in root.handlers):
        root.addHandler(Interceptor())


def logger_of(name: str, write: Callable[[str, str], None]) -> logging.Logger:
    """Return a standard logger of its own, known to nobody else, that writes levels and messages."""
    logger = logging.Logger(name)  # noqa: LOG001  # `getLogger` would keep one for each item for ever
    logger.addHandler(_Writing(write))
    return logger


class _Writing(logging.Handler):
    """Passes on what is logged, with its traceback if it has one."""

    def __init__(self, write: Callable[[str, str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(record.levelname, self.format(record))


def remove_interceptor() -> None:
    """Undo `install_interceptor`."""
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, Interceptor)]:
        root.removeHandler(handler)


def read(path: Path, after_offset: int = 0) -> tuple[list[Entry], int]:
    """Return the entries of a log from an offset in bytes on, and the offset to go on from.

    Only complete lines are read; one that a killed writer left torn is passed over. A missing file is empty.
    """
    try:
        with path.open("rb") as file:
            file.seek(after_offset)
            data = file.read()
    except FileNotFoundError:
        return [], after_offset
    complete = data[: data.rfind(b"\n") + 1]
    entries = [entry for line in complete.split(b"\n") if (entry := _parsed(line))]
    return entries, after_offset + len(complete)


def _parsed(line: bytes) -> Entry | None:
    try:
        return cast("Entry", json.loads(line))
    except ValueError:
        return None


@cache
def _loguru() -> Logger:
    """Load loguru and, the first time, switch gflow's messages off, as a library does."""
    from loguru import logger  # noqa: PLC0415  (0.2 s)

    if _enabled.is_set():
        _give_voice(logger)
    else:
        logger.disable("gflow")
    return logger


def _give_voice(logger: Logger) -> None:
    logger.enable("gflow")
    with suppress(ValueError):  # the user has removed loguru's own sink, and decides alone
        logger.remove(0)
        logger.add(sys.stderr, filter=_of_no_run, diagnose=False)


def _of_no_run(record: Record) -> bool:
    return _place.get() is None and "run" not in record["extra"]


def _traceback_only(_record: Record) -> str:
    """Return loguru's format for a message: the rest is taken from the record."""
    return "{exception}"


def _spot_of(extra: Mapping[str, object]) -> _Spot:
    """Return the step and attempt of this context, else those that the user has bound by hand."""
    place = _place.get()
    if place is not None:
        return place.step, place.attempt
    step, attempt = extra.get("step"), extra.get("attempt")
    return (step if isinstance(step, str) else None), (attempt if isinstance(attempt, int) else None)


def _level(logger: Logger, name: str, otherwise: str | int) -> str | int:
    """Return the name if it is one of loguru's levels."""
    try:
        return logger.level(name).name
    except ValueError:
        return otherwise


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
