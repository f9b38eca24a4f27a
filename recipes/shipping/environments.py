"""Fresh virtual environments, made by uv."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from gflow import Output, sh
from recipes.shipping.git import Clone
from recipes.shipping.project import Project
from recipes.shipping.tools import QUIET, run

TEST_TOOLS = ("pytest", "pytest-benchmark")

PYTEST_FILES = (
    ("pytest.toml", ""),
    (".pytest.toml", ""),
    ("pytest.ini", ""),
    (".pytest.ini", ""),
    ("pyproject.toml", "[tool.pytest"),
    ("tox.ini", "[pytest]"),
    ("setup.cfg", "[tool:pytest]"),
)
"""Where pytest is configured, and by which words: https://docs.pytest.org/en/stable/reference/customize.html"""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment of the running Python."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> Environment:
        """Make an empty environment; what was there is replaced."""
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        run("uv", "venv", "--quiet", "--no-project", "--python", sys.executable, path, cwd=path.parent)
        return cls(path)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    def install(self, *arguments: str | Path, cwd: Path, input: str | None = None) -> None:  # noqa: A002
        """Install packages; uv takes its configuration, such as the index, from `cwd` upwards."""
        run("uv", "pip", "install", "--quiet", "--python", self.python, *arguments, cwd=cwd, input=input)

    def run(self, *arguments: str | Path, cwd: Path, check: bool = True) -> Output:
        """Run its Python; bytecode is kept, so that the second start is faster."""
        return sh(self.python, *arguments, cwd=cwd, env={**QUIET, "PYTHONDONTWRITEBYTECODE": ""}, check=check)


def testing_environment(path: Path, package: Path, project: Project) -> Environment:
    """Make an environment with a package (a tree or a wheel), what its tests need, and pytest."""
    environment = Environment.make(path)
    environment.install(package, *project.test_requirements, *TEST_TOOLS, cwd=project.folder)
    return environment


def bare_tree(clone: Clone, into: Path) -> Path:
    """Make a tree of the clone's branch without the package: what tests import there is what is installed."""
    tree = clone.export(clone.source.branch, into)
    package = Project.at(tree).package
    if package.is_dir():
        shutil.rmtree(package)
    else:
        package.unlink()
    if not configures_pytest(tree):  # pytest would take the configuration of a folder above
        (tree / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return tree


def configures_pytest(tree: Path) -> bool:
    """Say whether a tree has its own configuration for pytest."""
    return any(
        (tree / file).is_file() and word in (tree / file).read_text("utf-8") for file, word in PYTEST_FILES
    )
