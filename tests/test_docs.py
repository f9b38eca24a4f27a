"""The documentation cannot lie: its programs run, and the output it shows is what they print.

In README.md and gflow/docs/*.md, a block that is marked

- ``python`` and names a file in its first line (``# ship.py``) is written into the page's own project;
  without a name it is run there as a script;
- ``console`` is run there: lines after ``$`` are commands, the others are what they print, stdout and
  stderr together. Run ids, times and durations are masked; a line ``…`` stands for any lines.

``GFLOW_UPDATE_DOCS=1`` writes what was printed into the pages.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "gflow" / "docs").glob("*.md"))]
UPDATE = os.environ.get("GFLOW_UPDATE_DOCS") == "1"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"\A[^\n]*#\s*([\w/]+\.(?:py|toml|json))\s*$", re.MULTILINE)
MASKS = [
    (re.compile(r"\b\d+m \d\ds\b|\b\d+(\.\d+)? ?(s|ms|µs)\b"), "0.0 s"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "12:00:00"),
    (
        re.compile(
            r"(^|(?<=run )|(?<=resume )|(?<=show )|(?<=rollback )|(?<=fork )|(?<=of )|(?<=logs )"
            r"|(?<=from ))[2-9a-z]{4}\b(?=  | ·|$| --| to| at| is)",
            re.MULTILINE,
        ),
        "k3f9",
    ),
    (re.compile(r"((?<=approve )|(?<=reject ))[2-9a-z]{4}(?= )"), "k3f9"),
    (re.compile(r"process \d+"), "process 4711"),
    (re.compile(r"\bpython3(?= -m)"), "python"),
    (re.compile(r"\d+ (sec|min|s) ago|just now"), "now"),
]


@dataclass
class Command:
    """One command of a console block, and what the page says it prints."""

    line: str
    shown: str


def commands(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        yield Command(line, shown.rstrip())


def masked(text: str) -> str:
    for pattern, stand_in in MASKS:
        text = pattern.sub(stand_in, text)
    return "\n".join(re.sub(r" {2,}", "  ", line).rstrip() for line in text.strip().splitlines())


def matches(shown: str, printed: str) -> bool:
    pattern = re.escape(masked(shown)).replace("…\\\n", r"(?:.*\n)*?").replace("\\\n…", r"(?:\n.*)*")
    return re.fullmatch(pattern, masked(printed)) is not None


def run(line: str, project: Path, home: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOME": str(home), "NO_COLOR": "1", "COLUMNS": "110"}
    environment["LOGNAME"] = "ana"  # who approves
    for name in ("GFLOW_STORE", "GFLOW_DURABILITY", "GFLOW_KEY", "GFLOW_KEY_FILE", "CI"):
        environment.pop(name, None)
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_runs_and_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    """Every program of a page runs, and every command prints what stands below it."""
    text = page.read_text("utf-8")
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "docs"\nversion = "0"\n')
    wrong: list[str] = []
    for match in BLOCK.finditer(text):
        kind, block = match.groups()
        if kind == "python" and page.name != "findings.md":  # those are wrong on purpose, and tested apart
            write_or_run(block, project, home)
        if kind == "console":
            updated, differing = replay(block, project, home)
            wrong += differing
            text = text.replace(block, updated) if UPDATE else text
    if UPDATE:
        page.write_text(text, "utf-8")
    assert not wrong, "\n\n".join(wrong)


def write_or_run(block: str, project: Path, home: Path) -> None:
    named = FILE.match(block)
    if named:
        path = project / named[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block, "utf-8")
        return
    script = project / "_block.py"
    script.write_text(block, "utf-8")
    printed = run(f"{sys.executable} -W error _block.py || echo EXIT $?", project, home)
    assert "EXIT" not in printed, f"{block}\n{printed}"


def replay(block: str, project: Path, home: Path) -> tuple[str, list[str]]:
    written: list[str] = []
    differing: list[str] = []
    for command in commands(block):
        printed = run(command.line, project, home).rstrip().replace(str(project), "…")
        printed = printed.replace(f"ana@{socket.gethostname()}", "ana@desk")
        written.append(f"$ {command.line}\n{printed}\n" if printed else f"$ {command.line}\n")
        if not matches(command.shown, printed):
            differing.append(
                f"$ {command.line}\n--- the page shows\n{command.shown}\n--- it printed\n{printed}"
            )
    return "".join(written), [] if UPDATE else differing
