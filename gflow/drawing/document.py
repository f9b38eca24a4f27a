"""The graph as the document of `gflow graph --format json`."""

from __future__ import annotations

import json

from gflow.annotations import show
from gflow.drawing.edges import in_plan_order
from gflow.inputs import default_of, describe, helps
from gflow.model import Graph, InputSpec, Node


def as_json(graph: Graph) -> dict[str, object]:
    """Return the workflow as JSON values: its inputs, and its steps with the sources of their parameters."""
    texts = helps(graph)
    return {
        "workflow": graph.name,
        "inputs": {name: _input(spec, texts[name]) for name, spec in graph.inputs.items()},
        "steps": {name: _step(graph, node) for name, node in graph.nodes.items()},
    }


def _input(spec: InputSpec, text: str) -> dict[str, object]:
    return {
        "type": show(spec.annotation),
        "required": spec.required,
        "default": None if spec.required else _value(default_of(spec)),
        "help": text,
    }


def _step(graph: Graph, node: Node) -> dict[str, object]:
    return {
        "kind": node.kind,
        "role": node.role,
        "group": node.group,
        "after": in_plan_order(graph, node.after),
        "params": {param.name: str(param.source) for param in node.params},
    }


def _value(value: object) -> object:
    """Return a default as it is if JSON has it, else as it is typed."""
    try:
        is_json = json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        is_json = False
    return value if is_json else describe(value)
