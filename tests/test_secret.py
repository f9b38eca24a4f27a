"""A secret is a reference: its value is in no file of the store and in nothing that is shown."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

VALUE = 'p4ss/w0rd "quoted" é-and-long'

LEAKY = """
import base64, json, logging
from urllib.parse import quote
from gflow import Context, Input, Secret, sh, stage, task

@task
def tell(token: Input[Secret], ctx: Context) -> str:
    value = token.reveal()
    print("printed", value)
    ctx.log(f"logged {value}")
    logging.getLogger("x").warning("warned %s", value)
    sh("echo", value)
    sh("echo", json.dumps(value), quote(value), base64.b64encode(value.encode()).decode())
    return "told"

@task
def fail(tell: str, token: Input[Secret]) -> None:
    sh("sh", "-c", 'echo "$1" >&2; exit 3', "sh", token.reveal())

@stage
def flow(tell: str, fail: None) -> None: ...
"""


def forms() -> list[bytes]:
    """Return the value as it is, as JSON writes it, quoted for a URL, and in base64."""
    texts = [VALUE, json.dumps(VALUE)[1:-1], json.dumps(VALUE, ensure_ascii=False)[1:-1], quote(VALUE)]
    return [*(text.encode() for text in texts), base64.b64encode(VALUE.encode())]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose workflow does everything wrong that one can with a secret."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    (folder / "leaky.py").write_text(LEAKY)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEAKY_TOKEN", VALUE)
    return folder


def gflow(project: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "gflow", *words], cwd=project, capture_output=True, check=False
    )


def test_no_form_of_a_secret_is_stored_or_shown(project: Path) -> None:
    """A step prints, logs, echoes and fails with the secret: no file and no output holds it."""
    ran = gflow(project, "leaky.py", "--token", "env:LEAKY_TOKEN")
    assert ran.returncode == 1, ran.stderr
    shown = [
        gflow(project, *words) for words in (["show", "last"], ["logs", "last"], ["show", "last", "--json"])
    ]
    said = b"".join(each.stdout + each.stderr for each in [ran, *shown])
    stored = {path: path.read_bytes() for path in (project / ".gflow").rglob("*") if path.is_file()}
    assert b"env:LEAKY_TOKEN" in said
    assert b"logged ***" in said
    for form in forms():
        assert form not in said
        assert [path for path, content in stored.items() if form in content] == []


def test_a_secret_itself_is_no_input(project: Path) -> None:
    """Who types the secret is told to name where it is, and nothing is written."""
    ran = gflow(project, "leaky.py", "--token", "p4ss")
    assert ran.returncode == 2
    assert b"env:NAME" in ran.stderr
    assert not (project / ".gflow").exists()


def test_a_missing_secret_is_bad_input(project: Path) -> None:
    """A reference that leads nowhere is refused before anything runs."""
    ran = gflow(project, "leaky.py", "--token", "env:NOT_THERE_AT_ALL")
    assert ran.returncode == 2
    assert b"NOT_THERE_AT_ALL" in ran.stderr


def test_a_secret_is_no_result(project: Path) -> None:
    """A step that returns a secret fails, and is told to pass the reference as an input."""
    step = "@task\ndef flow(token: Input[Secret]) -> Secret: return token\n"
    (project / "leaky.py").write_text(f"from gflow import Input, Secret, task\n{step}")
    ran = gflow(project, "leaky.py", "--token", "env:LEAKY_TOKEN")
    assert ran.returncode == 1
    assert b"input" in ran.stderr
