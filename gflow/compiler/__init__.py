"""From a module of decorated functions to a `Graph`, or to everything that is wrong with it.

    who takes part (collect) · who owns whom (containment) · where parameters come from (resolve)
    · who waits for whom (order) · what is wrong (the others)

Signatures are read, bodies are not; source is parsed only where there is something to report.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from gflow import diagnostics
from gflow.compiler.build import Plan, build
from gflow.compiler.cast import Home
from gflow.compiler.collect import collect
from gflow.compiler.conditions import report_conditions, report_skips
from gflow.compiler.containment import contain, paths
from gflow.compiler.cycles import report_cycles
from gflow.compiler.edges import report_edges
from gflow.compiler.fan_outs import report_fan_outs, report_first_rounds, report_items, report_rounds
from gflow.compiler.findings import CODES, Report, explain
from gflow.compiler.keywords import report_keywords
from gflow.compiler.order import arrange, in_time
from gflow.compiler.outermost import report_disputes, report_outermost
from gflow.compiler.questions import report_questions
from gflow.compiler.reading import Reader
from gflow.compiler.registered import report_module, report_names
from gflow.compiler.resolve import resolve
from gflow.compiler.scopes import open_scopes
from gflow.compiler.skips import find_skips
from gflow.compiler.stand_ins import report_stand_ins
from gflow.compiler.steps import report_steps
from gflow.compiler.view import View
from gflow.decorators import AnyStep, Step
from gflow.diagnostics import Finding
from gflow.errors import CompileError
from gflow.model import Graph

__all__ = ["CODES", "Checked", "check", "compile", "explain"]

PRACTICE = (
    report_fan_outs,
    report_items,
    report_rounds,
    report_first_rounds,
    report_conditions,
    report_stand_ins,
    report_questions,
    report_skips,
)
"""What may be wrong with what few steps say."""

Target = ModuleType | AnyStep
"""What is compiled: a module, or a step together with what it needs."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the compiler found: a graph if nothing has to be changed, and every finding by file and line."""

    graph: Graph | None
    findings: tuple[Finding, ...]


def compile(target: Target, root: Path | None = None, command: str = "gflow") -> Graph:  # noqa: A001  its name
    """Return the graph of a workflow: a module, or a step with what it needs.

    `root` (the current folder) is what files are shown relative to, `command` how gflow was called.
    Raises CompileError, whose text shows every finding, if there is an error among them.
    """
    checked = check(target)
    if checked.graph is None:
        text = diagnostics.render(checked.findings, root or Path.cwd(), command)
        raise CompileError(text, checked.findings)
    return checked.graph


def check(target: Target) -> Checked:
    """Return the graph of a workflow, and everything that is wrong with it."""
    report, reader = Report(), Reader()
    home = Home.of(target, reader)
    cast, tree = contain(collect(target, home, reader))
    names = paths(cast, tree)
    scopes = open_scopes(cast, tree)
    wiring = resolve(cast, names, scopes, report)
    order = arrange(cast, tree, scopes)
    begun = in_time(order, tree)
    if isinstance(target, ModuleType):
        report_module(home, cast, report)
        report_outermost(cast, tree, names, report)
    if begun is None:
        report_cycles(cast, tree, names, scopes, report)
    report_disputes(cast, tree, names, report)
    report_names(cast, names, report)
    report_steps(cast, report)
    report_keywords(cast, names, report)
    skips = find_skips(cast, tree, names, scopes, wiring, begun)
    report_edges(cast, names, scopes, skips, report)
    if cast.asides or cast.undos:
        view = View(cast, names, scopes, skips, wiring, report, cast.outspoken())
        for look in PRACTICE:
            look(view)
    if begun is None or report.has_errors:
        return Checked(None, report.findings())
    plan = Plan(cast, tree, names, wiring, scopes, order, begun)
    return Checked(build(plan, target if isinstance(target, Step) else None), report.findings())
