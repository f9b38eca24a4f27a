from pathlib import Path

import pytest

from recipes.shipping.wording import short


def test_short_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path below the current folder is shown from there, another one in full."""
    monkeypatch.chdir(tmp_path)
    assert short(tmp_path / "a" / "b") == "a/b"
    assert short(tmp_path.parent) == str(tmp_path.parent)
    assert short("origin") == "origin"
