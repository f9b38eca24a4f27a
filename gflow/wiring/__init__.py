"""`gflow check --types`: the team's own type checker judges the edges of a workflow.

The edges are written as a typed module, mypy or pyright reads it, and what it says about a line becomes a
finding about the two ends of that edge.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gflow import project
from gflow.compiler.asides import truth
from gflow.diagnostics import Finding, Place, locate, locate_field, locate_name
from gflow.errors import UsageError
from gflow.model import (
    ConstantSource,
    EachSource,
    FirstOfSource,
    Graph,
    InputSource,
    ItemSource,
    Param,
    PreviousSource,
    StepSource,
    Undo,
)
from gflow.wiring.checkers import SHOWN, Checker, Complaint, Judgement, installed, judge
from gflow.wiring.module import Edge, Wiring, calls, inputs_with, write

__all__ = ["CODE", "Checker", "check", "write"]

CODE: Final = "GF029"


def check(graph: Graph, checker: Checker | None = None) -> tuple[Finding, ...]:
    """Have mypy or pyright judge the edges of a workflow, and return findings about them, by file and line.

    `checker` defaults to the one that is installed, mypy if both are. What it cannot judge is a note.
    Raises UsageError if it is not installed, or has judged nothing.
    """
    checker = checker or installed()
    wiring = write(graph)
    judgement = judge(wiring.text, checker, project.root())
    unseen = [module for line, module in wiring.proofs.items() if line not in judgement.complaints]
    if "gflow" in unseen or 0 < len(unseen) == len(wiring.proofs) - 1:
        raise UsageError(f"{checker} has not checked the edges:{_why(wiring, judgement)}")
    told = [*_about_edges(wiring, judgement.complaints), *_about_undos(graph, judgement.elsewhere)]
    errors = [_error(graph, edge, said, checker) for edge, said in told]
    return tuple(sorted([*errors, *_notes(wiring, unseen, checker)], key=lambda finding: finding.where))


def _why(wiring: Wiring, judgement: Judgement) -> str:
    """Return what the checker says about the imports, or about other files, or at all."""
    about_imports = [each.text for line, each in judgement.complaints.items() if line not in wiring.proofs]
    elsewhere = [f"{each.file.name}:{each.line}: {each.text}" for each in judgement.elsewhere]
    said = (about_imports or elsewhere)[:SHOWN] or judgement.last_words
    return "".join(f"\n  {line}" for line in said)


def _about_edges(wiring: Wiring, complaints: Mapping[int, Complaint]) -> Iterator[tuple[Edge, Complaint]]:
    for line, edge in wiring.edges.items():
        if line in complaints and edge.basis not in complaints:
            yield edge, complaints[line]


def _about_undos(graph: Graph, complaints: Iterable[Complaint]) -> Iterator[tuple[Edge, Complaint]]:
    """Yield what is said about `@tag.undo` above an undo: mypy takes the undo to be what is wanted there."""
    undos = {_begin(step.undo.fn): step for step in graph.nodes.values() if step.undo and step.undo.params}
    for said in complaints:
        step = undos.get((said.file, said.line)) if '"undo" of "Step"' in said.message else None
        if step is not None and step.undo is not None:
            told = said._replace(message=f"not what `{step.name}` returns", types=None, details=())
            yield Edge(step, step.undo, step.undo.params[0]), told


def _begin(fn: Callable[..., Any]) -> tuple[Path, int]:
    """Return where a function begins, with its decorators."""
    code = getattr(fn, "__code__", None)
    return (Path(code.co_filename).resolve(), code.co_firstlineno) if code else (Path(), 0)


def _notes(wiring: Wiring, unseen: Iterable[str], checker: Checker) -> Iterator[Finding]:
    """Yield what was not judged: functions without a name, and modules that the checker does not see."""
    functions = {id(call.fn): call.fn for _, call in calls(wiring.graph) if call.fn is not truth}
    for number, fn in functions.items():
        if number not in wiring.names:
            yield _note(f"`{fn.__name__}` has no name at the level of a module", locate(fn))
    for module in unseen:
        yield _note(f"{checker} does not see the types of `{module}`", Place(_file(module), 1))


def _note(cause: str, place: Place) -> Finding:
    return Finding(CODE, "note", f"{cause}, so its edges are not checked", ((place, ""),))


def _error(graph: Graph, edge: Edge, said: Complaint, checker: Checker) -> Finding:
    fn, param = edge.call.fn, edge.param
    is_own = edge.call is edge.step or fn is truth
    who = f"`{edge.step.name}`" if is_own else f"`{fn.__name__}` ({_use(edge)})"
    if param is None:
        message, places, hints = f"the call of {who}: {said.text}", [locate(fn)], said.details
    else:
        message, hint = _told(who, param, said)
        places = [_taker(edge, param), *_other_end(graph, edge, param)]
        hints = (*filter(None, [hint]), *said.details)
    marks = tuple((place, "") for place in places if place.line)
    return Finding(CODE, "error", f"{checker}: {message}", marks, hints)


def _taker(edge: Edge, param: Param) -> Place:
    """Return where a value is taken: by a parameter, or by a step that is a condition."""
    if edge.call.fn is not truth:
        return locate(edge.call.fn, param.name, "parameter")
    return locate(edge.step.fn, "when" if edge.call is edge.step.when else "repeat", "keyword")


def _use(edge: Edge) -> str:
    """Return what a function beside a step is for."""
    name = f"`{edge.step.name}`"
    if isinstance(edge.call, Undo):
        return f"undo of {name}"
    if any(edge.call is rung.call for rung in edge.step.rungs):
        return f"stands in for {name}"
    return f"a condition of {name}"


def _told(who: str, param: Param, said: Complaint) -> tuple[str, str]:
    """Return what is wrong with an edge and how to mend it, in the words of gflow where they are known."""
    name = param.name
    if said.types is None:
        return f"`{name}` of {who}: {said.text}", ""
    given, taken = said.types
    remedy = f"declare `{name}` as {given}"
    match param.source:
        case StepSource(step, None):
            reason, remedy = f"`{step}` returns {given}", f"{remedy}, or let `{step}` return {taken}"
        case StepSource(step, key):
            reason = f"`{step}.{key}` is {given}"
        case EachSource(step):
            reason = f"the items of `{step}` are {given}"
        case FirstOfSource(steps):
            reason = f"the first of {', '.join(f'`{step}`' for step in steps)} may be {given}"
        case PreviousSource(step):
            reason = f"`{step}` of the round before is {given}"
        case ConstantSource(value):
            reason, remedy = f"`using()` binds it to {value!r}", f"bind a value of type {taken}"
        case _:
            reason = f"it is given {given}"
    return f"{who} takes `{name}` as {taken}, but {reason} [{said.code}]", remedy


def _other_end(graph: Graph, edge: Edge, param: Param) -> list[Place]:
    """Return where the other end of an edge is typed, if that is known."""
    match param.source:
        case StepSource(step) | EachSource(step) | PreviousSource(step) | FirstOfSource((step, *_)):
            return [locate(graph.nodes[step].fn, None, "return")]
        case ItemSource(group) if (each := graph.nodes[group].each) is not None:
            return [locate(graph.nodes[each.step].fn, None, "return")]
        case InputSource(name):
            cls = inputs_with(graph, edge.call, name)
            return [locate_field(cls, name)] if cls else []
        case ConstantSource():
            return [locate_name(_file(graph.module), edge.step.name.partition("/")[0], param.name)]
        case _:
            return []


def _file(module: str) -> str:
    return getattr(sys.modules.get(module), "__file__", None) or ""
