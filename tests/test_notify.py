"""Telling the team: what is told, by what, and that nothing of it can harm a run."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

import gflow
from gflow import Secret, logs, progress, runner, secret, session, stage, task
from gflow.clock import VirtualClock
from gflow.errors import UsageError
from gflow.events import Created, Done, Event, Ref, Reset, Reverted, StatusChanged, Tripped
from gflow.model import Frame, Run, StepError
from gflow.notice import EVENTS, ORDINARY, Notice, chosen, events_of, notice_of
from gflow.notify import Call, Command, Post, as_notifier, outbox
from gflow.notify.http import NotSent, post
from gflow.notify.outbox import Outbox
from gflow.progress import outline
from gflow.runner import compile as compiled
from gflow.shell import CommandFailed, CommandNotStarted, CommandTimeout
from gflow.state import State
from gflow.testing import run_in_memory

NOTICE = Notice(
    "failed", "k3f9", "release", "1.2", "failed", datetime(2026, 1, 2, tzinfo=UTC), "",
    (StepError("deploy", "ConnectionError", "refused", 3, (Frame("ship.py", 8, "deploy", "put()"),)),),
    {}, (), ("gflow resume k3f9",),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _forgetting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test waits between two tries, or masks what another one shows."""
    monkeypatch.setattr(outbox, "PAUSE", 0.0)
    with secret.forgetting():
        yield


# ---------------------------------------------------------------- a run, and a place where runs are kept


@task
def build() -> str:
    return "wheel"


@task
def deploy(build: str) -> str:
    raise ConnectionAbortedError(f"no route for {build}")


@stage
def ship(build: str, deploy: str) -> str:
    return build + deploy


def state_of(*events: Event) -> State:
    """Return the state of a run of `ship` to which these events have happened."""
    state = State()
    created = Created("ship", "1.0", "m", outline(compiled(ship)), ["ship"], Ref(1, 0, 0, ""), {}, "0", "3")
    for event in (created, StatusChanged("running"), *events):
        state.apply(1000.0, event)
    return state


def run_of(*events: Event) -> Run:
    """Return a run of `ship` to which these events have happened."""
    return progress.snapshot("k3f9", state_of(*events), 1000.0, alive=False)


FAILED = Tripped(
    "deploy", "ValueError", "no", [["ship.py", 3, "deploy", "raise"]], "medium", "stop", None, 0.1
)
DEGRADED = Done("build", None, "wheel", 0.1, "no network")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a project of its own for a run that is written."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text("")
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return project


def write(project: Path, body: str) -> str:
    """Write the workflow `told`, whose notifiers and step are `body`, and have it imported anew."""
    imports = (
        "from pathlib import Path\nfrom gflow import Secret, Workflow, task\nfrom gflow.notify import *\n"
    )
    (project / "told.py").write_text(imports + body)
    sys.modules.pop("told", None)
    return "told.py"


def warnings_of(run: Run) -> list[str]:
    """Return the warnings in the log of a run."""
    entries, _ = logs.read(session.log_path(Path(".gflow"), run.id))
    return [entry["message"] for entry in entries if entry["level"] == "WARNING"]


# ---------------------------------------------------------------- what is told


@pytest.mark.parametrize(
    ("events", "why", "told"),
    [
        ([StatusChanged("failed")], None, ["failed"]),
        ([StatusChanged("waiting")], None, ["waiting"]),
        ([StatusChanged("rejected")], None, ["rejected"]),
        ([StatusChanged("completed")], None, ["completed"]),
        ([DEGRADED, StatusChanged("completed")], None, ["degraded", "completed"]),
        ([DEGRADED, StatusChanged("failed")], None, ["failed"]),
        ([StatusChanged("rolling_back")], "abort", []),
        ([StatusChanged("rolled_back")], "abort", ["aborted"]),
        ([StatusChanged("rolled_back")], "rollback", []),
        ([StatusChanged("rolled_back")], "rerun", []),
        ([StatusChanged("rollback_incomplete")], "rollback", ["rollback_incomplete"]),
        ([StatusChanged("rollback_incomplete")], "abort", ["rollback_incomplete", "aborted"]),
        ([StatusChanged("cancelled")], None, []),
        ([StatusChanged("interrupted")], None, []),
        ([], None, []),
    ],
    ids=str,
)
def test_what_a_change_of_status_is_told_for(events: list[Event], why: str | None, told: list[str]) -> None:
    """Each status says which events it is, the gravest first; what a person asked for is no news."""
    assert list(events_of(run_of(*events), why)) == told


def test_one_change_is_told_once() -> None:
    """Of several events that a notifier wants to know of, it is told the gravest."""
    assert chosen(("degraded", "completed"), EVENTS) == "degraded"
    assert chosen(("degraded", "completed"), ("completed",)) == "completed"
    assert chosen(("completed",), ORDINARY) is None


def test_message() -> None:
    """The message says which run came to what, where and why, and what to type next."""
    notice = notice_of(run_of(FAILED, StatusChanged("failed")), "failed", 1000.0)
    assert str(notice) == (
        "ship 1.0 · run k3f9 · failed: deploy\n"
        "  deploy: ValueError: no (ship.py:3)\n"
        "  gflow resume k3f9\n"
        "  gflow rollback k3f9 --to start --plan"
    )


@pytest.mark.parametrize("event", ["degraded", "completed"])
def test_message_of_a_degraded_run(event: Any) -> None:
    """A completed run that is degraded says so, whatever it is told for."""
    notice = notice_of(run_of(DEGRADED, StatusChanged("completed")), event, 1000.0)
    first = "ship 1.0 · run k3f9 · completed, 1 degraded: build (no network)"
    assert str(notice).splitlines()[0] == first


def test_message_of_an_abort_names_what_was_taken_back_with_its_step() -> None:
    """A failure that the rollback has taken back is told all the same."""
    before = run_of(FAILED).errors
    notice = notice_of(run_of(StatusChanged("rolled_back", "to start")), "aborted", 1000.0, before)
    assert str(notice).splitlines()[:2] == [
        "ship 1.0 · run k3f9 · aborted and rolled back: deploy (to start)",
        "  deploy: ValueError: no (ship.py:3)",
    ]


def test_message_is_short_and_harmless() -> None:
    """A message holds no control characters, five errors at most, and the beginning of long ones."""
    errors = tuple(StepError(f"s{n}", "E", "\x1b[31m\0" + "x" * 1000 + "\nmore") for n in range(9))
    text = str(Notice("failed", "k3f9", "w", "", "failed", NOTICE.at, "", errors))
    assert len(text) < 2500
    assert text.splitlines()[0] == "w · run k3f9 · failed: s0, s1, s2, s3, s4 and 4 more"
    assert len(text.splitlines()) == 6
    assert all(each.isprintable() for each in text.splitlines())


def test_document() -> None:
    """The document is JSON, with the message as `text` beside the facts it is made of."""
    document = json.loads(json.dumps(NOTICE.document()))
    assert document["text"] == str(NOTICE)
    assert document["errors"][0] | {"frames": []} == {
        "step": "deploy", "type": "ConnectionError", "message": "refused", "attempt": 3, "place": "ship.py:8",
        "frames": [],
    }  # fmt: skip
    assert (document["event"], document["run"], document["at"]) == (
        "failed", "k3f9", "2026-01-02T00:00:00.000+00:00",
    )  # fmt: skip


def test_a_secret_that_became_known_later_is_masked() -> None:
    """What was written before a secret was known is masked when it is told."""
    run = run_of(
        FAILED._replace(message="no f81b"),
        DEGRADED._replace(degraded="f81b"),
        StatusChanged("failed", "f81b"),
    )
    secret.hide("f81b")
    assert "f81b" not in json.dumps(notice_of(run, "failed", 1000.0).document())


def test_a_waiting_run_names_who_waits_and_the_commands_that_decide() -> None:
    """What waits for a decision is told with the two commands that give it."""
    state = state_of(StatusChanged("waiting"))
    state.slot("deploy").status = "waiting"
    run = progress.snapshot("k3f9", state, 1000.0, alive=False)
    assert str(notice_of(run, "waiting", 1000.0)).splitlines() == [
        "ship 1.0 · run k3f9 · waits for an approval: deploy",
        "  gflow approve k3f9 deploy",
        "  gflow reject k3f9 deploy",
    ]


# ---------------------------------------------------------------- a command

PROGRAM = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read() + '|'.join(sys.argv[2:]))"


def test_command(tmp_path: Path) -> None:
    """A command gets the notice on standard input, and parts of it where its arguments ask for them."""
    file = tmp_path / "told"
    Command(sys.executable, "-c", PROGRAM, file, "{event} of {run}", '{"a": 1}', "{message}; rm -rf $HOME")(
        NOTICE
    )
    document, _, words = file.read_text().partition("\n")
    assert json.loads(document) == NOTICE.document()
    assert words == f'failed of k3f9|{{"a": 1}}|{NOTICE}; rm -rf $HOME'


def test_command_gets_the_environment_as_it_is(tmp_path: Path) -> None:
    """Nothing is added to the environment of a command, although a secret was revealed before."""
    os.environ["TOLD_TOKEN"] = "correct-horse"
    Secret("env:TOLD_TOKEN").reveal()
    del os.environ["TOLD_TOKEN"]
    file = tmp_path / "environment"
    program = "import os, sys, json; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    Command(sys.executable, "-c", program, file)(NOTICE)
    assert "correct-horse" not in file.read_text()
    added = json.loads(file.read_text()).keys() - os.environ.keys()
    assert added <= {
        "COLUMNS",
        "LINES",
        "LC_CTYPE",
    }  # of readline, below Python; and of Python in the C locale


def test_command_need_not_read(tmp_path: Path) -> None:
    """A command that does not read its standard input does its work all the same."""
    Command("touch", str(tmp_path / "told"))(NOTICE)
    assert (tmp_path / "told").exists()


def test_command_that_fails() -> None:
    """A command that cannot be started, fails or takes too long raises what `sh` would."""
    with pytest.raises(CommandFailed):
        Command("false")(NOTICE)
    with pytest.raises(CommandNotStarted):
        Command("no-such-program-here")(NOTICE)
    with pytest.raises(CommandTimeout):
        Command("sleep", "600", timeout=0.05)(NOTICE)


# ---------------------------------------------------------------- a request


class Server(ThreadingHTTPServer):
    """A web server on loopback that keeps what it gets; `answers` are its codes, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.answers: list[int] = []
        self.release = threading.Event()
        self.hangs = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Keeps a request and answers it, or lets it hang."""

    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        if self.server.hangs:
            self.server.release.wait()
            return
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", f"{self.server.url}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers), None))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server on loopback."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.release.set()
        made.shutdown()
        thread.join()


def test_post(server: Server) -> None:
    """The notice is posted as JSON, with the headers that were given."""
    Post(f"{server.url}/hook?a=b", headers={"X-Team": "ops"})(NOTICE)
    [(path, headers, body)] = server.requests
    assert (path, body) == ("/hook?a=b", NOTICE.document())
    assert (headers["Content-Type"], headers["X-Team"]) == ("application/json", "ops")


def test_post_of_another_shape(server: Server) -> None:
    """`body` makes the JSON for a service that wants another shape."""
    Post(server.url, body=lambda notice: {"content": str(notice)})(NOTICE)
    assert server.requests[0][2] == {"content": str(NOTICE)}


def test_post_with_secrets(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Secrets in URL and headers are read when they are needed, alone or as parts of a text."""
    monkeypatch.setenv("TOLD_PATH", "hook-f81b")
    token = tmp_path / "token"
    token.write_text("s3cr3t-token\n")
    token.chmod(0o600)
    notifier = Post(
        (f"{server.url}/", Secret("env:TOLD_PATH")),
        headers={"Authorization": ("Bearer ", Secret.from_file(token)), "X-Key": Secret("env:TOLD_PATH")},
    )
    notifier(NOTICE)
    path, headers, _ = server.requests[0]
    assert path == "/hook-f81b"
    assert (headers["Authorization"], headers["X-Key"]) == ("Bearer s3cr3t-token", "hook-f81b")
    assert "f81b" not in repr(notifier)
    assert "s3cr3t" not in repr(notifier)


@pytest.mark.parametrize("code", [301, 302, 307, 400, 404, 500])
def test_post_that_is_not_accepted(server: Server, code: int) -> None:
    """Only 2xx is an answer; a redirect is not followed, for it would carry the headers elsewhere."""
    server.answers = [code]
    with pytest.raises(NotSent, match=f"^answered {code}$"):
        Post(server.url, headers={"Authorization": "token"})(NOTICE)
    assert len(server.requests) == 1


def test_post_into_the_void() -> None:
    """A host that does not answer is an error without the URL."""
    with pytest.raises(NotSent, match="refused") as caught:
        Post("http://127.0.0.1:9/hook-f81b")(NOTICE)
    assert "f81b" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:9/hook f81b", {}),
        ("http://127.0.0.1:f81b/", {}),
        ("http://127.0.0.1:9/", {"X-Key": "f81b\r\nEvil: yes"}),
        ("http://127.0.0.1:9/", {"X-Key\n": "f81b"}),
        ("http://f81b" + "x" * 70 + "/", {}),
    ],
)  # fmt: skip
def test_errors_do_not_quote_secrets(url: str, headers: dict[str, str]) -> None:
    """Where the standard library would quote a URL or a header in its error, we do not."""
    with pytest.raises(NotSent) as caught:
        post(url, headers, b"{}", 1.0)
    assert "f81b" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_secret_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference of a secret that is not there is in the error."""
    monkeypatch.delenv("TOLD_PATH", raising=False)
    with pytest.raises(UsageError, match="env:TOLD_PATH"):
        Post(Secret("env:TOLD_PATH"))(NOTICE)


def test_a_secret_that_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a secret turns out to be is looked at like any other URL."""
    monkeypatch.setenv("TOLD_PATH", "file:///etc/passwd")
    with pytest.raises(ValueError, match="https") as caught:
        Post(Secret("env:TOLD_PATH"))(NOTICE)
    assert "passwd" not in str(caught.value)


# ---------------------------------------------------------------- what a notifier may be


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Command, "needs the program"),
        (lambda: Command("true", on=["fialed"]), "did you mean `failed`"),
        (lambda: Command("true", on="done"), "it is one of failed, aborted"),
        (lambda: Command("true", timeout=0), "seconds above 0"),
        (lambda: Call(print, timeout=float("inf")), "seconds above 0"),
        (lambda: Post("ftp://example.org/f81b"), "begins with https"),
        (lambda: Post("file:///f81b"), "begins with https"),
        (lambda: Post("https:///f81b"), "names a host"),
        (lambda: Post("http://[f81b"), "cannot be read"),
        (lambda: Post("https://me:f81b@example.org"), "holds no password"),
        (lambda: Post("https://example.org/f81b", on=["never"]), "Post\\(https://example.org\\)"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(make: Callable[[], object], message: str) -> None:
    """A notifier that could tell nobody is an error where it is made, without its secrets."""
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "f81b" not in str(caught.value)


@pytest.mark.parametrize(
    ("notifier", "shown"),
    [
        (Post("https://example.org/hooks/f81b?key=f81b"), "Post(https://example.org)"),
        (Post("https://example.org:8443", headers={"X-Key": "f81b"}), "Post(https://example.org:8443)"),
        (Post(Secret("env:HOOK")), "Post(env:HOOK)"),
        (Post(("https://example.org/f81b/", Secret("env:HOOK"))), "Post(https://example.org)"),
        (Post(("https://f81b", Secret("env:HOOK"))), "Post(…)"),
        (Command("curl", "-H", "X-Key: f81b"), "Command('curl', …)"),
        (Command("true"), "Command('true')"),
        (Call(print), "Call(print)"),
    ],
)
def test_how_a_notifier_is_shown(notifier: object, shown: str) -> None:
    """A notifier is shown by where it leads, without what may be secret."""
    assert repr(notifier) == shown


def test_defaults() -> None:
    """A notifier is told all but that a run completed, and one event may stand for a list of it."""
    assert as_notifier(print).events == tuple(event for event in EVENTS if event != "completed")
    assert Post("https://example.org", on="failed").events == ("failed",)
    assert Call(print, on=(event for event in EVENTS)).events == EVENTS
    assert as_notifier(call := Call(print, on=EVENTS)) is call


# ---------------------------------------------------------------- beside a run


def test_a_run_that_fails_is_told() -> None:
    """A function gets the notice of a failed run."""
    notices: list[Notice] = []
    run = run_in_memory(ship, notify=[notices.append])
    [notice] = notices
    assert (notice.event, notice.run, notice.status) == ("failed", run.id, "failed")
    assert notice.errors == run.errors
    assert "no route for wheel" in str(notice)


def test_a_run_that_completes_is_told_to_who_asks() -> None:
    """That a run completed is told only where `on` names it."""
    asked: list[Notice] = []
    others: list[Notice] = []
    run_in_memory(build, notify=[Call(asked.append, on="completed"), others.append])
    assert [notice.event for notice in asked] == ["completed"]
    assert others == []


def test_own_notifiers_are_silent_in_memory(home: Path) -> None:
    """A test of a workflow tells its team nothing."""
    write(
        home, "workflow = Workflow(notify=[lambda n: Path('told').touch()])\n@task\ndef f() -> None: 1 / 0\n"
    )
    assert run_in_memory("told.py").status == "failed"
    assert not (home / "told").exists()


LISTED = "import told_notices\nworkflow = Workflow(notify=[Call(told_notices.append, on=EVENTS)])\n"


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> list[Notice]:
    """What the workflow `told` was told."""
    kept: list[Notice] = []

    class Kept:
        append = kept.append

    monkeypatch.setitem(sys.modules, "told_notices", Kept)  # type: ignore[arg-type]
    return kept


STEPS = """
@task
def one() -> int:
    return 1
@task
def two(one: int) -> int:
    return one + int(Path("number").read_text())
"""


def test_only_what_is_new_is_told_on_resume(home: Path, notices: list[Notice]) -> None:
    """A process that takes a run over tells what changes from then on."""
    failed = gflow.run(write(home, LISTED + STEPS))
    assert [notice.event for notice in notices] == ["failed"]
    (home / "number").write_text("1")
    assert gflow.resume(failed.id).status == "completed"
    assert gflow.resume(failed.id).status == "completed"
    assert [(notice.event, notice.errors) for notice in notices[1:]] == [("completed", ())]


def test_told_after_it_is_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told that a run failed finds it failed in the store."""
    found: list[str] = []

    class Look:
        @staticmethod
        def append(notice: Notice) -> None:
            with session.opened(session.Settings(folder=home / ".gflow"), "read") as (store, _):
                found.append(session.find(store, notice.run).status)

    monkeypatch.setitem(sys.modules, "told_notices", Look)  # type: ignore[arg-type]
    gflow.run(write(home, LISTED + STEPS))
    assert found == ["failed"]


UNDO = """
@task
def tag() -> str:
    return "v1"
@tag.undo
def untag(tag: str) -> None:
    raise OSError("remote is gone")
"""


def test_a_rollback_that_is_incomplete_is_told(home: Path, notices: list[Notice]) -> None:
    """A rollback that left something is told, and one that left nothing is not."""
    run = gflow.run(write(home, LISTED + UNDO))
    notices.clear()
    settings = session.Settings(folder=home / ".gflow", clock=VirtualClock())
    to_start: dict[str, Any] = {"agreed": lambda _plan: True}
    anyio.run(lambda: runner.roll_back(run.id, "start", settings, **to_start))
    assert [notice.event for notice in notices] == ["rollback_incomplete"]
    assert "left: tag" in str(notices[0])
    notices.clear()
    anyio.run(lambda: runner.roll_back(run.id, "start", settings, force=True, **to_start))
    assert notices == []


# ---------------------------------------------------------------- nothing harms the run

FAILS = "@task\ndef f() -> None: raise ValueError('the step')\n"


def test_a_notifier_that_raises_is_tried_twice_and_logged(home: Path) -> None:
    """What a notifier raises is a warning in the run's log, after the second try."""
    tell = "def tell(_):\n    with open('tries', 'a') as f: f.write('x')\n    raise LookupError('no phone')\n"
    run = gflow.run(write(home, f"{tell}workflow = Workflow(notify=[tell])\n{FAILS}"))
    assert run.status == "failed"
    assert (home / "tries").read_text() == "xx"
    assert warnings_of(run) == [f"Call(tell) was not told that run {run.id} is failed: LookupError: no phone"]


def test_a_second_try_that_succeeds_is_no_warning(home: Path) -> None:
    """A notifier that recovers has told the team."""
    tell = (
        "def tell(notice):\n    first = not Path('tried').exists()\n    Path('tried').touch()\n"
        "    if first: raise LookupError('no phone')\n"
    )
    run = gflow.run(write(home, f"{tell}workflow = Workflow(notify=[tell])\n{FAILS}"))
    assert warnings_of(run) == []


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt()"])
def test_a_notifier_cannot_end_the_process(home: Path, error: str) -> None:
    """Not even what ends a process gets out of a notifier."""
    tell = f"def tell(notice): raise {error}\n"
    run = gflow.run(write(home, f"{tell}workflow = Workflow(notify=[tell])\n{FAILS}"))
    assert [error.partition("(")[0] in line for line in warnings_of(run)] == [True]


def test_a_notifier_that_hangs_is_left_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process waits for a notifier until its time is up, and says so in the log."""
    release = threading.Event()

    class Hang:
        @staticmethod
        def append(notice: Notice) -> None:
            release.wait()

    monkeypatch.setitem(sys.modules, "told_notices", Hang)  # type: ignore[arg-type]
    monkeypatch.setattr(outbox, "LAG", 0.0)
    body = LISTED.replace("on=EVENTS", "timeout=0.01")
    run = gflow.run(write(home, body + FAILS))
    release.set()
    assert run.status == "failed"
    assert [line.partition(" is ")[2] for line in warnings_of(run)] == [
        "failed: it had not ended after 0.01 s"
    ]


def test_a_server_that_hangs_or_fails_is_logged_without_its_url(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose server does not answer ends all the same; neither URL nor headers are in its log."""
    monkeypatch.setenv("TOLD_TOKEN", "correct-horse-battery")
    server.hangs = True
    body = (
        f"workflow = Workflow(notify=[Post('{server.url}/hook-f81b', timeout=0.05,"
        " headers={'X-Key': 'f81b', 'Authorization': Secret('env:TOLD_TOKEN')})])\n"
    )
    run = gflow.run(write(home, body + FAILS))
    assert run.status == "failed"
    [line] = warnings_of(run)
    assert line.startswith(f"Post({server.url}) was not told that run {run.id} is failed: ")
    server.hangs, server.answers = False, [500, 503]
    run = gflow.run(write(home, body.replace("0.05", "5") + FAILS))
    assert warnings_of(run)[0].endswith("gflow.notify.http.NotSent: answered 503")
    everything = b"".join(path.read_bytes() for path in (home / ".gflow").rglob("*") if path.is_file())
    assert b"f81b" not in everything
    assert b"correct-horse" not in everything


def test_secrets_in_what_is_told_are_masked(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that a step put into its error reaches neither server nor command."""
    monkeypatch.setenv("TOLD_TOKEN", "correct-horse-battery")
    body = (
        f"workflow = Workflow(notify=[Post('{server.url}'), Command('tee', 'told.json')])\n"
        "@task\ndef f() -> None: raise ValueError(f\"no: {Secret('env:TOLD_TOKEN').reveal()}\")\n"
    )
    gflow.run(write(home, body))
    posted = json.dumps(server.requests[0][2])
    assert "no: ***" in posted
    assert "no: ***" in (home / "told.json").read_text()
    assert "correct-horse" not in posted + (home / "told.json").read_text()


# ---------------------------------------------------------------- the outbox by itself


class Working:
    """A session as the outbox sees it, over the state of `ship`."""

    def __init__(self, state: State) -> None:
        self.run, self.state = "k3f9", state
        self.bodies = type("Bodies", (), {"log": None})()

    def snapshot(self) -> Run:
        return progress.snapshot(self.run, self.state, 1000.0, alive=True)


def told(state: State, *rounds: Sequence[Event]) -> list[Notice]:
    """Return what is told while these rounds become true, one after another."""
    notices: list[Notice] = []
    box = Outbox([Call(notices.append, on=EVENTS)])
    listen = box.listener(Working(state))  # type: ignore[arg-type]
    for events in rounds:
        for event in events:
            state.apply(2000.0, event)
        listen(2000.0, events)
        anyio.run(box.settle)
    return notices


def test_an_abort_is_told_when_it_is_rolled_back_with_its_failure() -> None:
    """An aborted run is told once, at the end of its rollback, with the failure that the rollback erased."""
    abort = [FAILED, Reset("abort", "start", 1, ["deploy"]), StatusChanged("rolling_back", "to start")]
    reverted = [Reverted(["deploy"]), StatusChanged("rolled_back", "to start")]
    [notice] = told(state_of(), abort, reverted)
    assert (notice.event, [error.step for error in notice.errors]) == ("aborted", ["deploy"])


def test_an_abort_is_told_by_whoever_finishes_it() -> None:
    """A process that takes over in the middle of the rollback of an abort tells it as one."""
    state = state_of(
        FAILED, Reset("abort", "start", 1, ["deploy"]), StatusChanged("rolling_back", "to start")
    )
    [notice] = told(state, [Reverted(["deploy"]), StatusChanged("rolled_back", "to start")])
    assert (notice.event, [error.step for error in notice.errors]) == ("aborted", ["deploy"])


def test_a_rerun_leaves_no_old_failures_behind() -> None:
    """What a rerun has taken back is not told when the run completes."""
    rerun = [FAILED, Reset("rerun", "deploy", 1, ["deploy"]), StatusChanged("rolling_back")]
    back = [Reverted(["deploy"]), StatusChanged("rolled_back")]
    ends = [StatusChanged("running"), Done("deploy", None, "", 0.1)], [StatusChanged("completed")]
    notices = told(state_of(), rerun, back, *ends)
    assert [(notice.event, notice.errors) for notice in notices] == [("completed", ())]


def test_notices_are_dated_by_the_journal() -> None:
    """A notice says when it became true."""
    [notice] = told(state_of(), [StatusChanged("failed")])
    assert notice.at == datetime.fromtimestamp(2000.0, UTC)


def test_writing_a_notifier_down_is_light() -> None:
    """A workflow that only names its notifiers loads nothing that runs a workflow or speaks to a network."""
    command = "import gflow.notify, sys; print(*sys.modules)"
    shown = gflow.sh(sys.executable, "-c", command, cwd=Path(__file__).parents[1]).stdout.split()
    assert not {"anyio", "urllib.request", "http.client", "sqlite3", "gflow.session"} & set(shown)
