"""Tests of gflow.suggest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow.suggest import did_you_mean, near

STEPS = ["version_bump", "changelog", "code_review", "security_scan", "build", "tag", "deploy", "announce"]
names = st.text("abcde_-AB", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("biuld", "build"),  # two letters swapped
        ("tga", "tag"),
        ("at", "ta"),
        ("biulds", "build"),  # swapped, and one too many
        ("Build", "build"),  # case
        ("code-review", "code_review"),  # dash
        ("codereview", "code_review"),
        ("_tag", "tag"),
        ("annou", "announce"),  # a beginning
        ("version", "version_bump"),
        ("review", "code_review"),  # a part
        ("deploy_staging", "deploy"),  # more than the name
        ("securty_scan", "security_scan"),  # a letter lost
        ("anounce", "announce"),
        ("changelogs", "changelog"),
    ],
)
def test_a_slip_finds_the_name_that_was_meant(word: str, meant: str) -> None:
    """The name that was meant comes first."""
    assert near(word, [*STEPS, "ta"])[0] == meant


@pytest.mark.parametrize("word", ["x", "zebra", "publish", "", "t"])
def test_what_resembles_nothing_gets_no_suggestion(word: str) -> None:
    """A word that resembles no name gets no suggestion."""
    assert near(word, STEPS) == []
    assert did_you_mean(word, STEPS) == ""


def test_the_same_but_for_spelling_comes_before_what_is_only_alike() -> None:
    """A name that differs in dashes alone comes before names that resemble it."""
    assert near("dry-run", ["dry_rum", "dry_nur", "dry_run"]) == ["dry_run", "dry_nur", "dry_rum"]


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (["build"], "did you mean `build`?"),
        (["build", "built"], "did you mean `build` or `built`?"),
        (["build", "builds", "built"], "did you mean `build`, `builds` or `built`?"),
    ],
)
def test_a_question_names_all_candidates(words: list[str], question: str) -> None:
    """One, two and three candidates read as a sentence."""
    assert did_you_mean("buil", words) == question


@given(names, st.lists(names), st.integers(1, 4))
def test_suggestions_are_other_words_of_the_list(word: str, words: list[str], n: int) -> None:
    """Suggestions are distinct words of the list, at most n, and never the word itself."""
    found = near(word, words, n)
    assert len(found) == len(set(found)) <= n
    assert set(found) <= set(words) - {word}
