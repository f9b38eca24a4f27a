"""`gflow new`."""

from __future__ import annotations

import keyword
import sys
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from string import Template

from gflow import suggest
from gflow.cli.words import Command, Parser, parse, prefix, python
from gflow.errors import UsageError


def new(arguments: list[str]) -> int:
    """Write a workflow and its test."""
    parser = Parser("new", "Write a workflow and its test; both are green at once.")
    parser.add_argument("name", metavar="NAME", help="a Python identifier: the module's name")
    parser.add_argument(
        "--from", dest="recipe", metavar="RECIPE", help="begin with a recipe, such as release"
    )
    options = parse(parser, arguments)
    _refuse_name(options.name)
    files = _files(options.name, options.recipe)
    for path in files:
        if path.exists():
            raise UsageError(f"{path} exists", "give another name; nothing was written")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    print(f"\nrun it    {prefix()} {options.name}.py")
    print(f"test it   {python()} -m pytest tests/test_{options.name}.py")
    return 0


def _refuse_name(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(
            f"`{name}` is no Python identifier", "write letters, digits and underscores: `ship`, `new_api`"
        )
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        raise UsageError(
            f"there is a module `{name}` already, which would hide this one", "give another name"
        )


def _files(name: str, recipe: str | None) -> dict[Path, str]:
    workflow = _recipe(recipe) if recipe else _template("workflow.py.txt", name)
    files = {Path(f"{name}.py"): workflow}
    return files if recipe else files | {Path("tests") / f"test_{name}.py": _template("test.py.txt", name)}


def _template(file: str, name: str) -> str:
    text = resources.files("gflow").joinpath("docs", "new", file).read_text("utf-8")
    return Template(text).substitute(name=name)


def _recipe(name: str) -> str:
    """Return the source of a recipe that came with gflow; a project's own `recipes` is not asked."""
    folder = Path(__file__).parents[2] / "recipes"
    known = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    if name not in known:
        near = suggest.did_you_mean(name, known)
        raise UsageError(
            f"there is no recipe `{name}`", near or f"recipes: {', '.join(known) or 'none installed'}"
        )
    return (folder / f"{name}.py").read_text("utf-8")


NEW = Command("new", "NAME", "write a workflow and its test", new)
