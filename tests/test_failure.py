"""Failures as data."""

from __future__ import annotations

import json
import traceback

import pytest

from gflow import failure


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001  # any of them
        return caught


def test_builtin_types_are_named_without_their_module() -> None:
    """People write ValueError, and the full name of everything else."""
    assert failure.type_name(ValueError()) == "ValueError"
    assert failure.type_name(json.JSONDecodeError("m", "d", 0)) == "json.decoder.JSONDecodeError"


def test_a_message_that_cannot_be_made_is_no_second_failure() -> None:
    """An exception whose text raises still has a message."""
    assert "RuntimeError" in failure.message(Broken())


def test_a_long_message_is_bounded() -> None:
    """A message of a megabyte is cut, and says how long it was."""
    text = failure.message(ValueError("x" * 1_000_000))
    assert len(text) < 5000
    assert "1000000 characters" in text


def test_frames_are_the_users_only() -> None:
    """Frames of libraries below the user's code are left out."""
    try:
        json.loads("{")
    except ValueError as caught:
        frames = failure.frames(caught)
    assert [frame[2] for frame in frames] == ["test_frames_are_the_users_only"]
    assert frames[0][3] == 'json.loads("{")'


def test_a_trimmed_traceback_shows_the_users_frames_only() -> None:
    """What is raised to the caller has no line of a library."""
    try:
        json.loads("{")
    except ValueError as caught:
        trimmed = failure.trimmed(caught)
    text = "".join(traceback.format_exception(trimmed))
    assert "test_failure.py" in text
    assert "decoder.py" not in text


def test_a_group_of_one_is_unwrapped() -> None:
    """One error that a task group has wrapped is that error."""
    inner = ValueError("x")
    assert failure.unwrapped(BaseExceptionGroup("g", [BaseExceptionGroup("h", [inner])])) is inner
    two = BaseExceptionGroup("g", [ValueError(), KeyError()])
    assert failure.unwrapped(two) is two


@pytest.mark.parametrize("error", [ValueError("a"), SystemExit(3), KeyError("k")])
def test_frames_can_be_written_as_json(error: BaseException) -> None:
    """A failure's frames are plain data."""
    frames = failure.frames(raised(error))
    assert json.loads(json.dumps(frames)) == frames
