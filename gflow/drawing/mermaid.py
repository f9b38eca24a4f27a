"""The graph as a Mermaid flowchart, which code hosts and wikis draw (https://mermaid.js.org/syntax/flowchart.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from gflow.drawing.edges import around, only_after, taken
from gflow.model import Graph, InputSource, Node

_ENTITIES: Final = str.maketrans(
    {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}
)


def mermaid(graph: Graph) -> str:
    """Return the workflow as a Mermaid flowchart.

    Groups are subgraphs; solid arrows are data, labelled with the field that is taken, dotted ones are order
    alone: the next member of a stage, or `after`. Agents are rounded, inputs slanted.
    """
    ids = _ids(graph)
    roots = [node for node in graph.nodes.values() if node.group is None]
    boxes = [line for node in roots for line in _box(graph, node, ids, "  ")]
    inputs = [f'  {ids["--" + name]}[/"{_escaped(name)}"/]' for name in graph.inputs]
    arrows = dict.fromkeys(line for node in graph.nodes.values() for line in _arrows(graph, node, ids))
    return "\n".join(["flowchart TD", *inputs, *boxes, *(f"  {arrow}" for arrow in arrows)])


def _ids(graph: Graph) -> Mapping[str, str]:
    """Return an id for every step and, by `--name`, every input; prefixes keep them apart from keywords."""
    names: dict[str, str] = {}
    for name in (*(f"--{name}" for name in graph.inputs), *graph.nodes):
        prefix = "input_" if name.startswith("--") else "step_"
        unique = prefix + re.sub(r"\W", "_", name.removeprefix("--"), flags=re.ASCII)
        while unique in names:
            unique += "_"
        names[unique] = name
    return {name: unique for unique, name in names.items()}


def _box(graph: Graph, node: Node, ids: Mapping[str, str], indent: str) -> Iterator[str]:
    """Yield the lines that draw a step with all inside it."""
    name = _escaped(node.name)
    if not node.members:
        label = f"{name}<br/>{_escaped(node.role or node.kind)}" if node.kind != "task" else name
        left, right = ("([", "])") if node.kind == "agent" else ("[", "]")
        yield f'{indent}{ids[node.name]}{left}"{label}"{right}'
        return
    yield f'{indent}subgraph {ids[node.name]}["{name} ({node.kind})"]'
    for member in node.members:
        yield from _box(graph, graph.nodes[member], ids, indent + "  ")
    yield f"{indent}end"


def _arrows(graph: Graph, node: Node, ids: Mapping[str, str]) -> Iterator[str]:
    """Yield the arrows that end at a step, and those between the members of a stage."""
    here = ids[node.name]
    for param in node.params:
        if isinstance(param.source, InputSource):
            yield f"{ids['--' + param.source.name]} --> {here}"
    for _, source in taken(node.params):
        if node.name not in around(graph, source.step):  # what is inside is drawn inside
            label = f'|"{_escaped(source.field)}"|' if source.field else ""
            yield f"{ids[source.step]} -->{label} {here}"
    yield from (f'{ids[name]} -.->|"after"| {here}' for name in only_after(graph, node))
    if node.kind == "stage":
        for first, second in pairwise(node.members):
            if first not in {source.step for _, source in taken(graph.nodes[second].params)}:
                yield f"{ids[first]} -.-> {ids[second]}"


def _escaped(text: str) -> str:
    """Return text as it may stand between the quotes of a label."""
    return " ".join(text.translate(_ENTITIES).split())
