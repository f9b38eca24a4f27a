"""A preview is one short line that a person can read."""

import collections
import enum
import pathlib
import tracemalloc
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow.checkpoint import preview


@dataclass
class Wheel:
    name: str
    size: int = 0
    secret: str = field(default="s3cr3t", repr=False)


@dataclass
class Version:
    major: int

    def __str__(self) -> str:
        return f"\n v{self.major}.0\nthe second line"


class Shown(list[int]):
    def __repr__(self) -> str:
        return "as I say"


class Pair(NamedTuple):
    left: object
    right: object


class Model(pydantic.BaseModel):
    name: str
    token: pydantic.SecretStr = pydantic.SecretStr("s3cr3t")
    hidden: str = pydantic.Field(default="s3cr3t", repr=False)


class Plain:
    pass


class Part(enum.Enum):
    MAJOR = 1


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no")


class Odd:
    __str__: Any = lambda self: 7


CASES: dict[str, tuple[object, str]] = {
    "nothing": (None, ""),
    "a text": ("dist/calc.whl", "dist/calc.whl"),
    "the first line of a text": ("  \n first\nsecond", "first"),
    "an empty text": ("", ""),
    "a number": (7, "7"),
    "a truth": (True, "True"),
    "a huge number": (10**5000, "<int of 16610 bits>"),
    "a path": (pathlib.PurePosixPath("a/b"), "a/b"),
    "a type's own text": (Version(2), "v2.0"),
    "a member of an enum": (Part.MAJOR, "Part.MAJOR"),
    "an exception": (ValueError("no\nway"), "no"),
    "bytes": (b"ab", "b'ab'"),
    "a dataclass, without what its repr hides": (Wheel("a", 1), "Wheel(name='a', size=1)"),
    "a model, without what its repr hides": (
        Model(name="a"),
        "Model(name='a', token=SecretStr('**********'))",
    ),
    "a named tuple": (Pair(1, "b"), "Pair(left=1, right='b')"),
    "a list": ([1, "b", [2.5]], "[1, 'b', [2.5]]"),
    "a tuple": ((1, 2), "(1, 2)"),
    "a dictionary": ({"a": 1}, "{'a': 1}"),
    "a counter": (collections.Counter("aa"), "{'a': 2}"),
    "a deque": (collections.deque([1]), "[1]"),
    "a type's own repr": ([Shown([1])], "[as I say]"),
    "an object without text, without its address": (Plain(), "<Plain>"),
    "an object whose text fails": (Broken(), "<Broken>"),
    "an object whose text is none": (Odd(), "<Odd>"),
    "what moves a cursor": ("\x1b[2Jred\tx", "\N{REPLACEMENT CHARACTER}[2Jred x"),
    "what cannot be encoded": ("a\udcffb", "a\N{REPLACEMENT CHARACTER}b"),
}


@pytest.mark.parametrize("name", CASES)
def test_preview(name: str) -> None:
    """Each kind of value is shown as people expect it."""
    value, text = CASES[name]
    assert preview(value) == text


def test_circle() -> None:
    """A value that contains itself is shown to some depth."""
    circle: list[object] = []
    circle.append(circle)
    assert preview(circle) == "[[[[[[…]]]]]]"


class Counted(collections.UserString):
    """A text that counts how often it is looked at."""

    looks = 0

    def __repr__(self) -> str:
        Counted.looks += 1
        return "counted"


@pytest.mark.parametrize(
    "make", [list, tuple, collections.deque, dict.fromkeys], ids=lambda make: make.__name__
)
def test_long_values_are_not_walked(make: Any) -> None:
    """Of a container only as much is looked at as is shown."""
    Counted.looks = 0
    shown = preview(Pair(make(Counted(str(number)) for number in range(10_000)), None))
    assert shown.endswith("…")
    assert 0 < Counted.looks < 50


@pytest.mark.parametrize(
    "value", ["x" * 5_000_000, ["x" * 5_000_000], [b"x" * 5_000_000]], ids=["text", "list", "bytes"]
)
def test_long_texts_are_cut_first(value: object) -> None:
    """A long text is cut before anything is made of it."""
    tracemalloc.start()
    try:
        assert len(preview(value)) == 200
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


simple = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
)
values = st.recursive(
    simple, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner)
)


@given(values)
def test_preview_is_one_printable_line(value: object) -> None:
    """Whatever the value is, its preview is printable, can be encoded, and has at most 200 characters."""
    text = preview(value)
    assert text.isprintable()
    assert len(text) <= 200
    text.encode()
