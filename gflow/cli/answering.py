"""The question of a step, on a terminal: whoever sits there may answer, or leave it for later."""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from gflow import inbox
from gflow.session import Verdict
from gflow.terminal import harmless

ANSWERS: Final = {"y": True, "yes": True, "n": False, "no": False}
LOOK: Final = 0.5
"""Seconds between two looks whether another process has decided."""


def on_terminal(
    pause: Callable[[], AbstractContextManager[None]],
) -> Callable[[str, str, Callable[[], bool]], Verdict | None] | None:
    """Return the function that puts a question to whoever is there; None if nobody is.

    `pause` holds the drawing of progress while somebody reads and writes. Ctrl-C leaves all questions for
    later: the run waits.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    left = False

    def ask(path: str, text: str, is_decided: Callable[[], bool]) -> Verdict | None:
        nonlocal left
        if left:
            return None
        question = f"{harmless(path)} asks: {harmless(text)}\nyes, no, or later? [y/n/L] "
        try:
            with pause(), _ctrl_c_raises():
                print(question, end="", file=sys.stderr, flush=True)
                said = ANSWERS.get(_line(is_decided).strip().lower())
        except KeyboardInterrupt:
            print(file=sys.stderr)
            left = True
            return None
        return None if said is None else Verdict(said, inbox.sender())

    return ask


def _line(is_decided: Callable[[], bool]) -> str:
    """Return the line that somebody types; "" if another process decides first."""
    while not select.select([sys.stdin], [], [], LOOK)[0]:
        if is_decided():
            print("decided by another process", file=sys.stderr)
            return ""
    return sys.stdin.readline()


@contextmanager
def _ctrl_c_raises() -> Generator[None, None, None]:
    """Let Ctrl-C end the reading at once: asyncio's own handler waits for the loop, which waits here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
