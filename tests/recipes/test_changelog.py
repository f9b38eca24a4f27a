from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gflow import Context
from recipes.shipping.changelog import Changelog, insert, write_changelog
from recipes.shipping.git import Checkout, Clone
from recipes.shipping.versions import raise_version

if TYPE_CHECKING:
    from tests.recipes.conftest import Repo


def write(repo: Repo, ctx: Context) -> tuple[Clone, Changelog]:
    """Prepare a repository up to its changelog."""
    clone = Clone.of(Checkout.at(repo.path), ctx.workspace / "clone")
    return clone, write_changelog(raise_version(clone, "auto"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "# Changelog\n\n## 2\n"),
        ("# News\n", "# News\n\n## 2\n"),
        ("# News\n\n## 1\n- a\n", "# News\n\n## 2\n\n## 1\n- a\n"),
        ("# News\n\n## [Unreleased]\n\n## [1]\n", "# News\n\n## [Unreleased]\n\n## 2\n\n## [1]\n"),
        ("# News\n\n## unreleased\n- b\n", "# News\n\n## unreleased\n- b\n\n## 2\n"),
        ("## 1\n### Fixes\n", "## 2\n\n## 1\n### Fixes\n"),
    ],
)
def test_insert(text: str, expected: str) -> None:
    """The new section stands above earlier releases, below the title and what is unreleased."""
    assert insert("## 2", text) == expected


def test_sections(foreign_repo: Repo, ctx: Context) -> None:
    """Every commit since the tag is an entry, in the group of its kind, breaking ones marked."""
    foreign_repo.commit("feat(api)!: drop x\n\nMore about it.", {})
    foreign_repo.commit("wibble the wobble", {})
    clone, changelog = write(foreign_repo, ctx)
    heading, _, rest = changelog.section.partition("\n")
    assert heading.startswith("## 2.0.0 (")
    assert rest.strip().split("\n\n") == [
        "### Features", "- **Breaking:** Drop x",
        "### Fixes", "- Add no zero",
        "### Other changes", "- Wibble the wobble",
    ]  # fmt: skip
    assert str(changelog) == "3 entries"
    assert changelog.section in (clone.path / "CHANGELOG.md").read_text(encoding="utf-8")


def test_write_again(foreign_repo: Repo, ctx: Context) -> None:
    """Written again by a later attempt, the section is there once, in the file that the repository has."""
    foreign_repo.commit("docs: news", {"CHANGES.md": "# News\n\n## 1.0.0\n"})
    clone = Clone.of(Checkout.at(foreign_repo.path), ctx.workspace / "clone")
    bump = raise_version(clone, "auto")
    assert write_changelog(bump) == write_changelog(bump)
    text = (clone.path / "CHANGES.md").read_text(encoding="utf-8")
    assert text.count("## 1.0.1 (") == 1
    assert text.endswith("## 1.0.0\n")


def test_own_configuration(foreign_repo: Repo, ctx: Context) -> None:
    """A repository that configures git-cliff is worded its own way."""
    cliff = '[changelog]\nbody = "## {{ version }}: {{ commits | length }} commits"\n'
    foreign_repo.commit("fix: word it otherwise", {"cliff.toml": cliff})
    _, changelog = write(foreign_repo, ctx)
    assert changelog.section == "## v1.0.1: 2 commits"
