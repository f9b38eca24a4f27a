"""mypy and pyright as functions: what they say about a file, line by line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from gflow.errors import UsageError

Checker = Literal["mypy", "pyright"]

TIMEOUT: Final = 300
"""Seconds until a checker is given up."""

NAME: Final = "gflow_check_wiring.py"
"""The file in question, wherever it lies: mypy repeats from its cache what it said of the last one."""

SHOWN: Final = 3
"""How many lines are shown of what a checker says instead of checking."""


class Complaint(NamedTuple):
    """An error that a checker reports.

    `types` are what is given and what is taken, if that is what it is about; `details` are further lines.
    """

    file: Path
    line: int
    message: str
    code: str
    types: tuple[str, str] | None
    details: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.message} [{self.code}]" if self.code else self.message


class Judgement(NamedTuple):
    """The first complaint about each line of the file that was checked, the complaints about other files.

    `last_words` are the end of what else was said, and what is likely to be wrong if that is all.
    """

    complaints: Mapping[int, Complaint]
    elsewhere: tuple[Complaint, ...]
    last_words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A checker: what pip calls it, its arguments for a file and a project, how its report is read.

    `needs` is what is likely to be wrong if it says nothing.
    """

    package: str
    arguments: Callable[[Path, Path], list[str]]
    read: Callable[[str], Iterator[Complaint]]
    needs: str


def installed() -> Checker:
    """Return the checker that is installed, mypy if both are. Raises UsageError if none is."""
    for checker in TOOLS:
        if _command(checker):
            return checker
    raise UsageError("neither mypy nor pyright is installed", "pip install mypy, or leave out --types")


def judge(text: str, checker: Checker, root: Path) -> Judgement:
    """Have a checker judge the text of a module, under the settings of the project in `root`.

    The module is written outside the project: what settings say of the project's files is not for it.
    Raises UsageError if the checker is not installed, or does not come to an end.
    """
    tool, command = TOOLS[checker], _command(checker)
    if not command:
        raise UsageError(f"{checker} is not installed", f"pip install {tool.package}")
    with tempfile.TemporaryDirectory(prefix="gflow-") as folder:
        path = Path(folder) / NAME
        path.write_text(text, encoding="utf-8")
        done = _run([*command, *tool.arguments(path, root)], root)
    said = [each._replace(file=(root / each.file).resolve()) for each in tool.read(done.stdout)]
    here = {each.line: each for each in reversed(said) if each.file.name == NAME}
    words = (done.stderr or done.stdout.partition("{")[0]).strip().splitlines()
    elsewhere = tuple(each for each in said if each.file.name != NAME)
    return Judgement(here, elsewhere, (*words[-SHOWN:], tool.needs))


def _command(checker: Checker) -> list[str]:
    """Return how to start a checker: as a module of this environment (-P: not one in the current folder)."""
    if find_spec(checker):
        return [sys.executable, "-P", "-m", checker]
    found = shutil.which(checker)
    return [found] if found else []


def _run(command: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*_search_path(), *filter(None, [os.environ.get("MYPYPATH")])])
    try:
        return subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "MYPYPATH": path},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"the type checker did not finish: {error}") from error


def _search_path() -> list[str]:
    """Return where the workflow's modules come from; what is installed the checkers find by themselves."""
    stdlib, site = sysconfig.get_path("stdlib"), {"site-packages", "dist-packages"}
    folders = [path for path in map(Path, sys.path) if path.is_dir() and not path.is_relative_to(stdlib)]
    return [str(path.resolve()) for path in folders if not site & {*path.parts}]


# ---------------------------------------------------------------- what each is asked, and how it answers


def _ask_mypy(file: Path, _root: Path) -> list[str]:
    return ["--output", "json", "--python-executable", sys.executable, str(file)]


def _read_mypy(report: str) -> Iterator[Complaint]:
    for line in report.splitlines():
        each = _document(line)
        if each.get("severity") == "error":
            message, details = each["message"], tuple((each["hint"] or "").splitlines())
            types = _types(r'has incompatible type "?(.+?)"?; expected "?(.+?)"?$', message)
            yield Complaint(Path(each["file"]), each["line"], message, each["code"] or "", types, details)


def _ask_pyright(file: Path, root: Path) -> list[str]:
    """Write settings beside the file that extend the team's, which speak of the team's files alone."""
    team = [path for path in (root / "pyrightconfig.json", root / "pyproject.toml") if path.is_file()]
    extended = {"extends": str(team[0])} if team else {}
    own = {"include": [file.name], "exclude": [], "extraPaths": _search_path()}
    settings = file.with_name("pyrightconfig.json")
    settings.write_text(json.dumps(extended | own), encoding="utf-8")
    return ["--outputjson", "--pythonpath", sys.executable, "--project", str(settings)]


def _read_pyright(report: str) -> Iterator[Complaint]:
    for each in _document(report).get("generalDiagnostics", ()):
        if each["severity"] == "error":
            message, *details = map(str.strip, each["message"].splitlines())
            types = _types(
                r'of type "(.+)" cannot be assigned to .* of type "(.+?)"(?: in function ".*")?$', message
            )
            line, code = each["range"]["start"]["line"] + 1, each.get("rule", "")
            yield Complaint(
                Path(each["file"]), line, message, code, types, tuple(details[1 if types else 0 :])
            )


def _document(text: str) -> dict[str, Any]:
    """Return a JSON object, empty if the text is none: plugins print what they like."""
    try:
        document: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
    except ValueError:
        return {}
    return document


def _types(pattern: str, message: str) -> tuple[str, str] | None:
    found = re.search(pattern, message)
    return (found[1], found[2]) if found else None


TOOLS: Final[Mapping[Checker, Tool]] = {
    "mypy": Tool(
        "mypy",
        _ask_mypy,
        _read_mypy,
        "it must be mypy 1.11 or later, and its settings must not hide errors or imports",
    ),
    "pyright": Tool(
        "'pyright[nodejs]'",
        _ask_pyright,
        _read_pyright,
        "it runs on Node, which `pip install 'pyright[nodejs]'` brings",
    ),
}
