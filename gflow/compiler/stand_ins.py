"""What may be wrong with `fallback=` and `degraded=`, and with marks beside a step."""

from __future__ import annotations

from collections.abc import Iterator

from gflow.annotations import assignable
from gflow.compiler.asides import truth
from gflow.compiler.cast import Aside, Cast, Instance, Link, Role
from gflow.compiler.findings import Report
from gflow.compiler.reading import Signature, is_step
from gflow.compiler.steps import report_signature
from gflow.compiler.view import View
from gflow.compiler.words import called, result_of, show
from gflow.decorators import Each
from gflow.diagnostics import locate
from gflow.model import MISSING, ApprovalSource

SAYS = {"fallback": "the fallback", "degraded": "the degraded mode"}


def report_stand_ins(view: View) -> None:
    """Report what cannot stand in for a step: steps, things that are no functions, other results."""
    cast, report = view.cast, view.report
    for step in view.outspoken:
        for role, given in _given(step):
            _report_no_function(step, role, given, report)
        for aside in cast.asides.get(step, ()):
            if aside.role in ("fallback", "degraded"):
                _report_result(step, aside, report)
            if not aside.is_own and aside.role != "shown" and aside.signature.fn is not truth:
                report_signature(aside.signature, report)
                _report_marks(aside.signature, aside.links, report, _own(cast, step, aside))
    for step, links in cast.undos.items():
        undo = cast.reader.undo(step.step)
        if undo is not None:
            _report_marks(undo, links[1:], report)


def _given(step: Instance) -> Iterator[tuple[Role, object]]:
    options = step.step.options
    for given in options.fallback:
        yield "fallback", given
    if options.degraded is not None:
        yield "degraded", options.degraded


def _report_no_function(step: Instance, role: Role, given: object, report: Report) -> None:
    is_role = isinstance(given, str) and role == "fallback"
    if (callable(given) and not is_step(given)) or (is_role and str(given).strip()):
        return
    where, place = f"`{role}=` of `{called(step.step.fn)}`", locate(step.step.fn, role, "keyword")
    if is_role:
        report.error("GF080", f"{where} names no role", place, hints=["write the role, or leave it out"])
    elif is_step(given):
        hint = f"take the decorator of `{called(given.fn)}` away, or call it in a function that stands in"
        message = f"{where} is the step `{called(given.fn)}`, which runs by itself"
        report.error("GF080", message, place, (locate(given.fn), "the step"), hints=[hint])
    else:
        wanted = "a function with the parameters of the step" + (", or a role" if role == "fallback" else "")
        report.error("GF080", f"{where} cannot be {given!r}", place, hints=[f"write {wanted}"])


def _report_result(step: Instance, aside: Aside, report: Report) -> None:
    signature, wanted = aside.signature, result_of(step)
    name = called(step.step.fn)
    what = f"`{called(signature.fn)}`, {SAYS[aside.role]} of `{name}`"
    if not signature.is_function:
        place = locate(step.step.fn, aside.role, "keyword")
        report.error("GF080", f"{what}, is no function", place, hints=["write a function: `def …`"])
    elif MISSING not in (signature.returns, wanted) and assignable(signature.returns, wanted) is False:
        report.error(
            "GF021",
            f"{what}, returns {show(signature.returns)}, but `{name}` returns {show(wanted)}",
            locate(signature.fn, None, "return"),
            locate(step.step.fn, None, "return"),
            hints=[f"let `{called(signature.fn)}` return {show(wanted)}"],
        )


# ---------------------------------------------------------------- marks


def _own(cast: Cast, step: Instance, aside: Aside) -> tuple[Link, ...]:
    """Return the links that a stand-in shares with its step."""
    return cast.links[step] if aside.role in ("fallback", "degraded") else ()


def _report_marks(
    signature: Signature, links: tuple[Link, ...], report: Report, own: tuple[Link, ...] = ()
) -> None:
    """Report marks that only a step can have: on its undo, its conditions, what stands in for it."""
    fn = signature.fn
    shared = {(link.parameter.name, link.step) for link in own}
    for link in links:
        name = link.parameter.name
        if not isinstance(link.source, Each | ApprovalSource) or (name, link.step) in shared:
            continue
        place = locate(fn, name, "annotation")
        if isinstance(link.source, Each):
            message = f"`{name}` of `{called(fn)}` is each item, but only a step has a fan-out"
            report.error(
                "GF083", message, place, hints=[f"take the item by its name: `{name}: {_kind(link)}`"]
            )
        else:
            message = f"`{name}` of `{called(fn)}` is an approval, but only a step asks"
            report.error("GF083", message, place, hints=["ask in a step, and take its result"])


def _kind(link: Link) -> str:
    return show(link.parameter.annotation)
