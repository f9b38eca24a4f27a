"""The log of a run: what lands in it, what does not, and that loguru is left as it was."""

import errno
import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from gflow import logs
from gflow.logs import RunLog, read

if TYPE_CHECKING:
    from loguru import Message

ROOT = Path(__file__).parents[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a log may be written."""
    return tmp_path / "logs" / "k3f9.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[RunLog]:
    """Return an open log."""
    with RunLog(path, "k3f9") as log:
        yield log


@pytest.fixture
def intercepted() -> Iterator[None]:
    """Hand the records of `logging` to loguru during a test."""
    logs.install_interceptor()
    yield
    logs.remove_interceptor()


def messages(path: Path) -> list[str]:
    """Return the messages of a log."""
    return [entry["message"] for entry in read(path)[0]]


def places(path: Path) -> list[tuple[str | None, int | None, str]]:
    """Return the steps, attempts and messages of a log."""
    return [(entry["step"], entry["attempt"], entry["message"]) for entry in read(path)[0]]


def fresh(program: str, *arguments: str | Path) -> str:
    """Run a program in a new Python and return what it prints on both streams."""
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


# The file


def test_line(log: RunLog, path: Path) -> None:
    """A line of a command is one compact JSON object with its stream."""
    log.line("build", 2, "stderr", "wärning")
    (line,) = path.read_text(encoding="utf-8").splitlines()
    entry = json.loads(line)
    assert line == json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    assert entry.pop("at") == pytest.approx(read(path)[0][0]["at"])
    assert entry == {
        "level": "INFO",
        "step": "build",
        "attempt": 2,
        "stream": "stderr",
        "message": "wärning",
    }


@pytest.mark.parametrize("step", ["build", None])
def test_message(step: str | None, log: RunLog, path: Path) -> None:
    """A message has its level, and no stream; it may belong to no step."""
    log.write(step, 1 if step else None, "warning", "two\nlines")
    (entry,) = read(path)[0]
    assert (entry["level"], entry["stream"], entry["message"]) == ("WARNING", None, "two\nlines")
    assert (entry["step"], entry["attempt"]) == (step, 1 if step else None)
    assert "exception" not in entry


def test_time(log: RunLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is in seconds, to the microsecond."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.1234567)
    log.write("build", 1, "info", "now")
    assert read(path)[0][0]["at"] == 1_700_000_000.123457


def test_private(log: RunLog, path: Path) -> None:
    """The file is for its owner alone."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_appended(path: Path) -> None:
    """A run that is resumed goes on in the same file."""
    for message in ("one", "two"):
        with RunLog(path, "k3f9") as log:
            log.write("build", 1, "info", message)
    assert messages(path) == ["one", "two"]


def test_at_once(log: RunLog, path: Path) -> None:
    """A line can be read as soon as it is written."""
    log.write("build", 1, "info", "here")
    assert messages(path) == ["here"]


def test_surrogates(log: RunLog, path: Path) -> None:
    """A name that is no UTF-8 can be logged."""
    log.write("build", 1, "info", "caf\udce9")
    assert messages(path) == ["caf\udce9"]


def test_closed(log: RunLog, path: Path) -> None:
    """What comes after the end, from a thread that was left behind, is dropped."""
    log.close()
    log.write("build", 1, "info", "late")
    log.line("build", 1, "stdout", "late")
    log.close()
    assert messages(path) == []


def test_full_disk(log: RunLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that cannot be written is counted and harms nobody."""

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        log.write("build", 1, "info", "lost")
    log.write("build", 1, "info", "room again")
    assert messages(path) == ["room again"]
    assert log.lost == 1


def test_half_a_line(log: RunLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a line that was written in part the next one is whole."""
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr("os.write", lambda fd, data: write(fd, data[:10]))
        log.write("build", 1, "info", "half")
    log.write("build", 1, "info", "whole")
    assert messages(path) == ["whole"]
    assert log.lost == 1


# Reading


def test_read_missing(tmp_path: Path) -> None:
    """A missing file is an empty log."""
    assert read(tmp_path / "none" / "k3f9.jsonl", 7) == ([], 7)


def test_read_torn(path: Path) -> None:
    """A line that a killed writer left torn is not read, and does not spoil the next one."""
    with RunLog(path, "k3f9") as log:
        log.write("build", 1, "info", "one")
    size = path.stat().st_size
    with path.open("a", encoding="utf-8") as file:
        file.write('{"at": 17')
    assert messages(path) == ["one"]
    assert read(path)[1] == size
    with RunLog(path, "k3f9") as log:
        log.write("build", 2, "info", "two")
    assert messages(path) == ["one", "two"]


@given(st.lists(st.text(), min_size=1), st.lists(st.floats(0, 1), max_size=5).map(sorted))
def test_read_on(tmp_path_factory: pytest.TempPathFactory, texts: list[str], cuts: list[float]) -> None:
    """However a growing file is read, every entry is read once."""
    whole = tmp_path_factory.mktemp("read") / "whole"
    growing = whole.with_name("growing")
    with RunLog(whole, "k3f9") as log:
        for text in texts:
            log.write("build", 1, "info", text)
    content = whole.read_bytes()
    found: list[str] = []
    offset = 0
    for cut in [*cuts, 1]:
        growing.write_bytes(content[: round(cut * len(content))])
        entries, offset = read(growing, offset)
        found += [entry["message"] for entry in entries]
    assert found == texts
    assert offset == len(content)


# The users' loggers


def test_users_logger(log: RunLog, path: Path) -> None:
    """What a step says through loguru lands in the log with the step's name."""
    with log.bound("build", 3):
        logger.debug("built {}", "it")
    (entry,) = read(path)[0]
    assert places(path) == [("build", 3, "built it")]
    assert (entry["level"], entry["stream"]) == ("DEBUG", None)


def test_outside(log: RunLog, path: Path) -> None:
    """What is said outside of every step lands in no log."""
    with log.bound("build", 1):
        pass
    logger.info("outside")
    assert messages(path) == []


def test_bound_by_hand(log: RunLog, path: Path) -> None:
    """A user may name the run by hand where no context reaches."""
    logger.bind(run="k3f9", step="build", attempt=2).info("by hand")
    logger.bind(run="k3f9").info("no step")
    logger.bind(run="other").info("other")
    assert places(path) == [("build", 2, "by hand"), (None, None, "no step")]


def test_own_words(log: RunLog, path: Path) -> None:
    """A user's own field `run` does not lead a step's message astray."""
    with log.bound("build", 1):
        logger.bind(run="nightly").info("mine")
    assert places(path) == [("build", 1, "mine")]


def test_exception(log: RunLog, path: Path) -> None:
    """An exception is logged as text, without the values of variables."""
    hidden = "top" + "secret"
    with log.bound("build", 1):
        try:
            raise ValueError(len(hidden))
        except ValueError:
            logger.exception("failed")
    (entry,) = read(path)[0]
    assert entry["exception"].startswith("Traceback (most recent call last):")
    assert entry["exception"].endswith("ValueError: 9")
    assert "topsecret" not in path.read_text(encoding="utf-8")


def test_mask(path: Path) -> None:
    """Secrets are hidden in commands' lines, messages and tracebacks."""
    with RunLog(path, "k3f9", mask=lambda text: text.replace('s"cret', "***")) as log, log.bound("build", 1):
        log.line("build", 1, "stdout", 'a s"cret')
        log.write("build", 1, "info", 'b s"cret')
        logger.info('c s"cret')
        logger.opt(exception=ValueError('d s"cret')).info("failed")
    assert messages(path) == ["a ***", "b ***", "c ***", "failed"]
    assert read(path)[0][-1]["exception"] == "ValueError: d ***"
    assert "cret" not in path.read_text(encoding="utf-8")


def test_parallel_runs(tmp_path: Path) -> None:
    """Runs at the same time in one process do not mix, even under one id."""
    paths = [tmp_path / str(number) for number in range(4)]
    together = Barrier(len(paths))

    def run(path: Path) -> None:
        with RunLog(path, "same") as log:
            together.wait()
            for attempt in range(1, 26):
                with log.bound("build", attempt):
                    logger.info("{} loguru", path.name)
                    log.line("build", attempt, "stdout", f"{path.name} command")
            together.wait()

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, paths))
    for path in paths:
        expected = [f"{path.name} loguru", f"{path.name} command"] * 25
        assert messages(path) == expected


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_and_threads(backend: str, log: RunLog, path: Path) -> None:
    """The tasks and the anyio threads of a step log in its name, each in that of its own step."""

    async def child(name: str) -> None:
        await anyio.lowlevel.checkpoint()
        await anyio.to_thread.run_sync(logger.info, name)

    async def step(name: str) -> None:
        with log.bound(name, 1):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(child, name)
                tasks.start_soon(child, name)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step, "one")
            tasks.start_soon(step, "two")

    anyio.run(main, backend=backend)
    assert sorted(places(path)) == sorted([("one", 1, "one"), ("two", 1, "two")] * 2)


def test_bare_pool(log: RunLog, path: Path) -> None:
    """A bare pool logs in the name of a step where it is called in the step's context."""
    with ThreadPoolExecutor() as pool, log.bound("build", 1):
        pool.submit(copy_context().run, logger.info, "with").result()
        pool.submit(logger.info, "without").result()
    assert places(path) == [("build", 1, "with")]


def test_sink_removed(path: Path) -> None:
    """A closed log leaves no sink behind, and other sinks alone."""
    before = repr(logger)
    log = RunLog(path, "k3f9")
    assert repr(logger) != before
    log.close()
    assert repr(logger) == before


def test_user_removes_sinks(path: Path) -> None:
    """A user who removes all sinks loses his own messages, not the lines of gflow."""
    output = fresh(
        """if 1:
        import sys
        from pathlib import Path
        from loguru import logger
        from gflow.logs import RunLog
        with RunLog(Path(sys.argv[1]), "k3f9") as log, log.bound("build", 1):
            logger.remove()
            logger.info("lost")
            log.write("build", 1, "info", "kept")
        """,
        path,
    )
    assert output == ""
    assert messages(path) == ["kept"]


def test_names_for_other_sinks(log: RunLog) -> None:
    """A user's own sink sees run, step and attempt of what a step says."""
    extras: list[dict[str, object]] = []
    number = logger.add(lambda message: extras.append(message.record["extra"]))
    with log.bound("build", 2):
        logger.info("inside")
    logger.remove(number)
    assert extras == [{"run": "k3f9", "step": "build", "attempt": 2}]


# gflow as a library


def test_light(path: Path) -> None:
    """A log is written without loading loguru, and importing the module configures nothing."""
    program = """if 1:
        import logging, sys
        from pathlib import Path
        import gflow.logs as logs
        logs.enable()
        logs.install_interceptor()
        logs.remove_interceptor()
        with logs.RunLog(Path(sys.argv[1]), "k3f9") as log, log.bound("build", 1):
            log.line("build", 1, "stdout", "a line")
        print("loguru" in sys.modules, logging.getLogger().handlers)
    """
    assert fresh(program, path) == "False []\n"
    assert messages(path) == ["a line"]


def test_nothing_at_import() -> None:
    """Importing the module leaves loguru, where it is loaded, as it was."""
    program = """if 1:
        from loguru import logger
        before = repr(logger)
        import gflow.logs
        print(repr(logger) == before)
    """
    assert fresh(program) == "True\n"


TELLING = """if 1:
    import sys
    from pathlib import Path
    from loguru import logger
    from gflow import logs
    logger.remove()
    with logs.RunLog(Path(sys.argv[1]), "k3f9") as log:
        logger.add(sys.stdout, format="{extra} {level} {message}", colorize=False)
        log.write("build", 1, "info", "unheard")
        logs.enable()
        log.write("build", 1, "strange", "heard")
        log.line("build", 1, "stdout", "a {line}")
        logger.info("outside")
"""


def test_disabled_until_enabled(path: Path) -> None:
    """Other sinks hear gflow only when it is enabled; the log has every line once."""
    assert fresh(TELLING, path).splitlines() == [
        "{'run': 'k3f9', 'step': 'build', 'attempt': 1, 'stream': None} INFO heard",
        "{'run': 'k3f9', 'step': 'build', 'attempt': 1, 'stream': 'stdout'} INFO a {line}",
        "{} INFO outside",
    ]
    assert messages(path) == ["unheard", "heard", "a {line}"]
    assert read(path)[0][1]["level"] == "STRANGE"


@pytest.mark.parametrize("first", ["logs.enable()", "from loguru import logger"])
def test_standard_error(first: str, path: Path) -> None:
    """In a program loguru's own sink leaves what is in a log alone, and prints the rest."""
    program = f"""if 1:
        import sys
        from pathlib import Path
        from gflow import logs
        {first}
        logs.enable()
        from loguru import logger
        with logs.RunLog(Path(sys.argv[1]), "k3f9") as log:
            with log.bound("build", 1):
                logger.info("inside")
                log.line("build", 1, "stdout", "a line")
            log.write(None, None, "info", "of the run")
            logger.info("outside")
    """
    assert [line.rpartition(" - ")[2] for line in fresh(program, path).splitlines()] == ["outside"]
    assert messages(path) == ["inside", "a line", "of the run"]


def test_loaded_in_a_step(path: Path) -> None:
    """Where a step loads loguru first, it reaches the log from gflow's next line or the next step on."""
    program = """if 1:
        import sys
        from pathlib import Path
        from gflow import logs
        with logs.RunLog(Path(sys.argv[1]), "k3f9") as log:
            with log.bound("build", 1):
                from loguru import logger
                if sys.argv[2] == "line":
                    log.line("build", 1, "stdout", "a line")
                logger.info("inside")
            with log.bound("test", 1):
                logger.info("after")
    """
    fresh(program, path, "line")
    assert places(path) == [("build", 1, "a line"), ("build", 1, "inside"), ("test", 1, "after")]
    path.unlink()
    fresh(program, path, "no line")
    assert places(path) == [("test", 1, "after")]


# The standard library's loggers


@pytest.mark.usefixtures("intercepted")
def test_intercepted(log: RunLog, path: Path) -> None:
    """What a step says through `logging` lands in the log, with its level and in the name of its line."""
    callers: list[tuple[str, str | None]] = []
    number = logger.add(lambda message: callers.append((message.record["function"], message.record["name"])))
    with log.bound("build", 1):
        logging.getLogger("x").warning("%d wheels", 2)
        logging.warning("root")  # noqa: LOG015  (the function has a frame more)
        logging.getLogger("x").log(35, "between")
    logger.remove(number)
    assert places(path) == [("build", 1, "2 wheels"), ("build", 1, "root"), ("build", 1, "between")]
    assert [entry["level"] for entry in read(path)[0]] == ["WARNING", "WARNING", "Level 35"]
    assert callers == [("test_intercepted", __name__)] * 3


@pytest.mark.usefixtures("intercepted")
def test_intercepted_exception(log: RunLog, path: Path) -> None:
    """An exception that `logging` reports is in the log."""
    with log.bound("build", 1):
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("x").exception("failed")
    assert read(path)[0][0]["exception"].endswith("ValueError: broken")


def test_ill_formatted(log: RunLog, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that cannot be formatted harms nobody: `logging` reports it."""
    user = logging.Logger("x")  # noqa: LOG001  (pytest's own handler, on the root, would raise)
    user.addHandler(logs.Interceptor())
    with log.bound("build", 1):
        user.warning("%d", "no number")
    assert "--- Logging error ---" in capsys.readouterr().err
    assert messages(path) == []


@pytest.mark.usefixtures("intercepted")
def test_no_circles(log: RunLog, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a user hands loguru's messages on to `logging` each message is logged once."""
    number = logger.add(lambda message: logging.getLogger("x").warning(message.record["message"]), format="")
    with log.bound("build", 1):
        logger.info("from loguru")
        logging.getLogger("y").warning("from logging")
    logger.remove(number)
    assert messages(path) == ["from loguru", "from logging"]
    assert "Logging error" not in capsys.readouterr().err


@pytest.mark.usefixtures("intercepted")
def test_no_deadlock(log: RunLog, path: Path) -> None:
    """Two threads that log both ways at once do not wait for each other."""
    inside = Event()

    def tell(message: "Message") -> None:
        if message.record["message"] == "from logging":
            inside.set()

    def hand_on(message: "Message") -> None:
        if message.record["message"] == "from loguru":
            inside.wait()  # the other thread is in the interceptor now, and will need the lock of this sink
            logging.getLogger("x").warning("handed on")

    numbers = [logger.add(tell), logger.add(hand_on)]
    ways = [(logger.info, "from loguru"), (logging.getLogger("y").warning, "from logging")]
    with log.bound("build", 1):
        threads = [Thread(target=copy_context().run, args=way, daemon=True) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    for number in numbers:
        logger.remove(number)
    assert sorted(messages(path)) == ["from logging", "from loguru"]


def test_interceptor_once() -> None:
    """The interceptor is installed once and removed altogether."""
    before = list(logging.getLogger().handlers)
    logs.install_interceptor()
    logs.install_interceptor()
    assert len(logging.getLogger().handlers) == len(before) + 1
    logs.remove_interceptor()
    assert logging.getLogger().handlers == before


def test_interceptor_loads_late(path: Path) -> None:
    """The interceptor loads loguru with the first record, which is in the log."""
    program = """if 1:
        import logging, sys
        from pathlib import Path
        from gflow import logs
        logs.enable()
        logs.install_interceptor()
        with logs.RunLog(Path(sys.argv[1]), "k3f9") as log, log.bound("build", 1):
            print("loguru" in sys.modules)
            logging.getLogger("x").warning("careful")
    """
    assert fresh(program, path) == "False\n"
    assert places(path) == [("build", 1, "careful")]
