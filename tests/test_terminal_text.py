"""Tests of gflow.terminal.text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow.terminal.text import ASCII, cells, clean, count, first_line, fitting, padded, some

texts = st.text(st.one_of(st.characters(), st.sampled_from("\x1b[]0;m\x07\n\t\u202e…✓")), max_size=60)


@given(texts, st.integers(2, 40))
def test_a_clean_text_is_one_printable_line(text: str, length: int) -> None:
    """Whatever is given, what comes out is printable, bounded, and stays as it is when cleaned again."""
    line = clean(text, length)
    assert line.isprintable()
    assert len(line) <= length
    assert clean(line, length) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain · text", "plain · text"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;title\x07after", "after"),
        ("a\nb\tc", "a b c"),
        ("back\b\b\b\bspace", "back\ufffd\ufffd\ufffd\ufffdspace"),
        ("\x1b", "\ufffd"),
        ("\ud800", "\ufffd"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_clean(text: str, line: str) -> None:
    """Escape sequences go, other control characters are shown as such, white space becomes blanks."""
    assert clean(text) == line


@pytest.mark.parametrize(("text", "line"), [("", ""), ("\n \n", ""), ("\n  \x1b[1mno\x1b[0m\nmore", "no")])
def test_first_line(text: str, line: str) -> None:
    """The first line that says something is taken."""
    assert first_line(text) == line


@given(
    texts.map(clean), st.sampled_from(["utf-8", "ascii", "latin-1", "cp1252", "koi8-r", "no such encoding"])
)
def test_what_fits_can_be_encoded(text: str, encoding: str) -> None:
    """What was made to fit can be written to a stream of that encoding."""
    fitting(encoding)(text).encode("ascii" if " " in encoding else encoding)


def test_marks_fit_together() -> None:
    """All marks become ASCII if one of them cannot be encoded; each that begins a line keeps its width."""
    assert fitting("cp1252")("✓ 1 · 2 → 3 é 測") == "+ 1 - 2 -> 3 é ?"
    assert fitting("utf-8")("✓ 1 · 2 → 3 é 測") == "✓ 1 · 2 → 3 é 測"
    assert fitting(None)("✓") == "✓"
    assert fitting("no such encoding")("✓") == "+"
    assert {mark for mark, text in ASCII.items() if len(text) > 1} == {"→", "…"}


@pytest.mark.parametrize(("text", "width"), [("", 0), ("build", 5), ("測試", 4), ("e\u0301", 1)])
def test_cells(text: str, width: int) -> None:
    """Wide characters take two cells, combining ones none."""
    assert cells(text) == width
    assert cells(padded(text, 9)) == 9


def test_counting() -> None:
    """One thing is singular; of many names some are shown."""
    assert [count(number, "step") for number in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    assert some(["a", "b"], 2) == ["a", "b"]
    assert some(["a", "b", "c"], 2) == ["a", "2 more"]
