"""Running commands: what comes out, what goes wrong, and that nothing is left behind."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow import shell
from gflow.shell import (
    CommandError,
    CommandFailed,
    CommandKilled,
    CommandNotStarted,
    CommandTimeout,
    Output,
    Process,
    StreamName,
    ash,
    sh,
)

ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.executable)
BACKENDS = ["asyncio", "trio"]

FAMILY = "sleep 1000 & echo $!; sleep 1000 & echo $!; echo $$; wait"
"""Two grandchildren and their parent, each saying its process id."""
STUBBORN = f"trap '' TERM; {FAMILY}"
"""The same family, which does not listen to SIGTERM."""
BEREAVED = "(trap '' TERM; exec sleep 1000) >/dev/null 2>&1 & echo $!; echo $$; echo; exec sleep 1000"
"""A parent that listens, with a silent grandchild that does not."""


class Recorder:
    """A watcher that remembers, and calls `on_line` with each line."""

    def __init__(self, on_line: Callable[[Process, str], None] = lambda process, text: None) -> None:
        self.on_line = on_line
        self.told: list[str] = []
        self.lines: list[tuple[StreamName, str]] = []
        self.processes: list[Process] = []

    def started(self, process: Process) -> None:
        self.told.append("started")
        self.processes.append(process)

    def line(self, stream: StreamName, text: str) -> None:
        self.lines.append((stream, text))
        self.on_line(self.processes[-1], text)

    def ended(self, process: Process) -> None:
        self.told.append("ended")

    def pids(self) -> list[int]:
        """Return the process ids that the command has printed."""
        return [int(text) for _, text in self.lines if text.isdigit()]


@contextmanager
def watching(recorder: Recorder) -> Iterator[Recorder]:
    """Let the recorder follow the commands of this block."""
    token = shell.watcher.set(recorder)
    try:
        yield recorder
    finally:
        shell.watcher.reset(token)


def after(count: int, act: Callable[[Process], None]) -> Recorder:
    """Return a recorder that acts when so many lines have come, that is when the whole family is there."""

    def on_line(process: Process, text: str) -> None:
        if len(recorder.lines) == count:
            act(process)

    recorder = Recorder(on_line)
    return recorder


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    if not Path("/proc/self").exists():
        ps = ["ps", "-o", "stat=", "-p", str(pid)]
        return subprocess.run(ps, capture_output=True, text=True, check=False).stdout[:1] not in {"", "Z"}
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that puts the clock of the shell forward by so many seconds."""
    ahead = [0.0]
    monkeypatch.setattr("gflow.shell.monotonic", lambda: monotonic() + sum(ahead))
    return ahead.append


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """Return a list that gets every command that is started."""
    started: list[Process] = []
    start = shell._start

    def spy(*args: Any) -> Process:
        started.append(start(*args))
        return started[-1]

    monkeypatch.setattr(shell, "_start", spy)
    return started


# What comes out


def test_output() -> None:
    """A command's output has its words, its code, and both streams."""
    output = sh("sh", "-c", "echo out; echo err >&2")
    assert output.argv == ("sh", "-c", "echo out; echo err >&2")
    assert (output.code, output.stdout, output.stderr) == (0, "out\n", "err\n")
    assert output.seconds >= 0


@pytest.mark.parametrize(
    ("stdout", "text", "lines"),
    [
        ("", "", []),
        ("one\n", "one", ["one"]),
        ("one\ntwo\n\n", "one\ntwo", ["one", "two"]),
        ("  a\x0cb \u2028c", "  a\x0cb \u2028c", ["  a\x0cb \u2028c"]),
    ],
)
def test_text_and_lines(stdout: str, text: str, lines: list[str]) -> None:
    """An output reads as its text without the newline at the end, or as its lines, split at newlines only."""
    output = Output(("x",), 0, stdout, "", 0.1)
    assert (str(output), output.lines) == (text, lines)


def test_words(tmp_path: Path) -> None:
    """Words may be text, paths and numbers, and no shell looks at them."""
    output = sh("printf", "%s|", "$HOME", "*", "a b", "", tmp_path, 42)
    assert str(output) == f"$HOME|*|a b||{tmp_path}|42|"


def test_folder_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command runs in the given folder, with the given variables added to the others."""
    monkeypatch.setenv("GFLOW_TEST_OLD", "old")
    output = sh(
        "sh", "-c", 'pwd; echo "$GFLOW_TEST_OLD $GFLOW_TEST_NEW"', cwd=tmp_path, env={"GFLOW_TEST_NEW": "new"}
    )
    assert output.lines == [str(tmp_path.resolve()), "old new"]


@pytest.mark.parametrize("text", ["", "héllo", "0123456789" * 100_000])
def test_input(text: str) -> None:
    """A command reads its input to the end, however long, while its output is read."""
    assert sh("cat", input=text).stdout == text


def test_unread_input() -> None:
    """A command need not read its input."""
    assert sh("true", input="x" * 1_000_000).code == 0


def test_no_input() -> None:
    """Without an input a command finds nothing to read, and no terminal to ask on."""
    program = "from gflow.shell import sh; print(sh('sh', '-c', 'cat; (: </dev/tty) 2>&- || echo alone'))"
    assert sh(PYTHON, "-c", program, cwd=ROOT, input="not for you").lines == ["alone"]


def test_both_streams() -> None:
    """Much output on both streams never blocks the command."""
    program = "import sys; [print('x' * 99, file=f) for _ in range(10_000) for f in (sys.stderr, sys.stdout)]"
    output = sh(PYTHON, "-c", program)
    assert len(output.stdout) == len(output.stderr) == 1_000_000


def test_undecodable() -> None:
    """Bytes that are no UTF-8 are replaced, in the output and in the lines."""
    with watching(Recorder()) as recorder:
        output = sh("printf", r"a\377b\n")
    assert output.stdout == "a\ufffdb\n"
    assert recorder.lines == [("stdout", "a\ufffdb")]


def test_watched() -> None:
    """A watcher hears of the start, of each line with its stream, and of the end."""
    with watching(Recorder()) as recorder:
        sh("sh", "-c", r"printf 'one\r\n\ntwo'; exec >&-; echo three >&2")
    assert recorder.told == ["started", "ended"]
    assert [text for stream, text in recorder.lines if stream == "stdout"] == ["one", "", "two"]
    assert [text for stream, text in recorder.lines if stream == "stderr"] == ["three"]
    assert recorder.processes[0].argv[0] == "sh"


def test_streamed() -> None:
    """A watcher gets a line while the command runs."""
    with watching(after(1, Process.kill)), pytest.raises(CommandKilled):
        sh("sh", "-c", "echo; exec sleep 1000")


@given(st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\0", b"\n")).filter(bool)))
def test_chunks(chunks: list[bytes]) -> None:
    """However the output is cut into reads, its lines and its text are the same."""
    stream = shell._Stream()
    lines = [text for chunk in [*chunks, b""] for text in stream.take(chunk)]
    data = b"".join(chunks)
    expected = data.split(b"\n") if data and not data.endswith(b"\n") else data.split(b"\n")[:-1]
    assert lines == [line.removesuffix(b"\r").decode(errors="replace") for line in expected]
    assert stream.text() == data.decode(errors="replace")


def test_long_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher gets the beginning of a very long line, which says so; the output has all of it."""
    monkeypatch.setattr(shell, "LINE_LIMIT", 4)
    with watching(Recorder()) as recorder:
        output = sh("printf", r"12345678\nabcd\n")
    assert recorder.lines == [("stdout", "1234 [4 bytes more]"), ("stdout", "abcd")]
    assert output.stdout == "12345678\nabcd\n"


def test_long_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of much output the end is kept, and says so."""
    monkeypatch.setattr(shell, "CAPTURE_LIMIT", 4)
    assert sh("printf", "123456").stdout == "[2 bytes before this are not kept]\n3456"


# What goes wrong


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 128", "`sh -c 'exit 128'` exited with 128"),
        ("echo a; echo b; exit 1", "`sh -c 'echo a; echo b; exit 1'` exited with 1\na\nb"),
        ("echo a; echo b >&2; exit 1", "`sh -c 'echo a; echo b >&2; exit 1'` exited with 1\nb"),
        ("kill -9 $$", f"`sh -c 'kill -9 $$'` was ended by signal 9 ({signal.strsignal(9)})"),
    ],
)
def test_failed(script: str, message: str) -> None:
    """A failure says which command ended how, and what it said last, on standard error if it did."""
    with pytest.raises(CommandFailed) as caught:
        sh("sh", "-c", script)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("output", "tail"),
    [
        ("\n".join(map(str, range(100))), "\n".join(map(str, range(80, 100)))),
        ("x" * 3_000, "…" + "x" * 2_000),
    ],
)
def test_tail(output: str, tail: str) -> None:
    """A failure shows at most twenty lines and two thousand characters."""
    with pytest.raises(CommandFailed) as caught:
        sh("sh", "-c", "cat; exit 1", input=output)
    assert caught.value.tail == tail


def test_long_command() -> None:
    """A failure shows the beginning of a very long command."""
    message = str(CommandFailed(("echo", "x" * 1_000), 1))
    assert message == f"`echo {'x' * 195}…` exited with 1"


def test_unchecked() -> None:
    """Without the check an exit code is a value."""
    assert sh("sh", "-c", "exit 3", check=False).code == 3


def test_missing_program(tmp_path: Path) -> None:
    """A program that cannot be started says why, and what to write instead."""
    (script := tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (text := tmp_path / "text").write_text("")
    script.chmod(0o700)
    text.chmod(0o600)

    def message(*argv: str | Path, cwd: Path | None = None) -> str:
        with pytest.raises(CommandNotStarted) as caught:
            sh(*argv, cwd=cwd, check=False)
        return str(caught.value)

    assert message("foo-of-gflow", "x") == "`foo-of-gflow`: no such program on PATH"
    assert message("./foo") == "`./foo`: no such program"
    assert message("git push") == (
        '`\'git push\'`: no such program on PATH; there is no shell here: write sh("git", "push")'
    )
    assert message(script) == f"`{script}`: the interpreter that its first line names does not exist"
    assert message(text) == f"`{text}`: it cannot be started: Permission denied"
    assert message("true", cwd=tmp_path / "no") == f"`true`: there is no folder {tmp_path / 'no'} to run in"


def test_nothing_to_run() -> None:
    """A command has at least one word."""
    with pytest.raises(ValueError, match="needs the program"):
        sh()


@pytest.mark.parametrize(
    "error",
    [
        CommandFailed(("git", "push"), 128, "fatal"),
        CommandTimeout(("git", "push"), 1.5, "tail"),
        CommandKilled(("git", "push"), "tail"),
        CommandNotStarted(("git", "push"), "no such program on PATH"),
    ],
)
def test_errors_pickle(error: CommandError) -> None:
    """An error survives pickling with its message and its data."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert copy.argv == ("git", "push")


def test_timeout_is_transient() -> None:
    """A command's timeout is a TimeoutError, which the default table of severities calls low."""
    assert isinstance(CommandTimeout(("a",), 1.5), TimeoutError)


def test_other_messages() -> None:
    """A timeout and a kill say so, with the last lines."""
    assert (
        str(CommandTimeout(("a", "b c"), 1.5, "z")) == "`a 'b c'` had not ended after 1.5 s and was killed\nz"
    )
    assert str(CommandKilled(("a",), "")) == "`a` was killed"


# The end, and nothing left behind


@pytest.mark.parametrize("script", [FAMILY, STUBBORN, BEREAVED])
def test_timeout(script: str, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is up the command dies with its grandchildren, whatever they think of SIGTERM."""
    monkeypatch.setattr(shell, "GRACE", 0.2)
    with (
        watching(after(3, lambda process: later(2_000))) as recorder,
        pytest.raises(CommandTimeout) as caught,
    ):
        sh("sh", "-c", script, timeout=1_000)
    assert caught.value.seconds == 1_000
    assert len(recorder.pids()) >= 2
    assert not any(map(runs, recorder.pids()))
    assert recorder.told == ["started", "ended"]


@pytest.mark.parametrize("script", [FAMILY, STUBBORN, BEREAVED])
def test_killed_from_another_thread(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any thread may kill a command, and its grandchildren die with it."""
    monkeypatch.setattr(shell, "GRACE", 0.2)

    def kill(process: Process) -> None:
        thread = threading.Thread(target=process.kill)
        thread.start()
        thread.join()

    with watching(after(3, kill)) as recorder, pytest.raises(CommandKilled):
        sh("sh", "-c", script)
    assert len(recorder.pids()) >= 2
    assert not any(map(runs, recorder.pids()))


def test_killed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command may be killed as soon as it has started."""
    recorder = Recorder()
    monkeypatch.setattr(recorder, "started", Process.kill)
    with watching(recorder), pytest.raises(CommandKilled):
        sh("sleep", 1_000)


def test_killed_too_late() -> None:
    """Killing a command that has ended does nothing."""
    recorder = Recorder()
    with watching(recorder):
        sh("true")
        recorder.processes[0].kill()
        assert recorder.processes[0].wait().cause == "exit"
    assert recorder.told == ["started", "ended"]


def test_last_words() -> None:
    """A command that is killed may clean up and say so."""
    script = "trap 'echo cleaned up; exit 0' TERM; echo; while :; do sleep 0.01; done"
    with watching(after(1, Process.kill)), pytest.raises(CommandKilled, match="cleaned up"):
        sh("sh", "-c", script)


def test_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process left in the background keeps running, and keeps nobody waiting for its output."""
    monkeypatch.setattr(shell, "LINGER", 0.1)
    with watching(Recorder()) as recorder:
        output = sh("sh", "-c", "sleep 1000 & echo $!; printf begun")
    (pid,) = recorder.pids()
    try:
        assert output.stdout == f"{pid}\nbegun"
        assert recorder.lines[-1] == ("stdout", "begun")
        assert runs(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_background_output() -> None:
    """What comes out shortly after the end is heard."""
    assert sh("sh", "-c", "(echo late) & exit 0").lines == ["late"]


@pytest.mark.parametrize("moment", ["started", "line", "ended"])
def test_failing_watcher(moment: str, processes: list[Process], monkeypatch: pytest.MonkeyPatch) -> None:
    """If a watcher fails its error reaches the caller, and the command is gone."""

    def fail(*_: object) -> None:
        raise OSError("no space left")

    recorder = Recorder()
    monkeypatch.setattr(recorder, moment, fail)
    script = "true" if moment == "ended" else "echo; exec sleep 1000"
    with watching(recorder), pytest.raises(OSError, match="no space left"):
        sh("sh", "-c", script)
    assert not runs(processes[0].pid)


def test_interrupted() -> None:
    """Ctrl-C ends the command and its grandchildren first, which it would not reach by itself."""

    def interrupt(process: Process) -> None:
        raise KeyboardInterrupt

    with watching(after(3, interrupt)) as recorder, pytest.raises(KeyboardInterrupt):
        sh("sh", "-c", FAMILY)
    assert not any(map(runs, recorder.pids()))
    assert recorder.told == ["started", "ended"]


# Async


@pytest.mark.parametrize("backend", BACKENDS)
def test_sh_on_a_loop(backend: str) -> None:
    """On the thread of an event loop sh refuses and names ash; on a thread beside it, it works."""

    async def step() -> Output:
        with pytest.raises(RuntimeError, match=r"await ash\('echo', ...\)"):
            sh("echo", "hi")
        return await anyio.to_thread.run_sync(sh, "echo", "hi")

    assert str(anyio.run(step, backend=backend)) == "hi"


@pytest.mark.parametrize("backend", BACKENDS)
def test_ash(backend: str, tmp_path: Path) -> None:
    """An async step runs commands like a sync one."""

    async def step() -> Output:
        with watching(Recorder()) as recorder:
            output = await ash("sh", "-c", 'cat; pwd; echo "$A"', input="in\n", cwd=tmp_path, env={"A": "a"})
        assert recorder.told == ["started", "ended"]
        assert [text for _, text in recorder.lines] == output.lines
        return output

    assert anyio.run(step, backend=backend).lines == ["in", str(tmp_path.resolve()), "a"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_ash_fails(backend: str, later: Callable[[float], None]) -> None:
    """An async step gets the same errors."""
    with pytest.raises(CommandFailed, match="exited with 3"):
        anyio.run(partial(ash, "sh", "-c", "exit 3"), backend=backend)
    with pytest.raises(CommandNotStarted, match="no such program"):
        anyio.run(partial(ash, "foo-of-gflow"), backend=backend)
    with watching(after(1, Process.kill)), pytest.raises(CommandKilled):
        anyio.run(partial(ash, "sh", "-c", "echo; exec sleep 1000"), backend=backend)
    with watching(after(1, lambda process: later(2_000))), pytest.raises(CommandTimeout):
        anyio.run(partial(ash, "sh", "-c", "echo; exec sleep 1000", timeout=1_000), backend=backend)
    assert anyio.run(partial(ash, "false", check=False), backend=backend).code == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("script", [FAMILY, STUBBORN, BEREAVED])
def test_cancelled(backend: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When ash is cancelled, the command and its grandchildren are gone before the cancellation goes on."""
    monkeypatch.setattr(shell, "GRACE", 0.2)
    gone: list[bool] = []

    async def step(recorder: Recorder) -> None:
        try:
            await ash("sh", "-c", script)
        finally:
            gone.extend(not runs(pid) for pid in recorder.pids())

    async def main() -> None:
        family = anyio.Event()
        recorder = after(3, lambda process: anyio.from_thread.run_sync(family.set))
        async with anyio.create_task_group() as tasks:
            with watching(recorder):
                tasks.start_soon(step, recorder)
            await family.wait()
            tasks.cancel_scope.cancel()
        assert recorder.told == ["started", "ended"]

    anyio.run(main, backend=backend)
    assert len(gone) >= 2
    assert all(gone)


@pytest.mark.parametrize("backend", BACKENDS)
def test_cancelled_before(backend: str, tmp_path: Path) -> None:
    """A cancelled step starts nothing."""

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await ash("touch", tmp_path / "started")

    with watching(Recorder()) as recorder:
        anyio.run(main, backend=backend)
    assert recorder.told == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_cancelled_between(backend: str, processes: list[Process], monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation between the start and the first wait leaves no command behind."""
    start = shell._start

    async def main() -> None:
        with anyio.CancelScope() as scope:

            def start_and_cancel(*args: Any) -> Process:
                process = start(*args)
                scope.cancel()
                return process

            monkeypatch.setattr(shell, "_start", start_and_cancel)
            await ash("sleep", 1_000)

    anyio.run(main, backend=backend)
    assert processes[0].wait().cause == "kill"
    assert not runs(processes[0].pid)


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_of_others(backend: str, tmp_path: Path) -> None:
    """Commands that wait for each other run at once, however few threads anyio allows."""
    os.mkfifo(fifo := tmp_path / "fifo")
    script = 'head -c 1000000 /dev/zero; echo hi > "$0"'  # more than a pipe holds: somebody has to read it

    async def main() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(ash, "cat", fifo))
            tasks.start_soon(partial(ash, "sh", "-c", script, fifo))

    anyio.run(main, backend=backend)


def test_light() -> None:
    """Running a command loads neither anyio nor asyncio."""
    program = (
        "import sys; from gflow.shell import sh; sh('true'); print(*{'anyio', 'asyncio'} & set(sys.modules))"
    )
    assert str(sh(PYTHON, "-c", program, cwd=ROOT)) == ""
