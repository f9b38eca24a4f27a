"""`gflow check` and `gflow explain`."""

from __future__ import annotations

import sys
from dataclasses import replace

from gflow import compiler, diagnostics, project, wiring
from gflow.cli.words import Command, Parser, as_called, parse, prefix, print_json
from gflow.diagnostics import Finding


def check(arguments: list[str]) -> int:
    """Compile a workflow and print every finding; nothing is run."""
    parser = Parser("check", "Find the mistakes of a workflow; nothing is run.")
    parser.add_argument("module", metavar="MODULE", help="a dotted name or the path of a .py file")
    parser.add_argument("--types", action="store_true", help="also have mypy or pyright check the wiring")
    parser.add_argument(
        "--checker", choices=("mypy", "pyright"), help="which one (default: what is installed)"
    )
    parser.add_argument(
        "--format", choices=("text", "github"), default="text", help="how findings are printed"
    )
    parser.add_json()
    options = parse(parser, arguments)
    checked = compiler.check(project.load(options.module))
    findings = checked.findings
    if options.types and checked.graph is not None:
        findings = (*map(_asked, findings), *wiring.check(checked.graph, options.checker))
    failed = any(finding.severity == "error" for finding in findings)
    root = project.root()
    name = checked.graph.name if checked.graph else options.module
    if options.json:
        print_json({"workflow": name, "findings": diagnostics.as_json(findings, root)})
    elif options.format == "github":
        print(diagnostics.as_github(findings, root), end="")
    elif findings:
        print(as_called(diagnostics.render(findings, root, prefix())), file=sys.stderr)
    if not failed and not options.json and options.format == "text" and checked.graph is not None:
        print(f"{options.module}: {len(checked.graph.nodes)} steps, no errors")
    return 2 if failed else 0


def _asked(finding: Finding) -> Finding:
    """Return a finding as it is told once the type checker was asked: what it does not say, it accepts."""
    if finding.code != "GF024":
        return finding
    return replace(finding, hints=("your type checker was asked: what it rejects is GF029",))


def explain(arguments: list[str]) -> int:
    """Print what a finding means, with a wrong and a right example."""
    parser = Parser("explain", "Explain a finding, with a wrong and a right example.")
    parser.add_argument("code", metavar="CODE", help="such as GF012")
    print(compiler.explain(parse(parser, arguments).code))
    return 0


CHECK = Command("check", "MODULE", "find mistakes; nothing is run", check)
EXPLAIN = Command("explain", "CODE", "what a finding means", explain)
