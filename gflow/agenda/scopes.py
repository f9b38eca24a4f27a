"""Fan-out and rounds: how items are opened, counted and ended, and how a group goes into another round.

For an item that waits nothing is kept but its number: it is opened when there is room for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gflow.events import Done, Skipped, Tripped
from gflow.frames import FAILED, Fate, Frame, Scope, Unit, everything
from gflow.model import Node

if TYPE_CHECKING:
    from gflow.agenda import Agenda
    from gflow.agenda.places import Room


NOT_STARTED: Final = "NotStarted"
"""The type of a failure of what has not begun, since a step that it needs has failed."""


class Scopes:
    """The open fan-outs and repeat groups of one run; `sources` are those that have items to open.

    `over` are the paths of the fan-outs that have ended in the turn that is being taken.
    """

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.sources: dict[Scope, None] = {}
        self.over: list[str] = []

    def open(self, frame: Frame, node: Node) -> None:
        slot = self.agenda.state.slot(node.name + frame.suffix)
        if node.repeat is not None:
            self.go_on_with(Scope(node, frame, node.repeat.max, None))
        elif slot.items is None:
            self.agenda.enqueue(Unit(node, frame, "open"))
        else:
            self.go_on_with(Scope(node, frame, slot.items, slot.keys))

    def go_on_with(self, scope: Scope) -> None:
        """Let an open scope go on where it was."""
        if scope.node.repeat is not None:
            done = 0
            while done < scope.n and self.agenda.state.is_done(scope.node.name + scope.suffix(done + 1)):
                done += 1
            if done:
                self.after_round(scope, done)
            else:
                self._begin_round(scope, 1)
            return
        name, slots = scope.node.name, self.agenda.state.slots
        for index in range(scope.n) if slots else ():
            slot = slots.get(name + scope.suffix(index))
            scope.failed += slot is not None and slot.has_ended and slot.status == "failed"
        self._move_to(scope, 0)
        self._feed_or_end(scope)

    def _move_to(self, scope: Scope, index: int) -> None:
        """Let the next item be the first from `index` on that has not ended before."""
        name, has_ended = scope.node.name, self.agenda.state.has_ended
        while index < scope.n and has_ended(name + scope.suffix(index)):
            index += 1
        scope.upcoming = index

    def _feed_or_end(self, scope: Scope) -> None:
        """See whether a fan-out has ended; if not, it may have a place among those that open items."""
        if scope.has_more:
            self.sources[scope] = None
        elif scope.flying == 0 and not scope.has_ended:
            self._scope_ended(scope)

    def feed(self, room: Room) -> None:
        """Open as many items as there is room for, and no more: those that wait cost nothing."""
        while self._feed_once(room):  # what it opens may be fan-outs with items, or may end at once
            pass

    def _feed_once(self, room: Room) -> bool:
        """Open items of each open fan-out; tell whether there were any."""
        has_opened = False
        for scope in [*self.sources]:
            self.sources.pop(scope, None)
            while scope.has_more and self._has_place(scope, room):
                index = scope.upcoming
                self._move_to(scope, index + 1)
                self._open_item(scope, index)
                self.agenda.settle()
                has_opened = True
            self._feed_or_end(scope)
        return has_opened

    def _has_place(self, scope: Scope, room: Room) -> bool:
        each = scope.node.each
        if each and each.limit is not None and scope.flying >= each.limit:
            return False
        if self.agenda.places.full_limit(scope.node.name, scope.frame) is not None:
            return False
        threads, loop = self.agenda.places.ready
        if scope.node.is_group:
            return len(threads) < room.ahead and len(loop) < room.loop
        on_loop = scope.node.is_async
        return len(loop) < room.loop if on_loop else len(threads) < room.ahead

    def _open_item(self, scope: Scope, index: int) -> None:
        scope.flying += 1
        unit = Unit(scope.node, scope.frame, "body", scope, index)
        answer = self.agenda.state.slot(unit.path).when if scope.asks_per_item else True
        if answer is None:
            unit.purpose = "when"
            self.agenda.enqueue(unit)
        elif not answer:
            self.skip_item(unit)
        elif scope.node.is_group:
            self.begin_frame(scope, index)
        else:
            self.agenda.enqueue(unit)

    def begin_frame(self, scope: Scope, index: int) -> None:
        """Let the members of a group begin, for one item or round."""
        level = self.agenda.levels[*scope.node.scope, scope.node.name]
        frame = Frame(level, self.agenda.state, scope.suffix(index), scope, index)
        for node in level.first:
            self.agenda.arrive(frame, node)

    def skip_item(self, unit: Unit) -> None:
        assert unit.scope is not None
        self.agenda.record(Skipped(unit.path, "its condition says no"))
        self.item_ended(unit.scope, unit.index, "skipped")

    def _begin_round(self, scope: Scope, number: int) -> None:
        scope.flying += 1
        self.begin_frame(scope, number)

    def item_ended(self, scope: Scope, index: int, fate: Fate) -> None:
        scope.flying -= 1
        if scope.node.repeat is not None:
            if fate == "done":
                self.after_round(scope, index)
            else:
                self._scope_failed(scope, fate)
            return
        if fate in FAILED:
            self._item_failed(scope, index)
        self._feed_or_end(scope)

    def _item_failed(self, scope: Scope, index: int) -> None:
        scope.failed += 1
        path = scope.node.name + scope.suffix(index)
        scope.first_error = scope.first_error or path
        if scope.failed > scope.allowed:
            scope.closed = True
        elif scope.node.is_group:  # the item as a whole is what failed, and is not tried again
            error = self.cause(scope.node, path)
            self.agenda.record(Tripped(path, *error, "medium", "handled", None, 0.0))

    def cause(self, node: Node, path: str) -> tuple[str, str, list[list[object]]]:
        """Return type, message and frames of what made a step fail: its own failure, or a member's."""
        suffix = path[len(node.name) :]
        for step in everything(node, self.agenda.graph.nodes):
            slot = self.agenda.state.slots.get(step.name + suffix)
            if slot is not None and slot.status == "failed" and slot.error is not None:
                error = slot.error
                frames: list[list[object]] = [[f.file, f.line, f.function, f.text] for f in error.frames]
                return error.type, error.message, frames
        return NOT_STARTED, "a step that it needs has failed", []

    def after_round(self, scope: Scope, number: int) -> None:
        """A round is complete: ask whether it was the last, and begin the next if not."""
        until = self.agenda.state.slot(scope.node.name + scope.suffix(number)).until
        if until is None:
            scope.flying += 1
            self.agenda.enqueue(Unit(scope.node, scope.frame, "until", scope, number))
        elif until:
            self._scope_done(scope, f"{number} round{'s' if number > 1 else ''}")
        elif number < scope.n:
            self._begin_round(scope, number + 1)
        else:
            message = f"its condition does not hold after {number} rounds"
            self._scope_tripped(scope, "RoundsUsedUp", message, [])

    def _scope_ended(self, scope: Scope) -> None:
        """All items of a fan-out have ended."""
        scope.has_ended = True
        self.over.append(scope.path)
        self.sources.pop(scope, None)
        if scope.failed <= scope.allowed:
            told = f", {scope.failed} failed" if scope.failed else ""
            self._scope_done(scope, f"{scope.n} item{'' if scope.n == 1 else 's'}{told}")
            return
        path = scope.first_error or scope.path
        kind, message, frames = self.cause(scope.node, path)
        told = f"{scope.failed} of {scope.n} items failed; {path}: {message}"
        self._scope_tripped(scope, kind, told, frames)

    def _scope_done(self, scope: Scope, preview: str) -> None:
        self.agenda.record(Done(scope.path, None, preview, 0.0))
        self.agenda.ended(scope.frame, scope.node, "done")

    def _scope_tripped(self, scope: Scope, kind: str, message: str, frames: list[list[object]]) -> None:
        node = scope.node
        word = "handled" if node.handled else "stop"
        self.agenda.record(Tripped(scope.path, kind, message, frames, "medium", word, None, 0.0))
        self._scope_failed(scope, "failed")

    def _scope_failed(self, scope: Scope, fate: Fate) -> None:
        self.agenda.close(scope.frame, scope.node)
        self.agenda.ended(scope.frame, scope.node, fate)
