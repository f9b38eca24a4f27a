from __future__ import annotations

from pathlib import Path

import pytest

from gflow import CommandFailed
from recipes.shipping.lint import lint


def file(folder: Path, text: str, name: str = "a.py") -> Path:
    """Write a file and return its folder."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1\n", []),
        ("print(y)\n", ["a.py:1: F821 Undefined name `y`"]),
        ("import os\n", []),
    ],
)
def test_lint(tmp_path: Path, text: str, found: list[str]) -> None:
    """Only findings of the rules that were asked for are found, with their place."""
    assert list(map(str, lint(file(tmp_path, text), ["a.py"], "E9,F821"))) == found


def test_syntax_error(tmp_path: Path) -> None:
    """What cannot be parsed is a finding, whatever was asked for."""
    finding, *_ = lint(file(tmp_path, "def f(:\n"), ["a.py"], "E9")
    assert finding.place == "a.py:1"


def test_no_files(tmp_path: Path) -> None:
    """No files, no findings: ruff would take the whole folder."""
    assert lint(file(tmp_path, "print(y)\n"), [], "F") == ()


def test_own_configuration(tmp_path: Path) -> None:
    """The project's own exceptions hold, and its choice of rules does not."""
    text = '[tool.ruff.lint]\nselect = ["D"]\nper-file-ignores = {"b.py" = ["F821"]}\n'
    file(tmp_path, text, "pyproject.toml")
    file(tmp_path, "print(y)\n", "b.py")
    file(tmp_path, "print(y)  # noqa: F821\nprint(z)\n")
    assert [finding.place for finding in lint(tmp_path, ["a.py", "b.py"], "F821")] == ["a.py:2"]


def test_configuration_above(tmp_path: Path) -> None:
    """A configuration of a folder above, in which the clone happens to be, does not count."""
    file(tmp_path, 'exclude = ["*.py"]\n', "ruff.toml")
    assert len(lint(file(tmp_path / "clone", "print(y)\n"), ["a.py"], "F821")) == 1


def test_broken_configuration(tmp_path: Path) -> None:
    """A configuration that ruff cannot read fails the step instead of passing for clean."""
    file(tmp_path, "nonsense = true\n", "ruff.toml")
    with pytest.raises(CommandFailed, match="nonsense"):
        lint(file(tmp_path, "x = 1\n"), ["a.py"], "F")
