"""Colors and the live area: the only file that imports rich, itself imported where a terminal wants them."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Final, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gflow.terminal.screen import Mode
from gflow.terminal.text import fitting

_STAMP: Final = r"^(?:\d\d:\d\d:\d\d)? *"
STYLES: Final = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        rf"{_STAMP}(?P<green>[✓+]) ",
        rf"{_STAMP}(?P<red>[✗x] .*)$",
        rf"{_STAMP}(?P<yellow>[!↻~↪^?]) ",
        rf"{_STAMP}(?P<dim>- .*)$",
        r" (?P<yellow>degraded: [^·]*)",
        rf"{_STAMP}(?P<bold>\w+( [·-] \d+ at once)?)$",
        r"^(?:(?P<green>completed)|(?P<red>failed|rejected|aborted)|(?P<yellow>interrupted|waiting))\b",
        r"(?P<dim>\(\d+\.\d% complete\)(, eta .*)?)$",
    )
)
"""Which part of a line, once it fits the stream, is shown how: rich takes the name of a group for a style."""


class Rich:
    """Lines with colors; on a live terminal, an area below them."""

    def __init__(self, stream: TextIO, mode: Mode) -> None:
        self._fit = fitting(stream.encoding)
        self._mode = mode
        self._live: Live | None = None
        self._console = Console(
            file=stream,
            force_terminal=True,  # decided by `screen.mode`, not by rich, which trusts FORCE_COLOR
            force_interactive=mode.live,
            color_system="standard",
            no_color=not mode.styled,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def print(self, lines: Sequence[str]) -> None:
        if lines:
            self._console.print(self._text(lines), soft_wrap=True)

    def draw(self, lines: Sequence[str], area: Sequence[str]) -> None:
        if self._live is None and area:
            self._live = self._started()
        with self._console:  # one write, so that no step is seen twice
            if lines:
                self._console.print(self._text(lines), no_wrap=True, overflow="ellipsis")
            if self._live is not None:
                self._live.update(self._text(area), refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _started(self) -> Live:
        """Begin to draw; what a step prints to the same terminal meanwhile goes above the area."""
        live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=_is_terminal(sys.stdout),
            redirect_stderr=_is_terminal(sys.stderr),
        )
        live.start()
        self._console.show_cursor(True)  # rich hides it, and a killed process could not bring it back
        return live

    def _text(self, lines: Sequence[str]) -> Text:
        text = Text("\n".join(map(self._fit, lines)), no_wrap=True, overflow="ellipsis")
        for pattern in STYLES if self._mode.styled else ():
            text.highlight_regex(pattern)
        return text


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
