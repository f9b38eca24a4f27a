"""What pyproject.toml and the folders say about a package."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

NOT_THE_PACKAGE = frozenset(
    (
        "tests",
        "test",
        "testing",
        "docs",
        "doc",
        "benchmarks",
        "bench",
        "examples",
        "scripts",
        "tools",
        "build",
        "dist",
    )
)
TEST_GROUPS = ("test", "tests", "testing", "dev")

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Project:
    """A package, as the folder of its pyproject.toml describes it."""

    folder: Path
    name: str
    version: str
    dependencies: tuple[str, ...]
    extras: Mapping[str, tuple[str, ...]]
    groups: tuple[str, ...]

    @classmethod
    def at(cls, folder: Path) -> Project:
        """Read a folder's pyproject.toml.

        Raises:
            ValueError: there is none, or it has no static name and version (PEP 621).
        """
        document = _read(folder / "pyproject.toml")
        table: Table = document.get("project", {})
        for key in ("name", "version"):
            if not isinstance(table.get(key), str):
                raise ValueError(
                    f"{folder / 'pyproject.toml'} has no static project.{key}:"
                    f' write {key} = "…" under [project] and take it out of dynamic'
                )
        extras = cast("Mapping[str, list[str]]", table.get("optional-dependencies", {}))
        return cls(
            folder=folder,
            name=table["name"],
            version=table["version"],
            dependencies=tuple(table.get("dependencies", ())),
            extras={name: tuple(requirements) for name, requirements in extras.items()},
            groups=tuple(document.get("dependency-groups", ())),
        )

    @property
    def package(self) -> Path:
        """The package's folder, or its file if it is a single module; see `find_package`."""
        return find_package(self.folder, self.name)

    @property
    def test_requirements(self) -> list[str]:
        """What the package's tests need, as arguments of `uv pip install`; empty if it does not say."""
        for name in TEST_GROUPS:
            if name in self.groups:
                return ["--group", f"{self.folder / 'pyproject.toml'}:{name}"]
            if name in self.extras:
                return [
                    text for text in self.extras[name] if not normal(text).startswith(f"{normal(self.name)}[")
                ]
        return []


def normal(name: str) -> str:
    """Return a name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_package(folder: Path, name: str) -> Path:
    """Return the folder or file of a package: in src/ if there is one, else beside pyproject.toml.

    Raises:
        ValueError: nothing there is named like it, and there is not exactly one package.
    """
    candidates = list(_packages(folder))
    wanted = normal(name).replace("-", "_")
    named = [path for path in candidates if path.stem.lower() == wanted]
    if not named and len(candidates) != 1:
        found = ", ".join(path.stem for path in candidates) or "none"
        raise ValueError(f"cannot tell which package in {folder} is {name} (found: {found}): name it so")
    return (named or candidates)[0]


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: a release needs [project] with a static version") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable as TOML: {error}") from None


def _packages(folder: Path) -> Iterator[Path]:
    """Yield what could be the package."""
    root = folder / "src"
    for path in sorted((root if root.is_dir() else folder).iterdir()):
        if path.stem in NOT_THE_PACKAGE or not path.stem.isidentifier():
            continue
        if (path / "__init__.py").is_file() or (
            path.suffix == ".py" and path.stem not in ("setup", "conftest")
        ):
            yield path
