"""One process's work on one run: where runs are kept, who holds them, what the work needs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from gflow import orphans, ownership, progress, project, secret
from gflow.bodies import Bodies
from gflow.checkpoint import Keys, Place
from gflow.clock import Clock, WallClock
from gflow.errors import UsageError
from gflow.events import Ref
from gflow.inbox import Inbox, Word
from gflow.journal import Journal, Listener
from gflow.logs import RunLog
from gflow.model import Durability, Graph, Orphans, Run
from gflow.state import State
from gflow.stores import RunRow, Store
from gflow.stores.memory import MemoryStore
from gflow.stores.sqlite import SqliteStore
from gflow.values import Values

LETTERS: Final = "23456789abcdefghjkmnpqrstvwxyz"


THREADS: Final = 32
"""Sync bodies that run at once, unless the settings say otherwise."""


class Verdict(NamedTuple):
    """What somebody who was asked said: yes or no, who, and why."""

    yes: bool
    who: str
    comment: str = ""


@dataclass(frozen=True)
class Settings:
    """Where and how runs are kept; `folder` None keeps them in memory.

    `listeners` make, from a session, what is told every round after it was written. `threads` bounds
    the sync bodies that run at once. `signals` lets Ctrl-C and SIGTERM interrupt the run in order.
    `say` is told, in words, what a resume waits for before it begins. `ask` puts a question to somebody who
    is there, by the path of its step and its text, until the third argument says that another process has
    decided; without an answer, or without it, the run ends waiting.
    """

    folder: Path | None = field(default_factory=project.state_folder)
    durability: Durability | None = None
    clock: Clock = field(default_factory=WallClock)
    listeners: Sequence[Callable[[Session], Listener]] = ()
    threads: int = THREADS
    signals: bool = False
    say: Callable[[str], None] = lambda _text: None
    ask: Callable[[str, str, Callable[[], bool]], Verdict | None] | None = None


@dataclass(frozen=True)
class Session:
    """One process's work on one run."""

    run: str
    graph: Graph
    state: State
    journal: Journal
    bodies: Bodies
    known: progress.Medians
    settings: Settings
    outliving: set[str]
    inbox: Inbox | None = None

    @property
    def clock(self) -> Clock:
        """The clock of the run."""
        return self.settings.clock

    def hear(self) -> list[Word]:
        """Return what other processes have said to this run; what is not genuine goes into its log."""
        if self.inbox is None:
            return []
        before = self.inbox.refused
        words = self.inbox.hear()
        if (refused := self.inbox.refused - before) and self.bodies.log is not None:
            message = f"refused {refused} message{'s' if refused > 1 else ''}: not signed for this process"
            self.bodies.log.write(None, None, "WARNING", message)
        return words

    def reached(self, path: str) -> str:
        """Return how far the body of a step says that it is: `42% uploading`, or "" if it says nothing."""
        job = self.bodies.running.get(path)
        return job.reached if job is not None else ""

    def listen(self) -> None:
        """Let the listeners be told from here on; called again it does nothing."""
        if not self.journal.listeners:
            self.journal.listeners.extend(listen(self) for listen in self.settings.listeners)

    async def settle_orphans(self) -> None:
        """See to it that nothing that a killed process left behind works for this run any more.

        Raises OrphanAlive.
        """
        if self.settings.folder is not None:
            await orphans.settle_all(self.settings.folder, self.run, self._policy_of_orphans, self.say)

    def _policy_of_orphans(self, step: str) -> Orphans:
        node = self.graph.nodes.get(step)
        return node.policy.orphans if node else "wait"  # it is no longer in the workflow

    def say(self, text: str) -> None:
        """Say something before the work begins, where a person sees it, and in the run's log."""
        self.settings.say(text)
        if self.bodies.log is not None:
            self.bodies.log.write(None, None, "WARNING", text)

    def load(self, step: str) -> Any:
        """Return the value of a completed step, also when the run has ended and its store is closed."""
        values = self.bodies.values
        if self.settings.folder is None or self.state.status == "running":
            return values.value(step)
        with opened(self.settings, "read") as (store, keys):
            return values.value(step, Journal(store, self.run, keys))

    def snapshot(self) -> Run:
        """Return the run as it is now, with values that load when they are asked for."""
        return progress.snapshot(
            self.run,
            self.state,
            self.clock.now(),
            alive=self.state.status in ("running", "rolling_back"),
            known=self.known,
            load=self.load,
            exceptions=self.bodies.exceptions,
        )


@contextmanager
def working(
    settings: Settings, store: Store, keys: Keys, journal: Journal, outliving: set[str],
    *, graph: Graph, state: State, values: Mapping[str, Any],
) -> Generator[Session, None, None]:  # fmt: skip
    """Set up one process's work on the run of a journal: its bodies, its log, what earlier runs took."""
    run = journal.run

    def ref_of(path: str) -> tuple[Ref | None, Place]:
        slot = state.slot(path)
        return slot.ref, Place(slot.origin or run, path, slot.generation, slot.attempt)

    with ExitStack() as stack:
        log: RunLog | None = None
        if settings.folder is not None:
            log = RunLog(log_path(settings.folder, run), run, secret.mask)
            stack.callback(log.close)
        folder = (settings.folder or Path.cwd() / project.STATE) / "work" / run
        found = Values(graph, journal, values, ref_of, state.slots.get)
        bodies = Bodies(run, journal, found, folder=folder, store=settings.folder, log=log)
        known = progress.medians(store.durations(graph.name))
        box = None
        if settings.folder is not None:
            box = Inbox(store, keys, run, session=state.session + 1, after=state.heard)
        yield Session(run, graph, state, journal, bodies, known, settings, outliving, box)


def log_path(folder: Path, run_id: str) -> Path:
    """Return where a run's log lies."""
    return folder / "logs" / f"{run_id}.jsonl"


# ---------------------------------------------------------------- where runs are kept, and who holds them


def find(store: Store, run_id: str) -> RunRow:
    """Return the run that `run_id` names: an id, a unique prefix, or `last`."""
    rows = store.runs(1) if run_id == "last" else store.find(run_id)
    rows = [row for row in rows if row.id == run_id] or rows
    if len(rows) == 1:
        store.value(rows[0].id, 1, 0, 0)  # the list is not signed: a row may stand there without a journal
        return rows[0]
    if rows:
        names = ", ".join(f"{row.id} ({row.workflow}, {row.status})" for row in rows[:5])
        raise UsageError(f"`{run_id}` names {len(rows)} runs: {names}", "write more of the id")
    if run_id == "last":
        raise UsageError("there is no run yet", "gflow run MODULE makes one")
    raise UsageError(f"there is no run `{run_id}`", "gflow runs lists them")


def new_id(store: Store) -> str:
    """Return an id that no run of the store has."""
    while True:
        run_id = "".join(secrets.choice(LETTERS) for _ in range(4))
        if not store.find(run_id):
            return run_id


Purpose = Literal["create", "resume", "read"]


@contextmanager
def opened(
    settings: Settings, purpose: Purpose, durability: Durability | None = None
) -> Generator[tuple[Store, Keys], None, None]:
    """Open the store as `open_store` does, and close it at the end."""
    store, keys = open_store(settings, purpose, durability)
    try:
        yield store, keys
    finally:
        if settings.folder is not None:  # what is in memory lives as long as somebody looks at it
            store.close()


def open_store(
    settings: Settings, purpose: Purpose, durability: Durability | None = None
) -> tuple[Store, Keys]:
    """Open the store of these settings, with the keys that sign it; only "create" makes them.

    Raises UsageError if there is none yet, StoreError if it cannot be used.
    """
    if settings.folder is None:
        return MemoryStore(), Keys((secrets.token_bytes(32),))
    if purpose == "create":
        return SqliteStore(settings.folder, _durability(settings, durability)), _keys()
    wanted = _durability(settings, durability) if purpose == "resume" else None
    store = SqliteStore.existing(settings.folder, wanted)
    if store is None:
        raise UsageError(f"there is no run in {settings.folder}", "gflow run MODULE makes one")
    return store, _keys(create=False)


def _keys(*, create: bool = True) -> Keys:
    return Keys.load(os.environ, Path.home(), create=create)


def _durability(settings: Settings, durability: Durability | None) -> Durability:
    wanted = settings.durability or os.environ.get("GFLOW_DURABILITY") or durability or "full"
    if wanted not in ("full", "process"):
        raise UsageError(f"GFLOW_DURABILITY is `{wanted}`", "it is `full` or `process`")
    return "process" if wanted == "process" else "full"


@contextmanager
def claimed(settings: Settings, run_id: str) -> Generator[set[str], None, None]:
    """Hold a run for this process; what is yielded names the steps whose threads go on after its end.

    While there are any, the run is not given up: they end with the process. Raises RunOwned.
    """
    outliving: set[str] = set()
    claim = ownership.claim(settings.folder, run_id) if settings.folder is not None else None
    try:
        yield outliving
    finally:
        if claim is not None and not outliving:
            claim.release()
