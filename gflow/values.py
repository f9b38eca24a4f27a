"""What the parameters of a step get: results, single items, whole lists, decisions, failures.

Everyone gets a copy of its own, unpickled from the checkpoint: what a resumed run would get.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gflow.checkpoint import Place, unpickle
from gflow.errors import Rejected, StepFailed
from gflow.events import COORDINATES, Ref
from gflow.frames import Chain, Scope, last_instance, last_round, seen_from
from gflow.model import (
    MISSING,
    Approval,
    ApprovalSource,
    ConstantSource,
    ContextSource,
    EachSource,
    Failed,
    FailureSource,
    FirstOfSource,
    Graph,
    InputSource,
    ItemSource,
    Node,
    Param,
    PreviousSource,
    StepSource,
)
from gflow.state import Slot

if TYPE_CHECKING:
    from gflow.journal import Journal

SMALL: Final = 4096
"""Pickles up to this size (bytes) are kept in memory; larger ones are read again when needed."""
MANY: Final = 8192
"""The most of them that are kept, and as many again that were kept before."""
ATOMS: Final = (str, int, float, bool, bytes, type(None))


class Where(NamedTuple):
    """The place of an instance: the scopes around it, the item or round of each, outermost first."""

    chain: Chain
    coordinates: tuple[str, ...]
    path: str


def where(node: Node, path: str, *, inside: bool = False) -> Where:
    """Return the place of a path; `inside`, that of an item or a round of the step."""
    coordinates = tuple(COORDINATES.findall(path, len(node.name))) if len(path) > len(node.name) else ()
    chain = (*node.scope, node.name) if len(coordinates) > len(node.scope) or inside else node.scope
    return Where(chain, coordinates, path)


class Values:
    """Reads the checkpoints of a run for those who take them.

    `refs` finds the checkpoint of a path, `find` what the journal says of it; `inputs` are the run's.
    """

    def __init__(
        self,
        graph: Graph,
        journal: Journal,
        inputs: Mapping[str, object],
        refs: Callable[[str], tuple[Ref | None, Place]],
        find: Callable[[str], Slot | None],
    ) -> None:
        self.graph = graph
        self.journal = journal
        self.inputs = inputs
        self.refs = refs
        self.find = find
        self._recent: dict[str, bytes] = {}
        self._before: dict[str, bytes] = {}
        self._single = {name for name, node in graph.nodes.items() if not node.scope and not node.is_scope}
        self._lists: dict[str, Sequence[Any]] = {}
        self._places: dict[str, dict[str, int]] = {}

    def forget(self, paths: Iterable[str]) -> None:
        """Steps begin anew: what is in memory of them is no longer their value."""
        for path in paths:
            self._recent.pop(path, None)
            self._before.pop(path, None)
        self._lists.clear()
        self._places.clear()

    def let_go(self, fan_outs: Iterable[str]) -> None:
        """Fan-outs have ended: nobody takes an item of their lists any more."""
        for path in fan_outs:
            self._lists.pop(path, None)
            self._places.pop(path, None)

    # ------------------------------------------------------------ one value

    def value(self, path: str, journal: Journal | None = None) -> Any:
        """Return a copy of its own of a completed step's result; `journal` stands in for a closed one."""
        node = self.graph.nodes.get(path)
        if node is not None and (node.scope or node.is_scope):
            return self._collect(node, (), journal)
        return self._one(path, journal)

    def _one(self, path: str, journal: Journal | None = None, *, keep: bool = True) -> Any:
        payload = self._recent.get(path) or self._before.get(path)
        if payload is not None:
            return pickle.loads(payload)  # noqa: S301  # made by this process, or verified below
        ref, place = self.refs(path)
        if ref is None:  # the empty body of a group
            return None
        payload = (journal or self.journal).read(ref, place, nearby=not keep)
        if keep:
            self.keep(path, payload)
        return unpickle(place, payload)

    def keep(self, path: str, payload: bytes) -> None:
        """Keep a small pickle in memory; when they are many, those that were kept long ago are let go."""
        if len(payload) <= SMALL:
            self._recent[path] = payload
            if len(self._recent) >= MANY:
                self._before, self._recent = self._recent, {}

    # ------------------------------------------------------------ parameters

    def arguments(
        self, params: Iterable[Param], at: Where, context: Callable[[], object] = lambda: MISSING
    ) -> dict[str, Any]:
        """Return what parameters get at a place; `context` makes a Context.

        Raises StepFailed for a failure that a parameter does not admit.
        """
        found: dict[str, Any] = {}
        for param in params:
            is_context = isinstance(param.source, ContextSource)
            value = context() if is_context else self._argument(param, at)
            if value is not MISSING:
                found[param.name] = value
        return found

    def _argument(self, param: Param, at: Where) -> Any:  # noqa: PLR0911  # one case for each source
        match param.source:
            case StepSource(step, field):
                return self._result(param, step, field, at)
            case InputSource(name):
                return self.inputs[name]
            case ConstantSource(value):
                return value
            case FirstOfSource(steps):
                ran = [step for step in steps if self._status(step, at) != "skipped"]
                return self._result(param, (ran or steps)[0], None, at)
            case EachSource():
                return self._item(self.graph.nodes[at.chain[-1]], at)
            case ItemSource(group):
                return self._item(self.graph.nodes[group], at)
            case PreviousSource(step):
                return self._previous(param, step, at)
            case ApprovalSource():
                return self._decision(at.path)
            case FailureSource():
                return self._failure(at.path)
            case _:
                raise AssertionError(f"{at.path}: {param.name} has no source")

    def _status(self, step: str, at: Where) -> str:
        slot = self.find(self._visible(step, at)[0])
        return "skipped" if self._is_skipped(step, at) else slot.status if slot is not None else "pending"

    def _is_skipped(self, step: str, at: Where) -> bool:
        """Tell whether a step was skipped: as a whole, or in the last round that is seen of it."""
        path, seen = self._visible(step, at)
        slot = self.find(path)
        if slot is not None and slot.status == "completed" and seen.name != step:
            last = last_instance(self.graph, self.find, step, at.coordinates[: len(seen.scope)])
            slot = self.find(last) if last is not None else None
        return slot is not None and slot.status == "skipped"

    def _visible(self, step: str, at: Where) -> tuple[str, Node]:
        """Return the path of whom one waits for who reads a step from a place."""
        node = self.graph.nodes[seen_from(self.graph, at.chain, step)]
        return node.name + "".join(at.coordinates[: len(node.scope)]), node

    def _result(self, param: Param, step: str, field: str | None, at: Where) -> Any:
        node = self.graph.nodes[step]
        path, seen = (step, node) if step in self._single else self._visible(step, at)
        slot = self.find(path)
        if slot is None or slot.status != "completed":
            return self._without(param, path, slot)
        if node is not seen and self._is_skipped(step, at):
            return param.default if param.default is not MISSING else None
        if node is seen and not node.is_scope:
            value = self._one(path)
        else:
            value = self._collect(node, at.coordinates[: len(seen.scope)])
        return field_of(value, field) if field is not None else value

    def _without(self, param: Param, path: str, slot: Slot | None) -> Any:
        """Return what stands for a result that is not there, since its step was skipped or has failed."""
        if slot is not None and slot.status == "skipped":
            return param.default if param.default is not MISSING else None
        failed = self._failure(path)
        if param.admits_failed:
            return failed
        raise StepFailed(str(failed))

    # ------------------------------------------------------------ what is in a scope, from outside

    def _collect(self, node: Node, coordinates: tuple[str, ...], journal: Journal | None = None) -> Any:
        """Return the value of a step seen from a place: of an instance, or a list over those inside."""
        if len(coordinates) < len(node.scope):
            scope = self.graph.nodes[node.scope[len(coordinates)]]
            return self._spread(scope, coordinates, lambda inner: self._inside(scope, node, inner, journal))
        if node.is_scope:
            return self._whole(node, coordinates, journal)
        return self._instance(node, coordinates, journal)

    def _inside(self, scope: Node, node: Node, coordinates: tuple[str, ...], journal: Journal | None) -> Any:
        """Return the value of a step in one item; None if the item was skipped as a whole."""
        slot = self.find(scope.name + "".join(coordinates))
        if slot is not None and slot.status == "skipped":
            return None
        return self._collect(node, coordinates, journal)

    def _whole(self, node: Node, coordinates: tuple[str, ...], journal: Journal | None = None) -> Any:
        return self._spread(node, coordinates, lambda inner: self._instance(node, inner, journal))

    def _spread(
        self, scope: Node, coordinates: tuple[str, ...], get: Callable[[tuple[str, ...]], Any]
    ) -> Any:
        """Return one value per item, in their order; of rounds, that of the last."""
        path = scope.name + "".join(coordinates)
        if scope.repeat is not None:
            return get((*coordinates, f"~{last_round(scope, self.find, path)}"))
        slot = self.find(path)
        assert slot is not None, f"{path} is open"
        return [get((*coordinates, Scope.place(i, slot.keys))) for i in range(slot.items or 0)]

    def _instance(self, node: Node, coordinates: tuple[str, ...], journal: Journal | None) -> Any:
        path = node.name + "".join(coordinates)
        slot = self.find(path)
        if slot is not None and slot.status == "completed":
            return self._one(path, journal, keep=False)
        if slot is not None and slot.status == "skipped":
            return None
        return self._failure(path)

    # ------------------------------------------------------------ items, rounds, people, failures

    def list_of(self, node: Node, at: Where) -> Sequence[Any]:
        """Return the list that a fan-out runs over. Raises TypeError if it is none."""
        each = node.each
        assert each is not None
        path = node.name + "".join(at.coordinates[: len(node.scope)])
        if path not in self._lists:
            outside = Where(node.scope, at.coordinates[: len(node.scope)], path)
            found = self._result(Param(each.param, EachSource(each.step)), each.step, None, outside)
            if not isinstance(found, Sequence) or isinstance(found, str | bytes | bytearray):
                raise TypeError(f"{each.step} returned {type(found).__name__}; Each needs a list or a tuple")
            self._lists[path] = found
        return self._lists[path]

    def _item(self, scope: Node, at: Where) -> Any:
        path = scope.name + "".join(at.coordinates[: len(scope.scope)])
        item = self.list_of(scope, at)[self._index(path, at.coordinates[len(scope.scope)])]
        return item if type(item) in ATOMS else pickle.loads(pickle.dumps(item, 5))  # noqa: S301  # a copy

    def _index(self, path: str, coordinate: str) -> int:
        slot = self.find(path)
        if slot is None or slot.keys is None:
            return int(coordinate[1:-1])
        if path not in self._places:
            self._places[path] = {Scope.place(i, slot.keys): i for i in range(len(slot.keys))}
        return self._places[path][coordinate]

    def _previous(self, param: Param, step: str, at: Where) -> Any:
        node = self.graph.nodes[step]
        depth = max(
            depth
            for depth, scope in enumerate(at.chain)
            if self.graph.nodes[scope].repeat and (scope == step or scope in node.scope)
        )
        number = int(at.coordinates[depth][1:]) - 1
        if number < 1:
            return param.default if param.default is not MISSING else None
        before = (*at.coordinates[:depth], f"~{number}")
        value = self._instance(node, before, None) if at.chain[depth] == step else self._collect(node, before)
        return value if not isinstance(value, Failed) or param.admits_failed else None

    def _decision(self, path: str) -> Approval | Rejected:
        slot = self.find(path)
        answer = slot.answer if slot else None
        assert slot is not None
        assert answer is not None, f"{path} is decided before it begins"
        text = slot.asked.text if slot.asked else ""
        at = None if slot.answered is None else datetime.fromtimestamp(slot.answered, UTC)
        if answer.verdict in ("rejected", "expired"):
            when = "" if at is None else at.isoformat(timespec="seconds")
            return Rejected(text, answer.who, answer.comment, when)
        return Approval(text, answer.who, at, answer.comment, answer.digest, answer.verdict != "not asked")

    def _failure(self, path: str) -> Failed:
        slot = self.find(path)
        if slot is None or slot.error is None:
            return Failed(path, "NotStarted", "a step that it needs has failed", 0)
        error = slot.error
        return Failed(path, error.type, error.message, slot.attempt, error.place)


def field_of(value: Any, field: str | None) -> Any:
    """Return one field of a result: a key of a mapping (TypedDict), an attribute of anything else."""
    assert field is not None
    return value[field] if issubclass(type(value), Mapping) else getattr(value, field)
