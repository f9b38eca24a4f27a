"""A package to release when none is given: with history, tag, tests, a benchmark, and a remote."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from recipes.shipping.git import git

CHECKOUT, REMOTE, INDEX = "sample-pkg", "remote.git", "index"

SETTINGS = {
    "user.name": "Sample Author",
    "user.email": "sample@localhost",
    "commit.gpgsign": "false",
    "tag.gpgsign": "false",
    "core.hooksPath": "/dev/null",
}
"""Settings of the sample's repository alone: nothing global is needed, and nothing global disturbs."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A step of the sample's history: files by name, with their new text."""

    message: str
    files: Mapping[str, str]
    tag: str = ""


def make_sample(folder: Path) -> Path:
    """Make the sample in a folder and return its checkout; what an earlier attempt left is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    checkout = folder / CHECKOUT
    checkout.mkdir(parents=True)
    (folder / INDEX).mkdir()
    git(folder, "init", "--quiet", "--bare", "--initial-branch", "main", REMOTE)
    git(checkout, "init", "--quiet", "--initial-branch", "main")
    for key, value in SETTINGS.items():
        git(checkout, "config", key, value)
    for commit in HISTORY:
        _commit(checkout, commit)
    git(checkout, "remote", "add", "origin", folder / REMOTE)
    git(checkout, "push", "--quiet", "--set-upstream", "origin", "main", "--tags")
    return checkout


def _commit(checkout: Path, commit: Commit) -> None:
    for name, text in commit.files.items():
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip(), encoding="utf-8")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", commit.message)
    if commit.tag:
        git(checkout, "tag", "--annotate", "--message", f"Release {commit.tag}", commit.tag)


PYPROJECT = """
    [project]
    name = "sample-pkg"
    version = "0.1.0"
    description = "Puts version numbers in order."
    readme = "README.md"
    requires-python = ">=3.11"
    dependencies = ["packaging>=22"]

    [build-system]
    requires = ["uv_build>=0.8"]
    build-backend = "uv_build"
"""

README = """
    # sample-pkg

        >>> from sample_pkg import newest
        >>> newest(["1.9", "1.10"])
        '1.10'
"""

README_OLDEST = (
    README
    + """\
        >>> oldest(["1.9", "1.10"])
        '1.9'
"""
)

NEWEST = '''
    """Put version numbers in order."""

    from collections.abc import Iterable

    from packaging.version import Version

    __version__ = "0.1.0"


    def newest(versions: Iterable[str]) -> str:
        """Return the highest version number."""
        return max(versions, key=Version)
'''

OLDEST = (
    NEWEST
    + '''

    def oldest(versions: Iterable[str]) -> str:
        """Return the lowest version number."""
        return min(versions, key=Version)
'''
)

TEST_NEWEST = """
    from sample_pkg import newest


    def test_newest_compares_numbers() -> None:
        assert newest(["1.9", "1.10"]) == "1.10"
"""

TEST_OLDEST = """
    from sample_pkg import oldest


    def test_oldest_puts_previews_first() -> None:
        assert oldest(["1.0", "1.0rc1"]) == "1.0rc1"
"""

BENCHMARK = """
    from sample_pkg import newest

    VERSIONS = [f"1.{minor}.{patch}" for minor in range(20) for patch in range(20)]


    def test_newest_of_many(benchmark) -> None:
        assert benchmark(newest, VERSIONS) == "1.19.19"
"""

START = {"pyproject.toml": PYPROJECT, "README.md": README, ".gitignore": "__pycache__/\ndist/\n"}
CHANGELOG = {"CHANGELOG.md": "# Changelog\n\n## 0.1.0\n\n- Find the newest version\n"}
PACKAGE = "src/sample_pkg/__init__.py"

HISTORY = (
    Commit("chore: start the project", START),
    Commit("feat: find the newest version", {PACKAGE: NEWEST, "src/sample_pkg/py.typed": ""}),
    Commit("test: cover newest", {"tests/test_newest.py": TEST_NEWEST}),
    Commit("test: measure newest", {"benchmarks/bench_newest.py": BENCHMARK}),
    Commit("chore(release): 0.1.0", CHANGELOG, tag="v0.1.0"),
    Commit("feat: find the oldest version", {PACKAGE: OLDEST, "tests/test_oldest.py": TEST_OLDEST}),
    Commit("docs: show the oldest version", {"README.md": README_OLDEST}),
)
"""The last tag is two commits old: a minor release with two entries is due."""
