"""The commands that advance a run: run, resume, fork, cancel, rollback."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import redirect_stdout
from typing import Final

from gflow import documents, drawing, inputs, logs, project, rollback, runner, session, suggest
from gflow.cli import answering, reading
from gflow.cli.words import Command, Parser, as_called, folder, parse, prefix, print_json, say
from gflow.errors import UsageError
from gflow.model import Graph, Run, Status
from gflow.terminal import Terminal

EXIT: Final[dict[Status, int]] = {
    "completed": 0, "failed": 1, "waiting": 3, "rolled_back": 4, "rollback_incomplete": 5, "rolling_back": 5,
    "rejected": 6, "cancelled": 7,
}  # fmt: skip
SIGNAL_EXIT: Final = {"SIGINT": 130, "SIGTERM": 143}


def looks_like_a_module(word: str) -> bool:
    """Tell whether a word that is no command can be a workflow: it has a dot or a slash, or is there."""
    root = project.root()
    return "." in word or "/" in word or (root / f"{word}.py").exists() or (root / word).is_dir()


# ---------------------------------------------------------------- run


def run(arguments: list[str]) -> int:
    """Compile, bind the inputs, run; or show the plan."""
    first = Parser("run", "", add_help=False)
    first.add_argument("module", nargs="?")
    module = first.parse_known_args(arguments)[0].module
    if module is None or module.startswith("-"):
        return _run_help(arguments)
    graph = runner.compile(module)
    options = parse(_run_parser(module, graph), arguments)
    given = inputs.from_file(options.inputs, sys.stdin) if options.inputs else {}
    given |= inputs.options_of(options, graph)
    if options.plan:
        values = inputs.bind(graph, given)
        print(
            as_called(drawing.plan(graph, {name: inputs.describe(value) for name, value in values.items()}))
        )
        return 0
    approved = _approved(graph, options.approve)
    return drive(options, lambda settings: runner.start(graph, given, settings, approved=approved))


def _approved(graph: Graph, steps: Sequence[str]) -> list[str]:
    """Return the steps that are approved before they ask. Raises UsageError for one that never asks."""
    asking = [node.name for node in graph.nodes.values() if node.ask]
    for step in steps:
        if step not in asking:
            near = suggest.did_you_mean(step, asking)
            raise UsageError(
                f"`--approve {step}`: no step `{step}` asks anything",
                near or (f"steps that ask: {', '.join(asking)}" if asking else ""),
            )
    return list(steps)


def _run_help(arguments: list[str]) -> int:
    parser = Parser("run", "Run a workflow. Its inputs are options too: MODULE --help shows them.")
    _add_run_options(parser)
    if {"-h", "--help"} & set(arguments):
        parse(parser, arguments)
    raise UsageError("no MODULE was given", f"{prefix()} run MODULE, a dotted name or the path of a .py file")


def _run_parser(module: str, graph: Graph) -> Parser:
    title = f"{graph.name} {graph.version}".rstrip()
    parser = Parser("run", f"{title}\n\n{graph.doc}".rstrip())
    parser.set_defaults(module=module)
    _add_run_options(parser)
    inputs.add_options(parser, graph)
    return parser


def _add_run_options(parser: Parser) -> None:
    parser.add_argument("module", metavar="MODULE", help="a dotted name or the path of a .py file")
    parser.add_argument("--inputs", metavar="FILE", help="read inputs from a JSON file, - for stdin")
    parser.add_argument("--plan", action="store_true", help="show what would run; nothing is touched")
    parser.add_argument(
        "--approve", metavar="STEP", action="append", default=[],
        help="say yes to what STEP will ask, for unattended runs (repeatable)",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="exit 1 if a step's result is degraded")
    parser.add_json()
    parser.add_store()


# ---------------------------------------------------------------- resume


def resume(arguments: list[str]) -> int:
    """Go on with a run."""
    parser = Parser("resume", "Go on with a run: what is complete is kept, the rest is done.")
    parser.add_argument("run", metavar="RUN", help="an id, a unique prefix of one, or `last`")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[],
        help="change an input that no completed step has taken (repeatable)",
    )  # fmt: skip
    parser.add_argument("--rerun", metavar="STEP", help="take STEP and all after it back first, then go on")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a step's result is degraded")
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    changed = dict(_assignment(text) for text in options.set)
    return drive(options, lambda settings: runner.go_on(options.run, changed, settings, rerun=options.rerun))


# ---------------------------------------------------------------- fork


def fork(arguments: list[str]) -> int:
    """Begin a new run from what another has completed."""
    parser = Parser("fork", "Begin a new run that shares what RUN has completed before STEP.")
    parser.add_argument("run", metavar="RUN", help="an id, a unique prefix of one, or `last`")
    parser.add_argument("--at", metavar="STEP", required=True, help="STEP and all after it run anew")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[],
        help="change an input that no shared step has taken (repeatable)",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="exit 1 if a step's result is degraded")
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    changed = dict(_assignment(text) for text in options.set)
    return drive(options, lambda settings: runner.fork_run(options.run, options.at, changed, settings))


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"`--set {text}` has no value", "write --set NAME=VALUE")
    return name.replace("-", "_"), value


# ---------------------------------------------------------------- what all of them do


def drive(options: argparse.Namespace, main: Callable[[session.Settings], Awaitable[Run]]) -> int:
    """Run with the terminal listening, tell the end, and return the exit code."""
    terminal = Terminal(sys.stderr, os.environ, command=prefix())
    ask = None if options.json else answering.on_terminal(terminal.pause)
    settings = session.Settings(
        folder=folder(options), listeners=[terminal.listener], signals=True, say=terminal.say, ask=ask
    )
    logs.enable()
    logs.install_interceptor()
    try:
        with redirect_stdout(sys.stderr) if options.json else redirect_stdout(sys.stdout):
            ended = runner.in_own_loop(lambda: main(settings))
    finally:
        terminal.close()
        logs.remove_interceptor()
    terminal.conclude(ended)
    if options.json:
        print_json(documents.run_document(ended))
    return exit_code(ended, strict=options.strict)


def exit_code(run: Run, *, strict: bool = False) -> int:
    """Return the exit code that tells how a run ended."""
    if run.status == "interrupted":
        return SIGNAL_EXIT.get(run.reason, 130)
    if strict and run.status == "completed" and run.degraded:
        return 1
    return EXIT.get(run.status, 1)


# ---------------------------------------------------------------- cancel


def cancel(arguments: list[str]) -> int:
    """End a run, wherever it runs."""
    parser = Parser("cancel", "End a run; nothing is undone, and it can be resumed.")
    parser.add_argument("run", metavar="RUN", help="an id, a unique prefix of one, or `last`")
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    settings = session.Settings(folder=folder(options))
    ended = runner.in_own_loop(lambda: runner.cancel_run(options.run, settings))
    if options.json:
        print_json(documents.run_document(ended))
    else:
        say(as_called(f"run {ended.id} is {ended.status} · gflow resume {ended.id}"))
    return 0


# ---------------------------------------------------------------- rollback


def roll_back(arguments: list[str]) -> int:
    """Take back what comes after a step."""
    parser = Parser("rollback", "Take back what the graph orders after a step, newest first.")
    parser.add_argument("run", metavar="RUN", help="an id, a unique prefix of one, or `last`")
    parser.add_argument("--to", metavar="STEP", required=True, help="a step to go back to, or `start`")
    parser.add_argument("--plan", action="store_true", help="show what would be undone; nothing is touched")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--force", action="store_true", help="pass over what cannot be undone")
    parser.set_defaults(strict=False)
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    if options.plan:
        run_id, plan = reading.rollback_plan(options, options.to)
        say(drawing.rollback(run_id, plan))
        return 0
    if not options.yes and not sys.stdin.isatty():
        raise UsageError(
            "a rollback asks first, and nobody is there to answer", "give --yes, or look with --plan"
        )
    refused: list[rollback.Plan] = []

    def agreed(plan: rollback.Plan) -> bool:
        if options.yes or _asked(drawing.rollback(options.run, plan, question=True)):
            return True
        refused.append(plan)
        return False

    code = drive(
        options,
        lambda settings: runner.roll_back(
            options.run, options.to, settings, force=options.force, agreed=agreed
        ),
    )
    return 0 if refused or code == EXIT["rolled_back"] else code


def _asked(question: str) -> bool:
    print(question, file=sys.stderr)
    print("do it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


RUN = Command("run", "MODULE", "run a workflow", run)
ROLLBACK = Command("rollback", "RUN --to STEP", "take back what comes after a step", roll_back)
CANCEL = Command("cancel", "RUN", "end a run; it can be resumed", cancel)
FORK = Command("fork", "RUN --at STEP", "a new run that shares what is before STEP", fork)
RESUME = Command("resume", "RUN", "go on with a run that failed or was interrupted", resume)
