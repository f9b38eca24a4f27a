from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gflow import Refused
from recipes.shipping.artifacts import Wheel, run_tests

if TYPE_CHECKING:
    from tests.recipes.conftest import Prepare, Repo


def test_sample(sample_wheel: Wheel) -> None:
    """The sample's wheel is described by its own metadata, and its tests passed."""
    assert sample_wheel.path.name == "sample_pkg-0.2.0-py3-none-any.whl"
    assert (sample_wheel.project, sample_wheel.version) == ("sample-pkg", "0.2.0")
    assert sample_wheel.modules == ("sample_pkg",)
    assert sample_wheel.dependencies == ("packaging>=22",)
    assert sample_wheel.sha256 == hashlib.sha256(sample_wheel.path.read_bytes()).hexdigest()
    assert str(sample_wheel) == (
        f"sample_pkg-0.2.0-py3-none-any.whl, {sample_wheel.size / 1024:.1f} KiB, 2 passed"
    )


def test_failing_tests(foreign_repo: Repo, prepared: Prepare, sample_wheel: Wheel, tmp_path: Path) -> None:
    """Tests that fail refuse the wheel."""
    foreign_repo.commit("fix: hope", {"tests/test_calc.py": "def test_hope(): assert False\n"})
    with pytest.raises(Refused, match=r"do not pass with sample_pkg-.*\(1 failed in .*-m pytest in"):
        run_tests(prepared(foreign_repo), sample_wheel.path, tmp_path)


def test_wheel_is_tested(foreign_repo: Repo, prepared: Prepare, sample_wheel: Wheel, tmp_path: Path) -> None:
    """A package that the wheel lacks fails the tests, though it is in the repository."""
    candidate = prepared(foreign_repo)
    with pytest.raises(Refused, match="tests do not pass with sample_pkg-"):
        run_tests(candidate, sample_wheel.path, tmp_path)
    assert (candidate.clone.path / "calc" / "__init__.py").is_file()


def test_no_tests(foreign_repo: Repo, prepared: Prepare, sample_wheel: Wheel, tmp_path: Path) -> None:
    """Where there are no tests, the wheel says so."""
    foreign_repo.git("rm", "--quiet", "-r", "tests")
    foreign_repo.commit("fix: trust", {})
    assert run_tests(prepared(foreign_repo), sample_wheel.path, tmp_path) == "no tests"


def test_test_requirements(
    foreign_repo: Repo, prepared: Prepare, sample_wheel: Wheel, tmp_path: Path
) -> None:
    """What the tests need is installed with the wheel."""
    pyproject = (foreign_repo.path / "pyproject.toml").read_text(encoding="utf-8")
    files = {
        "pyproject.toml": f'{pyproject}\n[dependency-groups]\ntest = ["iniconfig", "pathspec"]\n',
        "tests/test_calc.py": "import pathspec\n\ndef test_x(): pass\n",
    }
    foreign_repo.commit("test: more", files)
    assert run_tests(prepared(foreign_repo), sample_wheel.path, tmp_path) == "1 passed"
