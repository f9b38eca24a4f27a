"""How the reports speak: numbers with nouns, sizes, and paths as short as they can be."""

from __future__ import annotations

from pathlib import Path


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "fix"), count(0, "finding"), count(2, "entry")
    ('1 fix', '0 findings', '2 entries')
    """
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}es" if noun.endswith("x") else f"{number} {noun}s"


def kibibytes(size: int) -> str:
    """Return a file's size.

    >>> kibibytes(1229)
    '1.2 KiB'
    """
    return f"{size / 1024:,.1f} KiB"


def short(path: str | Path) -> str:
    """Return a path seen from the current folder, if it lies below."""
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
