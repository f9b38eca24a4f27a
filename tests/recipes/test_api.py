from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recipes.shipping.api import Api, compare
from recipes.shipping.tools import MissingTool

OLD = "def f(a): ...\n\ndef g(): ...\n\nclass C:\n    def m(self): ...\n\nLIMIT = 1\n__version__ = '1'\n"


def tree(folder: Path, text: str, name: str = "calc", **others: str) -> Path:
    """Make a tree with a package of this text, and other modules in it."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text, encoding="utf-8")
    for module, content in others.items():
        (folder / name / f"{module}.py").write_text(content, encoding="utf-8")
    return folder


def changed(folder: Path, new: str) -> Api:
    """Compare OLD with a new text."""
    api = compare("v1", tree(folder / "old", OLD), tree(folder / "new", new), "calc")
    assert api is not None
    return api


@pytest.mark.parametrize(
    ("old", "new", "breakage"),
    [
        ("def g(): ...", "def _g(): ...", "calc.g: public object was removed"),
        ("def m(self): ...", "x = 1", "calc.C.m: public object was removed"),
        ("def f(a)", "def f(b)", "calc.f(a): parameter was removed"),
        ("def f(a)", "def f(a, b)", "calc.f(b): parameter was added as required"),
        ("def f(a)", "def f(*, a)", "calc.f(a): parameter kind was changed"),
        ("def g(): ...", "g = 1", "calc.g: public object points to a different kind of object"),
    ],
)
def test_breakages(tmp_path: Path, old: str, new: str, breakage: str) -> None:
    """What callers will notice is a breakage, named by path and kind."""
    api = changed(tmp_path, OLD.replace(old, new))
    assert breakage in api.breakages
    assert (api.needs("1.0.0"), api.needs("0.1.0")) == ("major", "minor")


def test_addition(tmp_path: Path) -> None:
    """What is new breaks nothing and asks for a minor release."""
    api = changed(tmp_path, OLD + "def h(): ...\ndef _i(): ...\n")
    assert (api.added, api.removed, api.breakages) == (("calc.h",), (), ())
    assert api.needs("1.0.0") == "minor"
    assert str(api) == "public API since v1: 1 added, 0 removed"


def test_same(tmp_path: Path) -> None:
    """A new version number alone is no change of the API."""
    api = changed(tmp_path, OLD.replace("'1'", "'2'"))
    assert api == Api("v1")
    assert api.needs("1.0.0") == "patch"


def test_remark(tmp_path: Path) -> None:
    """A changed default is mentioned and breaks nothing."""
    api = changed(tmp_path, OLD.replace("def f(a)", "def f(a=1)"))
    assert api == Api("v1")
    new = tree(tmp_path / "newer", OLD.replace("def f(a)", "def f(a=2)"))
    api = compare("v1", tmp_path / "new", new, "calc")
    assert api == Api("v1", remarks=("calc.f(a): parameter default was changed",))


def test_exported(tmp_path: Path) -> None:
    """A function of a private module is public where the package exports it."""
    text = 'from calc._core import f\n\n__all__ = ["f"]\n'
    old = tree(tmp_path / "old", text, _core="def f(a): ...\n")
    new = tree(tmp_path / "new", text, _core="def f(): ...\n")
    api = compare("v1", old, new, "calc")
    assert api is not None
    assert api.breakages == ("calc._core.f(a): parameter was removed",)


def test_nothing_runs(tmp_path: Path) -> None:
    """Code is read and never run."""
    assert changed(tmp_path, OLD + "raise SystemExit\n").breakages == ()


def test_moved(tmp_path: Path) -> None:
    """A package that moved into src/ is compared all the same."""
    old, new = tree(tmp_path / "old", OLD), tmp_path / "new"
    tree(new / "src", OLD)
    assert compare("v1", old, new, "calc") == Api("v1")


def test_nothing_to_compare(tmp_path: Path) -> None:
    """Without such a package in the earlier tree there is nothing to compare."""
    (tmp_path / "old").mkdir()
    assert compare("v1", tmp_path / "old", tree(tmp_path / "new", OLD), "calc") is None


def test_griffe_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without griffe the error says what to install."""
    monkeypatch.setitem(sys.modules, "griffe", None)
    with pytest.raises(MissingTool, match=r"griffe; run pip install 'gflow-workflows\[recipes\]'$"):
        changed(tmp_path, OLD)
