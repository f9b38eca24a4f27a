"""Run a command inside a step: no shell, output line by line, and nothing left behind when it is ended."""

from __future__ import annotations

import math
import os
import select
import selectors
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Literal, ParamSpec, Protocol

from gflow import secret
from gflow.processes import group_runs

P = ParamSpec("P")
Word = str | os.PathLike[str] | int
StreamName = Literal["stdout", "stderr"]
Cause = Literal["exit", "timeout", "kill"]

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
LINGER = 1.0
"""Seconds that output is read after the end, while a process in the background keeps a pipe open."""
TICK = 0.05
"""Seconds between two looks at the process; `subprocess` itself sleeps as long while it waits."""
CAPTURE_LIMIT = 10_000_000
"""Bytes that are kept of each stream: the last ones."""
LINE_LIMIT = 10_000
"""Bytes of one line that a watcher gets: the first ones."""
TAIL_LIMIT = 2_000
TAIL_LINES = 20
"""Characters and lines of the output that an error shows: the last ones."""
ARGV_LIMIT = 200
"""Characters of a command that an error shows."""
READ_SIZE = 65_536
WRITE_SIZE = getattr(select, "PIPE_BUF", 512)
"""A pipe that is ready takes so many bytes without blocking (POSIX)."""


class CommandError(Exception):
    """A command did not do what its step needed; `argv` is the command.

    The messages quote the command and its last lines, with known secrets masked.
    """

    argv: tuple[str, ...]


class CommandFailed(CommandError):
    """A command ended with a code other than 0; below zero, the number of the signal that ended it."""

    def __init__(self, argv: tuple[str, ...], code: int, tail: str = "") -> None:
        super().__init__(argv, code, tail)  # exactly the parameters, as unpickling an exception needs
        self.argv, self.code, self.tail = argv, code, tail

    def __str__(self) -> str:
        if self.code >= 0:
            return _message(self.argv, f"exited with {self.code}", self.tail)
        name = signal.strsignal(-self.code)
        return _message(self.argv, f"was ended by signal {-self.code} ({name})", self.tail)


class CommandTimeout(CommandError, TimeoutError):
    """A command had not ended after `seconds`, and was killed with everything it had started."""

    def __init__(self, argv: tuple[str, ...], seconds: float, tail: str = "") -> None:
        super().__init__(argv, seconds, tail)
        self.argv, self.seconds, self.tail = argv, seconds, tail

    def __str__(self) -> str:
        return _message(self.argv, f"had not ended after {self.seconds:g} s and was killed", self.tail)


class CommandKilled(CommandError):
    """A command was killed by `Process.kill`, with everything it had started."""

    def __init__(self, argv: tuple[str, ...], tail: str = "") -> None:
        super().__init__(argv, tail)
        self.argv, self.tail = argv, tail

    def __str__(self) -> str:
        return _message(self.argv, "was killed", self.tail)


class CommandNotStarted(CommandError):
    """A command could not be started: `reason` says why, such as no such program on PATH."""

    def __init__(self, argv: tuple[str, ...], reason: str) -> None:
        super().__init__(argv, reason)
        self.argv, self.reason = argv, reason

    def __str__(self) -> str:
        return f"{_quoted(self.argv[:1])}: {secret.mask(self.reason)}"


@dataclass(frozen=True)
class Output:
    """What a command left: its exit code, its output and how many seconds it took.

    `stdout` and `stderr` hold the last 10 MB each, and begin by saying so if there was more.
    `str(output)` is the standard output without the newline at its end, like `$(...)` in a shell.
    """

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float

    def __str__(self) -> str:
        return self.stdout.rstrip("\n")

    @property
    def lines(self) -> list[str]:
        """The lines of the standard output; split at newlines only, unlike `str.splitlines`."""
        return str(self).split("\n") if str(self) else []


class Watcher(Protocol):
    """Who follows the commands of a step; set in `watcher`.

    All three are called on the thread that reads the output, `ended` once for every `started`. If one of
    them raises, the command is killed and the error reaches the caller of `sh`.

    A watcher may also have a method `descriptor() -> int | None`, called before each start: the command
    inherits that open file, as a lock that outlives whoever started it.
    """

    def started(self, process: Process) -> None:
        """The command runs; from now on `process.kill` may be called."""
        ...

    def line(self, stream: StreamName, text: str) -> None:
        """A line came out, `text` being without its newline; a very long one is cut and says so."""
        ...

    def ended(self, process: Process) -> None:
        """The command is over, whatever came of it."""
        ...


watcher: ContextVar[Watcher | None] = ContextVar("gflow_shell_watcher", default=None)
"""Who follows the commands that this context starts; None, as in a unit test of a step: nobody."""


def sh(
    *argv: Word,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,  # noqa: A002
    check: bool = True,
    timeout: float | None = None,
) -> Output:
    """Run a command to its end, from a sync step.

    The command gets a session of its own, so that it can be killed with everything it started, and no
    terminal to ask questions on. What it leaves in the background when it ends by itself goes on, unheard
    after a second.

    Args:
        argv: the program and its arguments, as they are: there is no shell.
        cwd: the folder to run in; by default the current one.
        env: added to this process' environment.
        input: what the command reads from standard input; by default nothing.
        check: raise if the command ends with a code other than 0.
        timeout: seconds after which the command is killed; by default never.

    Raises:
        CommandFailed: the exit code was not 0; not with `check=False`.
        CommandTimeout: the time was up.
        CommandKilled: the run asked for the end.
        CommandNotStarted: no such program, or no such folder.
        RuntimeError: called on a thread that runs an event loop, which would stand still meanwhile.
    """
    if _runs_event_loop():
        first = repr(_words(argv)[0])
        raise RuntimeError(f"sh() would block the event loop of an async step: write await ash({first}, ...)")
    process = _start(argv, cwd, env, input, timeout)
    return _judged(process.wait(), check)


async def ash(
    *argv: Word,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,  # noqa: A002  (the name that subprocess gives it)
    check: bool = True,
    timeout: float | None = None,  # noqa: ASYNC109  (the same parameters as sh)
) -> Output:
    """Run a command to its end, from an async step: `sh`, awaited, with the same parameters and errors.

    On cancellation the command is killed with everything it started before the cancellation goes on.
    """
    # Loaded here: a workflow without async steps needs no anyio to run a command.
    from anyio import CancelScope, CapacityLimiter  # noqa: PLC0415
    from anyio.lowlevel import checkpoint_if_cancelled  # noqa: PLC0415
    from anyio.to_thread import run_sync  # noqa: PLC0415

    await checkpoint_if_cancelled()
    process = _start(argv, cwd, env, input, timeout)
    threads = CapacityLimiter(2)  # the run bounds its commands itself; anyio's 40 threads are for others
    try:
        ending = await run_sync(process.wait, abandon_on_cancel=True, limiter=threads)
    except BaseException:
        process.kill()
        with CancelScope(shield=True):
            await run_sync(process.wait, limiter=threads)  # joins the thread left behind, or does its work
        raise
    return _judged(ending, check)


def start(*argv: Word, pass_fds: Sequence[int] = ()) -> Process:
    """Start a command and return it: for who talks to it while it runs. Somebody has to call its `wait`.

    `pass_fds` are open files that the command inherits under the same numbers. Raises CommandNotStarted.
    """
    return _start(argv, None, None, None, None, pass_fds)


@dataclass(frozen=True)
class Ending:
    """How a command came to its end; `error` is what its watcher raised."""

    output: Output
    cause: Cause
    timeout: float
    error: Exception | None


class Process:
    """A command that was started; `kill` ends it with everything it started.

    The thread in `wait` does all the work: it reads, keeps time and signals. Others only leave a wish, so
    no process is ever signalled by a number that may belong to another one by now.
    """

    def __init__(
        self, argv: tuple[str, ...], popen: subprocess.Popen[bytes], stdin: bytes, timeout: float
    ) -> None:
        self.argv = argv
        self.pid = popen.pid
        self._popen = popen
        self._timeout = timeout
        self._began = monotonic()
        self._unsent = memoryview(stdin)
        self._streams: dict[StreamName, _Stream] = {"stdout": _Stream(), "stderr": _Stream()}
        self._open: set[StreamName] = set()
        self._selector = selectors.PollSelector()
        self._watcher: Watcher = watcher.get() or _Nobody()
        self._watcher_error: Exception | None = None
        self._kill_asked = threading.Event()
        self._waiting = threading.Lock()
        self._ending: Ending | None = None

    def kill(self) -> None:
        """Ask for the end: SIGTERM to the process group, after the grace SIGKILL to what is left of it.

        Returns at once, from any thread; `wait` sees to it. Nothing happens if the command has ended.
        """
        self._kill_asked.set()

    def wait(self) -> Ending:
        """Follow the command to its end; if another thread does already, wait for that one."""
        with self._waiting:
            if self._ending is None:
                self._ending = self._follow()
            return self._ending

    def _follow(self) -> Ending:
        try:
            self._connect()
            self._tell(self._watcher.started, self)
            cause = self._until_settled()
            if cause != "exit":
                self._terminate()
            self._read_until(lambda: not self._open, monotonic() + LINGER)
        except BaseException:  # Ctrl-C, in a step that is called as a plain function
            self._terminate()
            raise
        finally:
            self._close()
            self._tell(self._watcher.ended, self)
        return Ending(self._output(), cause, self._timeout, self._watcher_error)

    def _until_settled(self) -> Cause:
        """Read until the command exits, its end is asked for, or its time is up; say which it was."""
        self._read_until(lambda: self._exited() or self._kill_asked.is_set(), self._began + self._timeout)
        if self._exited():
            return "exit"
        return "kill" if self._kill_asked.is_set() else "timeout"

    def _terminate(self) -> None:
        """End the whole process group, at first politely; read on, so that its last words are heard."""
        self._signal(signal.SIGTERM)
        try:
            self._read_until(self._group_gone, monotonic() + GRACE)
        finally:
            if not self._group_gone():
                self._signal(signal.SIGKILL)
        self._read_until(self._group_gone, monotonic() + LINGER)

    def _read_until(self, done: Callable[[], bool], deadline: float) -> None:
        while not done() and (left := deadline - monotonic()) > 0:
            self._turn(min(left, TICK))

    def _turn(self, seconds: float) -> None:
        """Wait for something to happen, at most so long, and deal with it."""
        if self._selector.get_map():
            for key, _ in self._selector.select(seconds):
                key.data()
        elif not self._exited():
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        else:  # only silent processes in the background are left
            sleep(seconds)

    def _connect(self) -> None:
        self._listen("stdout", self._popen.stdout)
        self._listen("stderr", self._popen.stderr)
        if self._popen.stdin is not None:
            write = partial(self._write, self._popen.stdin)
            self._selector.register(self._popen.stdin, selectors.EVENT_WRITE, write)

    def _listen(self, name: StreamName, pipe: IO[bytes] | None) -> None:
        if pipe is not None:
            self._selector.register(pipe, selectors.EVENT_READ, partial(self._read, name, pipe))
            self._open.add(name)

    def _read(self, name: StreamName, pipe: IO[bytes]) -> None:
        data = os.read(pipe.fileno(), READ_SIZE)
        for text in self._streams[name].take(data):
            self._tell(self._watcher.line, name, text)
        if not data:
            self._selector.unregister(pipe)
            self._open.discard(name)

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            self._unsent = self._unsent[os.write(pipe.fileno(), self._unsent[:WRITE_SIZE]) :]
        except BrokenPipeError:  # the command does not want the rest
            self._unsent = self._unsent[:0]
        if not self._unsent:
            self._selector.unregister(pipe)
            pipe.close()

    def _close(self) -> None:
        for name in self._open:  # a line that a process in the background has begun
            for text in self._streams[name].take(b""):
                self._tell(self._watcher.line, name, text)
        self._selector.close()
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()

    def _tell(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  (raised to the caller of sh, when the command is gone)
            self._watcher_error = self._watcher_error or error
            self._kill_asked.set()

    def _exited(self) -> bool:
        return self._popen.poll() is not None

    def _group_gone(self) -> bool:
        return self._exited() and not group_runs(self.pid)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # it is gone, or belongs to root: sudo
            os.killpg(self.pid, number)

    def _output(self) -> Output:
        code = self._popen.returncode if self._exited() else -signal.SIGKILL
        texts = [stream.text() for stream in self._streams.values()]
        return Output(self.argv, code, texts[0], texts[1], monotonic() - self._began)


class _Nobody:
    """The watcher of a command that nobody watches."""

    def started(self, process: Process) -> None: ...
    def line(self, stream: StreamName, text: str) -> None: ...
    def ended(self, process: Process) -> None: ...


class _Stream:
    """What has come out of a command: the last bytes of all, and the first ones of the line at hand."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._lost = 0
        self._line = bytearray()
        self._length = 0

    def take(self, data: bytes) -> Iterator[str]:
        """Add what was read and give the lines that it completes; no data is the end of the last line."""
        self._keep(data)
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._lengthen(part)
            yield self._line_out()
        self._lengthen(rest)
        if not data and self._length:
            yield self._line_out()

    def text(self) -> str:
        """All that was kept; undecodable bytes are replaced."""
        notice = f"[{self._lost:,} bytes before this are not kept]\n" if self._lost else ""
        return notice + self._kept.decode(errors="replace")

    def _keep(self, data: bytes) -> None:
        self._kept += data
        excess = max(0, len(self._kept) - CAPTURE_LIMIT)
        del self._kept[:excess]
        self._lost += excess

    def _lengthen(self, part: bytes) -> None:
        room = LINE_LIMIT + secret.reach() - len(self._line)
        self._line += part[:room]
        self._length += len(part)

    def _line_out(self) -> str:
        text = self._line.removesuffix(b"\r").decode(errors="replace")
        cut = self._length - LINE_LIMIT
        if cut > 0:
            shown = len(self._line[:LINE_LIMIT].decode(errors="replace"))
            text = f"{secret.head(text, shown)} [{cut:,} bytes more]"
        self._line.clear()
        self._length = 0
        return text


def _start(
    argv: tuple[Word, ...],
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
    stdin: str | None,
    timeout: float | None,
    pass_fds: Sequence[int] = (),
) -> Process:
    words = _words(argv)
    if cwd is not None and not Path(cwd).is_dir():
        raise CommandNotStarted(words, f"there is no folder {os.fspath(cwd)} to run in")
    try:
        popen = subprocess.Popen(
            words,
            bufsize=0,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=None if env is None else {**os.environ, **env},
            start_new_session=True,
            pass_fds=(*pass_fds, *_lifeline()),
        )
    except OSError as error:
        raise CommandNotStarted(words, _why_not(words[0], error)) from error
    return Process(words, popen, (stdin or "").encode(), math.inf if timeout is None else timeout)


def _lifeline() -> tuple[int, ...]:
    """What the watcher of this context gives its commands to hold."""
    give: Callable[[], int | None] | None = getattr(watcher.get(), "descriptor", None)
    fd = give() if give else None
    return () if fd is None else (fd,)


def _judged(ending: Ending, check: bool) -> Output:
    """Return the output, or raise what the ending means."""
    output = ending.output
    if ending.error is not None:
        raise ending.error
    if ending.cause == "timeout":
        raise CommandTimeout(output.argv, ending.timeout, last_words(output))
    if ending.cause == "kill":
        raise CommandKilled(output.argv, last_words(output))
    if check and output.code != 0:
        raise CommandFailed(output.argv, output.code, last_words(output))
    return output


def _words(argv: tuple[Word, ...]) -> tuple[str, ...]:
    if not argv:
        raise ValueError("sh() needs the program to run, and its arguments")
    return tuple(str(word) if isinstance(word, int) else os.fspath(word) for word in argv)


def _why_not(program: str, error: OSError) -> str:
    """Say why the program could not be started."""
    if not isinstance(error, FileNotFoundError):
        return f"it cannot be started: {error.strerror}"
    if Path(program).exists():
        return "the interpreter that its first line names does not exist"
    place = "" if os.sep in program else " on PATH"
    words = ", ".join(f'"{word}"' for word in program.split())
    remedy = f"; there is no shell here: write sh({words})" if len(program.split()) > 1 else ""
    return f"no such program{place}{remedy}"


def _runs_event_loop() -> bool:
    """Whether this thread is inside asyncio or trio; a library that nobody has loaded runs nothing."""
    asyncio_loop = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    trio_run = getattr(sys.modules.get("trio.lowlevel"), "in_trio_run", None)
    return bool((asyncio_loop and asyncio_loop() is not None) or (trio_run and trio_run()))


def _message(argv: tuple[str, ...], end: str, tail: str) -> str:
    return f"{_quoted(argv)} {end}" + (f"\n{tail}" if tail else "")


def _quoted(argv: tuple[str, ...]) -> str:
    text = shlex.join(argv)
    return f"`{secret.head(text, ARGV_LIMIT)}{'…' * (len(text) > ARGV_LIMIT)}`"


def last_words(output: Output) -> str:
    """Return the last lines of the standard error, or of the standard output where there is none."""
    text = (output.stderr if output.stderr.strip() else output.stdout).rstrip()
    cut = f"{'…' * (len(text) > TAIL_LIMIT)}{secret.tail(text, TAIL_LIMIT)}"
    return "\n".join(cut.split("\n")[-TAIL_LINES:])
