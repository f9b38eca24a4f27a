"""The release notes: a file under `.gflow/`, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recipes.shipping.artifacts import Wheel
from recipes.shipping.candidate import Candidate
from recipes.shipping.deployment import Deployment
from recipes.shipping.tags import Tag
from recipes.shipping.verdict import Verdict
from recipes.shipping.wording import short


@dataclass(frozen=True, slots=True)
class Notes:
    """Release notes that were written."""

    path: Path

    def __str__(self) -> str:
        return short(self.path)


def write_notes(path: Path, text: str) -> Notes:
    """Write the notes; what was there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return Notes(path)


def compose(candidate: Candidate, verdict: Verdict, wheel: Wheel, tag: Tag, deployment: Deployment) -> str:
    """Return the text of the notes: what changed, what was shipped, and what the checks had to say."""
    changes = candidate.changelog.section.partition("\n")[2].strip()
    shipped = "\n".join((f"- {wheel}", f"  sha256 {wheel.sha256}", f"- {tag}", f"- {deployment}"))
    remarks = "\n".join(f"- {remark}" for remark in verdict.remarks)
    parts = [f"# {wheel.project} {wheel.version}", changes, f"## Shipped\n\n{shipped}"]
    if remarks:
        parts.append(f"## Remarks of the checks\n\n{remarks}")
    return "\n\n".join(parts) + "\n"
