import os
import sys
from pathlib import Path

import pytest

from recipes.shipping import tools
from recipes.shipping.tools import MissingTool, find, hiding, require_all, run


def test_tool_beside_python() -> None:
    """A tool is taken from the environment that Python runs in."""
    assert Path(find("uv")).parent == Path(sys.executable).parent


def test_tool_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that is not beside Python is found on PATH."""
    tool = tmp_path / "some-tool"
    tool.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("some-tool") == str(tool)


@pytest.mark.usefixtures("no_tools")
def test_missing_tool() -> None:
    """A missing tool is an error that says what to install."""
    with pytest.raises(MissingTool, match=r"git-cliff; run pip install 'gflow-workflows\[recipes\]'$"):
        find("git-cliff")


@pytest.mark.usefixtures("no_tools")
def test_everything_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is missing is named at once."""
    monkeypatch.setattr(tools, "find_spec", lambda name: None)
    with pytest.raises(
        MissingTool, match=r": detect-secrets, git-cliff, ruff, uv, griffe, pypiserver; run pip"
    ):
        require_all()


def test_hidden_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool does not see the variables that are hidden from it, and sees those that are added."""
    (tmp_path / "tool").write_text('#!/bin/sh\necho "${SECRET-none} ${GIVEN-none}"\n', encoding="utf-8")
    (tmp_path / "tool").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SECRET", "sesame")
    assert str(run("tool", cwd=tmp_path, env={"GIVEN": "given"})) == "sesame given"
    assert str(run("tool", cwd=tmp_path, hide=["SECRET", "UNSET"])) == "none none"


def test_hiding_nothing() -> None:
    """A command stays as it is if none of the variables is set."""
    assert hiding(["SURELY_UNSET"]) == []
