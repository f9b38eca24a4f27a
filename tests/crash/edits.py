"""Code that changed while a run was stopped: every edit of a step, for every state that it may be in."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import anyio

from gflow import runner
from gflow.errors import UsageError
from gflow.session import Settings
from tests.crash import mutations
from tests.crash.children import call
from tests.crash.proof import Proof, Violation

Where = Literal["read", "unread", "unfinished"]
Decision = Literal["goes on", "warns", "refuses"]

STATES: Final[dict[Where, str]] = {"read": "reader", "unread": "last", "unfinished": "made"}
"""The state of the step `made` when the run stops, by the step that fails: `reader` reads it."""

WORKFLOW: Final = '''\
"""A workflow that stops where `stop.txt` says."""

from pathlib import Path
from typing import Annotated

from gflow import Context, From, Input, Policy, agent, stage, task


def gate(step: str) -> None:
    ran = Path("ran.txt")
    ran.write_text(ran.read_text() + f"{step}\\n")
    if Path("stop.txt").read_text() == step:
        raise RuntimeError(f"{step} stops")


@task
def first() -> int:
    return 1


@task
def second() -> int:
    return 2


@task
def made(first: int, second: int, count: Input[int] = 3) -> int:
    """Make it."""
    gate("made")
    names = [str(count) for _ in range(first)]
    if "4" in names:
        return 0
    return first + count


@made.undo
def unmade(made: int | None) -> None:
    gate("undo")


@task
def reader(made: int) -> int:
    gate("reader")
    return made


@task
def last(reader: int) -> int:
    gate("last")
    return reader
'''


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the source: each of `changes` is what is replaced, and by what.

    `expected` is what is decided if `made` is completed and read, and if it is completed and not read; what
    did not complete may always change. `given` are changes that are there before the run begins.
    """

    name: str
    changes: Sequence[tuple[str, str]]
    expected: tuple[Decision, Decision]
    given: Sequence[tuple[str, str]] = ()

    def decision(self, where: Where) -> Decision:
        """Return what has to be decided."""
        return "goes on" if where == "unfinished" else self.expected[where == "unread"]


HEADER: Final = "def made(first: int, second: int, count: Input[int] = 3) -> int:"
RESULT: Final = "    return first + count"
SILENT: Final = ("goes on", "goes on")
TOLD: Final = ("warns", "warns")
HELD: Final = ("refuses", "warns")
RENAMED: Final = ("refuses", "refuses")
REMOVED: Final = ("warns", "refuses")
WITHOUT_SECOND: Final = ("first: int, second: int, count", "first: int, count")
NOT_READ: Final = (("reader(made: int)", "reader(first: int)"), ("return made", "return first"))
AN_AGENT: Final = (f"@task\n{HEADER}", f'@agent("maker")\n{HEADER}')
A_VERSION: Final = (f"@task\n{HEADER}", f'@task(policy=Policy(version="1"))\n{HEADER}')

EDITS: Final = (
    Edit("comment", [(RESULT, f"    # a comment\n{RESULT}  # and one more")], SILENT),
    Edit(
        "format",
        [
            (HEADER, "def made(\n    first: int,\n    second: int,\n    count: Input[int]=3,\n) -> int:"),
            (RESULT, "\n    return (\n        (first)\n        + count\n    )"),
            ('gate("made")', "gate( 'made' )"),
        ],
        SILENT,
    ),
    Edit("moved in the file", [("@task\ndef first", "HERE = 1\n\n\n@task\ndef first")], SILENT),
    Edit("docstring of a task", [('"""Make it."""', '"""Make it as well as you can."""')], SILENT),
    Edit("no docstring", [('    """Make it."""\n', "")], SILENT),
    Edit("parameters in another order", [("first: int, second: int", "second: int, first: int")], SILENT),
    Edit("context", [("def made(first", "def made(ctx: Context, first")], SILENT),
    Edit("undo", [('    gate("undo")', "    print(made)")], SILENT),
    Edit("attempts", [(f"@task\n{HEADER}", f"@task(attempts=2)\n{HEADER}")], SILENT),
    Edit("a helper", [('f"{step} stops"', 'f"{step} stops here"')], SILENT),
    Edit("body with a version", [(RESULT, f"{RESULT} - 0")], SILENT, [A_VERSION]),
    Edit("body", [(RESULT, "    return first - count")], TOLD),
    Edit("inside a comprehension", [("str(count)", "repr(count)")], TOLD),
    Edit("out of a condition", [("        return 0\n", "        pass\n    return 0\n")], TOLD),
    Edit("docstring of an agent", [('"""Make it."""', '"""Make it well."""')], TOLD, [AN_AGENT]),
    Edit("role of an agent", [('"maker"', '"designer"')], TOLD, [AN_AGENT]),
    Edit("version", [('version="1"', 'version="2"')], TOLD, [A_VERSION]),
    Edit("parameter added", [WITHOUT_SECOND[::-1]], HELD, [WITHOUT_SECOND]),
    Edit("parameter removed", [WITHOUT_SECOND], HELD),
    Edit("type of a parameter", [("second: int, count", "second: int | None, count")], HELD),
    Edit("type of the result", [("= 3) -> int:", "= 3) -> bool:")], HELD),
    Edit("default", [("Input[int] = 3", "Input[int] = 5")], HELD),
    Edit("source of a parameter", [("made(first: int", "made(first: Annotated[int, From(second)]")], HELD),
    # Whoever reads a step by its name changes with it.
    Edit("renamed", [("made: int", "built: int"), ("made", "built"), ('"built"', '"made"')], RENAMED),
    Edit("removed", [(f"@task\n{HEADER}", HEADER), ("@made.undo\n", ""), *NOT_READ], REMOVED),
)


def decisions(edit: Edit, where: Where) -> tuple[Decision, str]:
    """Run the workflow in this folder until it stops, edit it, and return what its resume does, and says."""
    sys.dont_write_bytecode = True  # a file that is written twice within a second looks the same
    os.environ["GFLOW_DURABILITY"] = "process"
    sys.path.insert(0, str(Path.cwd()))
    Path("ran.txt").write_text("")
    Path("stop.txt").write_text(STATES[where])
    text = _write(WORKFLOW, edit.given)
    said: list[str] = []
    settings = Settings(folder=Path("store").absolute(), say=said.append)
    run = anyio.run(runner.start, runner.compile("edited.py"), {}, settings)
    if run.status != "failed" or run.errors[0].step != STATES[where]:
        raise Violation(f"{edit.name}, {where}: the run is {run.status}: {run.errors}")
    Path("stop.txt").write_text("")
    _write(text, edit.changes)
    ran = Path("ran.txt").read_text()
    try:
        ended = anyio.run(runner.go_on, run.id, {}, settings)
    except UsageError as error:
        if Path("ran.txt").read_text() != ran:
            raise Violation(f"{edit.name}, {where}: refused, and something ran") from None
        return "refuses", str(error)
    if ended.status != "completed":
        raise Violation(f"{edit.name}, {where}: the run is {ended.status}: {ended.errors}")
    if where != "unfinished" and Path("ran.txt").read_text().count("made") != 1:
        raise Violation(f"{edit.name}, {where}: a completed step ran again")
    return "warns" if said else "goes on", "\n".join(said)


def _write(text: str, changes: Sequence[tuple[str, str]]) -> str:
    for old, new in changes:
        assert old in text, f"nothing to edit: {old}"
        text = text.replace(old, new)
    Path("edited.py").write_text(text)
    sys.modules.pop("edited", None)
    importlib.invalidate_caches()
    return text


# ---------------------------------------------------------------- the proof


def check(count: int) -> int:
    """Try every edit in every state, so many times."""
    for edit in EDITS * count:
        for where in STATES:
            call(functools.partial(_examine, edit, where))
    return count * len(EDITS) * len(STATES)


def _examine(edit: Edit, where: Where) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        decided, said = decisions(edit, where)
    if decided != edit.decision(where):
        raise Violation(f"{edit.name}, {where}: gflow {decided} {said}, and not: {edit.decision(where)}")


PROOF = Proof(
    "code drift", "edits", check, tiny=1, short=1, most=1,
    mutations=(
        mutations.drift_unheeded, mutations.result_type_ignored, mutations.positions_counted,
    ),
)  # fmt: skip
