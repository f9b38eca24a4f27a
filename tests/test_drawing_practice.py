"""Items, rounds, conditions, questions and stand-ins are drawn; tests/golden/practice_*.txt show how.

Read them after every change; GFLOW_UPDATE_GOLDEN=1 writes them anew.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from gflow import compiler, drawing
from gflow.model import Graph

GOLDEN = Path(__file__).parent / "golden"
DRAWN = ("text", "plan", "mermaid", "json")
STEPS = ("rework", "fix", "build", "area", "deploy", "warm", "regions", "is_changed", "announce")


@pytest.fixture(scope="module")
def graph() -> Graph:
    """The compiled workflow of tests/golden/practice.py."""
    spec = importlib.util.spec_from_file_location("golden_practice", GOLDEN / "practice.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    checked = compiler.check(module)
    assert checked.graph is not None, checked.findings
    return checked.graph


@pytest.mark.parametrize("name", [*DRAWN, *(f"why-{step}" for step in STEPS)])
def test_golden(name: str, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every drawing of the workflow is the text that stands in its file."""
    monkeypatch.chdir(GOLDEN)
    text = draw(graph, name) + "\n"
    golden = GOLDEN / f"practice_{name}.txt"
    if os.environ.get("GFLOW_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def draw(graph: Graph, name: str) -> str:
    """Return one drawing."""
    match name:
        case "text":
            return drawing.text(graph)
        case "plan":
            return drawing.plan(graph, {"part": "minor"})
        case "mermaid":
            return drawing.mermaid(graph)
        case "json":
            return json.dumps(drawing.as_json(graph), indent=2)
        case _:
            return drawing.why(graph, name.removeprefix("why-"))


def test_the_reasons_of_a_scope(graph: Graph) -> None:
    """A scope waits for what its members need, and --why names the member."""
    told = drawing.why(graph, "area").partition("begins after")[2]
    assert "deploy inside it: data" in told
