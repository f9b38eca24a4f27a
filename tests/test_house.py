"""The house is what it says it is."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AT_THE_ROOT = {
    *("pyproject.toml", "noxfile.py", "README.md", "gflow", "recipes", "tests"),
    *("LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"),
}
"""What the top level holds; beside it only names with a dot, which tools look for."""

NEW_MODULES = "import sys; old = set(sys.modules); import gflow; print(*set(sys.modules) - old)"


def committed() -> list[str]:
    """Return the paths that git tracks; skip the test where there are none, as in an unpacked archive."""
    git = shutil.which("git") or pytest.skip("git is not installed")
    done = subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() or pytest.skip("nothing is tracked by git here")


def collected_from(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return what pytest collects from a file: functions of the module and methods of its classes."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    nodes = [*module.body, *(node for owner in classes for node in owner.body)]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [function for function in functions if function.name.startswith("test_")]


def test_tour() -> None:
    """The tour in CONTRIBUTING.md names exactly the files in gflow/; a folder stands for its __init__.py."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tour = page.partition("\n## The house\n")[2].partition("\n## ")[0]
    named = re.findall(r"^ *- `([\w./-]+)`", tour, re.MULTILINE)
    package = ROOT / "gflow"
    files = [path.relative_to(package) for path in package.rglob("*") if path.is_file()]
    there = [
        path.as_posix().replace("/__init__.py", "/") for path in files if "__pycache__" not in path.parts
    ]
    assert sorted(named) == sorted(there)


def test_docstrings_of_tests() -> None:
    """Every test says in its docstring what is true."""
    silent = [
        f"{path.relative_to(ROOT)}:{test.lineno} {test.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for test in collected_from(path)
        if not ast.get_docstring(test)
    ]
    assert silent == []


def test_import_is_light() -> None:
    """Importing gflow loads nothing but the standard library and gflow itself."""
    command = [sys.executable, "-c", NEW_MODULES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - sys.stdlib_module_names == {"gflow"}


def test_top_level() -> None:
    """The top level of the repository holds only what the design allows, and what tools look for there."""
    names = {path.partition("/")[0] for path in committed()}
    assert {name for name in names if not name.startswith(".")} <= AT_THE_ROOT
