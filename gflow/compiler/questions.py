"""What may be wrong with questions: who asks, how often, and what is shown."""

from __future__ import annotations

from collections.abc import Iterator

from gflow.annotations import NO_FIELD, field_names, field_type
from gflow.compiler.asides import question_of
from gflow.compiler.cast import Aside, Instance
from gflow.compiler.findings import Report
from gflow.compiler.keywords import is_duration
from gflow.compiler.reading import Parameter, asks
from gflow.compiler.unknown import place_of_question
from gflow.compiler.view import View
from gflow.compiler.words import called, listing, show
from gflow.decorators import Ask, From
from gflow.diagnostics import locate
from gflow.model import MISSING
from gflow.suggest import did_you_mean


def report_questions(view: View) -> None:
    """Report questions that cannot be asked, or that show what is not there."""
    for step in view.outspoken:
        asking = [one for one in step.signature.parameters if asks(one.annotation)]
        if asking:
            _report_asking(step, asking, view.report)
        for parameter in step.signature.parameters:
            if parameter.marks:
                _report_ask(step, parameter, view.report)
        for aside in view.cast.asides.get(step, ()):
            if aside.role == "shown":
                _report_fields(view, step, aside)


def _report_asking(step: Instance, asking: list[Parameter], report: Report) -> None:
    name, names = called(step.step.fn), [parameter.name for parameter in asking]
    problems: list[tuple[str, str]] = []
    if step.is_group:
        hint = "give the approval to a step of its own, which the group names before the others"
        problems.append((f"`{name}` asks, but it is a group: only a task or an agent asks", hint))
    if len(asking) > 1:
        hint = "ask one question, or give the other to a step of its own"
        problems.append((f"`{name}` asks {len(asking)} questions: {listing(names)}", hint))
    for message, hint in problems:
        places = [locate(step.step.fn, one, "parameter") for one in names]
        report.error("GF081", message, *places, hints=[hint])


def _report_ask(step: Instance, parameter: Parameter, report: Report) -> None:
    for code, message, hint in _problems(step, parameter, question_of(parameter)):
        report.error(code, message, locate(step.step.fn, parameter.name, "annotation"), hints=[hint])


def _problems(step: Instance, parameter: Parameter, ask: Ask | None) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with an Ask: code, message and remedy."""
    name = parameter.name
    if any(mark is Ask for mark in parameter.marks):
        yield "GF081", f"the Ask of `{name}` asks nothing", f'write `{name}: Annotated[Approval, Ask("…")]`'
    if ask is None:
        return
    if not asks(parameter.annotation):
        message = (
            f"`{name}` of `{called(step.step.fn)}` asks, but is {show(parameter.annotation)}, no Approval"
        )
        remedy = f"write `{name}: Annotated[Approval, Ask(…)]`; `Approval | Rejected` takes a no as a value"
        yield "GF081", message, remedy
    if not _is_text(ask.text):
        yield "GF008", f"the Ask of `{name}` cannot say {ask.text!r}", "say it as text"
    if ask.timeout is not None and not is_duration(ask.timeout):
        message = f"`timeout=` of the Ask of `{name}` cannot be {ask.timeout!r}"
        yield "GF008", message, "a number of seconds above 0"


def _is_text(given: object) -> bool:
    return isinstance(given, str)


# ---------------------------------------------------------------- what is shown


def _report_fields(view: View, step: Instance, aside: Aside) -> None:
    for link, target in view.cast.found(aside.links):
        field = link.source.field if isinstance(link.source, From) else None
        kind = view.seen(step, target) if target is not None else MISSING
        if target is None or field is None or kind is MISSING or field_type(kind, field) is not NO_FIELD:
            continue
        known = field_names(kind)
        question = did_you_mean(field, known)
        view.report.error(
            "GF082",
            f"`{{{link.parameter.name}}}` in the question of `{called(step.step.fn)}`: {show(kind)}, which"
            f" `{view.name(target)}` returns, has no field `{field}`{f'; {question}' if question else ''}",
            place_of_question(step),
            locate(target.step.fn, None, "return"),
            hints=[f"its fields: {', '.join(known)}" if known else "show it whole"],
        )
