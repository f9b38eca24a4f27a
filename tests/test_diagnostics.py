"""Findings are worded, placed and shown as people and tools need them."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gflow import compiler, diagnostics
from gflow.diagnostics import Finding, Place, locate, locate_field, locate_name
from gflow.errors import UsageError

CASES = Path(__file__).parent / "diagnostics"
DOCUMENT = Path(compiler.__file__).parents[1] / "docs" / "findings.md"


@pytest.fixture
def load() -> Iterator[Callable[[Path], ModuleType]]:
    """Import a file as a module of its own name, and forget it afterwards."""
    loaded: list[str] = []

    def load(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        loaded.append(path.stem)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in loaded:
        del sys.modules[name]


# ---------------------------------------------------------------- golden files


@pytest.mark.parametrize("case", sorted(CASES.glob("*.py")), ids=lambda path: path.stem)
def test_golden(case: Path, load: Callable[[Path], ModuleType]) -> None:
    """What the compiler says about a module is the text beside it."""
    text = diagnostics.render(compiler.check(load(case)).findings, CASES, "gflow") + "\n"
    golden = case.with_suffix(".txt")
    if os.environ.get("GFLOW_UPDATE_GOLDEN") == "1":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_golden_covers_every_code() -> None:
    """Every code that the compiler can report is shown by at least one golden file."""
    texts = "".join(path.read_text(encoding="utf-8") for path in CASES.glob("*.txt"))
    assert {code for code in compiler.CODES if f"[{code}]" not in texts} == {"GF029"}  # a type checker's


def test_eight_at_once(load: Callable[[Path], ModuleType]) -> None:
    """Eight mistakes of eight kinds are found in one pass, and nothing else."""
    findings = compiler.check(load(CASES / "eight_at_once.py")).findings
    assert sorted(finding.code for finding in findings) == [
        "GF007", "GF010", "GF012", "GF021", "GF022", "GF030", "GF032", "GF052",
    ]  # fmt: skip


# ---------------------------------------------------------------- the documentation


def examples(code: str) -> list[str]:
    """Return the code blocks of the section on a code: the wrong example, then the right one."""
    return [block.partition("\n```")[0] for block in compiler.explain(code).split("```python\n")[1:]]


@pytest.mark.parametrize("code", [code for code in compiler.CODES if code != "GF029"])
def test_documented_examples(code: str, tmp_path: Path, load: Callable[[Path], ModuleType]) -> None:
    """The wrong example of a code reports that code alone, and the right one nothing."""
    prelude = DOCUMENT.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    found: list[list[str]] = []
    for name, example in zip(("wrong", "right"), examples(code), strict=True):
        path = tmp_path / f"{name}_{code.lower()}.py"
        path.write_text(f"{prelude}\n{example}\n", encoding="utf-8")
        found.append([finding.code for finding in compiler.check(load(path)).findings])
    wrong, right = found
    assert set(wrong) == {code}
    assert right == []


def test_every_code_is_explained() -> None:
    """The documentation has one section for every code, under its title and in the same order."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    sections = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert sections == [f"{code} {title}" for code, title in compiler.CODES.items()]


@pytest.mark.parametrize("spelling", ["GF012", "gf012", "gf12", "12", "012", " GF12 "])
def test_explain_spellings(spelling: str) -> None:
    """A code may be typed in any of the ways people write it."""
    assert compiler.explain(spelling).startswith("GF012 Neither a step nor an input\n")


@pytest.mark.parametrize(("typed", "meant"), [("GF121", "GF012"), ("GF0112", "GF012"), ("nonsense", "GF001")])
def test_explain_unknown(typed: str, meant: str) -> None:
    """An unknown code is answered with the near ones, or with all."""
    with pytest.raises(UsageError) as raised:
        compiler.explain(typed)
    assert meant in raised.value.remedy


# ---------------------------------------------------------------- places


def decorate(**_keywords: object) -> Callable[[Any], Any]:
    """Stand for a decorator with keywords."""
    return lambda fn: fn


@decorate(limit=3, after=["a", "b"])
async def sample(
    first: int,
    /,
    größe: dict[str, int] | None = None,  # noqa: PLC2401  its width is the point
    *rest: str,
    last: str = "x",
) -> list[int]:
    """Stand for a step."""
    return [first]


named = decorate(package="api")


@dataclass
class Sample:
    """Stand for a class Inputs."""

    part: str = "x"


def text_at(place: Place) -> str:
    """Return the text that a place underlines."""
    return (
        Path(place.file)
        .read_text(encoding="utf-8")
        .splitlines()[place.line - 1][place.column - 1 : place.end_column - 1]
    )


@pytest.mark.parametrize(
    ("param", "part", "text"),
    [
        (None, "name", "sample"),
        (None, "return", "list[int]"),
        (None, "decorator", 'decorate(limit=3, after=["a", "b"])'),
        ("limit", "keyword", "limit=3"),
        ("after", "keyword", 'after=["a", "b"]'),
        ("other", "keyword", 'decorate(limit=3, after=["a", "b"])'),
        ("first", "name", "first"),
        ("größe", "name", "größe"),
        ("größe", "parameter", "größe: dict[str, int] | None"),
        ("größe", "annotation", "dict[str, int] | None"),
        ("größe", "default", "None"),
        ("first", "default", "first"),
        ("rest", "name", "rest"),
        ("last", "default", '"x"'),
        ("last", "parameter", "last: str"),
        ("nobody", "name", "sample"),
    ],
)
def test_locate(param: str | None, part: diagnostics.Part, text: str) -> None:
    """Each part of a definition is found, or the next larger part that is there."""
    assert text_at(locate(sample, param, part)) == text


def test_locate_names() -> None:
    """Names that a module binds, keywords of an assigned call and fields of a class are found."""
    assert text_at(locate_name(__file__, "named")) == "named"
    assert text_at(locate_name(__file__, "named", "package")) == 'package="api"'
    assert text_at(locate_name(__file__, "Sample")) == "Sample"
    assert locate_name(__file__, "nobody").line == 0


def test_locate_fields(load: Callable[[Path], ModuleType], tmp_path: Path) -> None:
    """The field of a class is found, else the class."""
    (tmp_path / "fielded.py").write_text("class Inputs:\n    part: str\n    other = 1\n", encoding="utf-8")
    cls = load(tmp_path / "fielded.py").Inputs
    assert text_at(locate_field(cls, "part")) == "part"
    assert text_at(locate_field(cls, "nobody")) == "Inputs"


def test_locate_without_source() -> None:
    """Of a function whose source cannot be read the first line is known."""
    names: dict[str, Any] = {}
    exec("\n\ndef made(): ...", names)
    place = locate(names["made"])
    assert (place.file, place.line) == ("<string>", 3)
    finding = Finding("GF012", "error", "wrong", ((place, "here"),))
    assert " --> <string>:3: here" in diagnostics.render([finding], Path.cwd(), "gflow")


def test_an_edited_file_is_read_again(tmp_path: Path, load: Callable[[Path], ModuleType]) -> None:
    """After an edit places are those of the file as it is now."""
    path = tmp_path / "edited.py"
    path.write_text("def first(): ...\ndef second(): ...\n", encoding="utf-8")
    second = load(path).second
    assert locate(second).line == 2
    path.write_text("\n\n\ndef first(): ...\ndef second(): ...\n", encoding="utf-8")
    assert locate(second).line == 5


# ---------------------------------------------------------------- rendering


@pytest.mark.parametrize(
    ("line", "meant", "carets"),
    [
        ("def f(x: int): ...", "x: int", "      ^^^^^^"),
        ("\tdef f(x: int): ...", "x: int", "\t      ^^^^^^"),
        ("def 名前(x: int): ...", "x: int", "         ^^^^^^"),
        ("def f(名前: int): ...", "名前", "      ^^^^"),
        ("def f(e\u0301: int): ...", "e\u0301", "      ^"),
        ("def f(\x0cx): ...", "x", "       ^"),
    ],
)
def test_carets(line: str, meant: str, carets: str, tmp_path: Path) -> None:
    """Carets stand below what is meant, whatever the cells of a terminal that characters take."""
    path = tmp_path / "shown.py"
    path.write_text(line, encoding="utf-8")
    column = line.index(meant) + 1
    place = Place(str(path), 1, column, column + len(meant))
    text = diagnostics.render([Finding("GF012", "error", "wrong", ((place, ""),))], tmp_path, "gflow")
    quoted, below = text.splitlines()[2:4]
    assert quoted == f"1 | {line.replace(chr(12), ' ')}"
    assert below == f"  | {carets}"


PLACE = Place("/project/ship,it.py", 3, 5, 9)
ERROR = Finding("GF012", "error", "100 % wrong", ((PLACE, ""),), ("do this", "or that"))
NOTE = Finding("GF024", "note", "cannot tell", ((Place("/elsewhere/lib.py", 1), ""), (PLACE, "there")))


@pytest.mark.parametrize(
    ("findings", "summary"),
    [
        ([ERROR], "1 error in ship,it.py · nothing was run · g explain GF012"),
        ([ERROR, ERROR], "2 errors in ship,it.py · nothing was run · g explain GF012"),
        ([NOTE, ERROR], "1 error, 1 note in ship,it.py · nothing was run · g explain GF012"),
        ([NOTE, NOTE], "2 notes in /elsewhere/lib.py · g explain GF024"),
    ],
)
def test_summary(findings: list[Finding], summary: str) -> None:
    """The last line counts, names the file and says how to read on."""
    assert diagnostics.render(findings, Path("/project"), "g").splitlines()[-1] == summary


def test_nothing_to_say() -> None:
    """Without findings there is no text."""
    assert diagnostics.render([], Path("/project"), "gflow") == ""
    assert diagnostics.as_json([], Path("/project")) == []
    assert diagnostics.as_github([], Path("/project")) == ""


def test_json() -> None:
    """As data a finding has its code, severity, message, hint, and places relative to the root."""
    assert diagnostics.as_json([ERROR, NOTE], Path("/project")) == [
        {
            "code": "GF012",
            "severity": "error",
            "message": "100 % wrong",
            "hint": "do this\nor that",
            "places": [{"file": "ship,it.py", "line": 3, "column": 5}],
        },
        {
            "code": "GF024",
            "severity": "note",
            "message": "cannot tell",
            "hint": "",
            "places": [
                {"file": "/elsewhere/lib.py", "line": 1, "column": 1},
                {"file": "ship,it.py", "line": 3, "column": 5},
            ],
        },
    ]


def test_github() -> None:
    """As workflow commands findings are one line each, with what such a line cannot carry escaped."""
    assert diagnostics.as_github([ERROR, NOTE], Path("/project")).splitlines() == [
        "::error file=ship%2Cit.py,line=3,col=5,endColumn=9,title=GF012::100 %25 wrong%0Ado this%0Aor that",
        "::notice file=/elsewhere/lib.py,line=1,col=1,endColumn=1,title=GF024::cannot tell",
    ]
