"""What becomes of completed steps whose code has changed since: a pure function of journal and workflow.

What did not complete is free to change. What completed keeps its value: with a warning if only its body
changed, and not at all if what it takes or returns changed while something that has yet to run reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gflow.events import Outline
from gflow.model import Graph, StepSource
from gflow.state import State

Kind = Literal["body", "signature", "removed"]


@dataclass(frozen=True, slots=True)
class Drift:
    """A completed step whose code is no longer what it completed with.

    `was` and `now` are its signatures, or its names if it was renamed. `readers` are the steps that have yet
    to run and read its value; a renamed step would run again for them.
    """

    step: str
    kind: Kind
    was: str = ""
    now: str = ""
    readers: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether the run cannot go on with the value as it is."""
        return self.kind != "body" and bool(self.readers)


def find(state: State, graph: Graph, steps: Sequence[Outline], anew: Collection[str] = ()) -> list[Drift]:
    """Return what has changed of the completed steps of a run.

    `graph` and its outline `steps` are the workflow as it is now. `anew` are steps that begin anew, though
    they are completed: they may change like all that have yet to run.
    """
    now = {step.name: step for step in steps}
    readers = _readers(state, graph, anew)
    return [
        drift
        for before in _completed(state, anew)
        if (
            drift := _compared(before, now.get(before.name), readers) or _renamed(before, state, now, readers)
        )
    ]


def _completed(state: State, anew: Collection[str]) -> Iterator[Outline]:
    """Yield the completed steps that stay so, each as it was when it completed."""
    last = {step.name: step for step in state.outline}
    for name, slot in state.slots.items():
        before = slot.outline or last.get(name)
        if slot.status == "completed" and before is not None and name not in anew:
            yield before


def _readers(state: State, graph: Graph, anew: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return, by step, who has yet to run and reads its value."""
    readers: dict[str, dict[str, None]] = {}
    for node in graph.nodes.values():
        if node.is_empty or (state.is_done(node.name) and node.name not in anew):
            continue
        for param in node.params:
            if isinstance(param.source, StepSource):
                readers.setdefault(param.source.step, {})[node.name] = None
    return {step: tuple(names) for step, names in readers.items()}


def _compared(before: Outline, after: Outline | None, readers: Mapping[str, tuple[str, ...]]) -> Drift | None:
    """Return what changed of a step that is still there. What nothing is known of has not changed."""
    if after is None:
        return None
    if None not in (before.signature, after.signature) and before.signature != after.signature:
        was, now = before.signature or "", after.signature or ""
        return Drift(before.name, "signature", was, now, readers.get(before.name, ()))
    if None not in (before.body, after.body) and before.body != after.body:
        return Drift(before.name, "body")
    return None


def _renamed(
    before: Outline, state: State, now: Mapping[str, Outline], readers: Mapping[str, tuple[str, ...]]
) -> Drift | None:
    """Return a step that is no longer there, and under which name its old readers read the same code."""
    if before.name in now:
        return None
    read = {s.name for s in state.outline if before.name in s.after or before.name in s.joins}
    known = {step.name for step in state.outline}
    for name, step in now.items():
        if _is_same(before, step) and name not in known and read.intersection(readers.get(name, ())):
            return Drift(before.name, "removed", before.name, name, readers[name])
    return Drift(before.name, "removed")


def _is_same(one: Outline, other: Outline) -> bool:
    is_known = one.body is not None and one.signature is not None
    return is_known and (one.body, one.signature) == (other.body, other.signature)


# ---------------------------------------------------------------- as text


def warning(run: str, drift: Drift) -> str:
    """Return what is said of a step that keeps its value."""
    again = f"gflow resume {run} --rerun {drift.step}"
    match drift.kind:
        case "body":
            return (
                f"`{drift.step}` has changed since it completed, and keeps its value · {again} runs it again"
            )
        case "signature":
            return f"`{drift.step}` was {drift.was} when it completed, and nothing reads its value any more"
        case "removed":
            return f"`{drift.step}` completed and is no longer in the workflow: what it did stays"


def refusal(run: str, drifts: Sequence[Drift]) -> tuple[str, str]:
    """Return why a run cannot go on, as a table of what to do for each step, and a remedy for all of them."""
    rows = [("step", "what changed", "what to do")]
    for drift in drifts:
        is_renamed = drift.kind == "removed"
        at = drift.now if is_renamed else drift.step
        rows += [
            (drift.step, f"was {drift.was}", f"gflow resume {run} --rerun {drift.step}"),
            ("", f"is  {drift.now}", f"gflow fork {run} --at {at}"),
            (
                "",
                f"read by {', '.join(drift.readers)}",
                f"or put the {'name' if is_renamed else 'code'} back",
            ),
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"  {step:<{widths[0]}}  {what:<{widths[1]}}  {todo}" for step, what, todo in rows]
    cause = (
        "this run cannot go on: steps completed with other code, and what has yet to run reads their values"
    )
    many = f"for several at once: gflow rollback {run} --to a step before them, or start; then resume"
    return "\n".join([cause, *lines]), many if len(drifts) > 1 else ""
