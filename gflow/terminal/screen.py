"""Where lines go: what a stream can do, and the plain way to write to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TextIO

from gflow.terminal.text import fitting


@dataclass(frozen=True, slots=True)
class Mode:
    """What is done to a stream: `live` draws an area again and again, `styled` uses colors."""

    live: bool
    styled: bool


def mode(is_terminal: bool, environ: Mapping[str, str]) -> Mode:
    """Decide what a stream gets.

    Only a real terminal that nobody calls dumb is drawn on, and none in CI. Colors follow
    https://no-color.org and https://force-color.org; a dumb terminal gets none, whatever is forced.
    """
    if environ.get("TERM", "").lower() in ("dumb", "unknown"):
        return Mode(live=False, styled=False)
    is_ci = environ.get("CI", "").lower() not in ("", "0", "false")
    is_forced = environ.get("FORCE_COLOR", "").lower() not in ("", "0", "false")
    is_plain = environ.get("NO_COLOR", "") != ""
    return Mode(live=is_terminal and not is_ci, styled=(is_terminal or is_forced) and not is_plain)


class Screen(Protocol):
    """Something that takes lines."""

    def print(self, lines: Sequence[str]) -> None:
        """Write lines, whole."""
        ...

    def draw(self, lines: Sequence[str], area: Sequence[str]) -> None:
        """Write lines, and replace the area below them; what is wider than the terminal ends in "…"."""
        ...

    def close(self) -> None:
        """Take the area away; lines can still be written."""
        ...


class Plain:
    """Lines of plain text, for files, pipes and CI."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._fit = fitting(stream.encoding)

    def print(self, lines: Sequence[str]) -> None:
        if lines:
            self._stream.write("".join(f"{self._fit(line)}\n" for line in lines))
            self._stream.flush()

    def draw(self, lines: Sequence[str], area: Sequence[str]) -> None:
        self.print(lines)

    def close(self) -> None:
        pass
