"""Results that cannot be stored: each fails its step, and the message leads to the part that is to blame."""

from __future__ import annotations

import functools
import io
import socket
import sqlite3
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import anyio

from gflow import runner, stage, task
from gflow.decorators import AnyStep
from gflow.events import Done
from gflow.journal import Journal
from gflow.model import Run
from gflow.session import Settings, open_store
from tests.crash import mutations
from tests.crash.children import call
from tests.crash.proof import Proof, Violation


@dataclass
class Box:
    """Something that holds something."""

    content: Any
    others: list[Any] = field(default_factory=list)


class Stubborn:
    """Something that refuses to be pickled, with a word of its own."""

    def __reduce__(self) -> str:
        raise RuntimeError("I do not travel")


class Slotted:
    """Something without a dict."""

    __slots__ = ("inside",)

    def __init__(self, inside: object) -> None:
        self.inside = inside


def local() -> object:
    class Local:
        pass

    return Local()


def deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


KINDS: Final[dict[str, Callable[[], object]]] = {
    "make": lambda: lambda: None,
    "make['handlers'][1]": lambda: {"handlers": [print, lambda: None]},
    "make.content": lambda: Box(threading.Lock()),
    "make.others[2]": lambda: Box(1, [1, 2, sys._getframe()]),
    "make[1]": lambda: (1, io.BytesIO().getbuffer()),
    "make.inside": lambda: Slotted(socket.socket()),
    "make['db']": lambda: {"db": sqlite3.connect(":memory:")},
    "make.rows": lambda: SimpleNamespace(rows=iter_of([1])),
    "make[0]": lambda: [local()],
    "make['module']": lambda: {"module": io},
    "make.content.content": lambda: Box(Box(weakref.ref(Box(1)))),
    "make[3]": lambda: [1, 2, 3, Stubborn()],
    "make ": deep,
}
"""How to make each value, by the path that the message begins with."""


def iter_of(items: list[int]) -> Iterator[int]:
    yield from items


# ---------------------------------------------------------------- cases


def flow(make_it: Callable[[], object], *, in_loop: bool) -> AnyStep:
    """Return a workflow whose second step returns what `make_it` makes."""

    @task
    def first() -> int:
        return 1

    if in_loop:

        @task(attempts=3)
        async def make(first: int) -> object:
            return make_it()
    else:

        @task(attempts=3)
        def make(first: int) -> object:
            return make_it()

    @stage
    def all_of_it(first: int, make: object) -> None: ...

    return all_of_it


def check(count: int) -> int:
    """Try every kind, in a thread and on the loop."""
    for path, make_it in KINDS.items():
        for in_loop in (False, True):
            call(functools.partial(_examine, path, make_it, in_loop=in_loop))
    return 2 * len(KINDS)


def _examine(path: str, make_it: Callable[[], object], *, in_loop: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(folder=Path(name), durability="process")
        graph = runner.compile(flow(make_it, in_loop=in_loop))
        _must_name(path.strip(), anyio.run(runner.start, graph, {}, settings))
        _must_have_no_value(settings)
        mended = functools.partial(runner.go_on, workflow=flow(lambda: "fine", in_loop=in_loop))
        run = anyio.run(mended, "last", {}, settings)
        if run.status != "completed" or run.value("make") != "fine" or run.steps["first"].attempts != 1:
            raise Violation(f"{path}: the mended run is {run.status}")


def _must_name(path: str, run: Run) -> None:
    told = [f"{error.step} {error.type} {error.message}" for error in run.errors]
    if run.status != "failed" or len(told) != 1:
        raise Violation(f"{path}: a value that cannot be stored, and the run is {run.status} {told}")
    if run.steps["make"].attempts != 1 or not told[0].startswith("make gflow.checkpoint.culprit.Unpicklable"):
        raise Violation(f"{path}: after {run.steps['make'].attempts} attempts: {told[0]}")
    if f" {path}: " not in told[0]:
        raise Violation(f"{path} is to blame, but the message says: {told[0]}")


def _must_have_no_value(settings: Settings) -> None:
    store, ring = open_store(settings, "read")
    rounds = Journal(store, store.runs(1)[0].id, ring).load()
    store.close()
    if any(isinstance(event, Done) and event.path == "make" for _, _, events in rounds for event in events):
        raise Violation("a value that cannot be stored was written down as done")


PROOF = Proof(
    "unpicklable", "values", check, tiny=1, short=1, most=1, mutations=(mutations.unstorable_as_text,)
)
