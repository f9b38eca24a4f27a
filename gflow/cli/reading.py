"""The commands that only look: graph, stats, runs, show, logs. They write nothing and unpickle nothing."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from gflow import documents, drawing, logs, ownership, progress, rollback, runner, session, terminal
from gflow.checkpoint import Keys
from gflow.cli.words import Command, Parser, folder, parse, prefix, print_json, say
from gflow.errors import GflowError
from gflow.events import (
    Adopted,
    Answered,
    Asked,
    Claimed,
    Created,
    Decided,
    Done,
    Event,
    Forked,
    Opened,
    Reset,
    Reverted,
    Skipped,
    Started,
    StatusChanged,
    Stopped,
    Told,
    Tripped,
    Undone,
)
from gflow.journal import Journal
from gflow.model import Run, Status
from gflow.state import State
from gflow.stores import RunRow, Store
from gflow.stores.sqlite import SqliteStore

FOLLOW: Final = 0.5
"""Seconds between two looks of `logs -f`."""
NAMES: Final = 20
"""The most steps that a line of `logs` names."""
DECISIONS: Final = {
    "retry": "is tried again", "next": "something stands in", "handled": "is taken as a value",
    "stop": "stops", "abort": "aborts the run",
}  # fmt: skip
"""What a failure leads to, in words."""


@contextmanager
def _store(options: argparse.Namespace) -> Generator[Store | None, None, None]:
    """Open the store if there is one."""
    store = SqliteStore.existing(folder(options))
    try:
        yield store
    finally:
        if store is not None:
            store.close()


@contextmanager
def _found(options: argparse.Namespace) -> Generator[tuple[Store, RunRow], None, None]:
    store, _ = session.open_store(session.Settings(folder=folder(options)), "read")
    try:
        yield store, session.find(store, options.run)
    finally:
        store.close()


def _rounds(store: Store, run_id: str) -> list[tuple[int, float, list[Event]]]:
    return Journal(store, run_id, Keys.load(os.environ, Path.home(), create=False)).load()


# ---------------------------------------------------------------- graph, stats


def graph(arguments: list[str]) -> int:
    """Print a workflow's graph."""
    parser = Parser("graph", "Draw a workflow; nothing is run.")
    parser.add_argument("module", metavar="MODULE", help="a dotted name or the path of a .py file")
    parser.add_argument("--format", choices=("text", "mermaid", "json"), default="text")
    parser.add_argument("--why", metavar="STEP", help="where each parameter of STEP comes from")
    options = parse(parser, arguments)
    compiled = runner.compile(options.module)
    if options.why:
        say(drawing.why(compiled, options.why))
    elif options.format == "json":
        print_json(drawing.as_json(compiled))
    else:
        say(drawing.mermaid(compiled) if options.format == "mermaid" else drawing.text(compiled))
    return 0


def stats(arguments: list[str]) -> int:
    """Print the medians that estimates are made of."""
    parser = Parser("stats", "The median time of each step over the last completed runs.")
    parser.add_argument("module", metavar="MODULE", help="a dotted name or the path of a .py file")
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    compiled = runner.compile(options.module)
    with _store(options) as store:
        summaries = store.durations(compiled.name) if store else []
    known = progress.medians(summaries)
    if options.json:
        print_json({"workflow": compiled.name, "runs": len(summaries), "steps": known})
    else:
        say(terminal.stats({name: known[name] for name in compiled.nodes if name in known}, len(summaries)))
    return 0


# ---------------------------------------------------------------- runs, show


def runs(arguments: list[str]) -> int:
    """List the runs, newest first."""
    parser = Parser("runs", "List the runs, newest first.")
    parser.add_argument("-n", type=int, default=20, metavar="N", help="how many (default: 20)")
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    with _store(options) as store:
        listed = [_listed(options, store, row) for row in store.runs(options.n)] if store else []
    if options.json:
        print_json({"runs": [_listed_document(item) for item in listed]})
    else:
        say(terminal.listing(listed, datetime.now(UTC), prefix()))
    return 0


def _listed(options: argparse.Namespace, store: Store, row: RunRow) -> terminal.Listed:
    """Liveness comes from the lock, never from a word in the store."""
    status, gone = row.status, None
    if status == "running":
        owner = ownership.owner(folder(options), row.id)
        if owner is None or not owner.alive:
            status, gone = "interrupted", owner.pid if owner else None
    started = datetime.fromtimestamp(row.created, UTC)
    seconds = None if row.ended is None else row.ended - row.created
    asks = _asking(store, row) if status == "waiting" else ()
    return terminal.Listed(row.id, row.workflow, cast("Status", status), started, seconds, gone, asks)


def _asking(store: Store, row: RunRow) -> tuple[str, ...]:
    """Return the steps of a run that wait for an approval; none if its journal cannot be read."""
    try:
        state = State().fold(_rounds(store, row.id))
    except GflowError:  # the list is not signed: it is shown all the same
        return ()
    return tuple(path for path, slot in state.slots.items() if slot.status == "waiting")


def _listed_document(item: terminal.Listed) -> dict[str, Any]:
    return {
        "id": item.id,
        "workflow": item.workflow,
        "status": item.status,
        "started": documents.time_of(item.started),
        "seconds": item.seconds,
        "asks": list(item.asks),
    }


def show(arguments: list[str]) -> int:
    """Show one run."""
    parser = Parser("show", "Show a run: its steps, results and errors.")
    parser.add_argument("run", metavar="RUN", help="an id, a unique prefix of one, or `last`")
    parser.add_argument("--timeline", action="store_true", help="draw when each step ran")
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    run = _look(options)
    if options.json:
        print_json(documents.run_document(run))
    else:
        say(terminal.describe(run, prefix(), timeline=options.timeline))
    return 0


def rollback_plan(options: argparse.Namespace, to: str) -> tuple[str, rollback.Plan]:
    """Return what a rollback of `options.run` would do; no user code is imported."""
    with _found(options) as (store, row):
        state = State().fold(_rounds(store, row.id))
    return row.id, runner.rollback_plan(state, row.id, to)


def _look(options: argparse.Namespace) -> Run:
    with _found(options) as (store, row):
        state = State().fold(_rounds(store, row.id))
        owner = ownership.owner(folder(options), row.id)
        known = progress.medians(store.durations(row.workflow))
    return progress.snapshot(row.id, state, time.time(), alive=bool(owner and owner.alive), known=known)


# ---------------------------------------------------------------- logs


def show_logs(arguments: list[str]) -> int:
    """Print what a run did and said, in the order of time."""
    parser = Parser("logs", "Print what a run did and what its steps wrote, in the order of time.")
    parser.add_argument("run", metavar="RUN", help="an id, a unique prefix of one, or `last`")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_store()
    options = parse(parser, arguments)
    with _found(options) as (store, row):
        path = session.log_path(folder(options), row.id)
        seen, offset = 0, 0
        while True:
            owner = ownership.owner(folder(options), row.id)
            lives = bool(owner and owner.alive)
            rounds = _rounds(store, row.id)
            entries, offset = logs.read(path, offset)
            told: list[dict[str, Any]] = [*_told(rounds[seen:]), *(dict(entry) for entry in entries)]
            for entry in sorted(told, key=lambda entry: float(entry["at"])):
                print(json.dumps(entry, ensure_ascii=False) if options.json else _line(entry), flush=True)
            seen = len(rounds)
            if not (options.follow and lives):
                return 0
            time.sleep(FOLLOW)


def _told(rounds: list[tuple[int, float, list[Event]]]) -> Iterator[dict[str, Any]]:
    for _, at, events in rounds:
        for event in events:
            text = _sentence(event)
            if text:
                step = getattr(event, "path", None)
                attempt = getattr(event, "attempt", None)
                yield {
                    "at": at, "level": "ERROR" if isinstance(event, Tripped) else "INFO", "step": step,
                    "attempt": attempt, "stream": None, "message": text,
                }  # fmt: skip


def _sentence(event: Event) -> str:  # noqa: C901, PLR0912  # one case for each event
    text = ""
    match event:
        case Created():
            given = ", ".join(f"{name}={value}" for name, value in event.previews.items())
            text = f"{event.workflow} {event.version} created with {given or 'no inputs'}"
        case Claimed():
            text = f"process {event.pid} on {event.host} runs it"
        case Started():
            text = f"attempt {event.attempt} started{', of what stands in' if event.rung else ''}"
        case Done():
            degraded = f"degraded: {event.degraded} · " if event.degraded else ""
            text = f"completed in {event.seconds:.3f} s · {degraded}{event.preview}".rstrip(" ·")
        case Tripped():
            follows = DECISIONS.get(event.decision, event.decision)
            text = f"failed ({event.severity}, {follows}): {event.type}: {event.message}"
        case Stopped():
            text = f"was {event.status}"
        case Told():
            text = f"{event.who} says: {event.kind}"
        case Decided(_, "when", answer):
            text = f"its condition says {'yes' if answer else 'no'}"
        case Decided():
            text = "was the last round" if event.answer else "goes into another round"
        case Skipped():
            text = f"skipped: {event.why}"
        case Opened():
            text = terminal.count(event.n, "item")
        case Asked():
            text = f"asks: {event.text}"
        case Answered():
            alone = "nobody said yes in time" if event.verdict == "expired" else event.verdict
            said = f"{event.verdict} by {event.who}" if event.who else alone
            text = f"{said}: {event.comment}" if event.comment else said
        case Reset():
            text = f"rollback to {event.to} begins: {', '.join(event.steps)}"
        case Undone():
            text = f"undo failed: {event.error}" if event.error else "undone"
        case Forked():
            text = f"forked from run {event.run} at {event.at}"
        case Adopted():
            text = f"completed in run {event.run} · {event.preview}".rstrip(" ·")
        case Reverted():
            text = f"begin anew: {', '.join(terminal.some(event.paths, NAMES))}" if event.paths else ""
        case StatusChanged():
            text = f"run {event.status}{f' ({event.reason})' if event.reason else ''}"
    return text


def _line(entry: dict[str, Any]) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(entry["at"]))
    mark = "|" if entry.get("stream") else "·"
    text = f"{clock} {entry['step'] or '':<16} {mark} {entry['message']}"
    return f"{text}\n{entry['exception']}" if entry.get("exception") else text


GRAPH = Command("graph", "MODULE", "draw a workflow, or say where a parameter comes from", graph)
STATS = Command("stats", "MODULE", "the median time of each step", stats)
RUNS = Command("runs", "", "list the runs", runs)
SHOW = Command("show", "RUN", "show a run", show)
LOGS = Command("logs", "RUN", "what a run did and what its steps wrote", show_logs)
