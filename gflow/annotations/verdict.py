"""The three answers to a question about types: yes, surely not, cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Verdict = bool | None
"""True: surely. False: surely not. None: cannot tell."""

Flows = Callable[[object, object], Verdict]
"""The question itself, handed to the rules that ask it again about the parts of a type."""


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return False if one is False, else None if one is None (Kleene's conjunction)."""
    doubt = False
    for verdict in verdicts:
        if verdict is False:
            return False
        doubt = doubt or verdict is None
    return None if doubt else True


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return True if one is True, else None if one is None (Kleene's disjunction)."""
    doubt = False
    for verdict in verdicts:
        if verdict is True:
            return True
        doubt = doubt or verdict is None
    return None if doubt else False


def at_best(limit: Verdict, verdict: Verdict) -> Verdict:
    """Return the verdict, but not a surer yes than `limit`."""
    return limit if verdict is True else verdict
