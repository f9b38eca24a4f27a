"""What other processes say about a run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gflow import cli
from gflow.checkpoint import Keys
from gflow.inbox import Inbox, say
from gflow.stores.memory import MemoryStore

KEYS = Keys((b"k" * 32,))


def inbox(store: MemoryStore, session: int = 1) -> Inbox:
    return Inbox(store, KEYS, "k3f9", session=session)


def test_a_word_is_heard_once() -> None:
    """What was said is heard by the next look, and by no later one."""
    store = MemoryStore()
    listening = inbox(store)
    assert listening.hear() == []
    say(store, KEYS, "k3f9", "cancel", session=1)
    (word,) = listening.hear()
    assert (word.kind, word.id) == ("cancel", 1)
    assert "@" in word.who
    assert listening.hear() == []


def test_words_to_another_run_are_not_heard() -> None:
    """Each run has an inbox of its own."""
    store = MemoryStore()
    say(store, KEYS, "other", "cancel", session=1)
    assert inbox(store).hear() == []


@pytest.mark.parametrize(
    ("run", "kind", "change"),
    [
        ("k3f9", "cancel", {"payload": b"{}"}),
        ("k3f9", "cancel", {"mac": b"x" * 16}),
        ("k3f9", "cancel", {"mac": b""}),
        ("k3f9", "approve", {}),
        ("k3f9", b"cancel", {}),
        ("zzzz", "cancel", {}),
    ],
)
def test_what_was_not_signed_is_refused(run: str, kind: Any, change: dict[str, bytes]) -> None:
    """An unsigned row, another payload, another kind, another run's message: none is heard."""
    store = MemoryStore()
    say(store, KEYS, run, "cancel", session=1)
    (genuine,) = store.inbox(run)
    store = MemoryStore()
    store.post("k3f9", kind, change.get("payload", genuine.payload), change.get("mac", genuine.mac))
    listening = inbox(store)
    assert listening.hear() == []
    assert listening.refused == 1


def test_another_key_says_nothing() -> None:
    """Who does not hold the key cannot speak."""
    store = MemoryStore()
    say(store, Keys((b"z" * 32,)), "k3f9", "cancel", session=1)
    assert inbox(store).hear() == []


def test_a_copy_of_an_old_word_is_for_nobody() -> None:
    """A genuine message that somebody puts there again later is for an owner who is gone."""
    store = MemoryStore()
    say(store, KEYS, "k3f9", "cancel", session=1)
    (genuine,) = store.inbox("k3f9")
    store.post("k3f9", genuine.kind, genuine.payload, genuine.mac)
    assert inbox(store, session=2).hear() == []


SLEEPY = """
from pathlib import Path
from typing import Any
from gflow import sh, stage, task
@task
def sleep() -> None:
    Path("begun").touch()
    if not Path("rested").exists(): sh("sleep", "3600")
@stage
def flow(sleep: None) -> None: ...
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a workflow that sleeps for an hour."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    (project / "sleepy.py").write_text(SLEEPY)
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("sleepy", None)
    return project


def test_cancel_ends_a_run_of_another_process(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The other process ends its commands, says by whom it was cancelled, and exits 7; resume goes on."""
    process = subprocess.Popen([sys.executable, "-m", "gflow", "sleepy.py"], cwd=home, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (home / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert cli.main(["cancel", "last"]) == 0
    _, err = process.communicate(timeout=60)
    assert process.returncode == 7
    assert b"cancelled (by " in err
    capsys.readouterr()
    cli.main(["show", "last", "--json"])
    assert json.loads(capsys.readouterr().out)["status"] == "cancelled"
    (home / "rested").touch()
    assert cli.main(["resume", "last"]) == 0


def test_cancel_writes_off_a_run_that_nobody_has(home: Path) -> None:
    """A run whose process is gone is cancelled at once; a completed one cannot be."""
    text = SLEEPY.replace('sh("sleep", "3600")', 'raise ValueError("no")')
    (home / "sleepy.py").write_text(text)
    assert cli.main(["sleepy.py"]) == 1
    assert cli.main(["cancel", "last"]) == 0
    (home / "rested").touch()
    assert cli.main(["resume", "last"]) == 0
    assert cli.main(["cancel", "last"]) == 2
