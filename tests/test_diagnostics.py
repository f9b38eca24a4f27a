"""Findings are worded, placed and shown as people and tools need them."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from gflow import compiler, diagnostics
from gflow.diagnostics import Finding, Place, locate, locate_field, locate_name
from gflow.errors import UsageError

CASES = Path(__file__).parent / "diagnostics"
DOCUMENT = Path(compiler.__file__).parents[1] / "docs" / "findings.md"
UPDATE = "GFLOW_UPDATE_GOLDEN"


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
    if UPDATE in os.environ:
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
