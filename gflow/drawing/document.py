"""The graph as the document of `gflow graph --format json`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from gflow.annotations import show
from gflow.drawing.edges import in_plan_order
from gflow.drawing.practice import condition
from gflow.inputs import default_of, describe, helps
from gflow.model import Call, Graph, InputSpec, Node, Param


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
        "params": _params(node.params),
        **_practice(node),
    }


def _params(params: Iterable[Param]) -> dict[str, str]:
    return {param.name: str(param.source) for param in params}


def _practice(node: Node) -> dict[str, object]:
    """Return what few steps say: keys that are there only then."""
    said: dict[str, object] = {}
    if node.when:
        said["when"] = _call(node.when)
    if node.each:
        share = node.each.tolerate
        said["each"] = {"step": node.each.step, "limit": node.each.limit, "tolerate": share}
    if node.repeat:
        said["repeat"] = {"until": _call(node.repeat.until), "max": node.repeat.max}
    if node.ask:
        when = _call(node.ask.when) if node.ask.when else None
        said["ask"] = {"text": node.ask.text, "when": when, "timeout": node.ask.timeout}
    if node.rungs:
        said["rungs"] = [{"name": rung.label, "degraded": rung.degraded} for rung in node.rungs]
    return said


def _call(call: Call) -> dict[str, object]:
    return {"name": condition(call), "params": _params(call.params)}


def _value(value: object) -> object:
    """Return a default as it is if JSON has it, else as it is typed."""
    try:
        is_json = json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        is_json = False
    return value if is_json else describe(value)
