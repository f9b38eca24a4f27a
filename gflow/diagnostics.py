"""Findings: what is wrong in somebody's source, where, and what to type instead.

No source is read before there is something to report; the `locate…` functions read it then.
"""

from __future__ import annotations

import ast
import linecache
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import unwrap
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

Part = Literal["name", "parameter", "annotation", "default", "return", "decorator", "keyword"]
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Node: TypeAlias = ast.expr | ast.stmt | ast.arg | ast.keyword


# ---------------------------------------------------------------- the facts


class Place(NamedTuple):
    """A stretch of one source line. Columns count characters from 1; the end is exclusive."""

    file: str
    line: int
    column: int = 1
    end_column: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to change (an error) or to know (a note), with a stable code such as GF012.

    `places` carry what is written beside their carets ("" for nothing); the first is where to go.
    `hints` are the remedies, one line each.
    """

    code: str
    severity: Literal["error", "note"]
    message: str
    places: tuple[tuple[Place, str], ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def where(self) -> Place:
        """The first place; findings are sorted by it."""
        return self.places[0][0] if self.places else Place("", 0)


# ---------------------------------------------------------------- where something stands


def locate(fn: Callable[..., Any], param: str | None = None, part: Part = "name") -> Place:
    """Return where a part of a function's definition stands in its source, as the file is now.

    `param` says which parameter a "name", "parameter" (name and annotation), "annotation" or "default" is
    meant, and which keyword of the decorators by "keyword". What is not there gives the next larger part,
    and a function whose source cannot be read its first line.
    """
    fn = unwrap(fn)
    if isinstance(fn, type):
        return locate_name(file_of(fn), fn.__name__)
    code = getattr(fn, "__code__", None)
    if code is None:
        return Place(file_of(fn), 0)
    source = _source(code.co_filename)
    function = source.function(code.co_name, code.co_firstlineno)
    if function is None:
        return source.whole_line(code.co_firstlineno)
    node = _part_of(function, param, part)
    return source.name(function) if node is None else source.place(node)


def locate_name(file: str, name: str, keyword: str | None = None) -> Place:
    """Return where a file defines or assigns a name: the last time, in the outermost scope that does.

    With `keyword`, where the call that is assigned gives that keyword: `package=` of `lint.using(package=3)`.
    """
    source = _source(file)
    node = source.bound.get(name)
    if isinstance(node, Function | ast.ClassDef):
        return source.name(node)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        given = _keyword([node.value], keyword) if keyword else None
        return source.place(given or next(target for target in _names(node) if target.id == name))
    return Place(file, 0)


def locate_field(cls: type, field: str) -> Place:
    """Return where a class declares a field."""
    source = _source(file_of(cls))
    node = source.bound.get(cls.__name__)
    for statement in node.body if isinstance(node, ast.ClassDef) else ():
        target = statement.target if isinstance(statement, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == field:
            return source.place(target)
    return locate_name(source.file, cls.__name__)


def definitions(file: str, name: str) -> list[int]:
    """Return the first line (of the decorators, if any) of every function of that name in a file."""
    return [_first_line(function) for function in _source(file).functions.get(name, ())]


def body_of(fn: Callable[..., Any]) -> list[ast.stmt] | None:
    """Return the statements of a function, without its docstring; None if its source cannot be read."""
    code = unwrap(fn).__code__
    function = _source(code.co_filename).function(code.co_name, code.co_firstlineno)
    if function is None:
        return None
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def file_of(thing: object) -> str:
    """Return the file of the module that a function or class belongs to; "" if there is none."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    return getattr(module, "__file__", None) or ""


class _Source:
    """A source file: its lines, and what they define."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.split("\n")  # as the parser counts them; str.splitlines knows more ends
        self.functions: dict[str, list[Function]] = {}
        self.bound: dict[str, ast.AST] = {}
        for node in ast.walk(_parse(text)):
            if isinstance(node, Function):
                self.functions.setdefault(node.name, []).append(node)
        self._bind(_parse(text).body)

    def _bind(self, body: Iterable[ast.AST]) -> None:
        """Remember what binds each name: the last statement of a scope, and the outermost scope."""
        inner: list[ast.AST] = []
        bound: dict[str, ast.AST] = {}
        for node in _statements(body):
            bound |= dict.fromkeys(_bound_names(node), node)
            inner += node.body if isinstance(node, Function | ast.ClassDef) else ()
        self.bound = {**bound, **self.bound}
        if inner:
            self._bind(inner)

    def function(self, name: str, line: int) -> Function | None:
        """Return the function whose code begins at a line, or near it if the file was edited since."""
        return min(self.functions.get(name, ()), key=lambda f: abs(_first_line(f) - line), default=None)

    def place(self, node: Node) -> Place:
        """Return the place of a node; of a longer one, the part that is on its first line."""
        text = self.lines[node.lineno - 1]
        last = node.end_col_offset if node.end_lineno == node.lineno else None
        end = len(text.rstrip()) if last is None else _characters(text, last)
        return Place(self.file, node.lineno, _characters(text, node.col_offset) + 1, end + 1)

    def name(self, node: Function | ast.ClassDef) -> Place:
        """Return the place of the name in a definition."""
        text = self.lines[node.lineno - 1]
        start = _characters(text, node.col_offset)
        found = re.compile(rf"(?:def|class)\s+({re.escape(node.name)})\b").search(text, start)
        column, end = found.span(1) if found else (start, len(text.rstrip()))
        return Place(self.file, node.lineno, column + 1, end + 1)

    def whole_line(self, line: int) -> Place:
        text = self.lines[line - 1].rstrip() if 0 < line <= len(self.lines) else ""
        return Place(self.file, line, len(text) - len(text.lstrip()) + 1, len(text) + 1)


def _source(file: str) -> _Source:
    linecache.checkcache(file)
    return _read(file, "".join(linecache.getlines(file)))


@lru_cache(maxsize=32)
def _read(file: str, text: str) -> _Source:
    return _Source(file, text)


def _parse(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the statements of one scope, also those inside `if`, `try` and the like."""
    for node in body:
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.expr):
            yield from _statements(ast.iter_child_nodes(node))


def _bound_names(node: ast.AST) -> list[str]:
    if isinstance(node, Function | ast.ClassDef):
        return [node.name]
    return [name.id for name in _names(node)]


def _names(node: ast.AST) -> Iterator[ast.Name]:
    """Yield the names that an assignment binds."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))


def _first_line(function: Function) -> int:
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])


def _characters(text: str, offset: int) -> int:
    """Turn an offset of `ast`, which counts UTF-8 bytes, into one in characters."""
    return len(text.encode()[:offset].decode(errors="replace"))


def _part_of(function: Function, param: str | None, part: Part) -> Node | None:
    """Return the node of a part, or of the next larger one; None for the function's name."""
    if part == "return":
        return function.returns
    if part in {"decorator", "keyword"}:
        decorator = next(iter(function.decorator_list), None)
        return _keyword(function.decorator_list, param) or decorator if part == "keyword" else decorator
    found = next((argument for argument in _arguments(function.args) if argument.arg == param), None)
    if found is None:
        return None
    name: Node = found if part == "parameter" else _only_name(found)
    larger = {"annotation": found.annotation, "default": _default(function.args, found)}
    return larger.get(part) or name


def _only_name(argument: ast.arg) -> ast.arg:
    end = argument.col_offset + len(argument.arg.encode())
    bare = ast.arg(argument.arg, None)
    bare.lineno = bare.end_lineno = argument.lineno
    bare.col_offset, bare.end_col_offset = argument.col_offset, end
    return bare


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    starred = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *starred]


def _default(arguments: ast.arguments, argument: ast.arg) -> ast.expr | None:
    positional = [*arguments.posonlyargs, *arguments.args]
    if argument in arguments.kwonlyargs:
        return arguments.kw_defaults[arguments.kwonlyargs.index(argument)]
    if argument not in positional:
        return None
    missing = len(positional) - len(arguments.defaults)
    index = positional.index(argument) - missing
    return arguments.defaults[index] if index >= 0 else None


def _keyword(nodes: Sequence[ast.expr | None], keyword: str | None) -> ast.keyword | None:
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return next((given for call in calls for given in call.keywords if given.arg == keyword), None)


# ---------------------------------------------------------------- as text


def render(findings: Sequence[Finding], root: Path, command: str) -> str:
    """Return findings as people read them: the lines meant, with carets, and the remedies below.

    Files are shown relative to `root` where they lie in it; `command` is how gflow was called.
    """
    blocks = ["\n".join(_block(finding, root)) for finding in findings]
    return "\n\n".join([*blocks, _summary(findings, root, command)]) if findings else ""


def _block(finding: Finding, root: Path) -> Iterator[str]:
    yield f"{finding.severity}[{finding.code}]: {' '.join(finding.message.splitlines())}"
    width = max((len(str(place.line)) for place, _ in finding.places), default=1)
    for place, label in finding.places:
        yield from _quote(place, label, width, root)
    yield from (f"{'':{width}} = {line}" for hint in finding.hints for line in hint.splitlines())


def _quote(place: Place, label: str, width: int, root: Path) -> Iterator[str]:
    text = linecache.getline(place.file, place.line).rstrip()
    if not text:
        yield f"{'':{width}}--> {shown(place, root, column=False)}{f': {label}' if label else ''}"
        return
    before, meant = text[: place.column - 1], text[place.column - 1 : place.end_column - 1]
    indent = "".join(char if char == "\t" else " " * _cells(char) for char in before)
    carets = "^" * max(1, sum(map(_cells, meant)))
    yield f"{'':{width}}--> {shown(place, root)}"
    yield f"{place.line:{width}} | {''.join(_printable(char) for char in text)}"
    yield f"{'':{width}} | {indent}{carets} {label}".rstrip()


def _cells(char: str) -> int:
    """Return how many cells of a terminal a character takes (Unicode Standard Annex 11)."""
    if unicodedata.combining(char) or unicodedata.category(char) in {"Cf", "Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _printable(char: str) -> str:
    """Keep a source line from moving the cursor of a terminal."""
    return " " if unicodedata.category(char) == "Cc" and char != "\t" else char


def shown(place: Place, root: Path, *, column: bool = True) -> str:
    """Return a place as `file:line:column`; a file that lies in `root` is relative to it."""
    if not place.file:
        return "(no source)"
    parts = [_relative(place.file, root), str(place.line), str(place.column)]
    return ":".join(parts[: 3 if column else 2] if place.line else parts[:1])


def _relative(file: str, root: Path) -> str:
    path = Path(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else file


def _summary(findings: Sequence[Finding], root: Path, command: str) -> str:
    errors = [finding for finding in findings if finding.severity == "error"]
    notes = len(findings) - len(errors)
    counts = [_count(len(errors), "error")] * bool(errors) + [_count(notes, "note")] * bool(notes)
    files = sorted({_relative(finding.where.file, root) for finding in errors or findings})
    where = files[0] if len(files) == 1 else f"{len(files)} files"
    told = [f"{', '.join(counts)} in {where}", *["nothing was run"] * bool(errors)]
    return " · ".join([*told, f"{command} explain {(errors or findings)[0].code}"])


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


# ---------------------------------------------------------------- as data


def as_json(findings: Iterable[Finding], root: Path) -> list[dict[str, object]]:
    """Return findings as `check --json` prints them."""
    return [
        {
            "code": finding.code,
            "severity": finding.severity,
            "message": finding.message,
            "hint": "\n".join(finding.hints),
            "places": [
                {"file": _relative(place.file, root), "line": place.line, "column": place.column}
                for place, _ in finding.places
            ],
        }
        for finding in findings
    ]


def as_github(findings: Iterable[Finding], root: Path) -> str:
    """Return findings as workflow commands, which GitHub shows beside the lines of a pull request.

    Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
    """
    return "".join(f"{_annotation(finding, root)}\n" for finding in findings)


def _annotation(finding: Finding, root: Path) -> str:
    place = finding.where
    kind = "error" if finding.severity == "error" else "notice"
    properties = {
        "file": _relative(place.file, root),
        "line": place.line,
        "col": place.column,
        "endColumn": place.end_column,
        "title": finding.code,
    }
    given = ",".join(f"{name}={_escaped(str(value), ',:')}" for name, value in properties.items())
    text = "\n".join([finding.message, *finding.hints])
    return f"::{kind} {given}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    """Escape what a workflow command cannot carry; the percent sign first."""
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
