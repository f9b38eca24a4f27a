"""What tells whether the code of a step has changed: a fingerprint of its body, and its signature as text.

A fingerprint covers the syntax tree without positions (https://docs.python.org/3/library/ast.html):
comments, line breaks, quotes and redundant parentheses are not in it, and it is the same on every Python.
Docstrings count for agents only, where they are the instruction.

What is fingerprinted is the text of the source file as it is now. Where there is none, nothing is claimed.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from types import CodeType
from typing import Any, Final, NamedTuple, TypeAlias, cast

from gflow.annotations import show
from gflow.model import MISSING, ConstantSource, ContextSource, Graph, Node, Param

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Body: TypeAlias = list[ast.stmt]
Code: TypeAlias = tuple[CodeType, Mapping[str, Any]]  # with the globals of its module

SIZE: Final = 8
"""Bytes of a fingerprint: nobody forges one, since the journal that holds it is signed."""
SILENT: Final = frozenset(("ctx", "kind", "type_comment", "type_params"))
"""Fields of the tree that follow from the others, say nothing, or are not there on every Python."""
FAR: Final = 8
"""Lines of decorators before a `def` is no longer looked for."""
PLAIN: Final = (str, bytes, int, float, complex, bool, type(None))


class Fingerprint(NamedTuple):
    """The code of a step: `body` is opaque (None: cannot tell), `signature` is for people as well."""

    body: str | None
    signature: str


def fingerprints(graph: Graph) -> dict[str, Fingerprint]:
    """Return the fingerprints of all steps of a workflow. What cannot be read has the body None.

    `Policy(version=)` stands in for the body.
    """
    codes = {name: _code(node.fn) for name, node in graph.nodes.items() if node.policy.version is None}
    bodies = _bodies([code for code in codes.values() if code is not None])
    types = _Types()
    return {
        name: Fingerprint(_of_body(node, bodies.get(id(code and code[0]))), _signature(node, types))
        for name, node in graph.nodes.items()
        for code in [codes.get(name)]
    }


def _code(fn: Callable[..., Any]) -> Code | None:
    inner = inspect.unwrap(fn) if getattr(fn, "__dict__", None) else fn
    code = getattr(inner, "__code__", None)
    return None if code is None else (code, getattr(inner, "__globals__", {}))


# ---------------------------------------------------------------- bodies


def _of_body(node: Node, body: Body | None) -> str | None:
    if node.policy.version is not None:
        return f"version {node.policy.version}"
    if node.is_empty:
        return "nothing"
    if body is None:
        return None
    told = [node.role or "", node.doc] if node.kind == "agent" else []
    try:
        return blake2b("\0".join(told + _flat(body)).encode(), digest_size=SIZE).hexdigest()
    except ValueError:  # an integer that is too long to be written in decimal
        return None


def _flat(body: Body) -> list[str]:
    """Return a tree as words, each node with as many fields as its kind has, so that no two are alike."""
    words: list[str] = []
    waiting: list[Any] = [_without_docstring(body)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.AST):
            words.append(type(part).__name__)
            waiting += [_field(part, name) for name in part._fields if name not in SILENT]
        elif part.__class__ is list:
            words.append(str(len(part)))
            waiting += part
        else:
            words.append(repr(part))
    return words


def _field(node: ast.AST, name: str) -> Any:
    value: Any = getattr(node, name, None)
    return _without_docstring(value) if name == "body" and isinstance(node, Definition) else value


def _without_docstring(body: Body) -> Body:
    match body:
        case [ast.Expr(ast.Constant(str())), *rest]:
            return rest
        case _:
            return body


def _bodies(codes: Iterable[Code]) -> dict[int, Body]:
    """Return the parsed bodies of functions, by the id of their code; those that can be read."""
    files: dict[str, list[CodeType]] = {}
    sources: dict[str, Sequence[str]] = {}
    for code, names in codes:
        file = code.co_filename
        if file not in files:
            linecache.checkcache(file)
            sources[file] = linecache.getlines(file, dict(names))
        files.setdefault(file, []).append(code)
    found: dict[int, Body] = {}
    for file, of_file in files.items():
        found |= _in_file(sources[file], of_file)
    return found


def _in_file(lines: Sequence[str], codes: Sequence[CodeType]) -> dict[int, Body]:
    """Parse no more than the bodies where they can be cut out, all at once: that is half the work."""
    cut = {id(code): text for code in codes if (text := _cut(lines, code)) is not None}
    parsed = _parsed("".join(cut.values()))
    found = dict(zip(cut, parsed, strict=True)) if len(parsed) == len(cut) else {}
    if all(id(code) in found for code in codes):
        return found
    whole = _definitions(lines)
    missing = [code for code in codes if id(code) not in found]
    return found | {
        id(code): whole[place].body
        for code in missing
        if (place := (code.co_name, code.co_firstlineno)) in whole
    }


_HEADER: Final = re.compile(r"([ \t]*)(?:async[ \t]+)?def[ \t]+(\w+)(.*:[ \t]*(?:#.*)?)?$")


def _cut(lines: Sequence[str], code: CodeType) -> str | None:
    """Return the body of a function below an `if 1:`, if its signature is on one line.

    A cut in the wrong place, in a string or between brackets, cannot be parsed.
    """
    at, header = _header(lines, code.co_firstlineno - 1)
    if header is None or header[2] != code.co_name or header[3] is None or not _is_closed(header[3]):
        return None
    end = at + 1
    while end < len(lines) and _is_inside(lines[end], len(header[1])):
        end += 1
    return f"if 1:\n{''.join(lines[at + 1 : end])}\n"


def _header(lines: Sequence[str], start: int) -> tuple[int, re.Match[str] | None]:
    """Return the first line of a `def`, below its decorators."""
    for at in range(start, min(start + FAR, len(lines))):
        if header := _HEADER.match(lines[at]):
            return at, header
    return start, None


def _is_closed(text: str) -> bool:
    count = text.count
    return count("(") == count(")") and count("[") == count("]") and count("{") == count("}")


def _is_inside(line: str, indent: int) -> bool:
    text = line.lstrip()
    return not text or text[0] == "#" or len(line) - len(text) > indent


def _parsed(text: str) -> list[Body]:
    return [node.body for node in _parse(text).body if isinstance(node, ast.If) and not node.orelse]


def _definitions(lines: Sequence[str]) -> dict[tuple[str, int], Definition]:
    """Return all functions of a file by name and first line, the first decorator's."""
    found = [node for node in ast.walk(_parse("".join(lines))) if isinstance(node, Definition)]
    return {(node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])): node for node in found}


def _parse(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


# ---------------------------------------------------------------- signatures


class _Types:
    """Types as text, each once."""

    def __init__(self) -> None:
        self._shown: dict[int, str] = {}

    def show(self, annotation: object) -> str:
        shown = self._shown.get(id(annotation))  # the graph keeps it alive
        if shown is None:
            shown = self._shown[id(annotation)] = show(annotation)
        return shown


def _signature(node: Node, types: _Types) -> str:
    """Return parameters in the order of their names, since they are given by name, and the result's type.

    A `Context` is no parameter: no value comes in by it.
    """
    params = sorted(
        [_param(param, types) for param in node.params if not isinstance(param.source, ContextSource)]
    )
    returns = "" if node.returns is MISSING else f" -> {types.show(node.returns)}"
    return f"{'group ' if node.is_group else ''}({', '.join(params)}){returns}"


def _param(param: Param, types: _Types) -> str:
    text = param.name if param.annotation is MISSING else f"{param.name}: {types.show(param.annotation)}"
    if param.default is not MISSING:
        text += f" = {_value(param.default)}"
    return f"{text}{_origin(param)}"


def _origin(param: Param) -> str:
    """Return where a value comes from, if the name does not say it."""
    if isinstance(param.source, ConstantSource):
        return f" from {_value(param.source.value)}"
    came = str(param.source).partition(":")[2]
    return "" if came == param.name else f" from {came}"


def _value(value: object) -> str:
    """Return a value as text that is the same in every process: an address, or the order of a set, is not."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if type(value) in PLAIN:
        return repr(value)
    if type(value) in (tuple, list):
        return f"[{', '.join(map(_value, cast('Iterable[object]', value)))}]"
    return f"a {type(value).__qualname__}"
