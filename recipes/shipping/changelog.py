"""The entries of a release, made from its commits by git-cliff."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from recipes.shipping.tools import run
from recipes.shipping.versions import Bump
from recipes.shipping.wording import count

NAMES = ("CHANGELOG.md", "CHANGES.md", "HISTORY.md")
OWN_CONFIGURATION = ("cliff.toml", ".cliff.toml", ".config/cliff.toml")
TITLE = "# Changelog\n"
RELEASED = re.compile(r"^## (?!\[?unreleased\b)", re.IGNORECASE | re.MULTILINE)
"""The heading of a release, and of no section that collects what is to come."""


@dataclass(frozen=True, slots=True)
class Changelog:
    """What the new section of a changelog says."""

    file: str
    section: str

    @property
    def entries(self) -> int:
        """How many changes the section lists."""
        return len(re.findall(r"^[-*] ", self.section, re.MULTILINE))

    def __str__(self) -> str:
        return count(self.entries, "entry")


def write_changelog(bump: Bump) -> Changelog:
    """Add the release's section to the changelog in the clone; done twice, it is there once."""
    clone = bump.clone
    tracked = clone.files()
    options: list[str | Path] = [
        "--offline",
        "--strip",
        "all",
        "--tag",
        bump.tag,
        "--tag-pattern",
        "^v?[0-9]",
    ]
    if not any(name in tracked for name in OWN_CONFIGURATION):
        options += ["--config", Path(__file__).with_name("cliff.toml")]
    if bump.since:
        options.append(f"{bump.since}..HEAD")
    section = run("git-cliff", *options, cwd=clone.path).stdout.strip()
    file = next((name for name in NAMES if name in tracked), NAMES[0])
    (clone.path / file).write_text(insert(section, clone.read(file)), encoding="utf-8")
    return Changelog(file, section)


def insert(section: str, text: str) -> str:
    r"""Put a section above those of earlier releases, below the title and what is unreleased.

    >>> print(insert("## 1.1", "# Changelog\n\n## 1.0\n"), end="")
    # Changelog
    <BLANKLINE>
    ## 1.1
    <BLANKLINE>
    ## 1.0
    """
    text = text or TITLE
    earlier = RELEASED.search(text)
    place = earlier.start() if earlier else len(text)
    parts = (text[:place].strip(), section, text[place:].strip())
    return "\n\n".join(part for part in parts if part) + "\n"
