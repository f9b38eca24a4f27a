"""What may be wrong with conditions, and who may be skipped because of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gflow.annotations import assignable, union_of
from gflow.compiler.asides import question_of, truth
from gflow.compiler.cast import Aside, Instance, Role
from gflow.compiler.keywords import report_no_step
from gflow.compiler.skips import unit
from gflow.compiler.unknown import place_of_question
from gflow.compiler.view import View
from gflow.compiler.words import called, listing, show
from gflow.decorators import Member
from gflow.diagnostics import Place, locate
from gflow.model import MISSING

CONDITIONS: Final[tuple[Role, ...]] = ("when", "ask", "until")


def report_conditions(view: View) -> None:
    """Report conditions that are neither steps nor functions, and those that surely say no yes or no."""
    for step in view.outspoken:
        for given, role, where in _given(step):
            if isinstance(given, Member) and view.cast.find(given, step.inside) is None:
                report_no_step(where, given, _asked(step, role), step.signature.names, view.report)
            elif not callable(given) and not isinstance(given, Member):
                message, hint = f"{where} is no condition: {given!r}", "name a bool step, or a function"
                view.report.error("GF070", message, _asked(step, role), hints=[hint])
        for aside in view.cast.asides.get(step, ()):
            if aside.role in CONDITIONS:
                _report_answer(view, step, aside)


def _given(step: Instance) -> Iterator[tuple[object, Role, str]]:
    """Yield what a step was given as conditions, and where."""
    options, name = step.step.options, called(step.step.fn)
    if options.when is not None:
        yield options.when, "when", f"`when=` of `{name}`"
    if options.repeat is not None and hasattr(options.repeat, "condition"):
        yield options.repeat.condition, "until", f"the Until of `{name}`"
    for parameter in step.signature.parameters:
        ask = question_of(parameter) if parameter.marks else None
        if ask is not None and ask.when is not None:
            yield ask.when, "ask", f"`when=` of the Ask of `{parameter.name}`"


def _report_answer(view: View, step: Instance, aside: Aside) -> None:
    fn = aside.signature.fn
    if not aside.signature.is_function:
        message = f"a condition of `{called(step.step.fn)}` is no function: {fn!r}"
        hint = "write a function: `def …(…) -> bool:`"
        view.report.error("GF070", message, _asked(step, aside.role), hints=[hint])
        return
    kind: object = aside.signature.returns
    what, answering = f"`{called(fn)}`", fn
    if fn is truth:
        link = aside.links[0]
        target = view.cast.find(link.step, link.scope) if link.step else None
        if target is None:
            return
        if aside.role == "until" and step not in view.scopes.inside(target):
            _report_constant(view, step, target)
            return
        kind = view.seen(step, target, inside=aside.is_late(step))
        what, answering = f"the step `{view.name(target)}`", target.step.fn
    if kind is MISSING or assignable(kind, bool) is not False:
        return
    view.report.error(
        "GF070",
        f"{what} is a condition of `{called(step.step.fn)}`, but gives {show(kind)}, not bool",
        locate(answering, None, "return"),
        _asked(step, aside.role),
        hints=["let it return bool"],
    )


def _report_constant(view: View, group: Instance, step: Instance) -> None:
    view.report.error(
        "GF070",
        f"`{view.name(step)}` ends the rounds of `{called(group.step.fn)}`, but is outside of it:"
        " its answer never changes",
        locate(group.step.fn, "repeat", "keyword"),
        locate(step.step.fn),
        hints=[f"add it to the signature of `{called(group.step.fn)}`"],
    )


def _asked(step: Instance, role: Role) -> Place:
    """Return where a condition is given."""
    if role == "ask":
        return place_of_question(step)
    return locate(step.step.fn, "when" if role == "when" else "repeat", "keyword")


# ---------------------------------------------------------------- who is skipped


def report_skips(view: View) -> None:
    """Report groups that do not admit that a member is skipped; note who is skipped with whom."""
    skips, cast = view.skips, view.cast
    for group in [one for one in cast.links if one.is_group] if skips.conditions else ():
        _report_members(view, group)
    for step in view.outspoken:
        if step in skips.conditions - skips.per_item:
            _note_companions(view, step)
        for aside in cast.asides.get(step, ()):
            if aside.role == "first":
                _note_no_choice(view, step, aside)


def _report_members(view: View, group: Instance) -> None:
    skips = view.skips
    for (link, target), param in zip(view.cast.edges(group), view.wiring.params[group], strict=True):
        if target is None or not link.is_plain or param.admits_none or param.default is not MISSING:
            continue
        if not view.may_lack(group, target, inside=True):
            continue
        name, kind = param.name, view.seen(group, target, inside=True)
        cause = skips.cause(unit(view.scopes, view.scopes.inside(group), target), group)
        wanted = show(param.annotation if kind is MISSING else union_of([kind, None]))
        view.report.error(
            "GF071",
            f"`{called(group.step.fn)}` takes `{name}` as {show(param.annotation)}, but it may be skipped",
            locate(group.step.fn, name, "parameter"),
            *([(locate(cause.step.fn, "when", "keyword"), "why")] if cause else []),
            hints=[f"write `{name}: {wanted}`: a skipped member never skips its group"],
        )


def _note_companions(view: View, step: Instance) -> None:
    """Note who is skipped with a step; what is inside it goes without saying."""
    skips = view.skips
    skipped = skips.skipped({step})
    others = [other for other in skipped if step not in skips.chain(other)]
    names = [view.name(other) for other in skips.begun if other in others] if others else []
    if names:
        view.report.note(
            "GF072",
            f"where `when=` of `{view.name(step)}` says no, {listing(names)}"
            f" {'is' if len(names) == 1 else 'are'} skipped with it",
            locate(step.step.fn, "when", "keyword"),
            hints=["what is to run all the same takes it as `… | None`, with a default, or by FirstOf"],
        )


def _note_no_choice(view: View, step: Instance, aside: Aside) -> None:
    """Note a FirstOf that always takes the same step."""
    link = aside.links[0]
    name, steps = link.parameter.name, view.cast.choice(link)
    sure = next((one for one in steps if not view.may_lack(step, one)), None)
    later = [view.name(one) for one in steps[steps.index(sure) + 1 :]] if sure else []
    who = f"`{name}` of `{called(step.step.fn)}`"
    if sure is not None and later:
        message = f"`{view.name(sure)}` is never skipped, so {who} never takes {listing(later)}"
        hint = f"put `{view.name(sure)}` last, or give it a condition: `when=…`"
    elif len(steps) == 1:
        message, hint = f"{who} has one step to take, and no choice", "write From instead"
    else:
        return
    view.report.note("GF073", message, locate(step.step.fn, name, "annotation"), hints=[hint])
