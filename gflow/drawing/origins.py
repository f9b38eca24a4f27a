"""Where values come from, and what is called beside a body: the lines of `gflow graph --why STEP`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gflow.annotations import show
from gflow.compiler.asides import truth
from gflow.diagnostics import locate, shown
from gflow.drawing.edges import aligned
from gflow.drawing.practice import condition, practice
from gflow.inputs.spelling import default_text, flag_of, quoted
from gflow.model import (
    ApprovalSource,
    Call,
    ConstantSource,
    ContextSource,
    EachSource,
    FailureSource,
    FirstOfSource,
    Graph,
    InputSource,
    ItemSource,
    Node,
    Param,
    PreviousSource,
    StepSource,
)


def place(fn: Callable[..., Any]) -> str:
    """Return where a function is defined."""
    return shown(locate(fn), Path.cwd(), column=False)


def table(graph: Graph, node: Node, params: Iterable[Param]) -> list[tuple[str, str, str]]:
    """Return parameters with their types and where their values come from."""
    return [(param.name, show(param.annotation), origin(graph, node, param)) for param in params]


def origin(graph: Graph, node: Node, param: Param) -> str:
    """Return where the value of a parameter comes from."""
    match param.source:
        case StepSource() | InputSource() | ConstantSource():
            return _written(graph, node, param.source)
        case EachSource(step):
            return f"each item of {step}, {place(graph.nodes[step].fn)}"
        case ItemSource(group):
            return "its own item" if group == node.name else f"the item of {group}"
        case FirstOfSource(steps):
            return f"the first of {', '.join(steps)} that was not skipped"
        case PreviousSource(step):
            return f"{step} in the round before"
        case _:
            return GIVEN.get(type(param.source), "nothing")


GIVEN: Final[Mapping[type, str]] = {
    ContextSource: "the context of the running step",
    ApprovalSource: "the decision of a person",
    FailureSource: "the failure that it stands in for",
}
"""What no name stands for."""


def _written(graph: Graph, node: Node, source: StepSource | InputSource | ConstantSource) -> str:
    match source:
        case StepSource(step) if step == node.name:
            return "its own result"
        case StepSource(step, field):
            what = f"field {field} of" if field else "member" if step in node.members else "step"
            return f"{what} {step}, {place(graph.nodes[step].fn)}"
        case InputSource(name):
            default = default_text(graph.inputs[name])
            note = (
                " (required)" if graph.inputs[name].required else f" (default: {default})" if default else ""
            )
            return f"input {flag_of(name)}{note}"
        case ConstantSource(value):
            return f"{quoted(value)}, bound by using()"


def if_so(graph: Graph, node: Node, call: Call | None) -> Iterator[str]:
    """Yield a condition, and what it takes."""
    if call is None:
        return
    source = call.params[0].source if call.fn is truth else None
    if isinstance(source, StepSource):
        yield f"the step {source.step} says so"
        return
    yield f"{condition(call)}, {place(call.fn)}"
    yield from aligned(table(graph, node, call.params), "  ")


def items(node: Node) -> Iterator[str]:
    """Yield what a step runs once per item of."""
    if node.each is not None:
        yield next(note for note in practice(node) if note.startswith("×each")).removeprefix("×each ")
        if node.each.key is not None:
            yield f"named by {getattr(node.each.key, '__name__', 'a function')}"


def rounds(graph: Graph, node: Node) -> Iterator[str]:
    """Yield what ends the rounds of a group."""
    if node.repeat is not None:
        yield from if_so(graph, node, node.repeat.until)
        yield f"at most {node.repeat.max} times; then it fails"


def question(graph: Graph, node: Node) -> Iterator[str]:
    """Yield what a person is asked, and what is shown."""
    if node.ask is not None:
        yield node.ask.text
        yield from aligned([(value.name, origin(graph, node, value)) for value in node.ask.values], "  ")
        if node.ask.when is not None:
            first, *others = if_so(graph, node, node.ask.when)
            yield f"if {first}"
            yield from others
        if node.ask.timeout is not None:
            yield f"after {node.ask.timeout:g} s the answer is no"


def rungs(graph: Graph, node: Node) -> Iterator[str]:
    """Yield what stands in for a step, in order, and what it takes."""
    for rung in node.rungs:
        yield f"{rung.label}, {place(rung.call.fn)}{', degraded' if rung.degraded else ''}"
        yield from aligned(table(graph, node, rung.call.params), "  ")
