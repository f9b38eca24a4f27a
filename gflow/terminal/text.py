"""Text that is safe to print: no control characters, bounded, and only what the stream can encode."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

LENGTH: Final = 200
"""The most characters that a preview, a reason or an error takes on a line."""

ASCII: Final = {
    "✓": "+", "✗": "x", "↻": "~", "▸": ">", "■": "#", "↩": "<", "↪": "^", "█": "#", "·": "-", "→": "->",
    "…": "...",
    "\N{EN DASH}": "-", "\N{MULTIPLICATION SIGN}": "x",
    **dict(zip("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\|/-\\|/", strict=True)),
}  # fmt: skip
"""What stands for a sign of ours, or a frequent one of the recipes', where it cannot be encoded."""

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
"""Escape sequences of terminals: CSI, OSC and those of two characters (ECMA-48, 5.3, 5.4 and 8.3.89)."""


def clean(text: str, length: int = LENGTH) -> str:
    """Return a text as one line of at most `length` printable characters, without escape sequences."""
    line = "".join(map(_shown, _ESCAPES.sub("", text[: 4 * length]))).strip()
    return line if len(line) <= length else f"{line[: length - 1]}…"


def first_line(text: str, length: int = LENGTH) -> str:
    """Return the first line of a text that is not blank, as `clean` does; "" if there is none."""
    return next((line for line in (clean(line, length) for line in text.splitlines()) if line), "")


def harmless(text: str) -> str:
    """Return a text with all its lines, whatever their length, without escape sequences."""
    return "\n".join("".join(map(_shown, _ESCAPES.sub("", line))) for line in text.split("\n"))


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"


def fitting(encoding: str | None) -> Callable[[str], str]:
    """Return what makes a text printable in an encoding; None can print everything.

    Where one of our signs cannot be encoded, all of them become ASCII, so that they fit together; what is
    left of other people's texts becomes question marks.
    """
    name = encoding or "utf-8"
    table: dict[str, str] = {}
    try:
        "".join(ASCII).encode(name)
    except LookupError:
        name, table = "ascii", ASCII
    except UnicodeEncodeError:
        table = ASCII
    translation = str.maketrans(table)
    return lambda text: text.translate(translation).encode(name, "replace").decode(name)


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes (Unicode Standard Annex 11)."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def padded(text: str, width: int) -> str:
    """Return a text with spaces up to `width` cells."""
    return text + " " * (width - cells(text))


def widest(texts: Sequence[str], most: int) -> int:
    """Return the cells that a column of these texts takes; a text beyond `most` stands out of it."""
    return min(most, max(map(cells, texts), default=0))


def size_text(size: int) -> str:
    """Return a number of bytes as people write it: `312 bytes`, `1.2 KiB`, `3.4 MiB`, `5.0 GiB`."""
    if size < 1024:
        return count(size, "byte")
    units = ("KiB", "MiB", "GiB")
    power = next((n for n in (1, 2) if round(size / 1024**n, 1) < 1024), 3)
    return f"{size / 1024**power:,.1f} {units[power - 1]}"


def count(number: int, word: str) -> str:
    """Return a number of things: `1 step`, `2 steps`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def some(names: Sequence[str], most: int) -> list[str]:
    """Return at most `most` names; the last one may say how many more there are."""
    if len(names) <= most:
        return list(names)
    return [*names[: most - 1], f"{len(names) - most + 1} more"]
