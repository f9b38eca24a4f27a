"""`gflow check --types` on right and wrong workflows, with the real mypy and pyright."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gflow import runner, wiring
from gflow.errors import UsageError
from gflow.wiring import Checker, write

FIXTURES = Path(__file__).parent / "wiring"

HIDDEN = '''"""What the compiler takes for Any, and checkers see through."""
from typing import TYPE_CHECKING, Any

from gflow import stage, task

if TYPE_CHECKING:
    Size = int
else:
    Size = Any


@task
def size() -> Size:
    return 1

@task
async def later() -> Size:
    return 2

@task
def label(
    size: str,
    later: Size,
) -> str:
    return size

@task
def twice(
    later: str,
) -> str:
    return later

@stage
def whole(size: Size, later: Size, label: str, twice: str) -> None: ...
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that the checkers read."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_wrong_edges_are_mapped_back_to_both_steps(project: Path, checker: Checker) -> None:
    """Each wrong edge is one finding, at the consumer's parameter and the provider's result."""
    (project / f"hidden_{checker}.py").write_text(HIDDEN)
    findings = wiring.check(runner.compile(f"hidden_{checker}.py"), checker)
    errors = [finding for finding in findings if finding.severity == "error"]
    assert [finding.code for finding in errors] == ["GF029"] * len(errors)
    lines = HIDDEN.split("\n")
    at = [lines[place.line - 1].strip() for finding in errors for place, _ in finding.places[:1]]
    assert at == ["size: str,", "later: str,"]
    provided = [lines[finding.places[1][0].line - 1].strip() for finding in errors[:2]]
    assert provided == ["def size() -> Size:", "async def later() -> Size:"]


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
@pytest.mark.parametrize("name", ["fields", "copies", "undos"])
def test_right_edges_have_no_complaint(project: Path, checker: Checker, name: str) -> None:
    """Fields, copies and undos of correct workflows are judged, and found right."""
    for path in FIXTURES.glob("*.py"):
        (project / f"{checker}_{path.name}").write_text(path.read_text())
    assert wiring.check(runner.compile(f"{checker}_{name}.py"), checker) == ()


def test_the_wiring_has_one_line_for_each_parameter(project: Path) -> None:
    """A complaint's line names the edge: every parameter stands on a line of its own."""
    (project / "hidden_lines.py").write_text(HIDDEN)
    text = write(runner.compile("hidden_lines.py")).text
    assert sum(".returns" in line for line in text.splitlines()) == 7


def test_without_a_checker_it_says_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither checker is installed, the message says what to type."""
    (project / "hidden_none.py").write_text(HIDDEN)
    graph = runner.compile("hidden_none.py")
    monkeypatch.setenv("PATH", str(project))
    monkeypatch.setattr("gflow.wiring.checkers.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install"):
        wiring.check(graph)
