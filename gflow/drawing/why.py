"""Where the values of one step come from and what it waits for, for `gflow graph --why STEP`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gflow.annotations import show
from gflow.diagnostics import locate, shown
from gflow.drawing.edges import aligned, around, first_line, in_plan_order, reasons, taken
from gflow.errors import UsageError
from gflow.inputs.spelling import default_text, flag_of, quoted
from gflow.model import ConstantSource, ContextSource, Graph, InputSource, Node, Param, StepSource
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
        "takes": aligned(_params(graph, node, node.params)),
        "begins after": aligned([*_awaited(graph, node)]) or ["nothing: it can begin at once"],
        "ends after" if node.is_empty else "then its body waits for": aligned([*_joined(graph, node)]),
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
    yield " · ".join([kind, *attempts, _place(node.fn)])
    if node.doc:
        yield first_line(node.doc)


def _place(fn: Callable[..., Any]) -> str:
    return shown(locate(fn), Path.cwd(), column=False)


def _params(graph: Graph, node: Node, params: Iterable[Param]) -> list[tuple[str, str, str]]:
    return [(param.name, show(param.annotation), _origin(graph, node, param)) for param in params]


def _origin(graph: Graph, node: Node, param: Param) -> str:
    """Return where the value of a parameter comes from."""
    match param.source:
        case StepSource(step) if step == node.name:
            return "its own result"
        case StepSource(step, field):
            what = f"field {field} of" if field else "member" if step in node.members else "step"
            return f"{what} {step}, {_place(graph.nodes[step].fn)}"
        case InputSource(name):
            default = default_text(graph.inputs[name])
            note = (
                " (required)" if graph.inputs[name].required else f" (default: {default})" if default else ""
            )
            return f"input {flag_of(name)}{note}"
        case ConstantSource(value):
            return f"{quoted(value)}, bound by using()"
        case ContextSource():
            return "the context of the running step"
        case _:
            return "nothing"


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
        undo_params = reader.undo.params if reader.undo and reader is not node else ()
        for params, what in ((reader.params, ""), (undo_params, "its undo, ")):
            for param, source in taken(params):
                if source.step == node.name:
                    field = f"field {source.field} " if source.field else ""
                    name = "its group" if reader.name == node.group else f"as {param.name}"
                    yield reader.name, f"{what}{field}{name}"
    if node.name in graph.results:
        yield "the run", "as its result"


def _undo(graph: Graph, node: Node) -> Iterator[str]:
    """Yield what takes a step back: the function and what that takes."""
    if node.undo:
        name = getattr(node.undo.fn, "__name__", "a function")
        yield f"{name}, {_place(node.undo.fn)}: {first_line(node.undo.doc)}".removesuffix(": ")
        yield from aligned(_params(graph, node, node.undo.params), "  ")
    elif node.effects == "irreversible":
        yield "irreversible: it blocks a rollback"
    elif node.effects == "none":
        yield "nothing to undo"
    elif not node.is_group:
        yield "none: a rollback leaves it as it is"
