"""A run in a folder of its own: started, resumed and judged in children."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import anyio

from gflow import runner
from gflow.cli.running import exit_code
from gflow.errors import UsageError
from gflow.model import Durability, Graph, Run
from gflow.session import Settings
from gflow.stores import Round
from gflow.stores.sqlite import SqliteStore
from tests.crash import children, ledger, workflow
from tests.crash.ledger import Line

Shape = Mapping[str, frozenset[str]]
Announce = Callable[[], object]


def nobody() -> None:
    """Be told of a line, and do nothing."""


def hear(descriptor: int, count: int) -> None:
    """Return when so many bytes have come, or no more will."""
    while count > 0 and (heard := os.read(descriptor, count)):
        count -= len(heard)


@functools.cache
def graph(module: ModuleType = workflow) -> Graph:
    """Return a workflow, by default the thirty steps, compiled once in the warm parent."""
    return runner.compile(module)


def bodies() -> list[str]:
    """Return the steps that have a body of their own, and so write into the ledger."""
    return [name for name, node in graph().nodes.items() if not node.is_empty]


def undoable() -> set[str]:
    """Return the steps that have an undo."""
    return {name for name, node in graph().nodes.items() if node.undo is not None}


@dataclass(frozen=True, slots=True)
class Site:
    """Where one run and its ledger lie; `signals` lets SIGINT and SIGTERM interrupt it in order."""

    folder: Path
    durability: Durability = "process"
    module: ModuleType = workflow
    signals: bool = False

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def lines(self) -> list[Line]:
        return ledger.read(self.ledger)

    def settings(self) -> Settings:
        return Settings(folder=self.store, durability=self.durability, signals=self.signals)

    def rounds(self) -> list[Round]:
        """Return what is written of the run, read in this process."""
        store = SqliteStore.existing(self.store)
        assert store is not None
        with contextlib.closing(store):
            return store.rounds(store.runs(1)[0].id)

    # ------------------------------------------------------------ what children do

    def run(self, announce: Announce = nobody) -> Run:
        """Start a run and return it; `announce` is called after each line of the ledger."""
        ledger.write_to(ledger.Ledger(self.ledger, announce))
        return anyio.run(runner.start, graph(self.module), {}, self.settings())

    def start(self, announce: Announce = nobody) -> int:
        """Start a run and return its exit code."""
        return exit_code(self.run(announce), strict=False)

    def resume(self, announce: Announce = nobody) -> int:
        """Go on with the run and return its exit code."""
        return exit_code(self.go_on(announce), strict=False)

    def finish(self, expected: Shape) -> int:
        """Go on with the run to its end and judge it; if there is no run yet, nothing has begun: start it."""
        try:
            run = self.go_on()
        except UsageError:
            assert not self.lines(), "a step has begun, and there is no run"
            return self.start()
        ledger.audit(self.lines())
        ledger.audit_end(self.lines(), run, expected)
        return exit_code(run, strict=False)

    def go_on(self, announce: Announce = nobody) -> Run:
        """Go on with the run and return it."""
        ledger.write_to(ledger.Ledger(self.ledger, announce))
        with_workflow = functools.partial(runner.go_on, workflow=self.module)
        return anyio.run(with_workflow, "last", {}, self.settings())

    def roll_back(self, to: str, announce: Announce = nobody) -> Run:
        """Roll the run back to a step, and return it."""
        ledger.write_to(ledger.Ledger(self.ledger, announce))
        with_workflow = functools.partial(runner.roll_back, workflow=self.module)
        return anyio.run(with_workflow, "last", to, self.settings())

    def tell_shape(self) -> None:
        """Run undisturbed, and leave word of what the run ends with."""
        run = self.run()
        ledger.audit(self.lines())
        values = {name: run.value(name) for name in run.steps}
        shape = ledger.shape({name: value for name, value in values.items() if value is not None})
        ledger.audit_end(self.lines(), run, shape)
        told = {name: sorted(seen) for name, seen in shape.items()}
        (self.folder / "shape").write_text(json.dumps(told))


class Sites:
    """Makes sites, and knows what an undisturbed run looks like: `expected`, and its number of `lines`."""

    def __init__(self, folder: Path, durability: Durability, module: ModuleType) -> None:
        self._folder = folder
        self._durability: Durability = durability
        self._module = module
        graph(module)
        calm = self._new("calm")
        if (code := children.call(calm.tell_shape)) != 0:
            raise RuntimeError(f"an undisturbed run exits {code}: nothing can be compared with it")
        told = json.loads((calm.folder / "shape").read_text())
        self.expected: Shape = {name: frozenset(seen) for name, seen in told.items()}
        self.lines = len(calm.lines())

    def _new(self, name: str) -> Site:
        site = Site(self._folder / name, self._durability, self._module)
        site.folder.mkdir()
        return site

    @contextlib.contextmanager
    def new(self, name: str = "site") -> Iterator[Site]:
        """Yield an empty site, which is gone afterwards."""
        site = self._new(name)
        try:
            yield site
        finally:
            shutil.rmtree(site.folder)


@contextlib.contextmanager
def sites(durability: Durability = "process", module: ModuleType = workflow) -> Iterator[Sites]:
    """Yield what makes sites, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Sites(Path(folder), durability, module)
