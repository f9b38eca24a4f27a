"""The graph as a Mermaid flowchart, which code hosts and wikis draw (https://mermaid.js.org/syntax/flowchart.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from gflow.drawing.edges import around, only_after, read, taken
from gflow.drawing.practice import practice
from gflow.model import (
    EachSource,
    FirstOfSource,
    Graph,
    InputSource,
    Node,
    PreviousSource,
    Source,
    StepSource,
)

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
        kind = [] if node.kind == "task" else [node.role or node.kind]
        label = "<br/>".join([name, *map(_escaped, [*kind, *practice(node)])])
        left, right = ("([", "])") if node.kind == "agent" else ("[", "]")
        yield f'{indent}{ids[node.name]}{left}"{label}"{right}'
        return
    label = "<br/>".join([f"{name} ({node.kind})", *map(_escaped, practice(node))])
    yield f'{indent}subgraph {ids[node.name]}["{label}"]'
    for member in node.members:
        yield from _box(graph, graph.nodes[member], ids, indent + "  ")
    yield f"{indent}end"


def _arrows(graph: Graph, node: Node, ids: Mapping[str, str]) -> Iterator[str]:
    """Yield the arrows that end at a step, and those between the members of a stage."""
    here = ids[node.name]
    for param in node.params:
        if isinstance(param.source, InputSource):
            yield f"{ids['--' + param.source.name]} --> {here}"
    for param, step in read(node.params):
        if node.name not in around(graph, step):  # what is inside is drawn inside
            yield f"{ids[step]} -->{_label(param.source)} {here}"
    yield from _beside(node, ids)
    yield from (f'{ids[name]} -.->|"after"| {here}' for name in only_after(graph, node))
    if node.kind == "stage":
        for first, second in pairwise(node.members):
            if first not in {source.step for _, source in taken(graph.nodes[second].params)}:
                yield f"{ids[first]} -.-> {ids[second]}"


def _beside(node: Node, ids: Mapping[str, str]) -> Iterator[str]:
    """Yield the arrows of rounds and conditions."""
    here = ids[node.name]
    for param in node.params:
        if isinstance(param.source, PreviousSource):
            yield f'{ids[param.source.step]} -.->|"previous"| {here}'
    for _, step in read(node.when.params if node.when else ()):
        yield f'{ids[step]} -.->|"when"| {here}'


def _label(source: Source) -> str:
    match source:
        case StepSource(_, str(field)):
            return f'|"{_escaped(field)}"|'
        case EachSource():
            return '|"each"|'
        case FirstOfSource():
            return '|"first of"|'
        case _:
            return ""


def _escaped(text: str) -> str:
    """Return text as it may stand between the quotes of a label."""
    return " ".join(text.translate(_ENTITIES).split())
