"""One wheel: built from a fresh tree, tested as it will be installed, and never built again."""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from gflow import Refused
from recipes.shipping.candidate import Candidate
from recipes.shipping.environments import bare_tree, testing_environment
from recipes.shipping.tools import run
from recipes.shipping.wording import kibibytes, short

NO_TESTS_COLLECTED = 5
"""pytest's exit code: https://docs.pytest.org/en/stable/reference/exit-codes.html"""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that passed its tests; `modules` are what it lets one import, `tests` is pytest's last word."""

    path: Path
    project: str
    version: str
    sha256: str
    size: int
    modules: tuple[str, ...]
    dependencies: tuple[str, ...]
    tests: str

    def __str__(self) -> str:
        return f"{self.path.name}, {kibibytes(self.size)}, {self.tests}"


def build_wheel(candidate: Candidate, workspace: Path) -> Wheel:
    """Build a wheel from the release commit and run the repository's tests against it, installed.

    Raises:
        Refused: the tests fail.
    """
    clone = candidate.clone
    source = clone.export(clone.source.branch, workspace / "source")
    shutil.rmtree(workspace / "dist", ignore_errors=True)
    run(
        "uv",
        "build",
        "--quiet",
        "--wheel",
        "--python",
        sys.executable,
        "--out-dir",
        workspace / "dist",
        cwd=source,
    )
    (path,) = (workspace / "dist").glob("*.whl")
    return read_wheel(path, tests=run_tests(candidate, path, workspace))


def run_tests(candidate: Candidate, wheel: Path, workspace: Path) -> str:
    """Run the repository's tests with a wheel in a fresh environment; return how many passed."""
    tree = bare_tree(candidate.clone, workspace / "tree")
    environment = testing_environment(workspace / "environment", wheel, candidate.project)
    output = environment.run("-m", "pytest", "--quiet", "--benchmark-disable", cwd=tree, check=False)
    if output.code == NO_TESTS_COLLECTED:
        return "no tests"
    last = output.lines[-1:] or ["no output"]
    if output.code != 0:
        raise Refused(
            f"the tests do not pass with {wheel.name} installed ({last[0]}): see them with"
            f" {short(environment.python)} -m pytest in {short(tree)}; what they need belongs in a dependency"
            " group or an extra called test"
        )
    return last[0].partition(" in ")[0]


def read_wheel(path: Path, tests: str) -> Wheel:
    """Describe a wheel by its own metadata (https://packaging.python.org/en/latest/specifications/core-metadata/)."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(metadata).decode())
    content = path.read_bytes()
    return Wheel(
        path=path,
        project=str(headers["Name"]),
        version=str(headers["Version"]),
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        modules=importable(names),
        dependencies=tuple(headers.get_all("Requires-Dist", [])),
        tests=tests,
    )


def importable(names: Iterable[str]) -> tuple[str, ...]:
    """Return the packages and modules at the top of a wheel.

    >>> importable(["calc/__init__.py", "calc/sums.py", "helper.py", "calc-1.0.dist-info/METADATA"])
    ('calc', 'helper')
    """
    files = [PurePosixPath(name) for name in names]
    packages = {path.parts[0] for path in files if len(path.parts) == 2 and path.name == "__init__.py"}
    modules = {path.stem for path in files if len(path.parts) == 1 and path.suffix == ".py"}
    return tuple(sorted(packages | modules))
