"""What the parameters of a step get: results, single items, whole lists, decisions, failures.

Everyone gets a copy of its own, unpickled from the checkpoint: what a resumed run would get.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gflow.checkpoint import Place, unpickle
from gflow.errors import Rejected, StepFailed
from gflow.events import Ref
from gflow.frames import Chain, Scope, seen_from
from gflow.model import (
    MISSING,
    Approval,
    ApprovalSource,
    ConstantSource,
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
COORDINATES: Final = re.compile(r"\[[^\]]*\]|~\d+")
ATOMS: Final = (str, int, float, bool, bytes, type(None))


class Where(NamedTuple):
    """The place of an instance: the scopes around it, the item or round of each, outermost first."""

    chain: Chain
    coordinates: tuple[str, ...]
    path: str


def where(node: Node, path: str, *, inside: bool = False) -> Where:
    """Return the place of a path; `inside`, that of an item or a round of the step."""
    coordinates = tuple(COORDINATES.findall(path, len(node.name)))
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
        self.small: dict[str, bytes] = {}
        self._lists: dict[str, Sequence[Any]] = {}
        self._places: dict[str, dict[str, int]] = {}

    def forget(self, paths: Iterable[str]) -> None:
        """Steps begin anew: what is in memory of them is no longer their value."""
        for path in paths:
            self.small.pop(path, None)
        self._lists.clear()
        self._places.clear()

    # ------------------------------------------------------------ one value

    def value(self, path: str, journal: Journal | None = None) -> Any:
        """Return a copy of its own of a completed step's result; `journal` stands in for a closed one."""
        node = self.graph.nodes.get(path)
        if node is not None and (node.scope or node.is_scope):
            return self._collect(node, (), journal)
        return self._one(path, journal)

    def _one(self, path: str, journal: Journal | None = None, *, keep: bool = True) -> Any:
        payload = self.small.get(path)
        if payload is not None:
            return pickle.loads(payload)  # noqa: S301  # made by this process, or verified below
        ref, place = self.refs(path)
        if ref is None:  # the empty body of a group
            return None
        payload = (journal or self.journal).read(ref, place, nearby=not keep)
        if keep and ref.length <= SMALL:
            self.small[path] = payload
        return unpickle(place, payload)

    # ------------------------------------------------------------ parameters

    def arguments(self, params: Iterable[Param], at: Where) -> dict[str, Any]:
        """Return what parameters get at a place. Raises StepFailed for a failure that one does not admit."""
        found = {param.name: self._argument(param, at) for param in params}
        return {name: value for name, value in found.items() if value is not MISSING}

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
        return slot.status if slot is not None else "pending"

    def _visible(self, step: str, at: Where) -> tuple[str, Node]:
        """Return the path of whom one waits for who reads a step from a place."""
        node = self.graph.nodes[seen_from(self.graph, at.chain, step)]
        return node.name + "".join(at.coordinates[: len(node.scope)]), node

    def _result(self, param: Param, step: str, field: str | None, at: Where) -> Any:
        path, node = self._visible(step, at)
        slot = self.find(path)
        if slot is not None and slot.status == "skipped":
            return param.default if param.default is not MISSING else None
        if slot is None or slot.status != "completed":
            failed = self._failure(path)
            if param.admits_failed:
                return failed
            raise StepFailed(str(failed))
        value = self._collect(self.graph.nodes[step], at.coordinates[: len(node.scope)])
        return field_of(value, field) if field is not None else value

    # ------------------------------------------------------------ what is in a scope, from outside

    def _collect(self, node: Node, coordinates: tuple[str, ...], journal: Journal | None = None) -> Any:
        """Return the value of a step seen from a place: of an instance, or a list over those inside."""
        if len(coordinates) < len(node.scope):
            scope = self.graph.nodes[node.scope[len(coordinates)]]
            return self._spread(scope, coordinates, lambda inner: self._collect(node, inner, journal))
        if node.is_scope:
            return self._whole(node, coordinates, journal)
        return self._instance(node, coordinates, journal)

    def _whole(self, node: Node, coordinates: tuple[str, ...], journal: Journal | None = None) -> Any:
        return self._spread(node, coordinates, lambda inner: self._instance(node, inner, journal))

    def _spread(
        self, scope: Node, coordinates: tuple[str, ...], get: Callable[[tuple[str, ...]], Any]
    ) -> Any:
        """Return one value per item, in their order; of rounds, that of the last."""
        path = scope.name + "".join(coordinates)
        if scope.repeat is not None:
            return get((*coordinates, f"~{self._last_round(scope, path)}"))
        slot = self.find(path)
        assert slot is not None, f"{path} is open"
        return [get((*coordinates, Scope.place(i, slot.keys))) for i in range(slot.items or 0)]

    def _last_round(self, scope: Node, path: str) -> int:
        assert scope.repeat is not None
        rounds = range(1, scope.repeat.max + 1)
        return max((k for k in rounds if self.find(f"{path}~{k}") is not None), default=1)

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
        if answer.verdict in ("rejected", "expired"):
            return Rejected(text, answer.who, answer.comment)
        at = None if slot.answered is None else datetime.fromtimestamp(slot.answered, UTC)
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
