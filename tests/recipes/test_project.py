from __future__ import annotations

from pathlib import Path

import pytest

from recipes.shipping.project import Project, find_package

STATIC = '[project]\nname = "Calc.Tools"\nversion = "1.0.0"\n'


def project(folder: Path, text: str = STATIC) -> Project:
    """Make a folder a project."""
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return Project.at(folder)


def make(folder: Path, *files: str) -> None:
    """Make empty files."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_project(tmp_path: Path) -> None:
    """A project is described by its static metadata."""
    text = STATIC + 'dependencies = ["packaging"]\noptional-dependencies.test = ["pytest"]\n'
    found = project(tmp_path, text)
    assert (found.name, found.version, found.dependencies) == ("Calc.Tools", "1.0.0", ("packaging",))
    assert found.extras == {"test": ("pytest",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[project]\nname = "calc"\ndynamic = ["version"]\n',
            r"no static project\.version: write version = ",
        ),
        ('[project]\nversion = "1"\n', r"no static project\.name"),
        ("[tool.other]\n", r"no static project\.name"),
        ("[project\n", "is not readable as TOML"),
        (None, "does not exist: a release needs"),
    ],
)
def test_unfit_project(tmp_path: Path, text: str | None, message: str) -> None:
    """Metadata that is missing, dynamic or unreadable is refused with the remedy."""
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        Project.at(tmp_path)


@pytest.mark.parametrize(
    ("files", "package"),
    [
        (["src/calc_tools/__init__.py", "tests/__init__.py"], "src/calc_tools"),
        (["calc_tools/__init__.py", "other/__init__.py"], "calc_tools"),
        (["calc_tools.py", "setup.py", "conftest.py"], "calc_tools.py"),
        (["src/calc_tools.py"], "src/calc_tools.py"),
        (["calc/__init__.py", "tests/__init__.py", "docs/__init__.py", "build/lib/x.py"], "calc"),
        (["Calc_Tools/__init__.py", "other/__init__.py"], "Calc_Tools"),
    ],
)
def test_package(tmp_path: Path, files: list[str], package: str) -> None:
    """A package is what is named like the project, else the only one there is."""
    make(tmp_path, *files)
    assert project(tmp_path).package == tmp_path / package


@pytest.mark.parametrize(
    ("files", "found"),
    [(["a/__init__.py", "b/__init__.py"], "a, b"), (["data/x.txt"], "none")],
)
def test_no_package(tmp_path: Path, files: list[str], found: str) -> None:
    """Several packages or none, and none with the right name: the error lists them."""
    make(tmp_path, *files)
    with pytest.raises(ValueError, match=rf"cannot tell which package .* \(found: {found}\): name it so"):
        find_package(tmp_path, "calc-tools")


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", []),
        ('[dependency-groups]\ntest = ["x"]\n', ["--group", "{}/pyproject.toml:test"]),
        ('[dependency-groups]\nlint = ["x"]\ndev = ["y"]\n', ["--group", "{}/pyproject.toml:dev"]),
        ('[project.optional-dependencies]\ntests = ["x", "calc_tools[extra]"]\n', ["x"]),
    ],
)
def test_test_requirements(tmp_path: Path, rest: str, expected: list[str]) -> None:
    """What tests need is taken from a group or extra of a usual name, without the project itself."""
    found = project(tmp_path, STATIC + rest).test_requirements
    assert found == [text.format(tmp_path) for text in expected]
