"""Which features a run was using when its process died, and where: the table feature × crash point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gflow.events import coordinates, step_of
from gflow.frames import Scope
from gflow.model import MISSING, FirstOfSource, Graph, Node, PreviousSource
from gflow.state import Slot, State

if TYPE_CHECKING:
    from tests.crash.world import World

SITES: Final = ("before commit", "commit lost", "commit kept", "before bodies", "in a body")
"""Where the process dies: before it writes, while it does so, before and after what it writes is there,
before and after what it has started begins."""
MOMENTS: Final = ("retry wait", "asking", "rounds", "items", "undos")
"""What goes on when it dies: a step waits for its next try, somebody is asked, a round or an item has ended
and another is to come, a rollback has undone something and not everything."""
POINTS: Final = (*SITES, *MOMENTS)


def _rung(slot: Slot, node: Node, *, degraded: bool) -> bool:
    return slot.rung > 0 and node.rungs[slot.rung - 1].degraded == degraded


def _is_item(path: str, node: Node) -> bool:
    return node.is_scope and len(coordinates(path)) > len(node.scope)


def _has(node: Node, source: type) -> bool:
    return any(isinstance(param.source, source) for param in node.params)


def _said(slot: Slot, *verdicts: str) -> bool:
    return slot.answer is not None and slot.answer.verdict in verdicts


INSTANCES: Final[dict[str, Callable[[str, Slot, Node], bool]]] = {
    "attempts": lambda path, slot, node: slot.failures > 0 or slot.retry_at is not None,
    "fallback": lambda path, slot, node: _rung(slot, node, degraded=False),
    "degraded": lambda path, slot, node: _rung(slot, node, degraded=True),
    "failure as a value": lambda path, slot, node: slot.handled and node.handled,
    "tolerated item": lambda path, slot, node: slot.handled and _is_item(path, node),
    "condition": lambda path, slot, node: slot.when is not None,
    "skipped by its condition": lambda path, slot, node: slot.status == "skipped" and slot.when is False,
    "skipped with another": lambda path, slot, node: slot.status == "skipped" and slot.when is None,
    "None or default": lambda path, slot, node: slot.began is not None
    and any(param.default is not MISSING or param.admits_none for param in node.params),
    "FirstOf": lambda path, slot, node: slot.began is not None and _has(node, FirstOfSource),
    "items of a leaf": lambda path, slot, node: slot.items is not None and not node.is_group,
    "items of a group": lambda path, slot, node: slot.items is not None and node.is_group,
    "nested items": lambda path, slot, node: slot.items is not None and bool(node.scope),
    "limit of items": lambda path, slot, node: slot.items is not None and bool(node.each and node.each.limit),
    "keys": lambda path, slot, node: slot.keys is not None,
    "second round": lambda path, slot, node: "~2" in path or "~3" in path,
    "Previous": lambda path, slot, node: slot.began is not None and _has(node, PreviousSource),
    "approved": lambda path, slot, node: _said(slot, "approved"),
    "rejected as a value": lambda path, slot, node: _said(slot, "rejected", "expired")
    and bool(node.ask and node.ask.admits_rejected),
    "not asked": lambda path, slot, node: _said(slot, "not asked"),
}  # fmt: skip
"""A run uses a feature if one of its instances does."""

HAPPENED: Final = (
    "teardown", "approved early", "rejected", "expired", "abort", "rollback", "rollback in a scope", "rerun",
    "cancel",
)  # fmt: skip
"""What the world says has happened to the run."""
FEATURES: Final = (*INSTANCES, *HAPPENED)

Table = Counter[tuple[str, str]]


def used(world: World, state: State) -> set[str]:
    """Return the features that a run uses, or that have been used on it."""
    found = set(world.happened)
    for path, slot in state.slots.items():
        node = world.graph.nodes[step_of(path)]
        found |= {
            name for name, is_used in INSTANCES.items() if name not in found and is_used(path, slot, node)
        }
    return found


def moments(graph: Graph, state: State) -> set[str]:
    """Return what goes on in a run."""
    found: set[str] = set()
    for path, slot in state.slots.items():
        if slot.retry_at is not None and slot.status == "pending":
            found.add("retry wait")
        if slot.status == "waiting":
            found.add("asking")
        if _is_between_rounds(graph, state, path, slot):
            found.add("rounds")
        if slot.items and not slot.has_ended and 0 < len(_ended(state, path, slot)) < slot.items:
            found.add("items")
    return found


def _is_between_rounds(graph: Graph, state: State, path: str, slot: Slot) -> bool:
    step, round_of = step_of(path), path.rpartition("~")
    if graph.nodes[step].repeat is None or not round_of[1] or slot.status != "completed" or slot.until:
        return False
    following = f"{round_of[0][len(step) :]}~{int(round_of[2]) + 1}"
    return slot.until is None or not any(following in other[len(step_of(other)) :] for other in state.slots)


def _ended(state: State, path: str, slot: Slot) -> list[int]:
    """Return the numbers of the items that have ended."""
    numbers = range(slot.items or 0)
    return [number for number in numbers if state.has_ended(path + Scope.place(number, slot.keys))]


def shown(table: Table) -> str:
    """Return the table as text."""
    width = max(map(len, FEATURES))
    lines = [" " * width + "".join(f"  {point:>{len(point)}}" for point in POINTS)]
    for feature in FEATURES:
        cells = "".join(f"  {table[feature, point] or '-':>{len(point)}}" for point in POINTS)
        lines.append(f"{feature:<{width}}{cells}")
    return "\n".join(lines)


def empty(table: Table) -> list[str]:
    """Return the cells that are empty."""
    return [f"{feature} × {point}" for feature in FEATURES for point in POINTS if not table[feature, point]]
