"""Annotations are evaluated, compared and shown as the typing specification and their author mean them."""

# ruff: noqa: UP006, UP007, UP044, UP045, PYI019, PYI024, PYI030, PYI061, F821  old spellings and missing names are what is tested

from __future__ import annotations

import asyncio
import collections
import importlib
import inspect
import io
import os
import re
import subprocess
import sys
import textwrap
import typing
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
    Sized,
)
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import InitVar, dataclass, field
from datetime import date
from enum import Enum, IntEnum
from functools import cached_property
from pathlib import Path
from types import GenericAlias, ModuleType, NoneType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Concatenate,
    Final,
    ForwardRef,
    Generic,
    Literal,
    LiteralString,
    NamedTuple,
    Never,
    NewType,
    NoReturn,
    NotRequired,
    Optional,
    ParamSpec,
    Protocol,
    Required,
    Self,
    SupportsIndex,
    SupportsInt,
    TextIO,
    TypedDict,
    TypeVar,
    Union,
)

import attrs
import hypothesis.strategies as st
import pydantic
import pytest
import typing_extensions
from hypothesis import given

import gflow.annotations
from gflow.annotations import (
    NO_FIELD,
    Unresolved,
    admits_none,
    assignable,
    awaited,
    evaluate,
    field_names,
    field_type,
    is_awaitable,
    show,
    strip,
)

T = TypeVar("T")
K = TypeVar("K")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)
Number = TypeVar("Number", int, float)
P = ParamSpec("P")


# ---------------------------------------------------------------- types of the examples


class Animal:
    name: str


class Dog(Animal):
    def bark(self) -> str:
        """Bark."""
        return "!"


class Color(Enum):
    RED = 1
    BLUE = 2


class Level(IntEnum):
    LOW = 1


UserId = NewType("UserId", int)
AdminId = NewType("AdminId", UserId)


class Box(Generic[T]):
    value: T


class IntBox(Box[int]): ...


class AnyBox(Box): ...  # type: ignore[type-arg]  # bare on purpose


class ListBox(Box[list[T]]): ...


class Source(Generic[T_co]): ...


class Sink(Generic[T_contra]): ...


class Names(list[str]): ...


class Pair(NamedTuple):
    left: int
    right: str


class Opaque(Any): ...


class Movie(TypedDict):
    title: str
    year: int


class RatedMovie(Movie):
    rating: float


class LooseMovie(TypedDict, total=False):
    title: str
    year: int


class MaybeMovie(TypedDict):
    title: str
    year: NotRequired[int]


class BoolYearMovie(TypedDict):
    title: str
    year: bool


class Titled(TypedDict):
    title: str


class TitledReadOnly(typing_extensions.TypedDict):
    title: typing_extensions.ReadOnly[object]


class Record(TypedDict, Generic[T]):
    key: T


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass(frozen=True)
class FrozenPoint:
    x: int


class PropertyPoint:
    @property
    def x(self) -> int:
        """Return the place."""
        return 1


class HiddenPoint:
    def __init__(self) -> None:
        self.x = 1


class OpenPoint:
    def __getattr__(self, name: str) -> int: ...


class HasX(Protocol):
    x: int


class HasFloatX(Protocol):
    x: float


class ReadsX(Protocol):
    @property
    def x(self) -> float: ...


class Closes(Protocol):
    def close(self) -> None: ...


class Closer:
    def close(self) -> None: ...


class AsyncCloses(Protocol):
    async def close(self) -> None: ...


class AsyncCloser:
    async def close(self) -> None: ...


class AwaitableCloser:
    def close(self) -> Awaitable[None]: ...


class ClosesLoudly:
    def close(self, loud: bool) -> None: ...


class ClosesQuietly:
    def close(self, loud: bool = False) -> None: ...


class Feeds(Protocol):
    def feed(self, animal: Dog) -> Animal: ...


class FeedsAnimals:
    def feed(self, animal: Animal) -> Dog: ...


class FeedsPuppies:
    def feed(self, animal: Puppy) -> Animal: ...


class Puppy(Dog): ...


class FeedsByOtherName:
    def feed(self, beast: Dog) -> Animal: ...


class Untyped:
    def feed(self, animal): ...  # type: ignore[no-untyped-def]


class Getter(Protocol[T_co]):
    def get(self) -> T_co: ...


class IntGetter:
    def get(self) -> int: ...


class BoxGetter(Generic[T]):
    def get(self) -> T: ...


class Handler(Protocol):
    def __call__(self, event: str, *, urgent: bool = False) -> int: ...


class Handles:
    def __call__(self, event: str, *, urgent: bool = False, note: str = "") -> int: ...


class Node(Protocol):
    def next(self) -> Node: ...


class ListNode:
    def next(self) -> ListNode: ...


class BrokenNode:
    def next(self) -> int: ...


class Copies(Protocol):
    def copy(self) -> Self: ...


class Copy:
    def copy(self) -> Copy: ...


class Numbers:
    def __iter__(self) -> Iterator[int]: ...


class Strange:
    def __iter__(self) -> int: ...


class Waits:
    def __await__(self) -> Generator[Any, Any, int]: ...


class Folder:
    def __fspath__(self) -> str: ...


class Opener:
    def __enter__(self) -> int: ...
    def __exit__(self, *error: object) -> None: ...


class Explicit(HasX): ...


class Comparable(Protocol):
    def __lt__(self, other: Any) -> bool: ...


class Job(Generic[P, T_co]): ...


class Meta(type): ...


class Tail(Protocol):
    def __call__(self, first: int, *rest: int, **named: str) -> None: ...


class TakesAll:
    def __call__(self, *values: float, **named: str) -> None: ...


class TakesTail:
    def __call__(self, first: float, *rest: float, **named: object) -> None: ...


class TakesTwo:
    def __call__(self, first: int, second: int, **named: str) -> None: ...


class TakesNoNames:
    def __call__(self, first: int, *rest: int) -> None: ...


class TakesStrings:
    def __call__(self, first: int, *rest: str, **named: str) -> None: ...


class ByName(Protocol):
    def __call__(self, *, size: int, deep: bool = False) -> None: ...


class TakesSize:
    def __call__(self, size: int, deep: bool = True) -> None: ...


class TakesNamed:
    def __call__(self, **named: object) -> None: ...


class NeedsDeep:
    def __call__(self, *, size: int, deep: bool) -> None: ...


class NeedsMore:
    def __call__(self, *, size: int, deep: bool = False, more: int) -> None: ...


class ByPlaceOrName(Protocol):
    def __call__(self, size: int) -> None: ...


class Builds(Protocol):
    def build(self, size: int) -> Animal: ...


class StaticBuilder:
    @staticmethod
    def build(size: int) -> Dog: ...


class ClassBuilder:
    @classmethod
    def build(cls, size: int) -> Self: ...


class AnimalBuilder(Animal):
    @classmethod
    def build(cls: type[T], size: int) -> T: ...


class Overloaded:
    @typing.overload
    def build(self, size: int) -> Dog: ...
    @typing.overload
    def build(self, size: str) -> None: ...
    def build(self, size: int | str) -> Dog | None: ...


class OverloadedBadly:
    @typing.overload
    def build(self, size: bytes) -> Dog: ...
    @typing.overload
    def build(self, size: str) -> None: ...
    def build(self, size: bytes | str) -> Dog | None: ...


class HoldsBuilder:
    build: Callable[[int], Dog]


class NoBuilder:
    build: int = 0


class HasBuilder(Protocol):
    @property
    def build(self) -> Callable[[int], Animal]: ...


class Slotted:
    __slots__ = ("x",)


class FinalPoint:
    x: Final[int] = 1


class FrozenModel(pydantic.BaseModel, frozen=True):
    x: int


class PlainModel(pydantic.BaseModel):
    x: int


class DerivedRecord(Record[int]):
    more: str


class ClosedMovie(typing_extensions.TypedDict, closed=True):
    title: str


Shape = typing_extensions.TypeVarTuple("Shape")
Sized2 = typing_extensions.TypeVar("Sized2", default=int)


class Array(Generic[typing_extensions.Unpack[Shape]]): ...


class Defaulted(Generic[Sized2]):
    value: Sized2


def _star(*elements: object) -> GenericAlias:
    """Return a tuple type whose elements may be unpacked ones."""
    return GenericAlias(tuple, elements)


STRS = typing_extensions.Unpack[tuple[str, ...]]
PAIR = typing_extensions.Unpack[tuple[int, str]]
ENDED = typing_extensions.Unpack[_star(STRS, int)]


class WithValue:
    x = 1


class SetsItself:
    x: int

    def __setattr__(self, name: str, value: object) -> None: ...


class TakesWithName:
    def __call__(self, *values: int, size: int) -> None: ...


class TakesWithDefault:
    def __call__(self, *values: int, size: int = 0) -> None: ...


class TakesByPlace:
    def __call__(self, size: int, /) -> None: ...


class FeedsWith(Protocol):
    def feed(self, animal: Dog, *, food: str) -> None: ...


class FeedsWithFood:
    def feed(self, beast: Dog, *, food: str) -> None: ...


class MaybeTitled(typing_extensions.TypedDict):
    title: str
    note: typing_extensions.ReadOnly[NotRequired[object]]


class MaybeNoted(typing_extensions.TypedDict):
    title: str
    note: typing_extensions.ReadOnly[NotRequired[int]]


class OpenMovie(typing_extensions.TypedDict, extra_items=int):
    title: str


class BranchesA(Protocol[T]):
    def more(self) -> BranchesA[list[T]]: ...
    def less(self) -> BranchesA[set[T]]: ...


class BranchesB(Protocol[T]):
    def more(self) -> BranchesB[list[T]]: ...
    def less(self) -> BranchesB[set[T]]: ...


class StarCloser:
    def close(*anything: object) -> None: ...


class TakesValues:
    def __call__(self, *values: int) -> None: ...


class TakesPacked:
    def __call__(self, **named: typing_extensions.Unpack[Movie]) -> None: ...


class HoldsCalls(Generic[P, T]):
    anyhow: Callable[..., T]
    solved: Callable[P, T]
    longer: Callable[Concatenate[T, P], None]
    maybe: T | None


class Unknown:
    x: Nowhere


class GrowsA(Protocol[T]):
    def more(self) -> GrowsA[list[T]]: ...


class GrowsB(Protocol[T]):
    def more(self) -> GrowsB[list[T]]: ...


class UnfriendlyMeta(type):
    def __getattr__(cls, name: str) -> Any:
        raise RuntimeError(name)

    def __subclasscheck__(cls, other: type) -> bool:
        raise RuntimeError

    def __eq__(cls, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


class Raises(metaclass=UnfriendlyMeta): ...


class Unfriendly:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError


Odd = Unresolved("Missing", "name 'Missing' is not defined")

CASES = [
    # classes, and what fits everything or nothing
    (int, int, True, "the same class"),
    (Dog, Animal, True, "a subclass"),
    (Animal, Dog, False, "a superclass"),
    (int, str, False, "classes that have nothing to do with each other"),
    (Any, int, True, "Any into a class"),
    (int, Any, True, "a class into Any"),
    (list[Any], list[int], True, "Any as an argument"),
    (inspect.Parameter.empty, int, True, "no annotation of the source"),
    (int, inspect.Parameter.empty, True, "no annotation of the target"),
    (Opaque, int, True, "a class that inherits from Any"),
    (int, Opaque, False, "a class into one that inherits from Any"),
    (Opaque, None, False, "a class that inherits from Any is not None"),
    (Dog, object, True, "object takes all"),
    (Optional[int], object, True, "object takes a union"),
    (object, int, False, "object gives no int"),
    (Never, int, True, "Never into all"),
    (NoReturn, str, True, "NoReturn is Never"),
    (int, Never, False, "nothing into Never"),
    (Never, NoReturn, True, "Never into itself"),
    # numbers
    (int, float, True, "an int is a float"),
    (int, complex, True, "an int is a complex"),
    (float, complex, True, "a float is a complex"),
    (float, int, False, "a float is no int"),
    (complex, float, False, "a complex is no float"),
    (bool, int, True, "a bool is an int"),
    (bool, float, True, "a bool is a float"),
    (int, bool, False, "an int is no bool"),
    (Level, int, True, "an IntEnum is an int"),
    (Level, float, True, "an IntEnum is a float"),
    (bytearray, bytes, False, "a bytearray is no bytes"),
    # containers
    (list[int], list[int], True, "a list of the same"),
    (list[bool], list[int], False, "a list is invariant"),
    (list[int], list[float], False, "a list is invariant, for numbers too"),
    (list, list[int], True, "a bare list"),
    (list[int], list, True, "into a bare list"),
    (typing.List[int], list[int], True, "typing.List is list"),
    (typing.List, list[str], True, "bare typing.List is list"),
    (dict[str, bool], dict[str, int], False, "a dict is invariant in its values"),
    (dict[bool, str], dict[int, str], False, "a dict is invariant in its keys"),
    (set[bool], set[int], False, "a set is invariant"),
    (deque[bool], deque[int], False, "a deque is invariant"),
    (frozenset[bool], frozenset[int], True, "a frozenset is covariant"),
    (list[bool], Sequence[int], True, "a Sequence is covariant"),
    (list[bool], Iterable[int], True, "an Iterable is covariant"),
    (set[bool], Collection[int], True, "a Collection is covariant"),
    (set[bool], AbstractSet[int], True, "an abstract set is covariant"),
    (list[bool], MutableSequence[int], False, "a MutableSequence is invariant"),
    (dict[str, bool], Mapping[str, int], True, "a Mapping is covariant in its values"),
    (dict[bool, str], Mapping[int, str], False, "a Mapping is invariant in its keys"),
    (dict[str, bool], MutableMapping[str, int], False, "a MutableMapping is invariant"),
    (dict[str, int], Iterable[str], True, "a dict is an iterable of its keys"),
    (dict[str, int], Iterable[int], False, "a dict is no iterable of its values"),
    (Sequence[int], list[int], False, "a Sequence is no list"),
    (Iterable[int], Sequence[int], False, "an Iterable is no Sequence"),
    (Sequence[Sequence[bool]], Iterable[Iterable[int]], True, "covariance inside covariance"),
    (Sequence[list[bool]], Sequence[list[int]], False, "invariance inside covariance"),
    (str, Sequence[str], True, "a str is a Sequence of str"),
    (str, Iterable[int], False, "a str is no iterable of int"),
    (str, list[str], False, "a str is no list"),
    (bytes, Sequence[int], True, "bytes are a Sequence of int"),
    (range, Sequence[int], True, "a range is a Sequence of int"),
    (Counter[str], Mapping[str, int], True, "a Counter maps to int"),
    (Counter[str], dict[str, str], False, "a Counter maps to nothing else"),
    (defaultdict[str, int], dict[str, int], True, "a defaultdict is a dict"),
    (OrderedDict[str, int], Mapping[str, float], True, "an OrderedDict is a Mapping"),
    (ChainMap[str, int], Mapping[str, int], True, "a ChainMap is a Mapping"),
    (Generator[int, None, str], Iterator[int], True, "a Generator is an Iterator of what it yields"),
    (Names, list[str], True, "a class derived from list[str]"),
    (Names, Sequence[str], True, "a class derived from list[str] as a Sequence"),
    (Names, list[int], False, "a class derived from list[str] holds no int"),
    (list[str], Names, False, "a list is no class derived from it"),
    # tuples
    (tuple[int, str], tuple[int, str], True, "a tuple of the same"),
    (tuple[bool, str], tuple[int, object], True, "a tuple is covariant"),
    (tuple[int, str], tuple[int], False, "a longer tuple"),
    (tuple[int], tuple[int, str], False, "a shorter tuple"),
    (tuple[int, int], tuple[int, ...], True, "a fixed tuple into one of any length"),
    (tuple[int, str], tuple[int, ...], False, "a fixed tuple with another element"),
    (tuple[None, ...], tuple[int | None, ...], True, "a tuple of None, of any length"),
    (tuple[int], tuple[None, ...], False, "a fixed tuple into one of None, of any length"),
    (tuple[()], tuple[int, ...], True, "the empty tuple into one of any length"),
    (tuple[()], tuple[int], False, "the empty tuple into one with an element"),
    (tuple[int, ...], tuple[int, int], False, "a tuple of any length into a fixed one"),
    (tuple, tuple[int, str], True, "a bare tuple"),
    (tuple[Any, ...], tuple[int, str], True, "a tuple of any length of Any"),
    (tuple[int, str], tuple, True, "into a bare tuple"),
    (tuple[int, str], Sequence[int | str], True, "a tuple is a Sequence of all its elements"),
    (tuple[int, str], Sequence[int], False, "a tuple is no Sequence of some of its elements"),
    (tuple[int, ...], Iterable[float], True, "a tuple of any length is an Iterable"),
    (
        tuple[int, str, str],
        GenericAlias(tuple, (int, *tuple[str, ...])),
        True,
        "a fixed tuple into an unpacked one",
    ),
    (GenericAlias(tuple, (int, *tuple[str, ...])), tuple[int | str, ...], True, "an unpacked tuple"),
    (
        GenericAlias(tuple, (int, *tuple[str, ...])),
        tuple[str, ...],
        False,
        "an unpacked tuple begins otherwise",
    ),
    (Pair, tuple[int, str], True, "a NamedTuple is a tuple of its fields"),
    (Pair, tuple[str, str], False, "a NamedTuple is no tuple of other fields"),
    (Pair, Sequence[int | str], True, "a NamedTuple is a Sequence"),
    (tuple[int, str], Pair, False, "a tuple is no NamedTuple"),
    (_star(PAIR, bool), tuple[int, str, bool], True, "an unpacked tuple of two"),
    (_star(STRS, int), tuple[str | int, ...], True, "an unpacked tuple at the beginning"),
    (_star(STRS, int), _star(STRS, float), True, "two unpacked tuples with an end"),
    (_star(STRS, int), _star(STRS, str), False, "two unpacked tuples with another end"),
    (_star(STRS, PAIR), _star(STRS, int, str), True, "an unpacked tuple at the end"),
    (_star(bool, ENDED), _star(int, STRS, int), True, "an unpacked tuple in an unpacked tuple"),
    (_star(STRS, STRS), tuple[str, ...], None, "two parts of any length"),
    (_star(typing_extensions.Unpack[Shape]), tuple[int], None, "a TypeVarTuple in a tuple"),
    (_star(typing_extensions.Unpack[Shape]), Iterable[int], None, "a TypeVarTuple in a tuple as an Iterable"),
    (tuple[Any, ...], _star(int, STRS), True, "a tuple of Any into an unpacked one"),
    (tuple[str, ...], _star(int, STRS), False, "a tuple that may be empty into one that is not"),
    (_star(int, STRS), tuple[int], False, "a tuple that may be longer"),
    (
        _star(int, typing_extensions.Unpack[tuple[Any, ...]]),
        tuple[int, str],
        True,
        "a tuple that ends in Any",
    ),
    (
        _star(int, str, typing_extensions.Unpack[tuple[Any, ...]]),
        tuple[int],
        False,
        "a tuple too long to end in Any",
    ),
    (tuple[int], _star(int, STRS, int), False, "a tuple that is too short"),
    # None and unions
    (None, NoneType, True, "None is its type"),
    (NoneType, None, True, "the type of None is None"),
    (None, int, False, "None is no int"),
    (None, Optional[int], True, "None into Optional"),
    (int, int | None, True, "a member of a union"),
    (int, Union[int, str], True, "a member of a Union"),
    (bool, float | str, True, "a union promotes"),
    (bytes, int | str, False, "no member of a union"),
    (int | None, int, False, "a union with a member that does not fit"),
    (int | str, str | int | None, True, "a union into a wider one"),
    (int | bool, int, True, "a union of which all fit"),
    (list[int] | list[str], list[int | str], False, "a union of lists is no list of a union"),
    (list[int] | tuple[int, ...], Sequence[int], True, "a union of sequences"),
    (int | Any, str, False, "a union with Any and a member that does not fit"),
    (int | Any, int, True, "a union with Any and a member that fits"),
    # literals and enums
    (Literal["a"], str, True, "a literal is its type"),
    (Literal["a"], Literal["a", "b"], True, "a subset of literals"),
    (Literal["a", "b"], Literal["a"], False, "a superset of literals"),
    (str, Literal["a"], False, "a str is no literal"),
    (Literal[1], Literal[True], False, "1 is not True"),
    (Literal[1], float, True, "a literal promotes"),
    (Literal["a", 1], str | int, True, "literals of two types"),
    (Literal["a"], Sequence[str], True, "a literal str is a Sequence"),
    (bool, Literal[True, False], True, "bool is its two literals"),
    (bool, Literal[True], False, "bool is more than one literal"),
    (None, Literal[None], True, "None is its literal"),
    (Literal[Color.RED], Color, True, "an enum literal is its enum"),
    (Color, Literal[Color.RED], False, "an enum is more than one literal"),
    (Color, Literal[Color.RED, Color.BLUE], True, "an enum is all its literals"),
    (Color, Literal[Color.RED] | Literal[Color.BLUE], True, "an enum is a union of its literals"),
    (Color, int, False, "an enum is not what its values are"),
    (list[Literal["a"]], list[str], False, "a list of literals is invariant"),
    (Literal["a"], LiteralString, True, "a literal str is a LiteralString"),
    (Literal[1], LiteralString, False, "a literal int is no LiteralString"),
    (LiteralString, str, True, "a LiteralString is a str"),
    (str, LiteralString, False, "a str is no LiteralString"),
    # new types and wrappers
    (UserId, int, True, "a NewType is its supertype"),
    (UserId, float, True, "a NewType promotes"),
    (int, UserId, False, "an int is no NewType of it"),
    (AdminId, UserId, True, "a NewType of a NewType"),
    (AdminId, int, True, "a NewType of a NewType is the class below"),
    (UserId, AdminId, False, "a NewType is no NewType of it"),
    (list[UserId], list[int], False, "a list of a NewType is invariant"),
    (Literal[1], UserId, False, "a literal is no NewType"),
    (Annotated[int, "m"], int, True, "Annotated is the type inside"),
    (int, Annotated[float, "m"], True, "into Annotated"),
    (list[Annotated[int, "m"]], list[int], True, "Annotated inside an argument"),
    (int, Final[int], True, "Final is what it wraps"),
    (ClassVar[int], int, True, "ClassVar is what it wraps"),
    (Required[int], float, True, "Required is what it wraps"),
    # typed dicts
    (Movie, Movie, True, "a TypedDict of the same"),
    (RatedMovie, Movie, True, "a TypedDict with one key more"),
    (Movie, RatedMovie, False, "a TypedDict with one key less"),
    (Titled, Movie, False, "a TypedDict without a required key"),
    (Movie, Titled, True, "a TypedDict with keys nobody asked for"),
    (LooseMovie, Movie, False, "keys that may be missing are no required ones"),
    (Movie, LooseMovie, False, "required keys could be deleted if they need not be there"),
    (MaybeMovie, Movie, False, "a NotRequired key is no required one"),
    (BoolYearMovie, Movie, False, "a key that can be assigned is invariant"),
    (Titled, TitledReadOnly, True, "a read-only key is covariant"),
    (TitledReadOnly, Titled, False, "a read-only key cannot be assigned"),
    (Record[int], Record[int], True, "a generic TypedDict of the same"),
    (Record[int], Record[str], False, "a generic TypedDict of another"),
    (DerivedRecord, Record[int], True, "a class derived from a generic TypedDict"),
    (DerivedRecord, Record[str], False, "a class derived from a generic TypedDict of another"),
    (ClosedMovie, Titled, None, "a closed TypedDict"),
    (OpenMovie, Titled, None, "a TypedDict of more items"),
    (Titled, MaybeTitled, True, "a read-only key of anything need not be there"),
    (Titled, MaybeNoted, False, "a read-only key may be there with another type"),
    (MaybeNoted, MaybeTitled, True, "a read-only key that need not be there"),
    (Movie, Mapping[str, object], True, "a TypedDict is a Mapping of objects"),
    (Movie, Mapping[str, int], False, "a TypedDict may hold keys of any type"),
    (Movie, dict[str, Any], False, "a TypedDict is no dict"),
    (dict[str, Any], Movie, False, "a dict is no TypedDict"),
    (Movie, Iterable[str], True, "a TypedDict is an iterable of its keys"),
    (Movie, Closes, False, "a TypedDict has no methods of its own"),
    (Movie, Copies, None, "a TypedDict has some methods of a dict"),
    # protocols
    (Closer, Closes, True, "a method of a protocol"),
    (Animal, Closes, False, "a method is missing"),
    (ClosesLoudly, Closes, False, "a method demands more"),
    (StarCloser, Closes, True, "a method that takes itself with a star"),
    (ClosesQuietly, Closes, True, "a method could take more"),
    (FeedsAnimals, Feeds, True, "a method takes more and returns less"),
    (FeedsPuppies, Feeds, False, "a method takes less"),
    (FeedsByOtherName, Feeds, None, "a parameter has another name"),
    (Untyped, Feeds, True, "a method without annotations"),
    (AsyncCloser, AsyncCloses, True, "an async method"),
    (AwaitableCloser, AsyncCloses, False, "a method that returns some other awaitable"),
    (Closer, AsyncCloses, False, "a method that is not async"),
    (AsyncCloser, Closes, False, "a method that is async"),
    (Point, HasX, True, "a field of a dataclass"),
    (FrozenPoint, HasX, False, "a field that cannot be assigned"),
    (PropertyPoint, HasX, False, "a property that cannot be assigned"),
    (Point, HasFloatX, False, "a field that can be assigned is invariant"),
    (Point, ReadsX, True, "a field for a property"),
    (FrozenPoint, ReadsX, True, "a frozen field for a property"),
    (PropertyPoint, ReadsX, True, "a property for a property"),
    (HiddenPoint, ReadsX, None, "an attribute that only __init__ knows"),
    (OpenPoint, ReadsX, None, "an attribute that __getattr__ may know"),
    (Explicit, HasX, True, "a class that says so"),
    (HasX, ReadsX, True, "a protocol into a protocol"),
    (IntGetter, Getter[int], True, "a generic protocol"),
    (IntGetter, Getter[float], True, "a covariant protocol"),
    (IntGetter, Getter[str], False, "a generic protocol of another"),
    (BoxGetter[int], Getter[float], True, "a generic class for a generic protocol"),
    (BoxGetter[int], Getter[str], False, "a generic class for a protocol of another"),
    (Getter[bool], Getter[int], True, "a covariant protocol into itself"),
    (ListNode, Node, True, "a protocol that speaks of itself"),
    (BrokenNode, Node, False, "a protocol that speaks of itself, broken"),
    (Copy, Copies, True, "Self in a protocol"),
    (int, SupportsInt, True, "int(…) of an int"),
    (int, Comparable, True, "a method of the standard library"),
    (Animal, Comparable, False, "a special method is missing"),
    (re.Pattern[str], Comparable, None, "a special method that may only say no"),
    (dict[str, int], Comparable, False, "a special method that only says no"),
    (Job[[int], str], Job[[int], str], True, "a ParamSpec as an argument"),
    (Job[[int], str], Job[..., str], True, "a ParamSpec as an argument, open"),
    (Job[[int], str], Job[[str], str], None, "a ParamSpec as an argument, another"),
    (str, SupportsInt, False, "int(…) of a str is not for types"),
    (bool, SupportsIndex, True, "a bool is an index"),
    (list[int], Sized, True, "a list has a size"),
    (int, Sized, False, "an int has no size"),
    (str, Hashable, True, "a str can be hashed"),
    (list[int], Hashable, False, "a list cannot be hashed"),
    (Point, Hashable, False, "a dataclass that can be compared cannot be hashed"),
    (FrozenPoint, Hashable, True, "a frozen dataclass can be hashed"),
    (Numbers, Iterable[int], True, "a class with __iter__"),
    (Numbers, Iterable[str], False, "a class with __iter__ of another"),
    (Strange, Iterable[int], False, "a class whose __iter__ returns no iterator"),
    (Animal, Iterable[int], False, "a class without __iter__"),
    (Waits, Awaitable[int], True, "a class with __await__"),
    (Waits, Awaitable[str], False, "a class with __await__ of another"),
    (Coroutine[Any, Any, int], Awaitable[int], True, "a Coroutine is an Awaitable"),
    (Opener, AbstractContextManager[int], True, "a class with __enter__ and __exit__"),
    (Path, os.PathLike[str], True, "a Path is a path"),
    (Path, os.PathLike[bytes], False, "a Path is no path of bytes"),
    (Folder, os.PathLike[str], True, "a class with __fspath__"),
    (str, os.PathLike[str], False, "a str is no PathLike"),
    (io.StringIO, TextIO, True, "a StringIO is a text file"),
    (TextIO, Iterable[str], True, "a text file is an iterable of lines"),
    (StaticBuilder, Builds, True, "a static method"),
    (ClassBuilder, Builds, False, "a class method that returns its own class"),
    (AnimalBuilder, Builds, True, "a class method whose type variable is its own class"),
    (Overloaded, Builds, True, "an overloaded method"),
    (OverloadedBadly, Builds, None, "overloads of which none fits alone"),
    (HoldsBuilder, Builds, None, "an attribute that can be called, not by name"),
    (NoBuilder, Builds, False, "an attribute that cannot be called"),
    (StaticBuilder, HasBuilder, True, "a method for an attribute that can be called"),
    (Builds, NoBuilder, False, "a protocol is no class"),
    (Slotted, ReadsX, True, "a slot"),
    (Slotted, HasX, True, "a slot can be assigned"),
    (WithValue, HasX, True, "a value in the body of a class"),
    (SetsItself, HasX, None, "a class that decides what can be assigned"),
    (FeedsWithFood, FeedsWith, None, "a parameter has another name, one by name the same"),
    (FinalPoint, ReadsX, True, "a Final attribute for a property"),
    (FinalPoint, HasX, False, "a Final attribute cannot be assigned"),
    (PlainModel, HasX, True, "a field of a model"),
    (FrozenModel, HasX, False, "a field of a frozen model"),
    # callables
    (Callable[[int], str], Callable[[int], str], True, "a callable of the same"),
    (Callable[[Animal], Dog], Callable[[Dog], Animal], True, "a callable takes more and returns less"),
    (Callable[[Dog], Dog], Callable[[Animal], Dog], False, "a callable takes less"),
    (Callable[[Dog], Animal], Callable[[Dog], Dog], False, "a callable returns more"),
    (Callable[[int], str], Callable[[int, int], str], False, "a callable with other arguments"),
    (Callable[..., str], Callable[[int], str], True, "a callable that takes anything"),
    (Callable[[int], str], Callable[..., str], True, "into a callable that is called anyhow"),
    (Callable[[int], str], Callable[..., int], False, "into a callable that returns another"),
    (Callable[[int], str], Callable, True, "into a bare Callable"),
    (Callable[[], int], Callable[[], None], False, "a result is no None"),
    (Callable[P, int], Callable[P, int], True, "the same ParamSpec"),
    (Callable[P, int], Callable[[int], int], None, "a ParamSpec into arguments"),
    (Callable[P, int], Callable[[int], str], False, "a ParamSpec, and another result"),
    (Callable[[int], int], Callable[Concatenate[int, P], int], None, "into Concatenate"),
    (Handles, Handler, True, "a class with __call__ for a protocol"),
    (Handles, Callable[[str], int], True, "a class with __call__"),
    (Handles, Callable[[int], int], False, "a class with __call__ that takes another"),
    (Handler, Callable[[str], int], True, "a protocol with __call__ into Callable"),
    (Callable[..., int], Handler, True, "a callable that takes anything for a protocol"),
    (Callable[[str], int], Handler, False, "a callable without the keyword for a protocol"),
    (TakesAll, Tail, False, "a parameter that must have a name"),
    (TakesTail, Tail, True, "stars that take more"),
    (TakesTwo, Tail, False, "no star"),
    (TakesNoNames, Tail, False, "no two stars"),
    (TakesStrings, Tail, False, "a star that takes another"),
    (TakesAll, Callable[[int, int], None], True, "a star takes arguments"),
    (TakesSize, ByName, True, "parameters by name"),
    (TakesNamed, ByName, True, "two stars take names"),
    (TakesWithName, ByPlaceOrName, False, "a star takes the place, a parameter demands the name"),
    (TakesWithDefault, ByPlaceOrName, True, "a star takes the place, a parameter the name"),
    (TakesValues, ByPlaceOrName, False, "a star takes the place, nothing the name"),
    (TakesByPlace, ByPlaceOrName, False, "a parameter by place only, of the same name"),
    (TakesPacked, ByName, None, "two stars with a TypedDict"),
    (TakesByPlace, ByName, False, "a parameter by place only"),
    (NeedsDeep, ByName, False, "a parameter without the default"),
    (NeedsMore, ByName, False, "one parameter more"),
    (TakesNoNames, ByPlaceOrName, False, "a parameter of another name"),
    (TakesSize, ByPlaceOrName, True, "a parameter by place or name"),
    (TakesNamed, ByPlaceOrName, False, "a parameter by name only"),
    (Callable[[object], typing_extensions.TypeIs[int]], Callable[[object], bool], True, "a guard is a bool"),
    (Callable[[object], bool], Callable[[object], typing.TypeGuard[int]], None, "a bool is no guard"),
    (int, Callable[[], int], False, "an int cannot be called"),
    (Callable[[], int], int, False, "a callable is no int"),
    (Callable[[], int], Hashable, True, "a callable can be hashed"),
    (type[Dog], Callable[..., Animal], True, "a class makes its instances"),
    (type[Dog], Callable[..., int], False, "a class makes no others"),
    (type[Dog], Callable[[int], Dog], None, "what a class is called with"),
    # classes as values
    (type[Dog], type[Animal], True, "type is covariant"),
    (type[Animal], type[Dog], False, "the class of a superclass"),
    (type[Dog], type, True, "into bare type"),
    (type, type[Dog], True, "a bare type"),
    (type[Dog], object, True, "a class is an object"),
    (type[Dog], Hashable, True, "a class can be hashed"),
    (type[Dog], Closes, False, "a class that lacks a method of a protocol"),
    (type[Closer], Closes, None, "a class that has a method of a protocol, unbound"),
    (type, Callable[[int], str], True, "a bare type makes anything"),
    (type[Dog], Dog, False, "a class is no instance"),
    (Dog, type[Dog], False, "an instance is no class"),
    (Meta, type[Dog], None, "an instance of a metaclass"),
    (type[int | str], type[int] | type[str], True, "a class of a union"),
    # generics of the user
    (Box[int], Box[int], True, "a generic class of the same"),
    (Box[bool], Box[int], False, "a generic class is invariant"),
    (Box, Box[int], True, "a bare generic class"),
    (Box[int], Box, True, "into a bare generic class"),
    (IntBox, Box[int], True, "a class derived from Box[int]"),
    (IntBox, Box[str], False, "a class derived from Box[int] is no Box[str]"),
    (AnyBox, Box[str], True, "a class derived from bare Box"),
    (ListBox[int], Box[list[int]], True, "a class derived from Box[list[T]]"),
    (ListBox[int], Box[int], False, "a class derived from Box[list[T]] is no Box[T]"),
    (Source[bool], Source[int], True, "a covariant class"),
    (Source[int], Source[bool], False, "a covariant class, the other way"),
    (Sink[int], Sink[bool], True, "a contravariant class"),
    (Sink[bool], Sink[int], False, "a contravariant class, the other way"),
    (re.Pattern[str], re.Pattern[str], True, "a class of unknown variance, the same"),
    (re.Pattern[str], re.Pattern[bytes], False, "a class of unknown variance, another"),
    (subprocess.Popen[bool], subprocess.Popen[int], None, "a class of unknown variance, a subclass"),
    (Array[int, str], Array[int, str], True, "a class of a TypeVarTuple, the same"),
    (Array[int], Array[int, str], None, "a class of a TypeVarTuple, another"),
    (Array, Array[int], True, "a bare class of a TypeVarTuple"),
    (Defaulted, Defaulted[int], True, "a type variable has its default"),
    (Defaulted, Defaulted[str], False, "a type variable has no other default"),
    # type variables, and what cannot be told
    (int, T, True, "into a free type variable"),
    (list[int], Sequence[T], True, "into a free type variable inside"),
    (list[int], list[T], True, "into a free type variable inside a list"),
    (dict[int, int], dict[T, T], True, "the same type into one type variable twice"),
    (dict[str, int], dict[T, T], None, "into one type variable twice"),
    (T, object, True, "a type variable into object"),
    (T, int, None, "a free type variable into a class"),
    (Number, float, True, "constraints that all fit"),
    (Number, str, False, "constraints of which none fits"),
    (Number, int, None, "constraints of which one fits"),
    (str, Number, False, "into constraints of which none fits"),
    (int, Number, True, "into constraints of which one fits"),
    (TypeVar("D", bound=Dog), Animal, True, "a bound that fits"),
    (TypeVar("D", bound=Dog), int, False, "a bound that does not fit"),
    (TypeVar("A", bound=Animal), Dog, None, "a bound that may fit"),
    (int, TypeVar("A", bound=Animal), False, "into a bound that does not fit"),
    (Self, int, None, "Self without its class"),
    (Odd, int, None, "an annotation that could not be evaluated"),
    (int, Odd, None, "into an annotation that could not be evaluated"),
    ("int", int, None, "a string that was not evaluated"),
    (list["X"], list["X"], None, "a string inside"),  # type: ignore[name-defined]
    (list["X"], int, False, "a string inside what surely is another"),  # type: ignore[name-defined]
    (ForwardRef("X"), int, None, "a ForwardRef"),
    (5, int, None, "what is no type"),
]


@pytest.mark.parametrize(
    ("source", "target", "expected"), [pytest.param(*case[:3], id=case[3]) for case in CASES]
)
def test_assignable(source: object, target: object, expected: bool | None) -> None:
    """A value flows where the typing specification lets it flow."""
    assert assignable(source, target) is expected


OLD_JSON = typing_extensions.TypeAliasType("OLD_JSON", "dict[str, OLD_JSON] | list[OLD_JSON] | str")
Ids = typing_extensions.TypeAliasType("Ids", list[int])
Twice = typing_extensions.TypeAliasType("Twice", tuple[T, T], type_params=(T,))

ALIAS_CASES: list[tuple[object, object, bool | None, str]] = [
    (Ids, list[int], True, "an alias is what it stands for"),
    (list[int], Ids, True, "into an alias"),
    (dict[str, Ids], dict[str, list[int]], True, "an alias inside an argument"),
    (Ids, list[str], False, "an alias for another"),
    (Annotated[Ids, "m"], Sequence[int], True, "an alias inside Annotated"),
    (Twice[int], tuple[int, int], True, "a generic alias"),
    (Twice[int], tuple[int, str], False, "a generic alias for another"),
    (Twice, tuple[int, str], True, "a bare generic alias stands for Any"),
    (
        typing_extensions.TypeAliasType("Calls", Callable[P, int], type_params=(P,)),
        int,
        None,
        "an alias of a ParamSpec",
    ),
    (Final, int, True, "a bare qualifier stands for Any"),
    (OLD_JSON, str, None, "an alias whose string cannot be evaluated"),
]


@pytest.mark.parametrize(
    ("source", "target", "expected"), [pytest.param(*case[:3], id=case[3]) for case in ALIAS_CASES]
)
def test_assignable_aliases(source: object, target: object, expected: bool | None) -> None:
    """The name of a `type` statement is what it stands for, at every depth."""
    assert assignable(source, target) is expected


NEW_SYNTAX = """
from __future__ import annotations
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

type Json = dict[str, Json] | list[Json] | str | int | None
type Other = dict[str, Other] | list[Other] | str | int | None
type Narrow = dict[str, Narrow] | str
type Endless = Endless
type Pair[A] = tuple[A, A]
type Broken = Nowhere

@dataclass(frozen=True)
class Frozen[A]:
    value: A

@dataclass
class Cell[A]:
    value: A

class Reads[A]:
    def get(self) -> A: ...
    def again(self) -> Reads[A]: ...

class Takes[A]:
    def put(self, value: A) -> None: ...

class Both[A]:
    def get(self) -> A: ...
    def put(self, value: A) -> None: ...

class Hides[A]:
    def __init__(self, value: A) -> None:
        self._value = value
    def get(self) -> A: ...

class Many[A](Sequence[A]): ...
class Filled(Cell[int]): ...
class Calls[A]:
    def each(self, handle: Callable[[A], None]) -> None: ...

class Gets[A](Protocol):
    def get(self) -> A: ...

class Grows[A]:
    def more(self) -> Grows[list[A]]: ...

class First[A]:
    def first[B](self, other: B) -> A | B: ...
"""

NEW_CASES = [
    ("Json", "Json", True, "a recursive alias of the same"),
    ("Json", "Other", True, "two recursive aliases of the same shape"),
    ("str", "Json", True, "into a recursive alias"),
    ("dict[str, Json]", "Json", True, "one level of a recursive alias"),
    ("bytes", "Json", False, "what a recursive alias does not allow"),
    ("Narrow", "Json", False, "a recursive alias is invariant inside a dict"),
    ("Endless", "int", None, "an alias for nothing but itself"),
    ("Broken", "int", None, "an alias for an unknown name"),
    ("list[Broken]", "int", False, "an alias for an unknown name inside what surely is another"),
    ("Pair[int]", "tuple[int, int]", True, "a generic alias"),
    ("Frozen[bool]", "Frozen[int]", True, "a frozen dataclass is covariant"),
    ("Frozen[int]", "Frozen[bool]", False, "a frozen dataclass is not contravariant"),
    ("Cell[bool]", "Cell[int]", False, "a dataclass that can be assigned is invariant"),
    ("Cell[int]", "Cell[int]", True, "a dataclass of the same"),
    ("Filled", "Cell[int]", True, "a class derived from a generic one"),
    ("Reads[bool]", "Reads[int]", True, "a class that gives is covariant"),
    ("Takes[int]", "Takes[bool]", True, "a class that takes is contravariant"),
    ("Takes[bool]", "Takes[int]", False, "a class that takes is not covariant"),
    ("Both[bool]", "Both[int]", False, "a class that gives and takes is invariant"),
    ("Hides[bool]", "Hides[int]", None, "a class with an attribute that it does not declare"),
    ("Hides[str]", "Hides[int]", False, "of no variance two that have nothing in common"),
    ("Many[bool]", "Many[int]", True, "a class is as variant as its base"),
    ("Calls[bool]", "Calls[int]", True, "a parameter of a parameter is covariant"),
    ("Reads[bool]", "Gets[int]", True, "a generic protocol"),
    ("Reads[str]", "Gets[int]", False, "a generic protocol of another"),
    ("Grows[bool]", "Grows[int]", False, "a class that speaks of itself with a growing argument"),
    ("First[bool]", "First[int]", True, "a method with a type variable of its own"),
]


@pytest.fixture(scope="module")
def new_syntax() -> ModuleType:
    """A module in the syntax of Python 3.12."""
    module = ModuleType("new_syntax")
    sys.modules["new_syntax"] = module
    exec(NEW_SYNTAX, vars(module))
    return module


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of PEP 695 came with Python 3.12")
@pytest.mark.parametrize(
    ("source", "target", "expected"), [pytest.param(*case[:3], id=case[3]) for case in NEW_CASES]
)
def test_assignable_new_syntax(
    new_syntax: ModuleType, source: str, target: str, expected: bool | None
) -> None:
    """Recursive aliases come to an end, and variance is inferred where a class tells enough."""
    given, wanted = (eval(text, vars(new_syntax)) for text in (source, target))
    assert assignable(given, wanted) is expected


# ---------------------------------------------------------------- evaluating

EVALUATED = [
    (int, int, "a class"),
    (None, None, "None"),
    ("int", int, "a string"),
    ("'int'", int, "a string in a string"),
    (" dict[str, int] ", dict[str, int], "a string with blanks around"),
    ("int |\n    None", int | None, "a string of several lines"),
    (ForwardRef("list[int]"), list[int], "a ForwardRef"),
    ("list['int']", list[int], "a string inside"),
    (list["int"], list[int], "a string inside a type"),
    ("Optional['int']", Optional[int], "a string inside Optional"),
    ("list['int'] | None", list[int] | None, "a string inside a union"),
    ("Box['int']", Box[int], "a string inside a generic class"),
    ("Callable[['int'], 'str']", Callable[[int], str], "strings inside Callable"),
    ("Annotated['int', 'm']", Annotated[int, "m"], "a string inside Annotated"),
    ("Literal['int']", Literal["int"], "a string that is a literal"),
    ("Ids", list[int], "an alias"),
    ("Twice['int']", tuple[int, int], "a generic alias"),
    ("list[Ids]", list[Ids], "an alias inside stays"),
    ("OLD_JSON", dict[str, OLD_JSON] | list[OLD_JSON] | str, "an alias for a string"),
    (OLD_JSON, dict[str, OLD_JSON] | list[OLD_JSON] | str, "an alias for a string, evaluated"),
    ("*tuple[int, ...]", next(iter(GenericAlias(tuple, (int, ...)))), "what is unpacked after a star"),
    ("list['Nowhere']", list["Nowhere"], "an unknown name inside stays"),  # type: ignore[name-defined]
]


@pytest.mark.parametrize(
    ("annotation", "expected"), [pytest.param(*case[:2], id=case[2]) for case in EVALUATED]
)
def test_evaluate(annotation: object, expected: object) -> None:
    """Strings are evaluated until none is left that can be."""
    assert evaluate(annotation, globals()) == expected


UNRESOLVED = [
    ("Nowhere", "Nowhere", "name 'Nowhere' is not defined"),
    ("os.nothing", "os.nothing", "AttributeError: module 'os' has no attribute 'nothing'"),
    ("int[", "int[", "SyntaxError: "),
    ("int[str]", "int[str]", "TypeError: type 'int' is not subscriptable"),
    ("1 / 0", "1 / 0", "ZeroDivisionError: division by zero"),
    ("LOOP", "LOOP", "RecursionError: it refers to itself"),
    ("", "", "SyntaxError: "),
]
LOOP = "LOOP"


@pytest.mark.parametrize(("annotation", "text", "reason"), UNRESOLVED)
def test_evaluate_fails(annotation: str, text: str, reason: str) -> None:
    """What cannot be evaluated keeps its text and the reason."""
    found = evaluate(annotation, globals())
    assert isinstance(found, Unresolved)
    assert found.text == text
    assert found.reason.startswith(reason)
    assert str(found) == text


def test_evaluate_locals() -> None:
    """The locals of the function around come before globals, and its type parameters before both."""
    assert evaluate("int", globals(), {"int": str}) is str
    assert evaluate("T", {"T": int}, {"T": str}, type_params=(T,)) is T


def test_evaluate_memo() -> None:
    """A text is evaluated once in each namespace, and never from the memo where names are local."""
    one, other, memo = {"X": int}, {"X": str}, {}
    assert evaluate("list[X]", one, memo=memo) is evaluate("list[X]", one, memo=memo)
    assert evaluate("list[X]", other, memo=memo) == list[str]
    assert evaluate("list[X]", one, {"X": bytes}, memo=memo) == list[bytes]
    assert set(memo) == {(id(one), "list[X]"), (id(other), "list[X]")}


def test_evaluate_leaves_the_namespace_alone(module_of: ModuleMaker) -> None:
    """What only type checkers import is never bound in the user's module."""
    module = module_of(FOR_CHECKERS)
    evaluate("Decimal", vars(module))
    assert not hasattr(module, "Decimal")


def test_evaluate_recursive_string() -> None:
    """A string that stands in itself is unrolled once."""
    tree = {"Tree": dict[str, "Tree"]}  # type: ignore[misc]
    assert evaluate("Tree", tree) == dict[str, "Tree"]  # type: ignore[misc]


ModuleMaker = Callable[..., ModuleType]


@pytest.fixture
def module_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleMaker:
    """Write a module of some text and import it."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(text: str, name: str = "users_module") -> ModuleType:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return make


FOR_CHECKERS = """
    from __future__ import annotations
    import typing as t
    from typing import TYPE_CHECKING

    if TYPE_CHECKING:
        import nowhere_to_be_found
        from decimal import Decimal
        from nowhere_else import Thing
        import xml.dom as dom
    if t.TYPE_CHECKING:
        try:
            import xml.sax
        except ImportError:
            pass
    if len(__name__) == 0:
        from fractions import Fraction
"""


def test_evaluate_for_checkers(module_of: ModuleMaker) -> None:
    """A name that only type checkers import is imported when an annotation needs it."""
    names, memo = vars(module_of(FOR_CHECKERS)), {}
    decimal, dom = (importlib.import_module(name) for name in ("decimal", "xml.dom"))
    assert evaluate("Decimal", names, memo=memo) is decimal.Decimal
    assert evaluate("dict[str, Decimal | None]", names, memo=memo) == dict[str, decimal.Decimal | None]
    assert evaluate("dom.Node", names, memo=memo) is dom.Node
    assert evaluate("xml.sax.ContentHandler", names).__name__ == "ContentHandler"  # type: ignore[attr-defined]


def test_evaluate_for_checkers_fails(module_of: ModuleMaker) -> None:
    """An import for type checkers that fails is the reason, for its own names only."""
    names, memo = vars(module_of(FOR_CHECKERS)), {}
    for _ in range(2):
        thing = evaluate("Thing", names, memo=memo)
        assert isinstance(thing, Unresolved)
        assert thing.reason.startswith("`from nowhere_else import Thing` failed: ModuleNotFoundError")
    assert evaluate("int", names, memo=memo) is int
    assert evaluate("Fraction", names) == Unresolved("Fraction", "name 'Fraction' is not defined")


def test_evaluate_for_checkers_star(module_of: ModuleMaker) -> None:
    """A star under TYPE_CHECKING may bring any name."""
    names = vars(module_of("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from decimal import *"))
    assert evaluate("Decimal", names).__name__ == "Decimal"  # type: ignore[attr-defined]


def test_evaluate_cyclic_import(module_of: ModuleMaker) -> None:
    """Two modules that import each other for type checkers only are both evaluated."""
    one = module_of(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from two import Two\nclass One: ...", "one"
    )
    two = module_of(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from one import One\nclass Two: ...", "two"
    )
    assert evaluate("Two", vars(one)) is two.Two
    assert evaluate("One", vars(two)) is one.One


def test_evaluate_without_source() -> None:
    """A namespace without a file has no imports for type checkers."""
    assert evaluate("Decimal", {}) == Unresolved("Decimal", "name 'Decimal' is not defined")
    assert isinstance(evaluate("Decimal", {"__file__": "no/such/file.py"}), Unresolved)


# ---------------------------------------------------------------- taking apart, showing


def test_strip() -> None:
    """Metadata come flat, innermost first, also through aliases."""
    alias = typing_extensions.TypeAliasType("alias", Annotated[int, "a", "b"])
    assert strip(int) == (int, ())
    assert strip(Annotated[Annotated[int, "a"], "b"]) == (int, ("a", "b"))
    assert strip(Annotated[alias, "c"]) == (int, ("a", "b", "c"))
    assert strip(Ids) == (list[int], ())


SHOWN = [
    (Path, "Path"),
    (list[int], "list[int]"),
    (typing.List[int], "list[int]"),
    (typing.List, "list"),
    (str | None, "str | None"),
    (Optional[str], "str | None"),
    (Union[int, str], "int | str"),
    (None, "None"),
    (NoneType, "None"),
    (Any, "Any"),
    (Never, "Never"),
    (Literal["a"], "Literal['a']"),
    (Literal[1, None, Color.RED, b"x"], "Literal[1, None, Color.RED, b'x']"),
    (Callable[[int], str], "Callable[[int], str]"),
    (typing.Callable[[], None], "Callable[[], None]"),
    (Callable[..., int], "Callable[..., int]"),
    (Callable[P, int], "Callable[P, int]"),
    (Callable[Concatenate[int, P], int], "Callable[Concatenate[int, P], int]"),
    (Callable, "Callable"),
    (tuple[()], "tuple[()]"),
    (tuple[int, ...], "tuple[int, ...]"),
    (GenericAlias(tuple, (int, *tuple[str, ...])), "tuple[int, *tuple[str, ...]]"),
    (typing_extensions.Unpack[tuple[int, ...]], "*tuple[int, ...]"),
    (Annotated[int, "m"], "int"),
    (list[Annotated[int, "m"]], "list[int]"),
    (dict[str, Sequence[Path]], "dict[str, Sequence[Path]]"),
    (type[Path], "type[Path]"),
    (Box[int], "Box[int]"),
    (UserId, "UserId"),
    (T, "T"),
    (P, "P"),
    (Ids, "Ids"),
    (Twice[int], "Twice[int]"),
    (Final[int], "Final[int]"),
    (ForwardRef("X"), "X"),
    ("X | None", "X | None"),
    (Odd, "Missing"),
    (inspect.Parameter.empty, "(no annotation)"),
    (Enum("Missing", "MISSING").MISSING, "(no annotation)"),  # type: ignore[attr-defined]
    (5, "5"),
]


@pytest.mark.parametrize(("annotation", "text"), SHOWN, ids=[case[1] for case in SHOWN])
def test_show(annotation: object, text: str) -> None:
    """A type is shown as its author would write it."""
    assert show(annotation) == text


def test_show_local_class() -> None:
    """A class in a class is shown with it, one in a function without the function."""

    class Outer:
        class Inner: ...

    assert show(list[Outer.Inner]) == "list[Outer.Inner]"


# ---------------------------------------------------------------- None, awaiting

ADMITS_NONE = [
    (None, True),
    (int | None, True),
    (Optional[int], True),
    (Annotated[int | None, "m"], True),
    (Any, True),
    (object, True),
    (Hashable, True),
    (Literal["a", None], True),
    (inspect.Parameter.empty, True),
    (int, False),
    (int | str, False),
    (Unresolved("Report | None", "?"), True),
    (Unresolved("a.Optional[Report]", "?"), True),
    (Unresolved("Report", "?"), False),
    (Unresolved("list[None]", "?"), False),
    (Unresolved("Report[", "?"), False),
]


@pytest.mark.parametrize(("annotation", "expected"), ADMITS_NONE, ids=[show(case[0]) for case in ADMITS_NONE])
def test_admits_none(annotation: object, expected: bool) -> None:
    """A parameter admits None if its type says so, or its text where that is all there is."""
    assert admits_none(annotation) is expected


AWAITED = [
    (Awaitable[int], int),
    (Coroutine[Any, Any, list[str]], list[str]),
    (Annotated[Awaitable[int], "m"], int),
    (Awaitable, Any),
    (Waits, int),
    (asyncio.Task[int], int),
    (asyncio.Future, Any),
    (typing.Coroutine[Any, Any, int], int),
]


@pytest.mark.parametrize(("annotation", "result"), AWAITED, ids=[show(case[0]) for case in AWAITED])
def test_awaited(annotation: object, result: object) -> None:
    """A function that returns an awaitable gives what it awaits to; a coroutine function the annotation."""
    assert is_awaitable(annotation)
    assert awaited(annotation, is_coroutine_function=False) == result
    assert awaited(annotation, is_coroutine_function=True) == annotation


@pytest.mark.parametrize(
    "annotation", [int, None, list[Awaitable[int]], AsyncIterator[int], Odd, "int", T, 5]
)
def test_not_awaited(annotation: object) -> None:
    """What is no awaitable stays as it is."""
    assert not is_awaitable(annotation)
    assert awaited(annotation, is_coroutine_function=False) == annotation


# ---------------------------------------------------------------- fields


class Model(pydantic.BaseModel):
    url: str
    tags: list[str] = []

    @pydantic.computed_field
    @property
    def host(self) -> str:
        """Return the host."""
        return ""


class OpenModel(pydantic.BaseModel, extra="allow"):
    url: str


GenericModelT = TypeVar("GenericModelT")


class GenericModel(pydantic.BaseModel, Generic[GenericModelT]):
    value: GenericModelT


@attrs.define
class Defined:
    path: Path
    size: int = 0


@attrs.define(these={"path": attrs.field(type=Path)})
class These: ...


@dataclass
class Report:
    path: Path
    lines: list[int] = field(default_factory=list)
    only: InitVar[int] = 0
    date: date | None = None
    kind: ClassVar[str] = "report"
    _hidden: int = 0

    class Part:  # noqa: D106
        pass

    part: Part | None = None  # type: ignore[assignment]

    @property
    def size(self) -> int:
        """Return the size."""
        return 0

    @cached_property
    def words(self) -> set[str]:
        """Return the words."""
        return set()

    def untyped(self): ...  # type: ignore[no-untyped-def]


class Slots:
    __slots__ = ("x",)


class SetLater:
    level = 3
    later = None

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> str:
        return self.path


class SetByName:
    def __init__(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self, name, value)


FIELDS = [
    (Report, "path", Path),
    (Report, "lines", list[int]),
    (Report, "date", date | None),
    (Report, "kind", str),
    (Report, "part", Report.Part | None),
    (Report, "size", int),
    (Report, "words", set[str]),
    (Report, "untyped", Any),
    (Report, "only", NO_FIELD),
    (Report, "pth", NO_FIELD),
    (Annotated[Report, "m"], "path", Path),
    (Report | None, "path", Path),
    (Report | Defined, "path", Path),
    (Report | Movie, "size", int),
    (Report | Point, "path", Path),
    (Pair | Point, "left", int),
    (Report | HiddenPoint, "x", Any),
    (Point | PropertyPoint, "x", int),
    (Box[int] | Box[str], "value", int | str),
    (Unknown, "x", Unresolved("Nowhere", "name 'Nowhere' is not defined")),
    (Unknown | Point, "x", Any),
    (int | str, "path", NO_FIELD),
    (Pair, "left", int),
    (Pair, "centre", NO_FIELD),
    (collections.namedtuple("Untyped", "a b"), "a", Any),
    (Movie, "year", int),
    (Movie, "yaer", NO_FIELD),
    (MaybeMovie, "year", int),
    (Record[int], "key", int),
    (Box[int], "value", int),
    (ListBox[int], "value", list[int]),
    (IntBox, "value", int),
    (HoldsCalls[[int], str], "anyhow", Callable[..., str]),
    (HoldsCalls[[int], str], "solved", Callable[[int], str]),
    (HoldsCalls[..., str], "solved", Callable[..., str]),
    (HoldsCalls[P, str], "solved", Callable[P, str]),
    (HoldsCalls[P, str], "longer", Callable[Concatenate[str, P], None]),
    (HoldsCalls[[int], str], "maybe", str | None),
    (Model, "tags", list[str]),
    (Model, "host", str),
    (Model, "tag", NO_FIELD),
    (OpenModel, "tag", Any),
    (GenericModel[int], "value", int),
    (Defined, "path", Path),
    (Defined, "pth", NO_FIELD),
    (These, "path", Path),
    (Slots, "x", Any),
    (SetLater, "path", Any),
    (SetLater, "later", Any),
    (SetLater, "level", int),
    (SetLater, "pth", NO_FIELD),
    (SetByName, "path", Any),
    (dict[str, int], "path", int),
    (dict, "path", Any),
    (NewType("Final", Report), "path", Path),
    (Literal["a"], "path", NO_FIELD),
    (Color, "value", Any),
    (HasX, "x", int),
    (Copies, "copy", Any),
    (int, "path", NO_FIELD),
    (object, "path", Any),
    (Any, "path", Any),
    (Odd, "path", Any),
    (T, "path", Any),
    (Opaque, "path", Any),
    (inspect.Parameter.empty, "path", Any),
    (Callable[[], int], "path", NO_FIELD),
    (5, "path", Any),
]


@pytest.mark.parametrize(
    ("annotation", "name", "expected"), FIELDS, ids=[f"{show(case[0])}.{case[1]}" for case in FIELDS]
)
def test_field_type(annotation: object, name: str, expected: object) -> None:
    """A field has its evaluated type; there is none only where that is sure."""
    assert field_type(annotation, name) == expected


FIELD_NAMES = [
    (Report, ("path", "lines", "date", "kind", "part", "size", "words")),
    (Pair, ("left", "right")),
    (RatedMovie, ("title", "year", "rating")),
    (Model, ("url", "tags", "host")),
    (Defined, ("path", "size")),
    (These, ("path",)),
    (Point | None, ("x", "y")),
    (int, ()),
    (Any, ()),
    (Odd, ()),
]


@pytest.mark.parametrize(("annotation", "expected"), FIELD_NAMES, ids=[show(case[0]) for case in FIELD_NAMES])
def test_field_names(annotation: object, expected: tuple[str, ...]) -> None:
    """The names of the public fields come in the order of their definition."""
    assert field_names(annotation) == expected


def test_no_field_is_shown() -> None:
    """The sentinel says what it means."""
    assert repr(NO_FIELD) == "NO_FIELD"


# ---------------------------------------------------------------- laws

LEAVES = st.sampled_from(
    [
        *(int, str, bool, float, bytes, None, object, Path, Animal, Dog, Color, Movie, Point, Pair),
        *(Any, UserId, Literal["a"], Literal[1, 2], Literal[Color.RED], Closes, Hashable, Node, IntBox),
    ]
)


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda one: GenericAlias(list, (one,))),
        inner.map(lambda one: GenericAlias(type, (one,))),
        inner.map(lambda one: GenericAlias(tuple, (one, ...))),
        inner.map(lambda one: Sequence[one]),
        inner.map(lambda one: Box[one]),
        inner.map(lambda one: Source[one]),
        st.tuples(inner, inner).map(lambda pair: Mapping[pair]),
        st.tuples(inner, inner).map(lambda pair: Union[pair]),
        st.tuples(inner, inner).map(lambda pair: Callable[[pair[0]], pair[1]]),
        st.lists(inner, max_size=3).map(lambda parts: GenericAlias(tuple, tuple(parts))),
    )


TYPES = st.recursive(LEAVES, _wider, max_leaves=6)


@given(TYPES)
def test_reflexive(one: object) -> None:
    """Every type flows into itself."""
    assert assignable(one, one) is True


@given(TYPES)
def test_reflexive_by_structure(one: object) -> None:
    """Every type flows into an equal one that was made anew."""
    assert assignable(one, evaluate(show(one), globals())) is True


@given(TYPES)
def test_any(one: object) -> None:
    """Any flows into every type, and every type into Any."""
    assert assignable(Any, one) is True
    assert assignable(one, Any) is True


@given(TYPES)
def test_top_and_bottom(one: object) -> None:
    """Every type flows into object, and Never into every type."""
    assert assignable(one, object) is True
    assert assignable(Never, one) is True


@given(TYPES, TYPES)
def test_union_introduction(one: object, other: object) -> None:
    """Every type flows into a union with it."""
    assert assignable(one, Union[one, other]) is True


@given(TYPES, TYPES, TYPES)
def test_union_elimination(one: object, other: object, target: object) -> None:
    """A union flows where both of its members flow."""
    both = {assignable(one, target), assignable(other, target)}
    expected = False if False in both else None if None in both else True
    assert assignable(Union[one, other], target) is expected


@given(TYPES, TYPES)
def test_covariance(one: object, other: object) -> None:
    """A Sequence flows as its elements do, and as results do."""
    expected = assignable(one, other)
    assert assignable(Sequence[one], Sequence[other]) is expected
    assert assignable(Callable[[], one], Callable[[], other]) is expected


@given(TYPES, TYPES)
def test_contravariance(one: object, other: object) -> None:
    """A callable flows as its parameters do, the other way round."""
    assert assignable(Callable[[other], None], Callable[[one], None]) is assignable(one, other)


@given(TYPES.filter(lambda one: "NoneType" not in repr(one)))  # to Python, list[NoneType] != list[None]
def test_shown_types_evaluate(one: object) -> None:
    """What is shown of a type evaluates to an equal type."""
    assert evaluate(show(one), globals()) == one


ODD = [
    *(
        typing,
        len,
        print,
        lambda: None,
        NotImplemented,
        ...,
        Generic,
        Protocol,
        Union,
        Literal,
        Callable,
        Optional,
    ),
    *(
        Annotated,
        Self,
        P,
        P.args,
        Concatenate[int, P],
        ForwardRef("X"),
        Odd,
        T,
        Final,
        typing.Tuple,
        Box[T],
        InitVar,
    ),
    *(GenericAlias(int, (5, "x")), GenericAlias(list, ()), GenericAlias(dict, (int,)), Raises, InitVar[int]),
    *(
        property(),
        dataclass,
        Enum,
        NamedTuple,
        TypedDict,
        Unfriendly(),
        UnfriendlyMeta,
        5,
        1j,
        "a b",
        b"",
        [1],
        {},
    ),
]
USUAL = [
    int,
    Sequence[int],
    HasX,
    Movie,
    Hashable,
    Optional[int],
    Literal[1],
    Callable[[int], str],
    type[int],
    UserId,
]


@pytest.mark.parametrize("number", range(len(ODD)))
def test_never_raises(number: int) -> None:
    """Whatever stands where a type should be, nothing is raised."""
    odd = ODD[number]
    for other in (*ODD, *USUAL):
        assert {assignable(odd, other), assignable(other, odd)} <= {True, False, None}
    assert isinstance(show(odd), str)
    assert isinstance(field_names(odd), tuple)
    assert isinstance(admits_none(odd), bool)
    assert isinstance(strip(odd), tuple)
    field_type(odd, "x")
    awaited(odd, is_coroutine_function=False)
    evaluate(odd, {})


NO_TYPES = [
    typing,
    len,
    ...,
    Generic,
    Protocol,
    Union,
    Literal,
    Annotated,
    Self,
    P,
    property(),
    5,
    [1],
    {},
    "a b",
]


@pytest.mark.parametrize("number", range(len(NO_TYPES)))
def test_no_types(number: int) -> None:
    """What is no type is one that cannot be told."""
    assert {assignable(NO_TYPES[number], one) for one in USUAL} == {None}
    assert {assignable(one, NO_TYPES[number]) for one in USUAL} == {None}


# ---------------------------------------------------------------- the package


def test_exports() -> None:
    """The package exports what its page promises, sorted."""
    assert gflow.annotations.__all__ == sorted(gflow.annotations.__all__)
    assert all(hasattr(gflow.annotations, name) for name in gflow.annotations.__all__)


def test_endless_protocols() -> None:
    """A question that grows without end is one that cannot be told."""
    assert assignable(GrowsA[int], GrowsB[int]) is None
    assert assignable(BranchesA[int], BranchesB[int]) is None


def test_typing_extensions_is_not_imported() -> None:
    """A program that does not use typing_extensions does not load it by comparing types."""
    code = (
        "import sys; from gflow.annotations import assignable, show; import typing as t; "
        "assert assignable(list[t.Annotated[int, 1]], t.Sequence[int]); assert show(int | None); "
        "print('typing_extensions' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
