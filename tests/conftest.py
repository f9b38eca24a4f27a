"""Settings of the whole suite; what pytest itself is told stands in pyproject.toml."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

EXAMPLES = int(os.environ.get("GFLOW_EXAMPLES", "15"))
"""Examples for each law: few while one works, many where there is time."""

settings.register_profile("gflow", deadline=None, max_examples=EXAMPLES)  # no test fails for being slow
settings.load_profile("gflow")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project and a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "GFLOW_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GFLOW_DURABILITY", "process")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return project
