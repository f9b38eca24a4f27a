"""Where the values of one step come from and what it waits for, for `gflow graph --why STEP`."""

from __future__ import annotations

from collections.abc import Iterator

from gflow.drawing.edges import aligned, around, first_line, in_plan_order, reasons
from gflow.drawing.origins import if_so, items, place, question, rounds, rungs, table
from gflow.errors import UsageError
from gflow.model import (
    EachSource,
    FirstOfSource,
    Graph,
    Node,
    Param,
    PreviousSource,
    Source,
    StepSource,
)
from gflow.suggest import did_you_mean


def why(graph: Graph, step: str) -> str:
    """Return where each parameter of a step comes from, what it waits for and why, and who reads it.

    Raises UsageError if the workflow has no step of that name.
    """
    if step not in graph.nodes:
        remedy = did_you_mean(step, graph.nodes) or f"its steps: {', '.join(graph.nodes)}"
        raise UsageError(f"`{step}` is not a step of {graph.name}", remedy)
    node = graph.nodes[step]
    sections = {
        "takes": aligned(table(graph, node, node.params)),
        "begins after": aligned([*_awaited(graph, node)]) or ["nothing: it can begin at once"],
        "ends after" if node.is_empty else "then its body waits for": aligned([*_joined(graph, node)]),
        "runs if": [*if_so(graph, node, node.when)],
        "once per item of": [*items(node)],
        "again until": [*rounds(graph, node)],
        "asks": [*question(graph, node)],
        "if it fails": [*rungs(graph, node)],
        "is read by": aligned([*_readers(graph, node)]),
        "undo": [*_undo(graph, node)],
    }
    lines = [*_heading(graph, node)]
    for title, found in sections.items():
        if found:
            lines += ["", title, *(f"  {line}" for line in found)]
    return "\n".join(lines)


def _heading(graph: Graph, node: Node) -> Iterator[str]:
    yield " > ".join([*reversed([*around(graph, node.name)]), node.name])
    kind = f"{node.kind} {node.role}" if node.role else node.kind
    attempts = [f"{node.retry.attempts} attempts"] if node.retry else []
    yield " · ".join([kind, *attempts, place(node.fn)])
    if node.doc:
        yield first_line(node.doc)


def _awaited(graph: Graph, node: Node) -> Iterator[tuple[str, str]]:
    """Yield the steps that must have ended before one begins: its own, then those of the groups around it."""
    own = reasons(graph, node)
    for name, why_it in own.items():
        yield name, ", ".join(why_it)
    for group in around(graph, node.name):
        for name, why_it in reasons(graph, graph.nodes[group]).items():
            if name not in own:
                yield name, f"{group} begins after it: {', '.join(why_it)}"


def _joined(graph: Graph, node: Node) -> Iterator[tuple[str, str]]:
    for name in in_plan_order(graph, node.joins):
        owner = graph.nodes[name].group
        read = f"read only, it belongs to {owner}" if owner else "read only"
        yield name, "member" if name in node.members else read


def _readers(graph: Graph, node: Node) -> Iterator[tuple[str, str]]:
    """Yield who takes the value of a step, and as what."""
    for reader in graph.nodes.values():
        for what, params in _calls(reader, node):
            for param in params:
                if node.name in _names(param.source):
                    is_body = what == "" and reader.name == node.group
                    yield reader.name, f"{what}{_manner(param, is_group=is_body)}"
    if node.name in graph.results:
        yield "the run", "as its result"


def _calls(reader: Node, node: Node) -> Iterator[tuple[str, tuple[Param, ...]]]:
    """Yield what a step calls, with the parameters."""
    yield "", reader.params
    if reader.undo and reader is not node:
        yield "its undo, ", reader.undo.params
    if reader.when:
        yield "its condition, ", reader.when.params
    if reader.repeat:
        yield "its end, ", reader.repeat.until.params
    if reader.ask:
        yield "its question, ", (*reader.ask.values, *(reader.ask.when.params if reader.ask.when else ()))
    for rung in reader.rungs:
        yield f"{rung.label}, ", rung.call.params


def _names(source: Source) -> tuple[str, ...]:
    """Return the steps that a value comes from, also those of the round before."""
    match source:
        case StepSource(step) | EachSource(step) | PreviousSource(step):
            return (step,)
        case FirstOfSource(steps):
            return steps
        case _:
            return ()


def _manner(param: Param, *, is_group: bool) -> str:
    """Return as what a parameter takes a value."""
    how = ""
    match param.source:
        case StepSource(_, str(field)):
            how = f"field {field} "
        case EachSource():
            how = "each item "
        case FirstOfSource():
            how = "if it was not skipped, "
        case PreviousSource():
            how = "of the round before, "
        case _:
            pass
    return f"{how}its group" if is_group and isinstance(param.source, StepSource) else f"{how}as {param.name}"


def _undo(graph: Graph, node: Node) -> Iterator[str]:
    """Yield what takes a step back: the function and what that takes."""
    if node.undo:
        name = getattr(node.undo.fn, "__name__", "a function")
        yield f"{name}, {place(node.undo.fn)}: {first_line(node.undo.doc)}".removesuffix(": ")
        yield from aligned(table(graph, node, node.undo.params), "  ")
    elif node.effects == "irreversible":
        yield "irreversible: it blocks a rollback"
    elif node.effects == "none":
        yield "nothing to undo"
    elif not node.is_group:
        yield "none: a rollback leaves it as it is"
