"""The names that somebody may have meant: "did you mean `build`?"."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def near(word: str, words: Iterable[str], n: int = 3, cutoff: float = 0.65) -> list[str]:
    """Return at most `n` of `words` that `word` may stand for, the likeliest first.

    These are near, in this order: the same but for case, dashes and underscores; the same letters in
    another order; a beginning or a whole part (`review` of `code_review`) of the other; a likeness of at
    least `cutoff` (0 to 1) as `difflib` measures it. `word` itself is never suggested.
    """
    meant = _fold(word)
    folded = {other: _fold(other) for other in words if other != word}
    alike = get_close_matches(meant, folded.values(), n, cutoff)
    found = [
        *(other for other, text in folded.items() if text == meant),
        *(other for other, text in folded.items() if sorted(text) == sorted(meant)),
        *(other for other, text in folded.items() if _is_part(meant, text) or _is_part(text, meant)),
        *(other for text in alike for other in folded if folded[other] == text),
    ]
    return list(dict.fromkeys(found))[:n]


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a question such as "did you mean `build` or `tag`?", or "" if nothing is near.

    >>> did_you_mean("biuld", ["build", "tag"])
    'did you mean `build`?'
    """
    names = [f"`{name}`" for name in near(word, words)]
    if not names:
        return ""
    return f"did you mean {', '.join([*names[:-2], ' or '.join(names[-2:])])}?"


def _fold(word: str) -> str:
    return word.casefold().strip("-_").replace("-", "_")


def _is_part(part: str, whole: str) -> bool:
    return len(part) > 1 and (whole.startswith(part) or part in whole.split("_"))
