"""`gflow check --types`: the team's own type checker judges the edges of a workflow.

The edges are written as a typed module, mypy or pyright reads it, and what it says about a line becomes a
finding about the two ends of that edge.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final

from gflow import project
from gflow.diagnostics import Finding, Place, locate, locate_field, locate_name
from gflow.errors import UsageError
from gflow.model import ConstantSource, Graph, InputSource, Param, Source, StepSource
from gflow.wiring.checkers import Checker, Complaint, installed, judge
from gflow.wiring.module import Edge, Wiring, calls, write

__all__ = ["CODE", "Checker", "check", "write"]

CODE: Final = "GF029"


def check(graph: Graph, checker: Checker | None = None) -> tuple[Finding, ...]:
    """Have mypy or pyright judge the edges of a workflow, and return findings about them, by file and line.

    `checker` defaults to the one that is installed, mypy if both are. What it cannot judge is a note.
    Raises UsageError if it is not installed, or has judged nothing.
    """
    checker = checker or installed()
    wiring = write(graph)
    complaints, otherwise = judge(wiring.text, checker, project.root())
    unseen = [module for line, module in wiring.proofs.items() if line not in complaints]
    if "gflow" in unseen or 0 < len(unseen) == len(wiring.proofs) - 1:
        about_imports = [each.text for line, each in complaints.items() if line not in wiring.proofs]
        raise UsageError(
            "\n  ".join([f"{checker} has not checked the edges:", *(about_imports or otherwise)])
        )
    errors = [
        _error(wiring, edge, complaints[line], checker)
        for line, edge in wiring.edges.items()
        if line in complaints
    ]
    return tuple(sorted([*errors, *_notes(wiring, unseen, checker)], key=lambda finding: finding.where))


def _notes(wiring: Wiring, unseen: Iterable[str], checker: Checker) -> Iterator[Finding]:
    """Yield what was not judged: functions without a name, and modules that the checker does not see."""
    for _, call in calls(wiring.graph):
        if id(call.fn) not in wiring.names:
            yield _note(f"no module gives `{call.fn.__name__}` a name", locate(call.fn))
    for module in unseen:
        place = Place(sys.modules[module].__file__ or "", 1)
        yield _note(f"{checker} does not see the types of `{module}`", place)


def _note(cause: str, place: Place) -> Finding:
    return Finding(CODE, "note", f"{cause}, so its edges are not checked", ((place, ""),))


def _error(wiring: Wiring, edge: Edge, said: Complaint, checker: Checker) -> Finding:
    fn, param = edge.call.fn, edge.param
    who = f"`{edge.step.name}`" if edge.call is edge.step else f"`{fn.__name__}` (undo of `{edge.step.name}`)"
    places, hints = [locate(fn)], said.details
    if param is None:
        message = f"the call of {who}: {said.text}"
    else:
        places = [locate(fn, param.name, "parameter"), *_provider(wiring, edge, param)]
        message = f"`{param.name}` of {who}: {said.text}"
    if param is not None and said.types is not None:
        given, taken = said.types
        gives, remedy = _told(param.source, given, taken)
        message = f"{who} takes `{param.name}` as {taken}, but {gives} [{said.code}]"
        hints = (f"declare `{param.name}` as {given}{remedy}", *hints)
    return Finding(
        CODE, "error", f"{checker}: {message}", tuple((place, "") for place in places if place.line), hints
    )


def _told(source: Source, given: str, taken: str) -> tuple[str, str]:
    """Return what the other end of an edge gives, and how it could give what is taken."""
    match source:
        case StepSource(step, None):
            return f"`{step}` returns {given}", f", or let `{step}` return {taken}"
        case StepSource(step, key):
            return f"`{step}.{key}` is {given}", ""
        case InputSource():
            return f"the input is {given}", ""
        case _:
            return f"it is given {given}", ""


def _provider(wiring: Wiring, edge: Edge, param: Param) -> list[Place]:
    """Return where the other end of an edge is typed, if that is known."""
    match param.source:
        case StepSource(step):
            return [locate(wiring.graph.nodes[step].fn, None, "return")]
        case InputSource(name) if name in wiring.inputs:
            return [locate_field(wiring.inputs[name], name)]
        case ConstantSource():
            file = sys.modules[wiring.graph.module].__file__ or ""
            return [locate_name(file, edge.step.name.partition("/")[0], param.name)]
        case _:
            return []
