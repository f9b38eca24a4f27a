from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recipes.shipping.candidate import Candidate
from recipes.shipping.environments import Environment, bare_tree, configures_pytest

if TYPE_CHECKING:
    from tests.recipes.conftest import Prepare, Repo


def test_environment(tmp_path: Path) -> None:
    """A new environment replaces an old one, has nothing in it, and installs what it is told."""
    for _ in range(2):
        environment = Environment.make(tmp_path / "new" / "environment")
        assert environment.run("-c", "import packaging", cwd=tmp_path, check=False).code == 1
        environment.install("packaging", cwd=tmp_path)
        assert environment.run("-c", "import packaging", cwd=tmp_path).code == 0


def test_modules_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment does not see the modules that gflow's own Python was given."""
    (tmp_path / "intruder.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    environment = Environment.make(tmp_path / "environment")
    assert environment.run("-c", "import intruder", cwd=environment.path, check=False).code == 1


def test_bare_tree(sample_candidate: Candidate, tmp_path: Path) -> None:
    """A bare tree has the tests and not the package, so that only an installed one can be tested."""
    tree = bare_tree(sample_candidate.clone, tmp_path / "tree")
    assert (tree / "tests" / "test_newest.py").is_file()
    assert not (tree / "src" / "sample_pkg").exists()


def test_bare_tree_of_a_module(foreign_repo: Repo, prepared: Prepare, tmp_path: Path) -> None:
    """A package that is a single file is taken out too."""
    foreign_repo.git("rm", "--quiet", "-r", "calc")
    foreign_repo.commit("fix: one file", {"calc.py": "x = 1\n"})
    assert not (bare_tree(prepared(foreign_repo).clone, tmp_path / "tree") / "calc.py").exists()


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("pytest.ini", "", True),
        ("pyproject.toml", "[tool.pytest.ini_options]\n", True),
        ("pyproject.toml", "[project]\n", False),
        ("tox.ini", "[tox]\n[pytest]\n", True),
        ("setup.cfg", "[metadata]\n", False),
        ("setup.cfg", "[tool:pytest]\n", True),
    ],
)
def test_configures_pytest(tmp_path: Path, name: str, text: str, answer: bool) -> None:
    """A configuration of pytest is recognized wherever pytest looks for it."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert configures_pytest(tmp_path) is answer


def test_configuration_above(sample_candidate: Candidate, tmp_path: Path) -> None:
    """A tree without a configuration of pytest gets an empty one, so that none of a folder above holds."""
    tree = bare_tree(sample_candidate.clone, tmp_path / "tree")
    assert (tree / "pytest.ini").read_text(encoding="utf-8") == "[pytest]\n"
