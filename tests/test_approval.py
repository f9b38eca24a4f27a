"""Decisions on the real store: taken from outside, once, for one question, and stronger than crashes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import anyio
import pytest

import gflow
from gflow import Approval, Ask, Retry, approval, cli, inbox, parallel, runner, session, task
from gflow.agenda import Agenda
from gflow.checkpoint import Keys
from gflow.clock import VirtualClock
from gflow.errors import GflowError, UsageError
from gflow.events import Answered, Asked
from gflow.journal import Journal
from gflow.state import State
from gflow.stores.sqlite import SqliteStore
from gflow.testing import run_in_memory

HEAD = """
import os, time
from pathlib import Path
from typing import Annotated
from gflow import Approval, Ask, Each, Rejected, Until, parallel, stage, task
def note(line: str) -> None:
    with Path("ledger").open("a") as ledger: print(line, file=ledger)
def wait_for(name: str) -> None:
    while not Path(name).exists(): time.sleep(0.01)
"""

SHIP = """
@task
def build() -> str:
    note("build")
    return Path("version").read_text() if Path("version").exists() else "1.2"
@task
def ship(build: str, ok: Annotated[Approval, Ask("Ship {build}?"KEYWORDS)]) -> str:
    note(f"ship {build}: {ok.comment or 'yes'}{'' if ok.digest else ', early'}")
    return ok.who
@stage
def flow(build: str, ship: str) -> str:
    return ship
"""

BESIDE = """
@task
def ship(ok: Annotated[Approval, Ask("Ship?")]) -> None:
    note(f"ship: {ok.comment}")
    Path("shipped").touch()
@task
def beside() -> None:
    wait_for("go")
@parallel
def flow(ship: None, beside: None) -> None: ...
"""

REGIONS = """
@task
def regions() -> list[str]:
    return ["eu", "us"]
@task
def tag(region: Annotated[str, Each(regions, key=str)], ok: Annotated[Approval, Ask("Tag {region}?")]) -> str:
    note(f"tag {region}")
    return region
@stage
def flow(regions: list[str], tag: list[str]) -> list[str]:
    return tag
"""

ROUNDS = """
def is_good(review: str) -> bool:
    return review == "good"
@task
def review(ok: Annotated[Approval, Ask("Good?")]) -> str:
    note(f"review {ok.comment}")
    return ok.comment
@stage(repeat=Until(is_good, max=3))
def fix(review: str) -> str:
    return review
@stage
def flow(fix: str) -> str:
    return fix
"""

VALUE = """
@task
def ship(ok: Annotated[Approval | Rejected, Ask("Ship?")]) -> str:
    if not Path("calm").exists():
        os.kill(os.getpid(), 9)
    return f"{type(ok).__name__} {ok.comment} {bool(ok.who and ok.at)}"
"""


def write(text: str, keywords: str = "") -> None:
    Path("asking.py").write_text(HEAD + text.replace("KEYWORDS", keywords))
    sys.modules.pop("asking", None)


def ledger() -> list[str]:
    return Path("ledger").read_text().splitlines() if Path("ledger").exists() else []


def status(path: str = "") -> str:
    """Return the status of the last run, or of a step of it."""
    with session.opened(session.Settings(), "read") as (store, keys):
        run = session.find(store, "last").id
        state = State().fold(Journal(store, run, keys).load())
        return state.slot(path).status if path else state.status


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that another process does; a minute is far more than it takes."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def is_waiting(path: str) -> bool:
    with suppress(GflowError):
        return status(path) == "waiting"
    return False


@contextmanager
def living(*arguments: str) -> Generator[subprocess.Popen[bytes], None, None]:
    """A process of its own that runs gflow; it is dead at the end."""
    command = [sys.executable, "-m", "gflow", *(arguments or ("asking.py",))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# ---------------------------------------------------------------- while no process runs


def test_a_question_is_answered_while_no_process_runs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run exits 3 and prints the command; a yes with a comment is kept, and resume goes on with it."""
    write(SHIP)
    assert cli.main(["asking.py"]) == 3
    assert "approve" in capsys.readouterr().err
    assert cli.main(["approve", "last", "ship", "--comment", "go ahead"]) == 0
    assert "Ship 1.2?" in capsys.readouterr().out
    assert ledger() == ["build"]
    assert cli.main(["resume", "last"]) == 0
    assert ledger() == ["build", "ship 1.2: go ahead"]


@pytest.mark.parametrize(("word", "code", "last"), [("approve", 0, "ship 1.2: yes"), ("reject", 6, "build")])
def test_a_decision_may_go_on_at_once(home: Path, word: str, code: int, last: str) -> None:
    """`--resume` goes on with the run: exit 0 after a yes, 6 after a no, which undoes nothing."""
    write(SHIP)
    cli.main(["asking.py"])
    assert cli.main([word, "last", "ship", "--resume"]) == code
    assert ledger()[-1] == last


def test_a_rejected_run_asks_anew_when_it_is_resumed(home: Path) -> None:
    """A no is for one question: resumed, the run asks again, and a yes is obeyed."""
    write(SHIP)
    cli.main(["asking.py"])
    assert cli.main(["reject", "last", "ship", "--resume"]) == 6
    assert cli.main(["resume", "last"]) == 3
    assert cli.main(["approve", "last", "ship", "--resume"]) == 0
    assert ledger() == ["build", "ship 1.2: yes"]


@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("second", ["approve", "reject"])
def test_a_question_is_decided_once(
    home: Path, first: str, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second decision is refused, and says who has decided how."""
    write(SHIP)
    cli.main(["asking.py"])
    assert cli.main([first, "last", "ship"]) == 0
    capsys.readouterr()
    assert cli.main([second, "last", "ship"]) == 2
    verb = "approved" if first == "approve" else "rejected"
    assert f"was {verb} by {inbox.sender()} already" in capsys.readouterr().err


def test_a_decision_is_void_after_a_rerun(home: Path) -> None:
    """What is asked after a rerun is another question: the yes to the first one does not answer it."""
    write(SHIP)
    cli.main(["asking.py"])
    cli.main(["approve", "last", "ship"])
    Path("version").write_text("6.6.6")
    assert cli.main(["resume", "last", "--rerun", "build"]) == 3
    assert ledger() == ["build", "build"]
    assert cli.main(["approve", "last", "ship", "--resume"]) == 0
    assert ledger()[-1] == "ship 6.6.6: yes"


def test_a_decision_for_a_question_that_has_gone_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yes to what was shown is no yes to what is shown by the time it is written."""
    write(SHIP)
    cli.main(["asking.py"])
    claimed = session.claimed

    def meanwhile(settings: session.Settings, run: str) -> object:
        monkeypatch.setattr(approval, "claimed", claimed)
        rerun = threading.Thread(target=cli.main, args=[["resume", "last", "--rerun", "build"]])
        rerun.start()
        rerun.join()
        return claimed(settings, run)

    monkeypatch.setattr(approval, "claimed", meanwhile)
    with pytest.raises(UsageError, match="asks anew"):
        gflow.approve("last", "ship")
    assert status("ship") == "waiting"


@pytest.mark.parametrize(
    ("step", "says"),
    [("shp", "did you mean `ship`"), ("build", "steps that ask: ship"), ("ship[eu]", "has no items")],
)
def test_what_does_not_ask_cannot_be_decided(home: Path, step: str, says: str) -> None:
    """An unknown step, one that asks nothing, an item that cannot be: refused, with what is near."""
    write(SHIP)
    cli.main(["asking.py"])
    with pytest.raises(UsageError) as refused:
        gflow.approve("last", step)
    assert says in str(refused.value)


def test_a_run_that_has_ended_is_not_decided(home: Path) -> None:
    """Of a completed run nothing can be decided any more."""
    write(SHIP)
    cli.main(["asking.py", "--approve", "ship"])
    with pytest.raises(UsageError, match="is completed"):
        gflow.approve("last", "ship")


def test_a_waiting_run_can_be_cancelled(home: Path) -> None:
    """Nobody has to answer a question only to get rid of a run."""
    write(SHIP)
    cli.main(["asking.py"])
    assert cli.main(["cancel", "last"]) == 0
    assert status() == "cancelled"
    assert cli.main(["resume", "last"]) == 3


# ---------------------------------------------------------------- the doors in Python


def test_python_decides_as_the_command_line_does(home: Path) -> None:
    """`gflow.approve` returns what was decided, and leaves the run to `gflow.resume`."""
    write(SHIP)
    gflow.run("asking.py")
    decided = gflow.approve("last", "ship", comment="fine")
    assert (decided.path, decided.question, decided.verdict) == ("ship", "Ship 1.2?", "approved")
    assert gflow.resume("last").status == "completed"


def test_python_rejects(home: Path) -> None:
    """`gflow.reject` says no; the run is rejected when it goes on."""
    write(SHIP)
    gflow.run("asking.py")
    assert gflow.reject("last", "ship").verdict == "rejected"
    assert gflow.resume("last").status == "rejected"


@pytest.mark.anyio
async def test_python_does_not_block_a_loop() -> None:
    """In async code it says what to write instead."""
    with pytest.raises(RuntimeError, match="to_thread"):
        gflow.approve("last", "ship")


# ---------------------------------------------------------------- early ones


def test_a_yes_may_come_before_the_question(home: Path) -> None:
    """`--approve STEP` at the start covers the first question, and is journaled as what it was: early."""
    write(SHIP)
    assert cli.main(["asking.py", "--approve", "ship"]) == 0
    assert ledger() == ["build", "ship 1.2: yes, early"]


def test_a_yes_may_be_given_to_a_run_that_has_not_come_so_far(home: Path) -> None:
    """`gflow approve` before the question is early, too; a no cannot be; a second yes is refused."""
    write(SHIP.replace('note("build")', 'assert Path("fixed").exists()'))
    assert cli.main(["asking.py"]) == 1
    with pytest.raises(UsageError, match="has not asked yet"):
        gflow.reject("last", "ship")
    assert gflow.approve("last", "ship", comment="holiday").question == ""
    with pytest.raises(UsageError, match=f"approved by {inbox.sender()} already"):
        gflow.approve("last", "ship")
    Path("fixed").touch()
    assert cli.main(["resume", "last"]) == 0
    assert ledger() == ["ship 1.2: holiday, early"]


def test_an_early_yes_is_for_one_generation(home: Path) -> None:
    """After a rerun the question is asked, whatever was said before; a new early yes covers the new one."""
    write(SHIP.replace('note(f"ship', 'assert Path("fixed").exists(); note(f"ship'))
    assert cli.main(["asking.py", "--approve", "ship"]) == 1
    assert cli.main(["resume", "last", "--rerun", "build"]) == 3
    assert status("ship") == "waiting"


def test_an_early_yes_that_no_question_has_met_is_void_after_a_rerun(home: Path) -> None:
    """A rollback of a step makes void what was said of it, also if it had not begun."""
    write(SHIP.replace('    note("build")\n', '    note("build"); assert not Path("broken").exists()\n'))
    Path("broken").touch()
    assert cli.main(["asking.py", "--approve", "ship"]) == 1
    Path("broken").unlink()
    assert cli.main(["resume", "last", "--rerun", "build"]) == 3


def test_an_unknown_step_is_not_approved_at_the_start(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--approve` of a step that never asks is refused, with the near misses, before anything runs."""
    write(SHIP)
    assert cli.main(["asking.py", "--approve", "shp"]) == 2
    assert "did you mean `ship`" in capsys.readouterr().err
    assert ledger() == []


# ---------------------------------------------------------------- the time of a question


class Busy(ConnectionError):
    """A server asks to come again in an hour."""

    retry_after = 3600


def drive(clock: VirtualClock, *, resumed: bool) -> str:
    settings = session.Settings(clock=clock)
    if resumed:
        return anyio.run(lambda: runner.go_on("last", {}, settings)).status
    return anyio.run(lambda: runner.start(runner.compile("asking.py"), {}, settings)).status


@pytest.mark.parametrize(("seconds", "status"), [(59, "waiting"), (60, "rejected"), (6000, "rejected")])
def test_the_time_of_a_question_runs_while_no_process_does(home: Path, seconds: int, status: str) -> None:
    """A question with `timeout=` that nobody has answered in time is a no, also if no process lived then."""
    write(SHIP, ", timeout=60")
    clock = VirtualClock()
    assert drive(clock, resumed=False) == "waiting"
    clock.moment += seconds
    assert drive(clock, resumed=True) == status
    assert drive(clock, resumed=True) == "waiting"  # resumed again, it asks anew


def test_a_decision_after_the_time_is_refused(home: Path) -> None:
    """A yes that comes when the time is over is none; one in time is."""
    write(SHIP, ", timeout=60")
    clock = VirtualClock()
    drive(clock, resumed=False)
    settings = session.Settings(clock=VirtualClock(clock.moment + 60))
    with pytest.raises(UsageError, match="is over"):
        anyio.run(lambda: approval.decide("last", "ship", settings, yes=True))
    anyio.run(lambda: approval.decide("last", "ship", session.Settings(clock=clock), yes=True))
    clock.moment += 6000
    assert drive(clock, resumed=True) == "completed"


def test_a_question_expires_while_others_run() -> None:
    """While the process lives, the time of a question ends in time: here, before a retry is due."""
    tries: list[int] = []

    @task
    def ship(ok: Annotated[Approval, Ask("Ship?", timeout=60)]) -> None:
        raise AssertionError("never called")

    @task(attempts=Retry(2, base=0))
    def beside() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Busy

    @parallel
    def flow(ship: None, beside: None) -> None: ...

    run = run_in_memory(flow)
    assert run.status == "rejected"
    assert "nobody said yes in time" in run.errors[0].message


def test_the_end_of_a_decided_questions_time_means_nothing() -> None:
    """A step that was approved in time runs once, although the time of its question ends later."""
    shipped: list[str] = []
    tries: list[int] = []

    @task
    def ship(ok: Annotated[Approval, Ask("Ship?", timeout=0.001)]) -> None:
        shipped.append(ok.who)

    @task(attempts=Retry(2, base=0))
    def beside() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Busy

    @parallel
    def flow(ship: None, beside: None) -> None: ...

    settings = session.Settings(folder=None, clock=VirtualClock())
    graph = runner.compile(flow)
    run = anyio.run(lambda: runner.start(graph, {}, settings, approved=["ship"]))
    assert run.status == "completed", run.errors
    assert len(shipped) == 1


def test_a_question_that_could_not_be_worded_is_tried_again() -> None:
    """Whether somebody has to be asked may need the network: the ladder holds for that as well."""
    tries: list[int] = []

    def is_public() -> bool:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("no network")
        return False

    @task
    def ship(ok: Annotated[Approval, Ask("Ship?", when=is_public)]) -> bool:
        return ok.asked

    run = run_in_memory(ship)
    assert run.status == "completed", run.errors
    assert run.results["ship"] is False


# ---------------------------------------------------------------- what a decision is bound to


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, ""),
        ({"digest": "other"}, "another question"),
        ({"digest": ""}, ""),
        ({"digest": "", "verdict": "rejected"}, "another question"),
        ({"generation": 1}, "began anew"),
        ({"path": "build"}, "another question"),
    ],
)
def test_the_owner_refuses_what_is_not_about_its_question(change: dict[str, str], refused: str) -> None:
    """A decision names its question; an early yes that comes late covers the first question, too."""

    @task
    def build() -> int:
        return 1

    @task
    def ship(build: int, ok: Annotated[Approval, Ask("Ship?")]) -> int:
        return build

    state = State()
    state.apply(0.0, Asked("ship", "Ship?", "digest"))
    agenda = Agenda(runner.compile(ship), state)
    about = {
        "path": "ship",
        "verdict": "approved",
        "who": "me",
        "comment": "",
        "digest": "digest",
        "generation": 0,
    }
    said = agenda.hear(Answered(**{**about, **change}))  # type: ignore[arg-type]
    assert refused in said
    assert bool(refused) == bool(said)
    assert state.slot("ship").status == ("waiting" if refused else "pending")


def test_a_decision_is_heard_once() -> None:
    """The same word again, in the same session, is refused: the question is decided."""

    @task
    def ship(ok: Annotated[Approval, Ask("Ship?")]) -> str:
        return ok.who

    state = State()
    state.apply(0.0, Asked("ship", "Ship?", "digest"))
    agenda = Agenda(runner.compile(ship), state)
    yes = Answered("ship", "approved", "me", "", "digest", 0)
    assert agenda.hear(yes) == ""
    assert agenda.hear(yes) == "it was decided before"


# ---------------------------------------------------------------- while a process has the run


def test_a_living_process_hears_of_a_decision(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The process that has the run goes on with the step while others run, and `--resume` leaves it to it."""
    write(BESIDE)
    with living() as process:
        until(lambda: is_waiting("ship"))
        assert cli.main(["approve", "last", "ship", "--comment", "now", "--resume"]) == 0
        assert "its process goes on with it" in capsys.readouterr().out
        until(Path("shipped").exists)
        with pytest.raises(UsageError, match="approved by"):
            gflow.reject("last", "ship")
        Path("go").touch()
        assert process.wait(60) == 0
    assert ledger() == ["ship: now"]


def test_a_living_process_hears_of_a_no(home: Path) -> None:
    """A rejection ends the run as rejected when the other steps have ended."""
    write(BESIDE)
    with living() as process:
        until(lambda: is_waiting("ship"))
        gflow.reject("last", "ship")
        Path("go").touch()
        assert process.wait(60) == 6


def test_a_run_that_was_killed_while_it_waited_is_decided(home: Path) -> None:
    """After kill -9 the question stands: it is answered without a process, and resume goes on."""
    write(BESIDE)
    with living() as process:
        until(lambda: is_waiting("ship"))
        process.kill()
        process.wait(60)
    assert gflow.approve("last", "ship", comment="still").heard is False
    Path("go").touch()
    assert cli.main(["resume", "last"]) == 0
    assert ledger() == ["ship: still"]


def test_a_decision_that_its_process_did_not_live_to_hear_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was told and has died has heard nothing: then the decision goes into the journal."""
    write(BESIDE)
    with living() as process:
        until(lambda: is_waiting("ship"))
        process.send_signal(signal.SIGSTOP)
        say = inbox.say

        def say_and_kill(*args: object, **about: object) -> None:
            say(*args, **about)  # type: ignore[arg-type]
            process.kill()

        monkeypatch.setattr(inbox, "say", say_and_kill)
        assert gflow.approve("last", "ship").heard is False
    Path("go").touch()
    assert cli.main(["resume", "last"]) == 0


def forgeries(store: SqliteStore, run: str) -> Iterator[str]:
    """Put messages into the inbox that say yes to the question and are not genuine; yield what each is."""
    genuine = Keys.load(os.environ, Path.home())
    with session.opened(session.Settings(), "read") as (reading, keys):
        state = State().fold(Journal(reading, run, keys).load())
    asked = state.slot("ship").asked
    assert asked is not None
    about: dict[str, object] = {"path": "ship", "generation": 0, "digest": asked.digest, "comment": ""}
    inbox.say(store, Keys((b"x" * 32,)), run, "approve", state.session, **about)
    yield "signed with another key"
    inbox.say(store, genuine, run, "approve", state.session - 1, **about)
    yield "for an earlier owner"
    inbox.say(store, genuine, "other", "approve", state.session, **about)
    (message,) = store.inbox("other")
    store.post(run, message.kind, message.payload, message.mac)
    yield "for another run"
    store.post(run, "approve", message.payload, b"")
    yield "unsigned"
    inbox.say(store, genuine, "third", "reject", state.session, **about)
    (message,) = store.inbox("third")
    store.post(run, "approve", message.payload, message.mac)
    yield "a no turned into a yes"


def test_forged_decisions_are_refused_and_counted(home: Path) -> None:
    """Who can write files in the project cannot approve; how often it was tried is in the run's log."""
    write(BESIDE)
    with living() as process:
        until(lambda: is_waiting("ship"))
        with closing(SqliteStore.existing(home / ".gflow", "process")) as store:  # type: ignore[type-var]
            assert store is not None
            forged = list(forgeries(store, store.runs(1)[0].id))
        log = next((home / ".gflow" / "logs").iterdir())
        until(lambda: sum(refusals(log)) == len(forged))
        Path("go").touch()
        assert process.wait(60) == 3
    assert ledger() == []


def refusals(log: Path) -> list[int]:
    messages = [json.loads(line)["message"] for line in log.read_text().splitlines()]
    return [int(message.split()[1]) for message in messages if message.startswith("refused ")]


def test_an_old_yes_is_for_nobody(home: Path) -> None:
    """A genuine yes that somebody puts there once more answers no question of a later session."""
    write(BESIDE)
    with living() as process:
        until(lambda: is_waiting("ship"))
        gflow.approve("last", "ship")
        Path("go").touch()
        assert process.wait(60) == 0
    with closing(SqliteStore.existing(home / ".gflow", "process")) as store:  # type: ignore[type-var]
        assert store is not None
        run = store.runs(1)[0].id
        (message,) = store.inbox(run)
        store.post(run, message.kind, message.payload, message.mac)
    assert cli.main(["resume", "last", "--rerun", "ship"]) == 3


# ---------------------------------------------------------------- items, rounds, values


def test_every_item_is_decided_for_itself(home: Path) -> None:
    """`tag[eu]` names one item; the bare name of several, or an item that is not there, is refused."""
    write(REGIONS)
    assert cli.main(["asking.py"]) == 3
    with pytest.raises(UsageError, match=r"asks more than once: tag\[eu\], tag\[us\]"):
        gflow.approve("last", "tag")
    with pytest.raises(UsageError, match=r"has no item \[ue\]"):
        gflow.approve("last", "tag[ue]")
    gflow.approve("last", "tag[eu]")
    assert cli.main(["resume", "last"]) == 3
    assert ledger() == ["tag eu"]
    assert cli.main(["approve", "last", "tag[us]", "--resume"]) == 0
    assert ledger() == ["tag eu", "tag us"]


def test_an_early_yes_to_a_step_is_for_all_its_items(home: Path) -> None:
    """`--approve tag` covers the first question of each item."""
    write(REGIONS)
    assert cli.main(["asking.py", "--approve", "tag"]) == 0
    assert sorted(ledger()) == ["tag eu", "tag us"]


def test_an_early_yes_after_a_rerun_covers_items_that_are_new(home: Path) -> None:
    """An item that there was not before belongs to the new generation like the others."""
    write(REGIONS)
    cli.main(["asking.py"])
    write(REGIONS.replace('["eu", "us"]', '["eu", "cn"] if Path("fixed").exists() else 1 / 0'))
    assert cli.main(["resume", "last", "--rerun", "regions"]) == 1
    gflow.approve("last", "tag")
    Path("fixed").touch()
    assert cli.main(["resume", "last"]) == 0
    assert sorted(ledger()) == ["tag cn", "tag eu"]


def test_every_round_asks_for_itself(home: Path) -> None:
    """A yes to one round is none to the next."""
    write(ROUNDS)
    assert cli.main(["asking.py"]) == 3
    assert cli.main(["approve", "last", "review~1", "--comment", "bad", "--resume"]) == 3
    assert cli.main(["approve", "last", "review~2", "--comment", "good", "--resume"]) == 0
    assert ledger() == ["review bad", "review good"]


@pytest.mark.parametrize(("word", "kind"), [("approve", "Approval"), ("reject", "Rejected")])
def test_a_decision_as_a_value_survives_a_kill(home: Path, word: str, kind: str) -> None:
    """A step that takes `Approval | Rejected` gets the same after kill -9 in its body: who, when, why."""
    write(VALUE)
    assert cli.main(["asking.py"]) == 3
    assert cli.main([word, "last", "ship", "--comment", "because"]) == 0
    with living("resume", "last") as process:
        assert process.wait(60) == -9
    Path("calm").touch()
    assert gflow.resume("last").results["ship"] == f"{kind} because True"


# ---------------------------------------------------------------- a terminal


@contextmanager
def on_terminal() -> Generator[tuple[subprocess.Popen[bytes], int], None, None]:
    """A process that runs the workflow on a terminal, and the terminal's other end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "gflow", "asking.py"], stdin=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while b"[y/n/L]" not in said:
            said += os.read(ours, 1024)
        threading.Thread(target=_drain, args=(ours,), daemon=True).start()
        yield process, ours
    finally:
        process.kill()
        process.wait()


def _drain(descriptor: int) -> None:
    with suppress(OSError):
        while os.read(descriptor, 1024):
            pass


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 6), (b"\n", 3), (b"what?\n", 3)])
def test_a_question_is_put_to_who_sits_there(home: Path, typed: bytes, code: int) -> None:
    """On a terminal the run asks; anything but yes and no leaves the decision for later."""
    write(SHIP)
    with on_terminal() as (process, terminal):
        os.write(terminal, typed)
        assert process.wait(60) == code


def test_ctrl_c_at_the_question_leaves_it_for_later(home: Path) -> None:
    """The run waits, as it would if nobody had been there."""
    write(SHIP)
    with on_terminal() as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 3
    assert status("ship") == "waiting"
    assert cli.main(["approve", "last", "ship", "--resume"]) == 0


def test_another_process_decides_while_the_question_is_on_a_terminal(home: Path) -> None:
    """Whoever is faster decides; the process that asks goes on by itself."""
    write(SHIP)
    with on_terminal() as (process, _):
        assert gflow.approve("last", "ship", comment="faster").heard
        assert process.wait(60) == 0
    assert ledger() == ["build", "ship 1.2: faster"]


def test_a_run_is_cancelled_while_its_question_is_on_a_terminal(home: Path) -> None:
    """A question keeps nobody from ending the run."""
    write(SHIP)
    with on_terminal() as (process, _):
        assert cli.main(["cancel", "last"]) == 0
        assert process.wait(60) == 7


# ---------------------------------------------------------------- what a question shows


def test_a_question_shows_no_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a step read from a secret is masked where it is asked about, on the screen and in the journal."""
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")
    write(
        "from gflow import Input, Secret\n"
        "@task\n"
        "def login(token: Input[Secret]) -> str:\n    return 'logged in with ' + token.reveal()\n"
        "@task\n"
        "def ship(login: str, ok: Annotated[Approval, Ask('Ship, {login}?')]) -> str:\n    return login\n"
    )
    assert cli.main(["asking.py", "--token", "env:TOKEN"]) == 3
    cli.main(["show", "last"])
    cli.main(["logs", "last"])
    cli.main(["approve", "last", "ship"])
    shown = capsys.readouterr()
    assert "Ship, logged in with" in shown.out
    assert "hunter2" not in shown.out + shown.err
    with session.opened(session.Settings(), "read") as (store, _):
        rounds = store.rounds(store.runs(1)[0].id)
    assert not any(b"hunter2" in each.records for each in rounds)
