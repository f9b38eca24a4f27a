"""What may be wrong with a step by itself: what was decorated, its parameters, its body, its result."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from types import CodeType
from typing import Final, get_args

from gflow.annotations import assignable
from gflow.compiler.cast import Cast, Instance
from gflow.compiler.findings import Report
from gflow.compiler.reading import APPROVAL, Signature
from gflow.compiler.words import called, show
from gflow.decorators import AnyStep, Ask, InputMark
from gflow.diagnostics import body_of, locate, locate_name
from gflow.model import MISSING

STARRED: Final = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


def report_steps(cast: Cast, report: Report) -> None:
    """Report what is wrong with each step by itself; its copies are not reported again."""
    by_function = {id(step.step.fn): step for step in reversed(cast.links)}
    for step in by_function.values():
        if _is_function(cast, step, report):
            _report_role(step.step, report)
            _report_body(step, report)
            _report_result(step, report)
            report_signature(step.signature, report)


def _is_function(cast: Cast, step: Instance, report: Report) -> bool:
    if step.signature.is_function:
        return True
    fn, name = step.signature.inner, cast.home.name(step.step)
    if step.signature.code is not None:
        hint = "return a list: a step's result is stored once, when it has ended"
        report.error("GF003", f"`{name}` is a generator", locate(fn), hints=[hint])
    else:
        kind = "a class" if isinstance(fn, type) else f"an object of type {type(fn).__name__}"
        place = locate_name(cast.home.file, name)
        hint = f"write a function: `def {name}(…): …`"
        report.error("GF002", f"`{name}` is {kind}: a step is a function", place, hints=[hint])
    return False


def _report_role(step: AnyStep, report: Report) -> None:
    if step.kind == "agent" and (not isinstance(step.role, str) or not step.role.strip()):
        hints = ['write the role: `@agent("code-reviewer")`; a step that no role plays is a `@task`']
        report.error(
            "GF005", f"`{called(step.fn)}` has no role", locate(step.fn, part="decorator"), hints=hints
        )


def _report_body(step: Instance, report: Report) -> None:
    """Report a leaf without a body, and a group whose body refuses to run."""
    fn, name = step.step.fn, called(step.step.fn)
    if not (step.signature.is_empty and not step.is_group) and not _is_unwritten(step.signature.code):
        return
    body = body_of(fn)
    if body is not None and not all(_does_nothing(statement) for statement in body):
        return
    if step.is_group:
        message, hint = (
            f"the body of `{name}` only raises",
            "for a group without a body of its own write `...`",
        )
    elif step.step.kind == "agent":
        message = f"`{name}` has no body, and no model is bound to the role {step.step.role}"
        hint = "write what is done without a model: offline, in tests, in degraded mode"
    else:
        message, hint = (
            f"`{name}` has no body",
            "write what it does; what only waits for others is a `@stage`",
        )
    report.error("GF006", message, locate(fn), hints=[hint])


def _is_unwritten(code: CodeType | None) -> bool:
    """Whether a body may be nothing but `raise NotImplementedError`: it names nothing else."""
    return code is not None and code.co_names == ("NotImplementedError",)


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Expr(ast.Constant()):
            return True
        case ast.Raise(ast.Name("NotImplementedError") | ast.Call(ast.Name("NotImplementedError"))):
            return True
        case _:
            return False


def _report_result(step: Instance, report: Report) -> None:
    returns = step.signature.returns
    if returns is MISSING or returns is None:
        return
    name = called(step.step.fn)
    if step.is_group and step.signature.is_empty and assignable(None, returns) is False:
        report.error(
            "GF027",
            f"`{name}` has an empty body, so its result is None, not {show(returns)}",
            locate(step.step.fn, part="return"),
            hints=["write `-> None`, or a body that returns it"],
        )
    for local in _local_classes(returns):
        report.error(
            "GF026",
            f"`{name}` returns {local.__name__}, a class defined inside a function, which cannot be stored",
            locate(step.step.fn, part="return"),
            hints=[f"define `{local.__name__}` at the level of a module"],
        )


def _local_classes(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type) and "<locals>" in annotation.__qualname__:
        yield annotation
    for part in get_args(annotation):
        yield from _local_classes(part)


# ---------------------------------------------------------------- parameters


def report_signature(signature: Signature, report: Report) -> None:
    """Report parameters that cannot be filled or have two marks, and annotations that cannot be evaluated."""
    fn = signature.fn
    for name in _unfillable(signature.code):
        report.error(
            "GF007",
            f"`{name}` of `{called(fn)}` cannot be filled: a parameter is a step or an input by its name",
            locate(fn, name.lstrip("*")),
            hints=["write one parameter for each value" if "*" in name else "take the `/` away"],
        )
    for name, unresolved in signature.unevaluated.items():
        report.note(
            "GF020",
            f"the annotation `{unresolved.text}` cannot be evaluated: {unresolved.reason}",
            locate(fn, part="return") if name == "return" else locate(fn, name, "annotation"),
            hints=["its edges are not checked; what it names has to be there when the module has run"],
        )
    for parameter in signature.parameters:
        if not parameter.marks:
            continue
        sources = [
            _mark_shown(mark) for mark in parameter.marks if not (mark is Ask or isinstance(mark, Ask))
        ]
        sources += ["Approval"] if parameter.source is APPROVAL else []
        if len(sources) > 1:
            report.error(
                "GF014",
                f"`{parameter.name}` of `{called(fn)}` has two marks, so two sources",
                locate(fn, parameter.name, "annotation"),
                hints=["keep one of " + " and ".join(sources)],
            )


def _unfillable(code: CodeType | None) -> Iterator[str]:
    """Yield the parameters that cannot be given by name: positional-only ones, `*args`, `**kwargs`."""
    if code is None or not (code.co_posonlyargcount or code.co_flags & STARRED):
        return
    names = code.co_varnames
    yield from names[: code.co_posonlyargcount]
    place = code.co_argcount + code.co_kwonlyargcount
    if code.co_flags & inspect.CO_VARARGS:
        yield f"*{names[place]}"
        place += 1
    if code.co_flags & inspect.CO_VARKEYWORDS:
        yield f"**{names[place]}"


def _mark_shown(mark: object) -> str:
    kind = mark if isinstance(mark, type) else type(mark)
    return "Input" if kind is InputMark else kind.__name__
