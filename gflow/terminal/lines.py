"""The lines of a run: what each says, and where its columns begin. Pure functions from data to text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gflow.model import Graph, Node, Rung, duration
from gflow.terminal.text import clean, count, first_line, padded, widest

OK: Final = "✓"
DEGRADED: Final = "!"
FAILED: Final = "✗"
AGAIN: Final = "↻"
BEGUN: Final = "▸"
ENDED: Final = "■"
"""The mark of a step that was ended from outside."""
UNDONE: Final = "↩"
HANDED: Final = "↪"
"""The mark of a step for which something else stands in."""
SKIPPED: Final = "-"
ASKS: Final = "?"

NAME_MOST: Final = 40
ROLE_MOST: Final = 24
WAITS_MOST: Final = 4


@dataclass(frozen=True, slots=True)
class Columns:
    """The widths, in cells, of the columns of names and roles; a column that nothing is in is left out."""

    name: int
    role: int

    @classmethod
    def of(cls, names: Sequence[str], roles: Sequence[str]) -> Columns:
        """Return columns that these names and roles fit into, within reason."""
        return cls(widest(names, NAME_MOST), widest(roles, ROLE_MOST))

    def row(self, mark: str, name: str, role: str | None, seconds: float | None, text: str) -> str:
        """Return one step as a line: `  ✓ build   devops-engineer   0.8 s   the wheel`."""
        middle = f"   {padded(role or '', self.role)}" if self.role else ""
        time = "" if seconds is None else duration(seconds)
        return f"  {mark} {padded(name, self.name)}{middle} {time:>7}   {text}".rstrip()


# ---------------------------------------------------------------- above the steps


def title(workflow: str, version: str, run: str) -> str:
    """Return what is running: `release-workflow 1.0.0 · run k3f9`."""
    return f"{clean(f'{workflow} {version}')} · run {run}"


def given(inputs: Mapping[str, str]) -> str:
    """Return the inputs of a run, bounded: `2 inputs: part=minor, repo=../calc`; "" if there are none."""
    if not inputs:
        return ""
    values = ", ".join(f"{name}={clean(value, 40)}" for name, value in inputs.items())
    return clean(f"{count(len(inputs), 'input')}: {values}", 120)


def heading(group: Node) -> str:
    """Return the line above the steps of a group: `quality_assurance · 3 at once`."""
    if group.kind != "parallel":
        return group.name
    at_once = min(group.limit or len(group.members), len(group.members))
    return f"{group.name} · {at_once} at once"


def section_of(node: Node) -> str | None:
    """Return the group that a step's line stands under: its own, or the step itself if it has members."""
    return node.name if node.members else node.group


def told_of(graph: Graph) -> list[Node]:
    """Return the steps that have a line when they complete: leaves, and groups whose body is the work.

    A group that only joins its members is told of when it fails; one with items or rounds has a line when
    all of them have ended. In a workflow of groups alone, as in progress, every step with a body counts as
    work.
    """
    groups_alone = not graph.leaves()
    return [
        node
        for node in graph.nodes.values()
        if not node.is_group or node.is_scope or (not node.is_empty and (groups_alone or not node.members))
    ]


# ---------------------------------------------------------------- what became of a step


def done_text(attempt: int, degraded: str | None, preview: str | None, stand_in: str | None = None) -> str:
    """Return what a completed step has to say; attempts are told from the second one on.

    `stand_in` is what made the result in place of the step's own body.
    """
    parts = [
        f"attempt {attempt}" if attempt > 1 and not stand_in else "",
        f"by {clean(stand_in)}" if stand_in else "",
        f"degraded: {clean(degraded)}" if degraded else "",
        clean(preview or ""),
    ]
    return " · ".join(filter(None, parts))


def failed_text(attempt: int, waits: Sequence[float], kind: str, message: str) -> str:
    """Return why a step has failed, after which attempts. `waits` are the seconds between those told here."""
    error = error_text(kind, message)
    if waits:
        return f"{len(waits) + 1} attempts (waited {_waits(waits)}): {error}"
    return f"attempt {attempt} · {error}" if attempt > 1 else error


def again_text(attempt: int, wait: float, kind: str, message: str) -> str:
    """Return why a step is tried again, and in how many seconds."""
    return f"attempt {attempt} failed: {error_text(kind, message)}; again in {duration(wait)}"


def handed_text(kind: str, message: str, rung: Rung) -> str:
    """Return why a step has failed, and what stands in for it now."""
    word = "degraded mode" if rung.degraded else "fallback"
    return f"{word} {clean(rung.label)} after {error_text(kind, message)}"


def fill_text(ended: int, total: int, failed: int, running: Sequence[str]) -> str:
    """Return how far a fan-out is: `3/10 items, 1 failed · check[4], check[5]`."""
    parts = [f"{ended}/{total} items" + (f", {failed} failed" if failed else ""), ", ".join(running)]
    return " · ".join(filter(None, parts))


# ---------------------------------------------------------------- questions


def asked_text(text: str, seconds: float | None = None) -> str:
    """Return a question; `seconds` is the time until no answer means no."""
    late = "" if seconds is None else f" (no answer in {duration(max(0.0, seconds))} means no)"
    return f"{clean(text)}{late}"


def answered_text(verdict: str, who: str, comment: str) -> str:
    """Return what became of a question: `approved by ann@host: looks good`."""
    said = "nobody said yes in time" if verdict == "expired" else f"{verdict} by {clean(who)}"
    return f"{said}: {clean(comment)}" if comment else said


def to_decide(command: str, run: str, path: str) -> tuple[str, str]:
    """Return the commands that say yes and no to what a step asks; its path is quoted for a shell."""
    step = shlex.quote(clean(path))
    return f"{command} approve {run} {step}", f"{command} reject {run} {step}"


# ---------------------------------------------------------------- errors and times


def error_text(kind: str, message: str) -> str:
    """Return an error on one line: the name of its type without the module, and the first line it says."""
    name, line = clean(kind.rpartition(".")[2]), first_line(message)
    return f"{name}: {line}" if line else name


def _waits(waits: Sequence[float]) -> str:
    if len(waits) > WAITS_MOST:
        return f"{duration(sum(waits))} in all"
    return ", ".join(map(duration, waits))


def elapsed(seconds: float) -> str:
    """Return a time that goes on: whole seconds, `31 s`, then `2m 05s`."""
    return f"{int(seconds)} s" if seconds < 60 else duration(seconds)
