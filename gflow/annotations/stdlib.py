"""What type checkers know of the standard library and Python does not: generic bases, and builtin protocols.

As in typeshed (https://github.com/python/typeshed, stdlib/builtins.pyi, stdlib/typing.pyi).
"""

from __future__ import annotations

import io
import os
import types
from abc import abstractmethod
from collections import (
    ChainMap,
    Counter,
    OrderedDict,
    UserDict,
    UserList,
    UserString,
    abc,
    defaultdict,
    deque,
)
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import PurePath
from typing import IO, Any, AnyStr, BinaryIO, Final, Protocol, TextIO, TypeVar, get_args, get_origin

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
T_co = TypeVar("T_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
S_contra = TypeVar("S_contra", contravariant=True)


def _of(cls: Any, *arguments: Any) -> types.GenericAlias:
    return types.GenericAlias(cls, arguments)


_GENERIC: Final[tuple[tuple[Any, ...], ...]] = (
    # a class, then its bases
    (_of(abc.Iterable, T_co),),
    (_of(abc.Iterator, T_co), _of(abc.Iterable, T_co)),
    (_of(abc.Reversible, T_co), _of(abc.Iterable, T_co)),
    (_of(abc.Container, T_co),),
    (_of(abc.Collection, T_co), abc.Sized, _of(abc.Iterable, T_co), _of(abc.Container, T_co)),
    (_of(abc.Sequence, T_co), _of(abc.Reversible, T_co), _of(abc.Collection, T_co)),
    (_of(abc.MutableSequence, T), _of(abc.Sequence, T)),
    (_of(abc.Set, T_co), _of(abc.Collection, T_co)),
    (_of(abc.MutableSet, T), _of(abc.Set, T)),
    (_of(abc.Mapping, K, V_co), _of(abc.Collection, K)),
    (_of(abc.MutableMapping, K, V), _of(abc.Mapping, K, V)),
    (_of(abc.KeysView, T_co), _of(abc.Set, T_co)),
    (_of(abc.ItemsView, T_co, V_co), _of(abc.Set, _of(tuple, T_co, V_co))),
    (_of(abc.ValuesView, V_co), _of(abc.Collection, V_co)),
    (_of(abc.Generator, T_co, S_contra, R_co), _of(abc.Iterator, T_co)),
    (_of(abc.Awaitable, T_co),),
    (_of(abc.Coroutine, T_co, S_contra, R_co), _of(abc.Awaitable, R_co)),
    (_of(abc.AsyncIterable, T_co),),
    (_of(abc.AsyncIterator, T_co), _of(abc.AsyncIterable, T_co)),
    (_of(abc.AsyncGenerator, T_co, S_contra), _of(abc.AsyncIterator, T_co)),
    (_of(AbstractContextManager, T_co),),  # its second argument came with 3.13
    (_of(AbstractAsyncContextManager, T_co),),
    (_of(list, T), _of(abc.MutableSequence, T)),
    (_of(deque, T), _of(abc.MutableSequence, T)),
    (_of(UserList, T), _of(abc.MutableSequence, T)),
    (_of(dict, K, V), _of(abc.MutableMapping, K, V)),
    (_of(defaultdict, K, V), _of(dict, K, V)),
    (_of(OrderedDict, K, V), _of(dict, K, V)),
    (_of(Counter, K), _of(dict, K, int)),
    (_of(ChainMap, K, V), _of(abc.MutableMapping, K, V)),
    (_of(UserDict, K, V), _of(abc.MutableMapping, K, V)),
    (_of(types.MappingProxyType, K, V_co), _of(abc.Mapping, K, V_co)),
    (_of(set, T), _of(abc.MutableSet, T)),
    (_of(frozenset, T_co), _of(abc.Set, T_co)),
    (_of(enumerate, T), _of(abc.Iterator, _of(tuple, int, T))),
    (str, _of(abc.Sequence, str)),
    (UserString, _of(abc.Sequence, UserString)),
    (bytes, _of(abc.Sequence, int)),
    (bytearray, _of(abc.MutableSequence, int)),
    (memoryview, _of(abc.Sequence, int)),
    (range, _of(abc.Sequence, int)),
    (_of(os.PathLike, T_co),),
    (PurePath, _of(os.PathLike, str)),
    (_of(IO, AnyStr), _of(abc.Iterator, AnyStr)),
    (io.TextIOWrapper, TextIO),
    (io.StringIO, TextIO),
    (io.BytesIO, BinaryIO),
    (io.FileIO, BinaryIO),
    (io.BufferedReader, BinaryIO),
    (io.BufferedWriter, BinaryIO),
    (io.BufferedRandom, BinaryIO),
)


PARAMETERS: Final[dict[Any, tuple[Any, ...]]] = {
    get_origin(own) or own: get_args(own) for own, *_ in _GENERIC
}
"""The type variables of a class, with their variance."""

BASES: Final[dict[Any, tuple[Any, ...]]] = {get_origin(own) or own: tuple(bases) for own, *bases in _GENERIC}
"""The bases of a class that it does not tell at run time, in terms of its type variables."""


class _Hashable(Protocol):
    @abstractmethod
    def __hash__(self) -> int: ...


class _Sized(Protocol):
    def __len__(self) -> int: ...


class _Iterable(Protocol[T_co]):
    def __iter__(self) -> abc.Iterator[T_co]: ...


class _Iterator(Protocol[T_co]):
    def __iter__(self) -> abc.Iterator[T_co]: ...
    def __next__(self) -> T_co: ...


class _Reversible(Protocol[T_co]):
    def __iter__(self) -> abc.Iterator[T_co]: ...
    def __reversed__(self) -> abc.Iterator[T_co]: ...


class _Container(Protocol[T_co]):
    def __contains__(self, x: Any, /) -> bool: ...


class _Collection(Protocol[T_co]):
    def __iter__(self) -> abc.Iterator[T_co]: ...
    def __contains__(self, x: Any, /) -> bool: ...
    def __len__(self) -> int: ...


class _Awaitable(Protocol[T_co]):
    def __await__(self) -> abc.Generator[Any, Any, T_co]: ...


class _AsyncIterable(Protocol[T_co]):
    def __aiter__(self) -> abc.AsyncIterator[T_co]: ...


class _AsyncIterator(Protocol[T_co]):
    def __aiter__(self) -> abc.AsyncIterator[T_co]: ...
    def __anext__(self) -> abc.Awaitable[T_co]: ...


class _ContextManager(Protocol[T_co]):
    def __enter__(self) -> T_co: ...
    def __exit__(self, kind: object, error: object, traceback: object, /) -> bool | None: ...


class _AsyncContextManager(Protocol[T_co]):
    def __aenter__(self) -> abc.Awaitable[T_co]: ...
    def __aexit__(self, kind: object, error: object, traceback: object, /) -> abc.Awaitable[bool | None]: ...


class _PathLike(Protocol[T_co]):
    def __fspath__(self) -> T_co: ...


PROTOCOLS: Final[dict[Any, Any]] = {
    abc.Hashable: _Hashable,
    abc.Sized: _Sized,
    abc.Iterable: _Iterable,
    abc.Iterator: _Iterator,
    abc.Reversible: _Reversible,
    abc.Container: _Container,
    abc.Collection: _Collection,
    abc.Awaitable: _Awaitable,
    abc.AsyncIterable: _AsyncIterable,
    abc.AsyncIterator: _AsyncIterator,
    AbstractContextManager: _ContextManager,
    AbstractAsyncContextManager: _AsyncContextManager,
    os.PathLike: _PathLike,
}
"""The abstract classes that are compared by their members, each as a protocol says it."""

RETURNS: Final[dict[str, Any]] = {
    "__bool__": bool,
    "__bytes__": bytes,
    "__complex__": complex,
    "__contains__": bool,
    "__dir__": abc.Iterable[str],
    "__eq__": bool,
    "__float__": float,
    "__format__": str,
    "__ge__": bool,
    "__gt__": bool,
    "__hash__": int,
    "__index__": int,
    "__int__": int,
    "__len__": int,
    "__le__": bool,
    "__length_hint__": int,
    "__lt__": bool,
    "__ne__": bool,
    "__repr__": str,
    "__str__": str,
}
"""What the special methods of the standard library return, declared or not."""

UNORDERED: Final[tuple[Any, ...]] = (object, complex, dict, memoryview, range, slice, types.MappingProxyType)
"""Classes that have `__lt__` and the like only to say that they cannot be ordered."""

ORDERED: Final[tuple[Any, ...]] = (int, float, str, bytes, bytearray, tuple, list, deque, set, frozenset)
"""Classes whose `__lt__` and the like answer; of other builtins Python does not tell."""

ORDERING: Final = ("__ge__", "__gt__", "__le__", "__lt__")
