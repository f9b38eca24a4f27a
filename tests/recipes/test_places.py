"""Which addresses are on this machine."""

from __future__ import annotations

import pytest

from recipes.shipping.places import is_here


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("calc.git", True),
        ("/srv/git/calc.git", True),
        ("./odd:name/calc.git", True),
        ("file:///srv/git/calc.git", True),
        ("http://127.0.0.1:8080/simple/", True),
        ("http://[::1]:8080", True),
        ("ssh://git@localhost/calc.git", True),
        ("localhost:calc.git", True),
        ("git@example.org:team/calc.git", False),
        ("example.org:calc.git", False),
        ("ssh://git@example.org/calc.git", False),
        ("file://example.org/share/calc.git", False),
        ("https://upload.example.org/legacy/", False),
        ("https://localhost.example.org/", False),
    ],
)
def test_only_paths_and_loopback_are_here(address: str, *, here: bool) -> None:
    """Paths and loopback addresses are on this machine, whatever the spelling; other hosts are not."""
    assert is_here(address) is here
