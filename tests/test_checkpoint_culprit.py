"""A value that cannot be stored names the part that is to blame."""

import collections
import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pydantic
import pytest

from gflow.checkpoint import Unpicklable, dumps
from gflow.checkpoint import culprit as module
from gflow.errors import WorkflowError

LOCK = "cannot pickle '_thread.lock' object"


@dataclass
class Item:
    lock: object


@dataclass
class Result:
    items: list[object]


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    lock: object


class Slotted:
    __slots__ = ("lock", "name")

    def __init__(self, lock: object) -> None:
        self.name = "a"
        self.lock = lock


class Pair(NamedTuple):
    left: object
    right: object


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    lock: object


class Stubborn:
    def __reduce__(self) -> str:
        raise RuntimeError("a secret is not stored")


class Lone:
    """Its class cannot be found under its name."""


Lone.__qualname__ = "Elsewhere"


class Child(Result):
    def __init__(self, lock: object) -> None:
        super().__init__([])
        self.lock = lock


class Words(list[object]):
    pass


@dataclass
class Node:
    """A list that is linked to itself, and to what cannot be pickled."""

    next: "Node | None" = None
    lock: object = field(default=None)


def circle() -> Node:
    """Return two nodes that hold each other, and a lock."""
    first = Node()
    first.next = Node(first, threading.Lock())
    return first


def local_class() -> type:
    """Return a class that no module holds."""

    class Local:
        pass

    return Local


def local_function() -> Callable[[], None]:
    """Return a function that no module holds."""

    def inner() -> None: ...

    return inner


def generator() -> Iterator[int]:
    """Yield a number."""
    yield 1


def nested(depth: int) -> list[object]:
    """Return a list in a list, `depth` times."""
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


CASES: dict[str, tuple[Callable[[], object], str, str]] = {
    "an attribute deep inside": (
        lambda: Result([1, 2, 3, Item(threading.Lock())]),
        "result.items[3].lock",
        LOCK,
    ),
    "an attribute of a subclass": (lambda: Child(threading.Lock()), "result.lock", LOCK),
    "an attribute of a frozen dataclass": (lambda: Frozen("a", threading.Lock()), "result.lock", LOCK),
    "a slot": (lambda: Slotted(threading.Lock()), "result.lock", LOCK),
    "a field of a named tuple": (lambda: Pair(1, threading.Lock()), "result.right", LOCK),
    "a field of a pydantic model": (lambda: Model(lock=threading.Lock()), "result.lock", LOCK),
    "a dictionary's value": (lambda: {"a": {"b": threading.Lock()}}, "result['a']['b']", LOCK),
    "a dictionary's key": (lambda: {threading.Lock(): 1}, "result{key}", LOCK),
    "a set's item": (lambda: {1, threading.Lock()}, "result{item}", LOCK),
    "an ordered dictionary": (lambda: collections.OrderedDict(a=threading.Lock()), "result['a']", LOCK),
    "a deque": (lambda: collections.deque([1, threading.Lock()]), "result[1]", LOCK),
    "a list of a type of its own": (lambda: Words([1, threading.Lock()]), "result[1]", LOCK),
    "an exception's argument": (lambda: ValueError("a", threading.Lock()), "result", LOCK),
    "a circle": (circle, "result.next.lock", LOCK),
    "a generator": (lambda: [generator()], "result[0]", "cannot pickle 'generator' object"),
    "a module": (lambda: (1, threading), "result[1]", "cannot pickle 'module' object"),
    "a lambda": (
        lambda: [lambda: 1],
        "result[0]",
        "a lambda has no name to find it by; write a function in the module",
    ),
    "a lambda in a partial": (
        lambda: functools.partial(lambda: 1),
        "result",
        "a lambda has no name to find it by; write a function in the module",
    ),
    "a local class": (
        lambda: {"job": local_class()()},
        "result['job']",
        "Local is defined inside a function; move it to the module",
    ),
    "a local function": (
        lambda: Item(local_function()),
        "result.lock",
        "inner is defined inside a function; move it to the module",
    ),
    "an object that refuses": (lambda: Item(Stubborn()), "result.lock", "a secret is not stored"),
    "a nest too deep": (lambda: nested(20_000), "result", "it is nested too deeply for pickle"),
}


@pytest.mark.parametrize("name", CASES)
def test_culprit(name: str) -> None:
    """The message names the path to the part, and why that part cannot be pickled."""
    make, path, reason = CASES[name]
    with pytest.raises(Unpicklable) as caught:
        dumps(make())
    assert (caught.value.path, caught.value.reason) == (path, reason)
    assert str(caught.value) == f"{path}: {reason}"


def test_class_without_a_home() -> None:
    """A class that is not found under its own name is named by its path and by pickle's words."""
    with pytest.raises(Unpicklable, match=r"result\[0\]: Can't pickle .*Elsewhere"):
        dumps([Lone()])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (threading.Lock(), "lock"),
        (local_class(), "Local"),
        (local_class()(), "Local"),
        (generator(), "generator"),
    ],
)
def test_type_of_the_culprit(value: object, name: str) -> None:
    """The error tells the type of the part."""
    with pytest.raises(Unpicklable) as caught:
        dumps({"a": value})
    assert caught.value.type_name == name


def test_name_of_the_value() -> None:
    """A path begins with what the caller calls the value."""
    with pytest.raises(Unpicklable, match=r"inputs\['lock'\]: cannot pickle"):
        dumps({"lock": threading.Lock()}, "inputs")


def test_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the part is not found among the first ones, the whole is blamed with pickle's own words."""
    monkeypatch.setattr(module, "_MOST_PARTS", 10)
    with pytest.raises(Unpicklable, match=f"result: {LOCK}"):
        dumps([*range(20), threading.Lock()])


def test_search_is_not_too_deep() -> None:
    """A part that lies deeper than anybody reads is not named by its endless path."""
    value: list[object] = [threading.Lock()]
    for _ in range(100):
        value = [value]
    with pytest.raises(Unpicklable, match=f"^result: {LOCK}"):
        dumps(value)


def test_never_tried_again() -> None:
    """An unpicklable value is an error of its own severity that no retry matches."""
    error: Any = Unpicklable("lock", "result", LOCK)
    assert isinstance(error, WorkflowError)
    assert error.severity == "medium"
