"""`gflow check --types`: the edges of a workflow as a typed module that the team's own checker judges.

One function per step and one line per parameter, so that a complaint's line names the edge::

    async def wire_publish() -> None:
        m0.publish(
            version=m0.version.returns,

`Step.returns` exists for type checkers only. The module is never imported.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from gflow import project
from gflow.diagnostics import Finding, Place, locate
from gflow.errors import UsageError
from gflow.model import (
    ConstantSource,
    ContextSource,
    Graph,
    InputSource,
    Node,
    Param,
    StepSource,
)

Checker = Literal["mypy", "pyright"]

CODE: Final = "GF029"
TIMEOUT: Final = 300
PREAMBLE: Final = '''"""Made by `gflow check --types`; never imported."""
# mypy: disable-error-code="func-returns-value"
# pyright: basic, reportPrivateUsage=false

from typing import Any

from gflow import Context
'''


@dataclass(frozen=True, slots=True)
class Edge:
    """What one line of the wiring stands for."""

    consumer: Node
    param: str | None
    provider: Node | None = None


@dataclass
class Wiring:
    """The wiring of a graph: the text of the module, and the edge that each line (from 1) stands for."""

    lines: list[str] = field(default_factory=list[str])
    edges: dict[int, Edge] = field(default_factory=dict[int, Edge])

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def add(self, line: str = "", edge: Edge | None = None) -> None:
        self.lines += line.split("\n")
        if edge is not None:
            self.edges[len(self.lines)] = edge


# ---------------------------------------------------------------- writing


def write(graph: Graph) -> Wiring:
    """Return the wiring of a graph. Steps that are defined inside a function have no name to call."""
    wiring = Wiring()
    wiring.add(PREAMBLE.rstrip("\n"))
    modules = _modules(graph)
    for module, alias in modules.items():
        wiring.add(f"import {module} as {alias}")
    wiring.add("\nANY: Any = None\nCTX: Context = Context()")
    inputs = graph.inputs_type
    if inputs is not None and inputs.__module__ in modules:
        wiring.add(f"INPUTS: {modules[inputs.__module__]}.{inputs.__qualname__} = ANY")
    for node in graph.nodes.values():
        if _is_importable(node):
            _write_step(wiring, graph, node, modules)
    return wiring


def _modules(graph: Graph) -> dict[str, str]:
    used = [node.fn.__module__ for node in graph.nodes.values() if _is_importable(node)]
    used += [graph.inputs_type.__module__] if graph.inputs_type else []
    return {module: f"m{number}" for number, module in enumerate(dict.fromkeys(used))}


def _is_importable(node: Node) -> bool:
    return "<locals>" not in node.fn.__qualname__


def _write_step(wiring: Wiring, graph: Graph, node: Node, modules: Mapping[str, str]) -> None:
    wiring.add(f"\n\nasync def wire_{_identifier(node.name)}() -> None:")
    wiring.add(f"    {_called(node, modules)}(", Edge(node, None))
    for param in node.params:
        _write_param(wiring, graph, node, param, modules)
    wiring.add("    )", Edge(node, None))
    if node.undo is not None and "<locals>" not in node.undo.fn.__qualname__:
        _write_undo(wiring, graph, node, modules)


def _write_undo(wiring: Wiring, graph: Graph, node: Node, modules: Mapping[str, str]) -> None:
    assert node.undo is not None
    undo = node.undo.fn
    alias = modules.get(undo.__module__)
    if alias is None or not node.undo.params:
        return
    result, *others = node.undo.params
    wiring.add(f"    {alias}.{undo.__qualname__}(", Edge(node, None))
    wiring.add(f"        {_result(node, modules)},", Edge(node, f"undo:{result.name}", node))
    for param in others:
        _write_param(wiring, graph, node, param, modules)
    wiring.add("    )", Edge(node, None))


def _write_param(wiring: Wiring, graph: Graph, node: Node, param: Param, modules: Mapping[str, str]) -> None:
    provider = graph.nodes.get(param.source.step) if isinstance(param.source, StepSource) else None
    value = _expression(graph, param, modules)
    wiring.add(f"        {param.name}={value},", Edge(node, param.name, provider))


def _expression(graph: Graph, param: Param, modules: Mapping[str, str]) -> str:
    match param.source:
        case StepSource(step, name):
            provider = graph.nodes[step]
            if not _is_importable(provider):
                return "ANY"
            return _field(_result(provider, modules), provider.returns, name)
        case InputSource(name) if _has_field(graph.inputs_type, name):
            return _field("INPUTS", graph.inputs_type, name)
        case ConstantSource(value) if value is None or type(value) in (str, int, float, bool):
            return repr(value)
        case ContextSource():
            return "CTX"
        case _:
            return "ANY"


def _result(node: Node, modules: Mapping[str, str]) -> str:
    returned = f"{_called(node, modules)}.returns"
    return f"(await {returned})" if node.is_async else returned


def _called(node: Node, modules: Mapping[str, str]) -> str:
    return f"{modules[node.fn.__module__]}.{node.fn.__qualname__}"


def _field(value: str, kind: Any, name: str | None) -> str:
    if name is None:
        return value
    is_typed_dict = isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__total__")
    return f"{value}[{name!r}]" if is_typed_dict else f"{value}.{name}"


def _has_field(inputs: type | None, name: str) -> bool:
    return inputs is not None and name in getattr(inputs, "__annotations__", {})


def _identifier(name: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in name)


# ---------------------------------------------------------------- judging


def check(graph: Graph, checker: Checker | None = None) -> tuple[Finding, ...]:
    """Have mypy or pyright check the wiring, and return its complaints as findings about the edges.

    `checker` defaults to mypy, then pyright, whichever is installed. Raises UsageError if there is none,
    or if it did not analyse the wiring.
    """
    checker = checker or _installed()
    wiring = write(graph)
    root = project.root()
    path = root / project.STATE / "check" / f"{_identifier(graph.name)}_wiring.py"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(wiring.text, encoding="utf-8")
    complaints = _mypy(path, root) if checker == "mypy" else _pyright(path, root)
    return tuple(_finding(wiring, line, message, checker) for line, message in complaints)


def _installed() -> Checker:
    if find_spec("mypy") or shutil.which("mypy"):
        return "mypy"
    if find_spec("pyright") or shutil.which("pyright"):
        return "pyright"
    raise UsageError("neither mypy nor pyright is installed", "pip install mypy, or leave out --types")


def _command(checker: Checker) -> list[str]:
    return [sys.executable, "-m", checker] if find_spec(checker) else [checker]


def _mypy(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    environment = {**os.environ, "MYPYPATH": os.pathsep.join([str(root), os.environ.get("MYPYPATH", "")])}
    done = _run([*_command("mypy"), "--output", "json", "--no-error-summary", str(path)], root, environment)
    if done.returncode not in (0, 1):
        raise _unusable("mypy", done)
    for line in done.stdout.splitlines():
        complaint = json.loads(line) if line.startswith("{") else {}
        if complaint.get("severity") == "error" and Path(root, complaint["file"]).resolve() == path.resolve():
            yield complaint["line"], f"{complaint['message']} [{complaint['code']}]"


def _pyright(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Give pyright a config of its own: it skips folders that begin with a dot, and is content with no file."""
    config = path.with_suffix(".pyright.json")
    config.write_text(json.dumps({"include": [path.name], "exclude": [], "extraPaths": [str(root)]}))
    command = [*_command("pyright"), "--outputjson", "--pythonpath", sys.executable, "-p", str(config)]
    done = _run(command, root, dict(os.environ))
    try:
        report: dict[str, Any] = json.loads(done.stdout)
        analysed = report["summary"]["filesAnalyzed"]
    except (ValueError, KeyError):
        raise _unusable("pyright", done) from None
    if analysed < 1:
        raise _unusable("pyright", done)
    for complaint in report["generalDiagnostics"]:
        if complaint["severity"] == "error" and Path(complaint["file"]).resolve() == path.resolve():
            yield complaint["range"]["start"]["line"] + 1, complaint["message"].replace("\n", " ")


def _run(command: list[str], root: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


def _unusable(checker: str, done: subprocess.CompletedProcess[str]) -> UsageError:
    said = (done.stderr or done.stdout).strip()[-1000:]
    return UsageError(f"{checker} could not check the wiring (exit {done.returncode}): {said}")


def _finding(wiring: Wiring, line: int, message: str, checker: str) -> Finding:
    edge = wiring.edges.get(line)
    if edge is None:
        return Finding(CODE, "error", f"{checker}: {message}", (), ())
    subject, places = _about(edge)
    return Finding(CODE, "error", f"{checker} rejects {subject}: {message}", places, ())


def _about(edge: Edge) -> tuple[str, tuple[tuple[Place, str], ...]]:
    consumer, provider = edge.consumer, edge.provider
    if edge.param is None:
        return f"the call of `{consumer.name}`", ((locate(consumer.fn), ""),)
    fn, name = consumer.fn, edge.param
    if name.startswith("undo:") and consumer.undo is not None:
        fn, name = consumer.undo.fn, name.removeprefix("undo:")
    places = [(locate(fn, name, "parameter"), "")]
    if provider is None:
        return f"`{name}` of `{consumer.name}`", tuple(places)
    places.append((locate(provider.fn, None, "return"), ""))
    return f"`{name}` of `{consumer.name}`, which `{provider.name}` provides", tuple(places)
