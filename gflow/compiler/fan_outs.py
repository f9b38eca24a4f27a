"""What may be wrong with items and rounds: `Each`, `repeat=` and `Previous`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gflow.annotations import NO_ITEMS, assignable, item_type, union_of
from gflow.compiler.cast import Cast, Instance, Link
from gflow.compiler.declared import Fields
from gflow.compiler.keywords import is_count
from gflow.compiler.practice import share
from gflow.compiler.reading import Signature, is_step
from gflow.compiler.view import View
from gflow.compiler.words import called, listing, show
from gflow.decorators import Each, InputMark, Until
from gflow.diagnostics import Place, locate
from gflow.model import MISSING, ItemSource, Param, PreviousSource


def report_fan_outs(view: View) -> None:
    """Report fan-outs that cannot be: by their number, their keywords, their list, the name of their item."""
    for step in view.outspoken:
        link = view.scopes.each.get(step)
        if link is not None:
            _report_several(view, step)
            _report_keywords(view, step, link)
            _report_no_sequence(view, step)
            _report_name(view, step, link)


def report_items(view: View) -> None:
    """Report parameters that take an item of another type than the list has."""
    steps = {name: step for step, name in view.names.items()} if view.scopes.each else {}
    for step in view.cast.links if steps else ():
        for signature, params in _signatures(view, step):
            for param in params:
                if isinstance(param.source, ItemSource) and param.annotation is not MISSING:
                    _report_item(view, signature, param, steps[param.source.group])


def _report_item(view: View, signature: Signature, param: Param, group: Instance) -> None:
    link = view.scopes.each[group]
    target = view.cast.find(link.step, link.scope) if link.step else None
    given = item_type(view.seen(group, target)) if target is not None else MISSING
    if target is None or given in (MISSING, NO_ITEMS) or assignable(given, param.annotation) is not False:
        return
    view.report.error(
        "GF021",
        f"`{called(signature.fn)}` takes `{param.name}` as {show(param.annotation)}, but the items of"
        f" `{view.name(target)}` are {show(given)}",
        locate(signature.fn, param.name, "parameter"),
        locate(target.step.fn, None, "return"),
        hints=[f"write `{param.name}: {show(given)}`"],
    )


def _report_several(view: View, step: Instance) -> None:
    links = [link for link in view.cast.links[step] if isinstance(link.source, Each)]
    name, fn = called(step.step.fn), step.step.fn
    if len(links) > 1:
        view.report.error(
            "GF060",
            f"`{name}` has {len(links)} fan-outs: {listing([link.parameter.name for link in links])}",
            *(locate(fn, link.parameter.name, "parameter") for link in links),
            hints=["pair the items in a step that returns one list, and take each item of that"],
        )
    if step.step.options.repeat is not None:
        view.report.error(
            "GF060",
            f"`{name}` has items and rounds",
            locate(fn, links[0].parameter.name, "parameter"),
            locate(fn, "repeat", "keyword"),
            hints=["wrap one in another group: then each item has its rounds, or each round its items"],
        )


def _report_keywords(view: View, step: Instance, link: Link) -> None:
    mark, name = link.source, link.parameter.name
    if not isinstance(mark, Each):
        return
    for keyword, given, what in _unusable(mark):
        message = f"`{keyword}=` of the Each of `{name}` cannot be {given!r}"
        view.report.error("GF008", message, locate(step.step.fn, name, "annotation"), hints=[what])


def _unusable(mark: Each) -> Iterator[tuple[str, object, str]]:
    if not (mark.limit is None or is_count(mark.limit)):
        yield "limit", mark.limit, "how many items may run at once, from 1 on"
    if mark.key is not None and (not callable(mark.key) or is_step(mark.key)):
        yield "key", mark.key, "a function that names an item: `key=str`"
    if share(mark.tolerate) is None:
        yield "tolerate", mark.tolerate, 'how many items may fail: a number, or a share of all such as "10%"'


def _report_no_sequence(view: View, step: Instance) -> None:
    for link, target in view.cast.edges(step):
        if target is None or not isinstance(link.source, Each):
            continue
        kind = view.seen(step, target)
        if kind is not MISSING and item_type(kind) is NO_ITEMS:
            source = view.name(target)
            view.report.error(
                "GF061",
                f"`{called(step.step.fn)}` takes each item of `{source}`, but {show(kind)} is no sequence",
                locate(step.step.fn, link.parameter.name, "parameter"),
                locate(target.step.fn, None, "return"),
                hints=[
                    f"let `{source}` return a list: items have an order, and are counted before one starts"
                ],
            )


def _report_name(view: View, step: Instance, link: Link) -> None:
    name, names = link.parameter.name, step.signature.names
    other: Place | None = None
    if is_step(named := names.get(name)):
        what, other = "a step", locate(named.fn)
    elif field := Fields(view.report).of(names).get(name):
        what, other = "an input", field.place("name")
    elif name in view.wiring.inputs and (taker := _declaring(view.cast, name)):
        what, other = "an input", locate(taker.step.fn, name)
    else:
        return
    view.report.error(
        "GF063",
        f"`{name}` is an item of `{called(step.step.fn)}` and {what}",
        locate(step.step.fn, name, "parameter"),
        other,
        hints=[f"rename the item, say `one_{name}`, here and where it is taken"],
    )


def _declaring(cast: Cast, name: str) -> Instance | None:
    """Return a step that declares an input of a name in place."""
    for step, links in cast.links.items():
        if any(isinstance(link.source, InputMark) and link.parameter.name == name for link in links):
            return step
    return None


# ---------------------------------------------------------------- rounds


def report_rounds(view: View) -> None:
    """Report `repeat=` that cannot be used."""
    for step in view.outspoken:
        until = _given_until(step)
        if until is None:
            continue
        place = locate(step.step.fn, "repeat", "keyword")
        name = called(step.step.fn)
        if not isinstance(until, Until):
            hint = "write `repeat=Until(condition, max=3)`"
            view.report.error("GF008", f"`repeat=` of `{name}` cannot be used", place, hints=[hint])
        elif not is_count(until.max):
            message = f"`max=` of the Until of `{name}` cannot be {until.max!r}"
            view.report.error("GF008", message, place, hints=["how many rounds there may be, from 1 on"])


def _given_until(step: Instance) -> object:
    """Return what `repeat=` was given, whatever that is."""
    return step.step.options.repeat


def report_first_rounds(view: View) -> None:
    """Report a Previous whose type does not admit what the round before gives, or that there was none."""
    steps = {name: step for step, name in view.names.items()}
    for step in view.outspoken:
        for signature, params in _signatures(view, step):
            for param in params:
                if isinstance(param.source, PreviousSource) and param.annotation is not MISSING:
                    _report_first_round(view, step, signature, param, steps[param.source.step])


def _signatures(view: View, step: Instance) -> Iterator[tuple[Signature, Sequence[Param]]]:
    yield step.signature, view.wiring.params[step]
    for aside, params in view.wiring.beside.get(step, ()):
        yield aside.signature, params
    undo = view.cast.reader.undo(step.step)
    if undo is not None:
        yield undo, view.wiring.undos[step]


def _report_first_round(
    view: View, step: Instance, signature: Signature, param: Param, target: Instance
) -> None:
    group = next(one for one in reversed(view.scopes.inside(step)) if one in view.scopes.rounds)
    given = view.seen(group, target, inside=True)
    is_first = not param.admits_none and param.default is MISSING
    if not is_first and (given is MISSING or assignable(given, param.annotation) is not False):
        return
    name, taken = param.name, show(param.annotation)
    problem = "in the first round there is none" if is_first else f"it is {show(given)}"
    wanted = show(given if given is MISSING else union_of([given, None]))
    view.report.error(
        "GF065" if is_first else "GF021",
        f"`{called(signature.fn)}` takes `{name}` of the round before as {taken}, but {problem}",
        locate(signature.fn, name, "parameter"),
        *([] if is_first else [locate(target.step.fn, None, "return")]),
        hints=[f"write `{name}: Annotated[{wanted}, Previous()]`"],
    )
