"""What may be wrong with a module as a whole: no steps, lost ones, a name for two, its Workflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import unwrap
from typing import get_args

from gflow.compiler.cast import Cast, Home, Instance
from gflow.compiler.findings import Report
from gflow.compiler.keywords import question, report_no_step
from gflow.compiler.words import place_of
from gflow.decorators import AnyStep, Copy, Step
from gflow.diagnostics import Place, definitions, locate, locate_name
from gflow.model import Durability


def report_module(home: Home, cast: Cast, report: Report) -> None:
    """Report what is wrong with a module as a whole."""
    if not cast.links:
        hint = "write `from gflow import task`, and `@task` above a function"
        report.error("GF001", f"`{home.module}` has no steps", Place(home.file, 0), hints=[hint])
    _report_lost(home, report)
    _report_workflow(home, report)


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
        for given in workflow.uses if isinstance(workflow.uses, Iterable) else (workflow.uses,):
            if not isinstance(given, Step):
                place = locate_name(home.file, name, "uses")
                report_no_step(f"`uses=` of `{name}`", given, place, home.names, report)


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
    fn = later.fn if isinstance(later, Step) else later
    lost, counts = _definition(step.fn), _definition(fn)
    in_source = definitions(lost.file, name)
    if lost == counts or (in_source and lost.line not in in_source):
        return
    report.error(
        "GF010",
        f"`{name}` is defined twice: the first is lost, also for what was to read it",
        (locate(step.fn), "lost"),
        (locate(fn) if counts.line else locate_name(home.file, name), "this one counts"),
        hints=["rename one of them"],
    )


def _definition(fn: object) -> Place:
    code = getattr(unwrap(fn), "__code__", None) if callable(fn) else None
    return Place(code.co_filename, code.co_firstlineno) if code else Place("", 0)


def report_names(cast: Cast, names: Mapping[Instance, str], report: Report) -> None:
    """Report different steps that come to have one name, and copies that have none."""
    first: dict[str, Instance] = {}
    for step, name in names.items():
        other = first.setdefault(name, step)
        if other is not step:
            report.error(
                "GF010",
                f"two steps are called `{name}`",
                place_of(cast, step),
                place_of(cast, other),
                hints=[f"import one of them under another name: `from … import {name} as other_{name}`"],
            )
        if isinstance(step.step, Copy) and _is_nameless(cast, step):
            report.error(
                "GF016",
                f"a copy of `{name}` has no name",
                locate(step.step.fn),
                hints=[f"give it one, at the level of the module: `{name}_again = {name}.using(…)`"],
            )


def _is_nameless(cast: Cast, copy: Instance) -> bool:
    is_own = any(copy.step is step for step in cast.home.registered)
    return is_own and id(copy.step) not in cast.home.bound
