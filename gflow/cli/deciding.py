"""`gflow approve` and `gflow reject`."""

from __future__ import annotations

import anyio

from gflow import approval, runner, session
from gflow.cli import running
from gflow.cli.words import Command, Parser, as_called, folder, parse, print_json, say
from gflow.terminal import harmless


def approve(arguments: list[str]) -> int:
    """Say yes to what a step asks."""
    return _decide(arguments, yes=True)


def reject(arguments: list[str]) -> int:
    """Say no to what a step asks."""
    return _decide(arguments, yes=False)


def _decide(arguments: list[str], *, yes: bool) -> int:
    word, title = (
        ("approve", "Say yes to what a step asks") if yes else ("reject", "Say no to what a step asks")
    )
    parser = Parser(word, f"{title}; the decision is durable, and signed with your key.")
    parser.add_argument("run", metavar="RUN", help="an id, a unique prefix of one, or `last`")
    parser.add_argument("step", metavar="STEP", help="the step that asks, or one of its items: `tag[eu]`")
    parser.add_argument("--comment", metavar="TEXT", default="", help="why, for the journal")
    parser.add_argument("--resume", action="store_true", help="go on with the run at once")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a result is degraded, with --resume")
    parser.add_json()
    parser.add_store()
    options = parse(parser, arguments)
    settings = session.Settings(folder=folder(options))
    decided = anyio.run(
        lambda: approval.decide(options.run, options.step, settings, yes=yes, comment=options.comment)
    )
    if options.resume and not decided.heard:
        return running.drive(options, lambda s: runner.go_on(decided.run, {}, s))
    if options.json:
        print_json({"run": decided.run, "step": decided.path, "verdict": decided.verdict})
        return 0
    asked = f": {harmless(decided.question)}" if decided.question else ", before it has asked"
    follows = "its process goes on with it" if decided.heard else f"gflow resume {decided.run}"
    say(as_called(f"{decided.path} of run {decided.run} {decided.verdict}{asked} · {follows}"))
    return 0


APPROVE = Command("approve", "RUN STEP", "say yes to what a step asks", approve)
REJECT = Command("reject", "RUN STEP", "say no to what a step asks", reject)
