"""Whether None may flow into a parameter."""

from __future__ import annotations

import ast

from gflow.annotations.assignability import assignable
from gflow.annotations.forms import Unresolved, plain


def admits_none(annotation: object) -> bool:
    """Return whether a parameter of this type surely accepts None.

    Of an annotation that could not be evaluated its text tells: `Report | None` does.
    """
    inner = plain(annotation)
    if isinstance(inner, Unresolved):
        return _says_none(inner.text)
    return assignable(None, inner) is True


def _says_none(text: str) -> bool:
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return False
    return _has_none(expression)


def _has_none(expression: ast.expr) -> bool:
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.BitOr):
        return _has_none(expression.left) or _has_none(expression.right)
    if isinstance(expression, ast.Subscript):
        return ast.unparse(expression.value).rpartition(".")[2] == "Optional"
    return isinstance(expression, ast.Constant) and expression.value is None
