"""What tells whether the code of a step has changed."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from enum import Enum
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gflow import compiler, task
from gflow.fingerprint import Fingerprint, _bodies, _code, _of_body, fingerprints
from gflow.model import Node, Policy

NUMBER = count()
HEAD = "from __future__ import annotations\nfrom typing import Annotated\nfrom gflow import *\n"
BODY = "def step(a: int) -> int:\n    b = a + 1\n    return b\n"

Write = Callable[[str], Fingerprint]


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return the fingerprint of the step `step` in a module with some source."""

    def of(source: str) -> Fingerprint:
        path = tmp_path / f"printed_{next(NUMBER)}.py"
        path.write_text(source)
        module = ModuleType(path.stem)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, path.stem, module)
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
        return fingerprints(compiler.compile(module))["step"]

    return of


def in_module(step: str) -> str:
    return f"{HEAD}\n@task\ndef a() -> int:\n    return 1\n\n@task\n{step}"


SAME = {
    "a comment": BODY.replace("a + 1", "a + 1  # one more"),
    "a comment at the margin": BODY.replace("    return", "# so far\n    return"),
    "line breaks and parentheses": BODY.replace("a + 1", "(\n        a\n        + 1\n    )"),
    "a signature of several lines": BODY.replace("(a: int)", "(\n    a: int,\n)"),
    "a comment in the signature": BODY.replace("int:\n", "int:  # here: a comment\n"),
    "a docstring": BODY.replace("    b =", '    """Do it."""\n    b ='),
    "one line": "def step(a: int) -> int: b = a + 1; return b\n",
    "spaces": BODY.replace("    ", "\t"),
    "async or not": BODY.replace("def", "async def"),
}
OTHER = {
    "a constant": BODY.replace("+ 1", "+ 2"),
    "the kind of a constant": BODY.replace("+ 1", "+ True"),
    "an operator": BODY.replace("a + 1", "a - 1"),
    "a name": BODY.replace("a + 1", "c + 1"),
    "the order of statements": "def step(a: int) -> int:\n    return b\n    b = a + 1\n",
    "no statement less": BODY.replace("    return", "    b = b\n    return"),
}


@pytest.mark.parametrize("step", SAME.values(), ids=SAME)
def test_what_does_not_change_what_a_body_does_does_not_count(printed: Write, step: str) -> None:
    """Comments, format and docstrings are not in the fingerprint of a task's body."""
    assert printed(in_module(step)).body == printed(in_module(BODY)).body


@pytest.mark.parametrize("step", OTHER.values(), ids=OTHER)
def test_every_other_change_of_a_body_counts(printed: Write, step: str) -> None:
    """A body that may do something else has another fingerprint."""
    assert printed(in_module(step)).body not in (None, printed(in_module(BODY)).body)


@pytest.mark.parametrize(
    "inner", ['text = """\nat the margin\n"""', "text = [\n1,\n]", "text = 1 + \\\n2", "def step(): ..."]
)
def test_a_body_that_cannot_be_cut_out_is_found_in_its_file(printed: Write, inner: str) -> None:
    """A string, bracket or continued line at the margin does not end a body."""
    plain = printed(in_module(f"def step(a: int) -> int:\n    {inner}\n    return a\n")).body
    assert plain is not None
    assert plain == printed(in_module(f"def step(\n    a: int,\n) -> int:\n    {inner}\n    return a\n")).body
    assert plain != printed(in_module(f"def step(a: int) -> int:\n    {inner}\n    return a + 1\n")).body


def test_an_instruction_and_a_role_count(printed: Write) -> None:
    """The docstring and the role of an agent belong to its body."""
    agent = BODY.replace("    b =", '    """Do it."""\n    b =')
    sources = [
        f'{HEAD}\n@agent("{role}")\n{agent.replace("(a: int)", "()").replace("Do it", text)}'
        for role, text in (("maker", "Do it"), ("maker", "Do it well"), ("tester", "Do it"))
    ]
    assert len({printed(source).body for source in sources}) == 3


def test_a_version_speaks_for_the_body(printed: Write) -> None:
    """With `Policy(version=)` a body may change, and the version may not."""
    versioned = [
        in_module(step).replace(f"@task\n{step}", f'@task(policy=Policy(version="{version}"))\n{step}')
        for step, version in ((BODY, 1), (BODY.replace("+ 1", "+ 2"), 1), (BODY, 2))
    ]
    one, same, other = [printed(source).body for source in versioned]
    assert one == same != other


def test_of_what_has_no_source_nothing_is_claimed() -> None:
    """Without a source file the body is None, and the signature is known all the same."""
    names: dict[str, Any] = {"task": task, "__name__": "nowhere"}
    exec("@task\ndef step(): return 1", names)
    assert fingerprints(compiler.compile(names["step"]))["step"] == Fingerprint(None, "()")


def test_an_empty_group_and_what_is_no_function_need_no_source() -> None:
    """An empty body is "nothing", however it is written; something without code is not known."""
    assert _of_body(Node("g", "stage", len, is_empty=True), None) == "nothing"
    assert _code(len) is None
    assert _of_body(Node("s", "task", len, policy=Policy(version="3")), None) == "version 3"


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    """The text of a file is that of now, whatever was read of it before."""
    path = tmp_path / "anew.py"
    found = []
    for text in ("def f(): return 1\n", "def f(): return 1 + 1\n"):
        path.write_text(text)
        names: dict[str, Any] = {}
        exec(compile(text, str(path), "exec"), names)
        found.append(_of_body(Node("f", "task", names["f"]), *_bodies([_code(names["f"])]).values()))  # type: ignore[list-item]
    assert linecache.getlines(str(path)) == ["def f(): return 1 + 1\n"]
    assert found[0] != found[1]


class Color(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("(a: int) -> int", "(a: int) -> int"),
        ("(a)", "(a)"),
        ("(b: Annotated[int, From(a)])", "(b: int from a)"),
        ("(ctx: Context, a: int)", "(a: int)"),
        ("(b: Input[int] = 3, a: int = 1)", "(a: int = 1, b: int = 3)"),
        ("(b: Input[list[str] | None] = None)", "(b: list[str] | None = None)"),
        ("(b: Input[object] = frozenset(range(99)))", "(b: object = a frozenset)"),
        ("(b: Input[object] = (1, ['x', print]))", "(b: object = [1, ['x', a builtin_function_or_method]])"),
    ],
)
def test_a_signature_is_text_that_is_the_same_in_every_process(
    printed: Write, signature: str, text: str
) -> None:
    """Parameters by name with types, defaults and sources, and the type of the result; no addresses."""
    assert printed(in_module(f"def step{signature}: return 1\n")).signature == text


def test_a_bound_value_and_an_enumeration_are_told_by_name(printed: Write) -> None:
    """What `using()` binds is part of the signature."""
    source = (
        f"{HEAD}from tests.test_fingerprint import Color\n@task\ndef base(color: object) -> int: return 1\n"
        "step = base.using(color=Color.RED)\n"
    )
    assert printed(source).signature == "(color: object from Color.RED) -> int"
