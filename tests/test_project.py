"""The user's project: its root, its modules, its state folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gflow import project
from gflow.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("GFLOW_STORE", raising=False)
    return tmp_path


def test_the_root_is_the_nearest_folder_with_a_pyproject(folder: Path) -> None:
    """From anywhere below, the root is where pyproject.toml lies; without one it is the current folder."""
    assert project.root(folder / "deep" / "er") == folder
    (folder / "deep" / "pyproject.toml").touch()
    assert project.root(folder / "deep" / "er") == folder / "deep"


def test_the_state_folder_can_be_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--store` wins over GFLOW_STORE, which wins over .gflow at the root."""
    assert project.state_folder() == folder / ".gflow"
    monkeypatch.setenv("GFLOW_STORE", "elsewhere")
    assert project.state_folder() == folder / "elsewhere"
    assert project.state_folder("here") == folder / "here"


def test_a_module_is_loaded_by_name_and_by_path(folder: Path) -> None:
    """A path below the root is imported under its dotted name, never as __main__."""
    (folder / "deep" / "flow_one.py").write_text("value = 7")
    module = project.load("deep/flow_one.py")
    assert (module.__name__, module.value) == ("deep.flow_one", 7)
    assert project.load("deep.flow_one") is module


def test_a_module_of_a_package_that_is_installed_from_the_project_has_that_packages_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `src` is on sys.path, a file below it is imported under the name that everybody else uses."""
    package = folder / "src" / "package_one"
    package.mkdir(parents=True)
    (package / "flow.py").write_text("from package_one import value")
    (package / "__init__.py").write_text("value = 7")
    with pytest.raises(UsageError, match=r"src\.package_one\.flow"):
        project.load("src/package_one/flow.py")
    monkeypatch.syspath_prepend(folder / "src")
    module = project.load("src/package_one/flow.py")
    assert (module.__name__, module.value) == ("package_one.flow", 7)


def test_the_current_folder_does_not_name_modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has one name, from whichever folder `python -m gflow` is called."""
    package = folder / "deep" / "package_two"
    package.mkdir()
    for name in ("__init__.py", "flow.py"):
        (package / name).touch()
    monkeypatch.chdir(folder / "deep")
    monkeypatch.syspath_prepend(folder / "deep")
    assert project.load("package_two/flow.py").__name__ == "deep.package_two.flow"


def test_an_unknown_module_is_answered_with_what_is_near(folder: Path) -> None:
    """A misspelt module or file names its neighbours."""
    (folder / "shipping.py").touch()
    with pytest.raises(UsageError, match="did you mean `shipping`"):
        project.load("shiping")
    with pytest.raises(UsageError, match=r"did you mean `shipping\.py`"):
        project.load("shiping.py")
    with pytest.raises(UsageError, match="there is no module `nothing_like_it`"):
        project.load("nothing_like_it")


def test_a_module_that_fails_to_import_shows_the_users_line(folder: Path) -> None:
    """The message names the error and the line; there is no traceback of the import system."""
    (folder / "broken_one.py").write_text("x = 1\ny = x / 0\n")
    with pytest.raises(UsageError) as caught:
        project.load("broken_one.py")
    text = str(caught.value)
    assert "ZeroDivisionError" in text
    assert "broken_one.py:2" in text
    assert "importlib" not in text


def test_a_syntax_error_shows_its_line(folder: Path) -> None:
    """A file that is not Python is answered with its place."""
    (folder / "broken_two.py").write_text("def f(:\n")
    with pytest.raises(UsageError, match=r"broken_two\.py:1"):
        project.load("broken_two.py")


def test_a_file_that_another_module_hides_is_refused(folder: Path) -> None:
    """A file named like a loaded module would never run: the message says which one hides it."""
    (folder / "json.py").touch()
    with pytest.raises(UsageError, match="hidden by another module"):
        project.load("json.py")


def test_a_file_that_is_no_identifier_is_refused(folder: Path) -> None:
    """A name with a dash cannot be imported."""
    (folder / "my-flow.py").touch()
    with pytest.raises(UsageError, match="identifier"):
        project.load("my-flow.py")
