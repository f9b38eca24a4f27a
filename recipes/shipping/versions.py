"""Which number of the version to raise, and raising it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gflow import Refused
from recipes.shipping.git import Clone
from recipes.shipping.project import Project
from recipes.shipping.tools import run
from recipes.shipping.wording import count

Part = Literal["auto", "major", "minor", "patch"]
Raised = Literal["major", "minor", "patch"]

TITLE = re.compile(r"(?P<kind>[A-Za-z]+)(\([^)]*\))?(?P<breaking>!)?: ")
"""The first line of a conventional commit: https://www.conventionalcommits.org/en/v1.0.0/#specification"""
FOOTER = re.compile(r"^BREAKING[ -]CHANGE: ", re.MULTILINE)

VERSION_FILES = ("__init__.py", "__about__.py", "_version.py", "version.py")


@dataclass(frozen=True, slots=True)
class Bump:
    """A version that was raised in the clone; `since` is the last release's tag, `changes` counts commits."""

    clone: Clone
    name: str
    old: str
    new: str
    part: Raised
    since: str | None
    changes: str

    @property
    def tag(self) -> str:
        """The new tag, written like the last one."""
        return self.new if self.since and self.since[0].isdigit() else f"v{self.new}"

    def __str__(self) -> str:
        since = f"since {self.since}" if self.since else "and no tag yet"
        return f"{self.old} → {self.new} ({self.changes} {since})"


def raise_version(clone: Clone, part: Part) -> Bump:
    """Raise the version in pyproject.toml, in uv.lock, and where the package repeats it as `__version__`.

    Raises:
        Refused: nothing was committed since the last tag, or the new tag exists.
    """
    project = Project.at(clone.path)
    since = clone.last_tag()
    messages = clone.messages_since(since)
    if not messages:
        raise Refused(f"nothing was committed since {since}: there is nothing to release")
    raised = part_of(messages, project.version) if part == "auto" else part
    extent = "--no-sync" if "uv.lock" in clone.files() else "--frozen"
    run("uv", "version", "--bump", raised, extent, cwd=clone.path)
    new = Project.at(clone.path).version
    repeat_version(project, new)
    bump = Bump(clone, project.name, project.version, new, raised, since, summary(messages))
    if clone.resolve(f"refs/tags/{bump.tag}"):
        raise Refused(f"the tag {bump.tag} exists already: choose another --part, or delete the tag")
    return bump


def part_of(messages: Sequence[str], version: str) -> Raised:
    """Return what conventional commits ask for; before 1.0.0 a breaking change raises the minor number.

    https://semver.org/#spec-item-4 leaves 0.y.z open; raising y is what the ecosystem does.
    """
    kinds = {kind_of(message) for message in messages}
    if "breaking" in kinds:
        return "minor" if is_initial(version) else "major"
    return "minor" if "feat" in kinds else "patch"


def is_initial(version: str) -> bool:
    """Say whether a version is before 1.0.0."""
    return version.partition(".")[0] == "0"


def kind_of(message: str) -> str:
    """Return a commit's kind: breaking, feat, fix, another conventional one, or "" for none."""
    title = TITLE.match(message)
    if (title and title["breaking"]) or FOOTER.search(message):
        return "breaking"
    return title["kind"].lower() if title else ""


def summary(messages: Sequence[str]) -> str:
    """Count commits as people speak of them: `1 breaking change, 2 features`, or `3 other changes`.

    >>> summary(["feat: add x", "docs: tell of x"])
    '1 feature'
    """
    kinds = [kind_of(message) for message in messages]
    words = {"breaking": "breaking change", "feat": "feature", "fix": "fix"}
    counted = [count(kinds.count(kind), word) for kind, word in words.items() if kind in kinds]
    return ", ".join(counted) or count(len(kinds), "other change")


def repeat_version(project: Project, new: str) -> None:
    """Write the new version where the package says `__version__ = "<old>"`."""
    old = re.escape(project.version)
    literal = re.compile(rf"""^(__version__(?:: \w+)?\s*=\s*["']){old}(["'])""", re.MULTILINE)
    package = project.package
    for path in [package / name for name in VERSION_FILES] if package.is_dir() else [package]:
        if path.is_file():
            old_text = path.read_text(encoding="utf-8")
            text = literal.sub(rf"\g<1>{new}\g<2>", old_text)
            if text != old_text:
                path.write_text(text, encoding="utf-8")
