from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gflow import Context, Refused
from recipes.shipping.git import Checkout, Clone
from recipes.shipping.project import Project
from recipes.shipping.versions import Bump, Part, kind_of, part_of, raise_version, summary

if TYPE_CHECKING:
    from tests.recipes.conftest import Repo


def bump(repo: Repo, ctx: Context, part: Part = "auto") -> Bump:
    """Raise the version of a repository in a clone."""
    return raise_version(Clone.of(Checkout.at(repo.path), ctx.workspace / "clone"), part)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("feat: x", "feat"),
        ("feat(core): x", "feat"),
        ("Fix: x", "fix"),
        ("feat!: x", "breaking"),
        ("fix(core)!: x", "breaking"),
        ("chore: x\n\nBREAKING CHANGE: y", "breaking"),
        ("chore: x\n\nBREAKING-CHANGE: y", "breaking"),
        ("chore: x\n\nno BREAKING CHANGE: y", "chore"),
        ("feature x", ""),
        ("feat:x", ""),
        ("Merge feat: x", ""),
    ],
)
def test_kind(message: str, kind: str) -> None:
    """A commit's kind is read as Conventional Commits 1.0.0 says."""
    assert kind_of(message) == kind


@pytest.mark.parametrize(
    ("messages", "version", "part"),
    [
        (["fix: a"], "1.2.3", "patch"),
        (["docs: a", "b"], "1.2.3", "patch"),
        (["fix: a", "feat: b"], "1.2.3", "minor"),
        (["fix!: a", "feat: b"], "1.2.3", "major"),
        (["fix!: a"], "0.2.3", "minor"),
        (["feat: a"], "0.2.3", "minor"),
        (["fix: a"], "0.2.3", "patch"),
    ],
)
def test_part(messages: list[str], version: str, part: str) -> None:
    """The greatest change decides; before 1.0.0 nothing raises the first number by itself."""
    assert part_of(messages, version) == part


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (["feat: a", "docs: b"], "1 feature"),
        (["feat: a", "feat: b", "fix: c"], "2 features, 1 fix"),
        (["fix!: a"], "1 breaking change"),
        (["docs: a", "b"], "2 other changes"),
    ],
)
def test_summary(messages: list[str], text: str) -> None:
    """Commits are counted by what matters to users, and all together if nothing does."""
    assert summary(messages) == text


@pytest.mark.parametrize(
    ("part", "version"),
    [("auto", "1.0.1"), ("patch", "1.0.1"), ("minor", "1.1.0"), ("major", "2.0.0")],
)
def test_raise(foreign_repo: Repo, ctx: Context, part: Part, version: str) -> None:
    """The version is raised in pyproject.toml and where the package repeats it, in the clone alone."""
    before = foreign_repo.state()
    found = bump(foreign_repo, ctx, part)
    assert (found.old, found.new, found.since, found.tag) == ("1.0.0", version, "v1.0.0", f"v{version}")
    assert str(found) == f"1.0.0 → {version} (1 fix since v1.0.0)"
    assert Project.at(found.clone.path).version == version
    assert f'__version__ = "{version}"' in (found.clone.path / "calc" / "__init__.py").read_text("utf-8")
    assert foreign_repo.state() == before


def test_raise_again(foreign_repo: Repo, ctx: Context) -> None:
    """An attempt that follows another raises the version once."""
    assert bump(foreign_repo, ctx) == bump(foreign_repo, ctx)


def test_tag_without_v(foreign_repo: Repo, ctx: Context) -> None:
    """Where the last tag is a bare number, the new one is too."""
    foreign_repo.git("tag", "1.0.0.post1")
    foreign_repo.commit("fix: nothing", {})
    assert bump(foreign_repo, ctx).tag == "1.0.1"


def test_first_release(foreign_repo: Repo, ctx: Context) -> None:
    """Without a tag all commits count."""
    foreign_repo.git("push", "--quiet", "origin", ":v1.0.0")
    foreign_repo.git("tag", "--delete", "v1.0.0")
    assert str(bump(foreign_repo, ctx)) == "1.0.0 → 1.1.0 (1 feature, 1 fix and no tag yet)"


def test_nothing_to_release(foreign_repo: Repo, ctx: Context) -> None:
    """Without commits since the last tag there is nothing to release."""
    foreign_repo.git("tag", "v1.0.1")
    with pytest.raises(Refused, match=r"nothing was committed since v1\.0\.1"):
        bump(foreign_repo, ctx)


def test_tag_exists(foreign_repo: Repo, ctx: Context) -> None:
    """A tag that exists already, on another branch for example, is noticed before anything is prepared."""
    foreign_repo.on_remote("tag", "v1.0.1", "v1.0.0")
    foreign_repo.git("tag", "nearer-than-v1.0.1")
    with pytest.raises(Refused, match=r"the tag v1\.0\.1 exists already"):
        bump(foreign_repo, ctx)


def test_lock(foreign_repo: Repo, ctx: Context) -> None:
    """A lock follows the version."""
    foreign_repo.commit("fix: name no dependency", {"pyproject.toml": LOCKED, "uv.lock": LOCK})
    clone = bump(foreign_repo, ctx).clone
    assert 'version = "1.0.1"' in (clone.path / "uv.lock").read_text(encoding="utf-8")


LOCKED = """
    [build-system]
    requires = ["setuptools>=68"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "calc"
    version = "1.0.0"
    requires-python = ">=3.11"
    """

LOCK = """
    version = 1
    revision = 3
    requires-python = ">=3.11"

    [[package]]
    name = "calc"
    version = "1.0.0"
    source = { editable = "." }
    """
