"""What is told of a run, line by line: a fold of its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from gflow.clock import Clock
from gflow.events import (
    Answered,
    Asked,
    Decided,
    Done,
    Event,
    Opened,
    Reset,
    Reverted,
    Skipped,
    Started,
    StatusChanged,
    Stopped,
    Tripped,
    Undone,
    coordinates,
    step_of,
)
from gflow.model import Graph, Node, Rung
from gflow.state import State
from gflow.tally import Tally
from gflow.terminal.lines import (
    AGAIN,
    ASKS,
    BEGUN,
    DEGRADED,
    ENDED,
    FAILED,
    HANDED,
    OK,
    SKIPPED,
    UNDONE,
    Columns,
    again_text,
    answered_text,
    asked_text,
    done_text,
    failed_text,
    given,
    handed_text,
    heading,
    section_of,
    title,
    to_decide,
    told_of,
)
from gflow.terminal.text import clean, count, some

NAMES: Final = 3
"""The most steps that one line names."""
ITEM_LINES: Final = 5
"""The most lines about single items of a fan-out: of failures, say; its last line counts them all."""
GOES_ON: Final = ("running", "waiting", "rolling_back")

Row = tuple[str, str]
"""A line, and the path that it is about; "" if it is about the run."""


class Named(Protocol):
    """A journal knows which run it is the journal of."""

    @property
    def run(self) -> str: ...


class Session(Protocol):
    """What is watched: one process's work on one run (`runner.Session`)."""

    @property
    def graph(self) -> Graph: ...
    @property
    def state(self) -> State: ...
    @property
    def journal(self) -> Named: ...
    @property
    def known(self) -> Mapping[str, float]: ...
    @property
    def clock(self) -> Clock: ...
    def reached(self, path: str) -> str: ...


class Telling:
    """Folds the rounds of a run, as they are told, into lines.

    `running` and `waiting` map an instance of a step to the time when its attempt began, or when the next
    one will; `opened` maps a fan-out to the time when its items were known (Unix seconds); `asked` holds the
    open questions. The session's state is read when the first round is told, for what an earlier process
    has done, and later for estimates only: between two rounds it is ahead of what was told.
    """

    def __init__(self, session: Session, *, verbose: bool = False, command: str = "gflow") -> None:
        graph, state = session.graph, session.state
        told = told_of(graph)
        self.session = session
        self.graph = graph
        self.verbose = verbose
        self.command = command
        self.told = {node.name for node in told}
        self.tally = Tally.of(state)
        self.kept = self.tally.completed
        self.is_rerun = False
        self.is_resumed = state.session > 1
        self.columns = Columns.of(
            [_widest_name(graph, node) for node in told], [node.role or "" for node in told]
        )
        sections = {section_of(node) for node in told if not state.is_done(node.name)}
        self.has_headings = len(sections) > 1 and bool(graph.leaves())
        self.section: str | None = None
        self.began: float | None = None
        self.is_over = False
        self.running: dict[str, float] = {}
        self.waiting = {
            path: slot.retry_at
            for path, slot in state.slots.items()
            if slot.retry_at is not None and slot.status == "pending"
        }
        self.opened = {
            path: slot.started
            for path, slot in state.slots.items()
            if slot.items is not None and slot.started is not None and not slot.has_ended
        }
        self.asked = {
            path: slot.asked
            for path, slot in state.slots.items()
            if slot.status == "waiting" and slot.asked is not None
        }
        self.previews = self._previews() if state.reset else {}
        self._answered: set[str] = set()
        self._skipped: set[str] = set()
        self._item_lines: Counter[str] = Counter()
        self._attempts: dict[str, int] = {}
        self._rungs: dict[str, int] = {}
        self._first: dict[str, float] = {}
        self._waits: dict[str, list[float]] = {}
        self._eta: tuple[float, float | None] = (0.0, None)
        self._order = {name: place for place, name in enumerate(graph.nodes)}

    def _previews(self) -> dict[str, str]:
        """Return what the steps that can be undone have made, before they are."""
        undos = {node.name for node in self.graph.nodes.values() if node.undo}
        slots = self.session.state.slots
        return {path: slot.preview or "" for path, slot in slots.items() if step_of(path) in undos}

    def header(self) -> str:
        """Return the line that the run begins with."""
        title_line = title(self.graph.name, self.graph.version, self.session.journal.run)
        reset = self.session.state.reset
        if reset is not None:
            return f"{title_line} · rolling back to {reset.to}"
        forked = self.session.state.forked
        if self.is_resumed or forked:
            how = "resumed" if self.is_resumed or not forked else f"forked from {forked.run} at {forked.at}"
            to_do = self.tally.total - self.kept
            return f"{title_line} · {how}: {count(self.kept, 'step')} kept, {to_do} to do"
        inputs = given(self.session.state.previews)
        return f"{title_line} · {inputs}" if inputs else title_line

    # ------------------------------------------------------------ what is told

    def tell(self, at: float, events: Sequence[Event]) -> list[str]:
        """Fold one round, written at `at` (Unix seconds), and return the lines that it adds."""
        is_first = self.began is None
        if is_first:
            self.began = at
        rows = [row for event in events for row in self._fold(at, event)]
        if is_first or any(isinstance(event, Reverted) for event in events):
            self.tally = Tally.of(self.session.state)
        else:
            for event in events:
                self.tally.hear(event)
        rows += self._commands(events)
        lines, self.section = self._under_headings(rows)
        return lines

    def _fold(self, at: float, event: Event) -> Iterator[Row]:  # noqa: C901, PLR0912  # one case for each event
        match event:
            case Started():
                yield from self._started(at, event)
            case Done():
                yield from self._done(at, event)
            case Tripped():
                yield from self._tripped(at, event)
            case Stopped():
                seconds = at - self.running.pop(event.path, at)
                text = "cancelled" if event.status == "cancelled" else "stopped"
                yield from self._about(event.path, self._row(ENDED, event.path, seconds, text))
            case Skipped():
                yield from self._was_skipped(event)
            case Decided():
                yield from self._decided(event)
            case Opened():
                self.opened[event.path] = at
            case Asked():
                self.asked[event.path] = event
                text = asked_text(event.text, event.expires and event.expires - at)
                yield from self._about(event.path, self._row(ASKS, event.path, None, text))
            case Answered():
                yield from self._was_answered(event)
            case Reset():
                self.is_rerun = event.why == "rerun"
                self.previews = self._previews()
                if event.why == "abort":
                    yield "", f"rolling back to the {event.to}"
            case Undone():
                yield from self._about(event.path, self._undone(event))
            case StatusChanged():
                goes_on = self.is_rerun and event.status == "rolled_back"
                self.is_over = event.status not in GOES_ON and not goes_on
            case _:
                pass

    def _started(self, at: float, event: Started) -> Iterator[Row]:
        path = event.path
        self.running[path] = at
        self.waiting.pop(path, None)
        self._attempts[path] = event.attempt
        self._rungs[path] = event.rung
        self._first.setdefault(path, at)
        if self.verbose and "[" not in path:
            yield path, self._row(BEGUN, path, None, done_text(event.attempt, None, None))

    def _done(self, at: float, event: Done) -> Iterator[Row]:
        path = event.path
        attempt, stand_in = self._attempts.get(path, 1), self._stand_in(path)
        self._forget(path)
        is_told = step_of(path) in self.told and not self._is_item(path) and self._around(path) is None
        if not is_told and not event.degraded:
            return
        text = done_text(attempt, event.degraded, event.preview, stand_in)
        mark = DEGRADED if event.degraded else OK
        yield from self._about(path, self._row(mark, path, self._seconds(at, event), text))

    def _seconds(self, at: float, event: Done | Tripped) -> float | None:
        """Return how long a step took; a fan-out, since its items were known; all rounds tell their own."""
        if event.path in self.opened:
            return at - self.opened.pop(event.path)
        node = self.graph.nodes.get(step_of(event.path))
        is_whole = (
            node is not None and node.repeat is not None and len(coordinates(event.path)) == len(node.scope)
        )
        return None if is_whole else event.seconds

    def _tripped(self, at: float, event: Tripped) -> Iterator[Row]:
        path = event.path
        self.running.pop(path, None)
        if event.type == "Rejected" and path in self._answered:
            return
        if event.decision == "handled" and self._is_item(path):  # a member of it was told
            return
        yield from self._about(path, self._failure(at, event))
        if event.decision == "abort":
            names = ", ".join(some([*self.running], NAMES))
            yield path, f"    nothing more begins{f'; ended: {names}' if names else ''}"

    def _failure(self, at: float, event: Tripped) -> str:
        path = event.path
        attempt, waits = self._attempts.get(path, 1), self._waits.setdefault(path, [])
        if event.retry_at is not None:
            waits.append(event.retry_at - at)
            self.waiting[path] = event.retry_at
            text = again_text(attempt, waits[-1], event.type, event.message)
            return self._row(AGAIN, path, event.seconds, text)
        rung = self._next_rung(path) if event.decision == "next" else None
        if rung is not None:
            waits.clear()
            return self._row(HANDED, path, event.seconds, handed_text(event.type, event.message, rung))
        seconds = at - self._first.get(path, at) if waits else self._seconds(at, event)
        text = failed_text(attempt, waits, event.type, event.message)
        self._forget(path)
        is_value = event.decision == "handled" and self._around(path) is None
        return self._row(FAILED, path, seconds, f"{text} · the run goes on with it" if is_value else text)

    def _was_skipped(self, event: Skipped) -> Iterator[Row]:
        """Tell what is left out, but neither what is inside it nor single items."""
        name = step_of(event.path)
        suffix = event.path[len(name) :]
        self._skipped.add(event.path)
        node = self.graph.nodes.get(name)
        group = node.group if node else None
        if self._around(event.path) is None and (group is None or group + suffix not in self._skipped):
            yield event.path, self._row(SKIPPED, event.path, None, f"skipped: {clean(event.why)}")

    def _decided(self, event: Decided) -> Iterator[Row]:
        """Tell that a condition said yes, if much is told, and that another round begins."""
        path = event.path
        node = self.graph.nodes.get(step_of(path))
        if node is None or self._around(path) is not None:
            return
        if event.question == "when" and event.answer and self.verbose:
            yield path, self._row(BEGUN, path, None, "its condition says yes")
        elif event.question == "until" and not event.answer and node.repeat is not None:
            whole, _, number = path.rpartition("~")
            following = int(number) + 1
            if following <= node.repeat.max:
                text = f"round {following} of {node.repeat.max}"
                yield path, self._row(AGAIN, whole, None, text)

    def _was_answered(self, event: Answered) -> Iterator[Row]:
        if self.asked.pop(event.path, None) is None:
            return  # an early one is told when the question is asked
        self._answered.add(event.path)
        mark = ASKS if event.verdict == "approved" else FAILED
        text = answered_text(event.verdict, event.who, event.comment)
        yield from self._about(event.path, self._row(mark, event.path, None, text))

    def _commands(self, events: Sequence[Event]) -> Iterator[Row]:
        """Yield the commands that decide what was asked in this round, while other steps go on."""
        if any(isinstance(event, StatusChanged) for event in events):
            return
        for event in events:
            if isinstance(event, Asked) and event.path in self.asked:
                yes, no = to_decide(self.command, self.session.journal.run, event.path)
                yield from self._about(event.path, f"    {yes}, or {no.removeprefix(f'{self.command} ')}")

    def _undone(self, event: Undone) -> str:
        node = self.graph.nodes.get(step_of(event.path))
        if event.error is not None:
            return self._row(FAILED, event.path, None, f"undo failed: {clean(event.error)}")
        what = node.undo.doc.partition("\n")[0].rstrip(".") if node and node.undo else ""
        preview = clean(self.previews.get(event.path, ""))
        return self._row(UNDONE, event.path, None, ": ".join(filter(None, (what, preview))))

    # ------------------------------------------------------------ instances

    def _around(self, path: str) -> str | None:
        """Return the outermost fan-out that a path is an item of, or inside an item of."""
        if "[" not in path:
            return None
        shape = self.tally.shapes.get(step_of(path))
        place = ""
        for scope, part in zip(shape.scopes if shape else (), coordinates(path), strict=False):
            if part.startswith("["):
                return scope + place
            place += part
        return None

    def _is_item(self, path: str) -> bool:
        """Tell whether a path is one item or round of a group, not the whole."""
        node = self.graph.nodes.get(step_of(path))
        return node is not None and node.is_group and len(coordinates(path)) > len(node.scope)

    def _about(self, path: str, row: str) -> Iterator[Row]:
        """Yield a row, unless there were enough of single items of the same fan-out."""
        around = self._around(path)
        if around is None:
            yield path, row
            return
        self._item_lines[around] += 1
        if self._item_lines[around] <= ITEM_LINES:
            yield path, row
        elif self._item_lines[around] == ITEM_LINES + 1:
            run = self.session.journal.run
            yield path, f"    more of {clean(around)} is not told here: {self.command} show {run}"

    def _forget(self, path: str) -> None:
        """An instance has ended: nothing is kept of it."""
        self.running.pop(path, None)
        self._attempts.pop(path, None)
        self._rungs.pop(path, None)
        self._first.pop(path, None)
        self._waits.pop(path, None)

    def _stand_in(self, path: str) -> str | None:
        rung, node = self._rungs.get(path, 0), self.graph.nodes.get(step_of(path))
        return node.rungs[rung - 1].label if node and 0 < rung <= len(node.rungs) else None

    def _next_rung(self, path: str) -> Rung | None:
        rung, node = self._rungs.get(path, 0), self.graph.nodes.get(step_of(path))
        return node.rungs[rung] if node and rung < len(node.rungs) else None

    def _row(self, mark: str, path: str, seconds: float | None, text: str) -> str:
        return self.columns.row(mark, clean(path), self._role(path), seconds, text)

    def _role(self, path: str) -> str | None:
        node = self.graph.nodes.get(step_of(path))
        return node.role if node else None

    def _section(self, path: str, section: str | None) -> str | None:
        """Return whose heading a row stands under; one that is skipped or repeats has none."""
        node = self.graph.nodes[step_of(path)]
        is_whole = node.is_group and (node.is_scope or path in self._skipped)
        return node.group if is_whole and node.name != section else section_of(node)

    def _under_headings(self, rows: Iterable[Row]) -> tuple[list[str], str | None]:
        """Put the heading of its group before each row whose group is not that of the row before."""
        lines: list[str] = []
        section = self.section
        for path, row in rows:
            group = self._section(path, section) if path else None
            if self.has_headings and group is not None and group != section:
                lines.append(heading(self.graph.nodes[group]))
                section = group
            lines.append(row)
        return lines, section


def _widest_name(graph: Graph, node: Node) -> str:
    """Return the name of a step as its lines show it: with the number of the round, if it has one."""
    in_rounds = any(graph.nodes[scope].repeat for scope in node.scope if scope in graph.nodes)
    return f"{node.name}~1" if in_rounds and not node.is_group else node.name
