"""A run that kills its process again and again: when it is given up, and what is said of it then."""

from __future__ import annotations

from typing import Final

from gflow.events import Event, StatusChanged, Tripped, Undone, step_of
from gflow.rollback import Entry, Order, entries
from gflow.state import State

DEATHS: Final = 5
"""So many processes in a row die with a run, and no step completes or is undone: then it is given up."""
POISON: Final = "poison"
"""What the reason of such an end begins with, or what follows what is left of a rollback."""


def verdict(state: State) -> list[Event]:
    """Return the events that give up a run whose last process is dead; none if it may go on.

    A run ends as `failed`, and so do the steps that ran each time; a rollback ends as `rollback_incomplete`.
    Whoever goes on after that has been told, so the count begins anew.
    """
    deaths = state.lost + 1
    if deaths < DEATHS:
        return []
    said = f"its process died {deaths} times in a row"
    match state.status:
        case "running":
            return [*_failures(state, said), StatusChanged("failed", f"{POISON}: {said}")]
        case "rolling_back":
            return _of_rollback(state, said)
        case _:
            return []


def _failures(state: State, said: str) -> list[Event]:
    """Return a failure for each step that ran whenever the process died: one of them kills it."""
    killers = [path for path in state.open if path in state.suspects]
    message = f"{said} while this ran"
    return [Tripped(path, "Poison", message, [], "medium", "stop", None, 0.0) for path in killers]


def _of_rollback(state: State, said: str) -> list[Event]:
    assert state.reset is not None, "a rollback is under way"
    begun = entries(state, state.reset.steps, state.reset.to)
    left = ", ".join(entry.path for entry in begun if not entry.stays)
    killer = _next_undo(state, begun)
    undone: list[Event] = [Undone(killer.path, f"{said} with it", deadly=True)] if killer else []
    reason = f"{state.reset.goal}; left: {left}; {POISON}: {said}"
    return [*undone, StatusChanged("rollback_incomplete", reason)]


def _next_undo(state: State, begun: tuple[Entry, ...]) -> Entry | None:
    """Return the undo that a rollback was at: the first that has not ended yet and was not held back."""
    order = Order(state.outline)
    undos = [entry for entry in begun if entry.treatment == "undo"]
    held: set[str] = set()
    for entry in begun:
        if step_of(entry.path) in held or entry.stays:
            continue
        if entry in undos and state.slot(entry.path).undo_error is None:
            return entry
        held |= order.before(step_of(entry.path))
    return undos[0] if undos else None
