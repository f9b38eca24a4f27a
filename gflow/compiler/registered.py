"""What may be wrong with a module as a whole: no steps, lost ones, a name for two, its Workflow."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction, signature, unwrap
from typing import get_args

from gflow.compiler.cast import Cast, Home, Instance
from gflow.compiler.collect import listed
from gflow.compiler.findings import Report
from gflow.compiler.keywords import question, report_no_step
from gflow.compiler.words import parameter_place, place_of
from gflow.decorators import AnyStep, Copy, Step
from gflow.diagnostics import Place, definitions, locate, locate_name
from gflow.model import Durability, Exhausted


def report_module(home: Home, cast: Cast, report: Report) -> None:
    """Report what is wrong with a module as a whole."""
    _report_lost(home, report)
    _report_workflow(home, report)
    if not cast.links and not report.has_errors:
        hint = "write `from gflow import task`, and `@task` above a function"
        report.error("GF001", f"`{home.module}` has no steps", Place(home.file, 0), hints=[hint])


def _report_workflow(home: Home, report: Report) -> None:
    """Report more than one Workflow, and what the one cannot be told."""
    workflows = home.workflows()
    places = {name: locate_name(home.file, name) for name in workflows} if workflows else {}
    if len(workflows) > 1:
        hints = [f"keep one: {' or '.join(f'`{name}`' for name in workflows)}"]
        report.error(
            "GF009", "a module is one workflow, and this one has several", *places.values(), hints=hints
        )
    for name, workflow in workflows.items():
        if workflow.durability not in (None, *get_args(Durability)):
            report.error(
                "GF008",
                f"`durability=` of `{name}` cannot be {workflow.durability!r}",
                locate_name(home.file, name, "durability"),
                hints=[f'"full" or "process"{question(workflow.durability, get_args(Durability))}'],
            )
        if workflow.on_exhausted not in get_args(Exhausted):
            report.error(
                "GF008",
                f"`on_exhausted=` of `{name}` cannot be {workflow.on_exhausted!r}",
                locate_name(home.file, name, "on_exhausted"),
                hints=[f'"stop" or "abort"{question(workflow.on_exhausted, get_args(Exhausted))}'],
            )
        for given in listed(workflow.uses):
            if not isinstance(given, Step):
                place = locate_name(home.file, name, "uses")
                report_no_step(f"`uses=` of `{name}`", given, place, home.names, report)
        for given in listed(workflow.notify):
            if hint := _problem_of_notifier(given):
                place = locate_name(home.file, name, "notify")
                report.error("GF008", f"`notify=` of `{name}` cannot be {_shown(given)}", place, hints=[hint])


def _problem_of_notifier(given: object) -> str | None:
    """Return what to write instead of something that cannot be called with a notice."""
    if isinstance(given, type):
        return f"make one: `{given.__name__}(…)`"
    if isinstance(given, Step):
        return "a step runs inside the workflow: name a function that is not decorated"
    if iscoroutinefunction(given):
        return "a plain function: it is called in a thread of its own"
    if not callable(given):
        return "a `Command(…)` or a `Post(…)` of gflow.notify, or a function that takes the notice"
    return None if _takes_one(given) else "a function that takes one argument, the notice"


def _takes_one(function: Callable[..., object]) -> bool:
    try:
        signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not tell
        return True
    return True


def _shown(given: object) -> str:
    name = getattr(given, "__name__", "")
    return f"`{name}`" if name else reprlib.repr(given)


def _report_lost(home: Home, report: Report) -> None:
    """Report what was decorated in a module and is not found under its name: methods, names given twice."""
    for step in home.registered:
        path = getattr(step, "__qualname__", "")
        if id(step) in home.bound or isinstance(step, Copy) or "<locals>" in path:
            continue
        owner, _, name = path.rpartition(".")
        if owner:
            hint = f"move `{name}` out of `{owner}`, to the level of the module"
            report.error(
                "GF004", f"`{path}` is a method: a step is a function", locate(step.fn), hints=[hint]
            )
        elif name in home.names:
            _report_twice(home, step, name, report)


def _report_twice(home: Home, step: AnyStep, name: str, report: Report) -> None:
    """Report a name that something later took over; the same definition run again is only a reload."""
    later = home.names[name]
    if _wraps(later, step):
        hint = "keep one of them" if isinstance(later, Step) else f"write `@{step.kind}` above the others"
        message = (
            f"`{name}` is decorated again above `@{step.kind}`, so its name is no longer that of the step"
        )
        report.error("GF017", message, locate(step.fn, part="decorator"), hints=[hint])
        return
    fn = later.fn if isinstance(later, Step) else later
    lost, counts = _definition(step.fn), _definition(fn)
    in_source = definitions(lost.file, name)
    if lost == counts or (in_source and lost.line not in in_source):
        return
    report.error(
        "GF010",
        f"`{name}` is defined twice, and the first one is lost",
        (locate(step.fn), "lost"),
        (locate(fn) if counts.line else locate_name(home.file, name), "this one counts"),
        hints=["rename one of them"],
    )


def _wraps(outer: object, step: AnyStep) -> bool:
    """Whether an object was made of a step by another decorator."""
    while (inner := getattr(outer, "__wrapped__", None)) is not None:
        if inner is step:
            return True
        outer = inner
    return False


def _definition(fn: object) -> Place:
    code = getattr(unwrap(fn), "__code__", None) if callable(fn) else None
    return Place(code.co_filename, code.co_firstlineno) if code else Place("", 0)


def report_names(cast: Cast, names: Mapping[Instance, str], report: Report) -> None:
    """Report different steps that come to have one name, and copies that have none."""
    first: dict[str, Instance] = {}
    for step, name in names.items():
        if cast.is_nameless(step):
            hint = f"give it one, at the level of the module: `{name}_again = {name}.using(…)`"
            report.error("GF016", f"a copy of `{name}` has no name", _user_of(cast, step), hints=[hint])
            continue
        other = first.setdefault(name, step)
        if other is not step:
            hint = f"import one of them under another name: `from … import {name} as other_{name}`"
            places = (place_of(cast, step), place_of(cast, other))
            report.error("GF010", f"two steps are called `{name}`", *places, hints=[hint])


def _user_of(cast: Cast, copy: Instance) -> Place:
    """Return where a copy is named that has no name itself."""
    places = (parameter_place(cast, step, copy) for step in cast.links)
    return next((place for place in places if place), locate(copy.step.fn))
