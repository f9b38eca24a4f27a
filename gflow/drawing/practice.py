"""What few steps say, in a few words: items, rounds, conditions, questions, stand-ins."""

from __future__ import annotations

from collections.abc import Iterator

from gflow.compiler.asides import truth
from gflow.model import Call, FanOut, Node, StepSource


def practice(node: Node) -> Iterator[str]:
    """Yield what a step says about items, rounds, conditions and questions, in a few words each."""
    if node.each:
        yield f"×each {node.each.param} of {node.each.step}{_bounds(node.each)}"
    if node.repeat:
        yield f"↻ until {condition(node.repeat.until)}, at most {node.repeat.max} times"
    if node.when:
        yield f"when {condition(node.when)}"
    if node.ask:
        yield "asks" + (f" when {condition(node.ask.when)}" if node.ask.when else "")


def stand_ins(node: Node) -> Iterator[str]:
    """Yield what stands in for a step, in order."""
    for rung in node.rungs:
        yield f"{'degraded' if rung.degraded else 'fallback'} {rung.label}"


def _bounds(each: FanOut) -> str:
    tolerated = f"{each.tolerate:.0%}" if isinstance(each.tolerate, float) else str(each.tolerate)
    bounds = [f"limit {each.limit}"] if each.limit is not None else []
    bounds += [f"tolerate {tolerated}"] if each.tolerate else []
    return f" ({', '.join(bounds)})" if bounds else ""


def condition(call: Call) -> str:
    """Return the name of a condition: a function, or a step that answers."""
    source = call.params[0].source if call.fn is truth else None
    return source.step if isinstance(source, StepSource) else str(getattr(call.fn, "__name__", call.fn))
