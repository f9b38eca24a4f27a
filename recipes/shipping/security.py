"""A security audit: ruff's security rules on the package, detect-secrets on every tracked file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.shipping.candidate import Candidate
from recipes.shipping.lint import lint
from recipes.shipping.tools import run
from recipes.shipping.wording import count

HIGH = frozenset(
    ("S201", "S202", "S324", "S501", "S502", "S507", "S602", "S604", "S605", "S609", "S612", "S701", "S702")
)
"""Rules that block a release: those that Bandit, where they come from, calls high, and shells given any text.

https://bandit.readthedocs.io/en/latest/plugins/ lists them as B201 and so on. Everything else is a remark: an
`assert` or a `subprocess` call may well be right. `# noqa: S602` says that a finding was looked at.
"""

BASELINE = ".secrets.baseline"
NO_SECRETS_THERE = r"(^|/)([^/]*\.lock|package-lock\.json|\.secrets\.baseline)$"
"""Files that are full of hashes."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What an audit found; `files` were looked at for secrets."""

    files: int
    high: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @property
    def blockers(self) -> tuple[str, ...]:
        """Secrets, and findings of the rules in HIGH."""
        return (*self.secrets, *self.high)

    @property
    def gap(self) -> str:
        """Nothing: what is tracked can always be read."""
        return ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """The other findings."""
        return self.others

    def __str__(self) -> str:
        findings = count(len(self.high) + len(self.others), "finding")
        return f"{findings}, {count(len(self.secrets), 'secret')} in {count(self.files, 'file')}"


def scan(candidate: Candidate) -> Scan:
    """Audit the package's code and all tracked files of a candidate."""
    folder = candidate.clone.path
    findings = lint(folder, [candidate.project.package], "S")
    return Scan(
        files=len(candidate.clone.files()),
        high=tuple(str(finding) for finding in findings if finding.code in HIGH),
        others=tuple(str(finding) for finding in findings if finding.code not in HIGH),
        secrets=tuple(secrets(folder)),
    )


def secrets(folder: Path) -> Iterator[str]:
    """Yield where a secret seems to be, never the secret itself.

    What the repository's `.secrets.baseline` knows is left out, as are lines that say
    `pragma: allowlist secret`. Nothing is sent anywhere: detect-secrets can ask services whether a secret
    works, and is told not to.
    """
    options = ("--no-verify", "--exclude-files", NO_SECRETS_THERE)
    report = run("detect-secrets", "scan", *options, cwd=folder).stdout
    path = folder / BASELINE
    known = {item[:2] for item in read_report(path.read_text(encoding="utf-8"))} if path.is_file() else set()
    found = {item for item in read_report(report) if item[:2] not in known}
    for file, line, kind in sorted((file, line, kind) for file, _, line, kind in found):
        yield f"{file}:{line}: {kind.lower()}; if it is none, write `pragma: allowlist secret` there"


def read_report(text: str) -> Iterator[tuple[str, str, int, str]]:
    """Yield file, hash, line and kind of what a report of detect-secrets lists."""
    for file, items in json.loads(text)["results"].items():
        for item in items:
            yield file, item["hashed_secret"], item["line_number"], item["type"]
