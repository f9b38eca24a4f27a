"""The question of a step, on a terminal: whoever sits there may answer, or leave it for later."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from gflow import inbox
from gflow.session import Verdict
from gflow.terminal import harmless

ANSWERS = {"y": True, "yes": True, "n": False, "no": False}


def on_terminal(
    pause: Callable[[], AbstractContextManager[None]],
) -> Callable[[str, str], Verdict | None] | None:
    """Return the function that puts a question to whoever is there; None if nobody is.

    `pause` holds the drawing of progress while somebody reads and writes.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(path: str, text: str) -> Verdict | None:
        with pause():
            question = f"{harmless(path)} asks: {harmless(text)}\nyes, no, or later? [y/n/L] "
            print(question, end="", file=sys.stderr, flush=True)
            said = ANSWERS.get(sys.stdin.readline().strip().lower())
        return None if said is None else Verdict(said, inbox.sender())

    return ask
