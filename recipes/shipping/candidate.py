"""The candidate: the release commit in the clone, beside the last release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recipes.shipping.changelog import Changelog
from recipes.shipping.git import Clone
from recipes.shipping.project import Project
from recipes.shipping.versions import Bump


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is to be released: a commit in the clone. `baseline` is a tree of the last release, if any."""

    bump: Bump
    changelog: Changelog
    commit: str
    baseline: Path | None

    @property
    def clone(self) -> Clone:
        """Where the commit is."""
        return self.bump.clone

    @property
    def name(self) -> str:
        """The project's name."""
        return self.bump.name

    @property
    def version(self) -> str:
        """The version to be released."""
        return self.bump.new

    @property
    def tag(self) -> str:
        """The name of the tag to be made."""
        return self.bump.tag

    @property
    def destination(self) -> str:
        """The branch that the commit is to be pushed to."""
        return f"{self.clone.source.remote}/{self.clone.source.branch}"

    @property
    def project(self) -> Project:
        """The package as it is to be released."""
        return Project.at(self.clone.path)

    def __str__(self) -> str:
        return f"{self.name} {self.version} as commit {self.commit[:7]}"


def make_candidate(bump: Bump, changelog: Changelog) -> Candidate:
    """Commit what was prepared in the clone, and lay out the last release for comparison."""
    clone = bump.clone
    commit = clone.commit_all(f"chore(release): {bump.new}")
    baseline = clone.export(bump.since, clone.path.with_name("baseline")) if bump.since else None
    return Candidate(bump, changelog, commit, baseline)
