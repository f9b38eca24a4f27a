"""A parameter whose name stands for nothing: what may have been meant, and what to write for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import FunctionType
from typing import Final, get_args

from gflow.compiler.cast import steps_in
from gflow.compiler.findings import Report
from gflow.compiler.reading import Parameter, Reader, Signature
from gflow.compiler.words import line_of, show
from gflow.decorators import AnyStep, From, InputMark
from gflow.diagnostics import locate
from gflow.model import MISSING
from gflow.suggest import did_you_mean, near

SHOWN: Final = 6
"""How many steps are listed where no name is near."""


def report_unknown(
    reader: Reader, signature: Signature, parameter: Parameter, inputs: Collection[str], report: Report
) -> None:
    """Report a parameter that is neither a step nor an input."""
    name = parameter.name
    steps = {other: step for other, step in steps_in(signature.names).items() if step.fn is not signature.fn}
    message, places = f"`{name}` is neither a step nor an input", [(locate(signature.fn, name), "")]
    question = did_you_mean(name, [*steps, *inputs])
    there = signature.names.get(name)
    if isinstance(there, FunctionType):
        message += ", but a function that is not decorated"
        places.append((locate(there), "not a step"))
        hints = [f"write `@task` above `def {name}`, if it is to be a step"]
    elif there is not None:
        message += f", but a global of its module: a {type(there).__name__}"
        hints = [f"use `{name}` in the body: a parameter takes the value of a step or of an input"]
    elif question:
        message += f"; {question}"
        hints = [*_near(reader, parameter, steps, inputs)]
    else:
        hints = [*_far(parameter, steps, signature)]
    if name in signature.unevaluated:
        reason = signature.unevaluated[name].reason
        hints.insert(0, f"a mark in its annotation is not seen, which cannot be evaluated: {reason}")
    if _has_inner_mark(parameter.annotation):
        hints = [f"its mark is hidden inside: write the mark around all of it, as in `{_outside(parameter)}`"]
    report.error("GF012", message, *places, hints=hints)


def _has_inner_mark(annotation: object) -> bool:
    marks = getattr(annotation, "__metadata__", ())
    is_marked = any(isinstance(mark, From | InputMark) for mark in marks)
    return is_marked or any(_has_inner_mark(part) for part in get_args(annotation))


def _outside(parameter: Parameter) -> str:
    kind = show(parameter.annotation)
    return f"Input[{kind}]` or `Annotated[{kind}, From(step)]"


def _near(
    reader: Reader, parameter: Parameter, steps: Mapping[str, AnyStep], inputs: Collection[str]
) -> Iterator[str]:
    meant = near(parameter.name, [*steps, *inputs])
    for name in meant:
        if name in steps:
            kind = show(reader.signature(steps[name]).returns)
            yield f"the step: {name} -> {kind}, {line_of(locate(steps[name].fn))}"
        else:
            yield f"the input: {name}"
    first = meant[0]
    kind = show(reader.signature(steps[first]).returns) if first in steps else _type(parameter)
    yield f"write `{first}: {kind}`; if you mean an input of that name, `{_as_input(parameter)}`"


def _far(parameter: Parameter, steps: Collection[str], signature: Signature) -> Iterator[str]:
    if parameter.name in {"ctx", "context"}:
        yield f"for the context of the run, write `{parameter.name}: Context`"
        return
    if steps:
        listed = ", ".join([*steps][:SHOWN]) + (", …" if len(steps) > SHOWN else "")
        yield f"for the result of a step, name the parameter like the step: {listed}"
    if isinstance(signature.names.get("Inputs"), type):
        yield f"for an input, add `{parameter.name}: {_type(parameter)}` to `Inputs`"
    else:
        yield f"for an input, write `{_as_input(parameter)}`"


def _as_input(parameter: Parameter) -> str:
    default = "" if parameter.default is MISSING else " = …"
    return f"{parameter.name}: Input[{_type(parameter)}]{default}"


def _type(parameter: Parameter) -> str:
    return "str" if parameter.annotation is MISSING else show(parameter.annotation)
