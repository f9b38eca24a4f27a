"""The graph as a tree of text, for `gflow graph`."""

from __future__ import annotations

from collections.abc import Iterator

from gflow.drawing.edges import aligned, brief_source, first_line, only_after, taken
from gflow.drawing.practice import practice, stand_ins
from gflow.inputs import default_text, helps, option
from gflow.model import Graph, Node


def text(graph: Graph) -> str:
    """Return the groups and steps of a workflow as a tree, with roles, data and order; then its inputs.

    `←` leads to what a step takes: results of steps, and inputs by their options. Members that run at the
    same time hang on double lines.
    """
    roots = [node for node in graph.nodes.values() if node.group is None]
    rows = [row for node in roots for row in _rows(graph, node, "", "")]
    lines = [*title(graph), "", *aligned(rows)]
    if graph.outermost is None and graph.results:
        lines += ["", f"results  {', '.join(graph.results)}"]
    if graph.inputs:
        lines += ["", "inputs", *aligned(list(_inputs(graph)), "  ")]
    return "\n".join(lines)


def title(graph: Graph) -> list[str]:
    """Return what a workflow is: name, version and module, and the first line of its docstring."""
    called = f"{graph.name} {graph.version}".rstrip()
    about = first_line(graph.doc)
    return [called if graph.module == called else f"{called} · {graph.module}", *([about] if about else [])]


def _rows(graph: Graph, node: Node, branch: str, below: str) -> Iterator[tuple[str, str, str]]:
    """Yield a step and all inside it; `branch` is drawn before the step, `below` before its members."""
    yield f"{branch}{node.name}", _kind(node), " · ".join(_notes(graph, node))
    line = "═" if node.kind == "parallel" else "─"
    for member in node.members:
        is_last = member == node.members[-1]
        joint = ("╘" if is_last else "╞") if line == "═" else ("└" if is_last else "├")
        inside = f"{below}{'  ' if is_last else '│ '} "
        yield from _rows(graph, graph.nodes[member], f"{below}{joint}{line} ", inside)


def _kind(node: Node) -> str:
    if not node.is_group:
        return node.role or node.kind
    if node.limit is not None:
        return f"{node.kind}, limit {node.limit}"
    return f"{node.kind}, {len(node.members)} at once" if node.kind == "parallel" else node.kind


def _notes(graph: Graph, node: Node) -> Iterator[str]:
    """Yield what is to know about a step beside its place."""
    yield from practice(node)
    joined = taken(node.params) if node.is_group else []
    origins = [brief_source(param) for param in node.params if (param, param.source) not in joined]
    if any(origins):
        yield f"← {', '.join(filter(None, origins))}"
    others = [source.step for _, source in joined if source.step not in node.members]
    if others:
        yield f"reads {', '.join(_with_owner(graph, node, name) for name in others)}"
    if names := only_after(graph, node):
        yield f"after {', '.join(names)}"
    if node.retry:
        yield f"{node.retry.attempts} attempts"
    yield from stand_ins(node)
    if node.undo:
        yield "undo"
    if node.effects == "irreversible":
        yield "irreversible"


def _with_owner(graph: Graph, node: Node, name: str) -> str:
    owner = graph.nodes[name].group
    return name if owner in (None, node.group) else f"{name} (of {owner})"


def _inputs(graph: Graph) -> Iterator[tuple[str, str, str]]:
    texts = helps(graph)
    for spec in graph.inputs.values():
        default = default_text(spec)
        value = "required" if spec.required else f"= {default}" if default else ""
        yield option(spec), value, first_line(texts[spec.name])
