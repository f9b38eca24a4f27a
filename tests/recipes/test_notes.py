from __future__ import annotations

from pathlib import Path

from recipes.shipping.artifacts import Wheel
from recipes.shipping.candidate import Candidate
from recipes.shipping.deployment import Deployment
from recipes.shipping.notes import compose, write_notes
from recipes.shipping.tags import Tag
from recipes.shipping.verdict import Verdict


def test_notes(sample_candidate: Candidate, sample_wheel: Wheel) -> None:
    """The notes tell what changed, what was shipped, and what the checks remarked."""
    tag = Tag("v0.2.0", "0123456789", "origin")
    deployment = Deployment("sample-pkg", "0.2.0", "https://example.org")
    text = compose(sample_candidate, Verdict(("mind the gap",)), sample_wheel, tag, deployment)
    assert text.startswith(
        "# sample-pkg 0.2.0\n\n### Features\n\n- Find the oldest version\n\n"
        "### Documentation\n\n- Show the oldest version\n\n## Shipped\n\n- sample_pkg-0.2.0"
    )
    assert f"\n  sha256 {sample_wheel.sha256}\n- v0.2.0 (0123456) pushed to origin (" in text
    assert text.endswith("## Remarks of the checks\n\n- mind the gap\n")
    assert "Remarks" not in compose(sample_candidate, Verdict(()), sample_wheel, tag, deployment)


def test_write(tmp_path: Path) -> None:
    """Written again by a later attempt, the notes are what the later one said."""
    path = tmp_path / "new" / "RELEASE.md"
    write_notes(path, "one")
    assert str(write_notes(path, "two")) == str(path)
    assert path.read_text(encoding="utf-8") == "two"
