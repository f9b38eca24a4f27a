from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.recipes.conftest import Prepare, Repo


def test_candidate(foreign_repo: Repo, prepared: Prepare) -> None:
    """A candidate is one commit in the clone on top of the checkout's, with the last release beside it."""
    before = foreign_repo.state()
    candidate = prepared(foreign_repo)
    clone = candidate.clone
    assert clone.resolve("HEAD~1") == foreign_repo.git("rev-parse", "HEAD")
    assert clone.git("log", "-1", "--format=%s") == "chore(release): 1.0.1"
    assert clone.changed("HEAD~1", "HEAD") == ("CHANGELOG.md", "calc/__init__.py", "pyproject.toml")
    assert candidate.baseline
    assert " + 0" in (candidate.baseline / "calc" / "__init__.py").read_text(encoding="utf-8")
    assert str(candidate) == f"calc 1.0.1 as commit {candidate.commit[:7]}"
    assert foreign_repo.state() == before


def test_first_candidate(foreign_repo: Repo, prepared: Prepare) -> None:
    """Without an earlier release there is nothing beside the candidate."""
    foreign_repo.git("push", "--quiet", "origin", ":v1.0.0")
    foreign_repo.git("tag", "--delete", "v1.0.0")
    candidate = prepared(foreign_repo)
    assert candidate.baseline is None
    assert candidate.tag == "v1.1.0"
