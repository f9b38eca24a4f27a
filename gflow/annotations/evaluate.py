"""An annotation as written becomes the type that it means."""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final, ForwardRef

from gflow.annotations.forms import DEPTH, Unresolved, is_class, replace_arguments, text_of, unalias
from gflow.annotations.wording import show

Memo = MutableMapping[tuple[int, str], Any]
"""What was evaluated already, by the id of the namespace and the text."""

DEFERRED: Final = "if TYPE_CHECKING:"
"""The key in a memo of a module's deferred imports: a text that no annotation can have."""


def evaluate(
    annotation: object,
    globalns: Mapping[str, Any],
    localns: Mapping[str, Any] | None = None,
    memo: Memo | None = None,
    type_params: Iterable[Any] = (),
) -> object:
    """Return the type that an annotation means, or an `Unresolved` that says why there is none.

    Args:
        annotation: a string, as under `from __future__ import annotations`, a ForwardRef, or a type.
        globalns: the globals of the module that the annotation stands in. They must outlive `memo`.
        localns: the locals, for a function or class that was defined in a function.
        memo: filled with what was evaluated, and asked first, where nothing is local.
        type_params: the `__type_params__` of the function or class.

    Strings are evaluated until none is left, at the top and in the arguments; a `type` alias at the top
    becomes what it stands for. A name that the module imports only under `if TYPE_CHECKING:` is imported
    when an annotation needs it. Nothing is raised.
    """
    if type(annotation) is type:
        return annotation
    inner = {**(localns or {}), **{parameter.__name__: parameter for parameter in type_params}}
    if inner or memo is None or not isinstance(annotation, str):
        return _evaluate(annotation, _Namespace(globalns, inner, memo))
    key = (id(globalns), annotation)
    if key not in memo:
        memo[key] = _evaluate(annotation, _Namespace(globalns, inner, memo))
    return memo[key]


def _evaluate(annotation: object, namespace: _Namespace) -> object:
    try:
        return _resolved(annotation, namespace, frozenset())
    except Exception as error:  # noqa: BLE001  an annotation is the user's code: whatever it raises is the reason
        return Unresolved(show(annotation), namespace.reason(error))


def _resolved(annotation: object, namespace: _Namespace, active: frozenset[str]) -> object:
    """Evaluate the top of an annotation, then its arguments; `active` are the strings around it."""
    for _ in range(DEPTH):
        value = _next_value(annotation, namespace)
        if isinstance(annotation, str | ForwardRef):
            active |= {text_of(annotation)}
        elif value is annotation:
            break
        annotation = value
    else:
        raise RecursionError("it refers to itself")

    def nested(part: object) -> object:
        return _nested(part, namespace, active)

    return replace_arguments(annotation, nested)


def _next_value(annotation: object, namespace: _Namespace) -> object:
    """Evaluate a string, or look behind a `type` alias."""
    if isinstance(annotation, str):
        return namespace.value(annotation)
    if isinstance(annotation, ForwardRef):
        module = getattr(annotation, "__forward_module__", None)
        return namespace.within(module).value(annotation.__forward_arg__)
    return unalias(annotation)


def _nested(annotation: object, namespace: _Namespace, active: frozenset[str]) -> object:
    """Evaluate an argument; one that cannot be, or that stands in itself, stays as it is."""
    if is_class(annotation):
        return annotation
    if not isinstance(annotation, str | ForwardRef):
        return replace_arguments(annotation, lambda part: _nested(part, namespace, active))
    if text_of(annotation) in active:
        return annotation
    try:
        return _resolved(annotation, namespace, active)
    except Exception:  # noqa: BLE001  the rest of the type is still worth knowing
        return annotation


class _Namespace:
    """Where names are looked up: a module's globals, locals, and what only type checkers import."""

    def __init__(self, globalns: Mapping[str, Any], localns: Mapping[str, Any], memo: Memo | None) -> None:
        self._module = globalns
        self._globals = globalns if isinstance(globalns, dict) else dict(globalns)
        self._locals = localns
        self._memo = memo
        self._deferred: _Deferred | None = None

    def value(self, text: str) -> object:
        """Evaluate a text; import a missing name if the module says where it comes from."""
        text = text.strip()
        source = f"({text},)[0]" if text.startswith("*") else f"({text}\n)" if "\n" in text else text
        code = compile(source, "<annotation>", "eval")
        while True:
            try:
                return eval(code, self._globals, self._locals)  # noqa: S307  the author's own annotation
            except NameError as error:
                if not self._import(error.name):
                    raise

    def within(self, module: object) -> _Namespace:
        """Return the namespace of the module that a ForwardRef knows (a TypedDict's do), else this one."""
        names = getattr(sys.modules.get(str(module), module), "__dict__", None)
        return self if module is None or names is None else _Namespace(names, {}, self._memo)

    def reason(self, error: Exception) -> str:
        """Return why an annotation could not be evaluated."""
        if isinstance(error, NameError) and self._deferred and error.name in self._deferred.failures:
            return self._deferred.failures[error.name]
        return str(error) if isinstance(error, NameError) else f"{type(error).__name__}: {error}"

    def _import(self, name: str | None) -> bool:
        if name is None:
            return False
        if self._deferred is None:
            self._deferred = self._recalled()
            self._globals = self._deferred.globals
            return True  # it may have been imported for an annotation before this one
        return self._deferred.bind(name)

    def _recalled(self) -> _Deferred:
        if self._memo is None:
            return _Deferred(self._module)
        deferred: _Deferred = self._memo.setdefault((id(self._module), DEFERRED), _Deferred(self._module))
        return deferred


class _Deferred:
    """A copy of a module's globals in which its imports for type checkers are made one by one."""

    def __init__(self, globalns: Mapping[str, Any]) -> None:
        self.globals = dict(globalns)
        self.failures: dict[str, str] = {}
        self._imports = list(_imports_for_checkers(_source_of(globalns)))

    def bind(self, name: str) -> bool:
        """Make the imports that may bind a name; return whether looking again is worth it."""
        chosen = [statement for statement in self._imports if _binds(statement, name)]
        for statement in chosen:
            self._imports.remove(statement)
            self._execute(statement, name)
        return bool(chosen)

    def _execute(self, statement: ast.stmt, name: str) -> None:
        code = compile(ast.Module([statement], []), "<import for type checkers>", "exec")
        try:
            exec(code, self.globals)  # noqa: S102  an import statement of the user's own module
        except (Exception, SystemExit) as error:  # noqa: BLE001  a cyclic import may fail in any way
            self.failures[name] = f"`{ast.unparse(statement)}` failed: {type(error).__name__}: {error}"


def _source_of(globalns: Mapping[str, Any]) -> str:
    file = globalns.get("__file__")
    return "".join(linecache.getlines(file, dict(globalns))) if isinstance(file, str) else ""


@functools.lru_cache(maxsize=64)
def _imports_for_checkers(source: str) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Return the imports under `if TYPE_CHECKING:` in the source of a module."""
    try:
        nodes = ast.walk(ast.parse(source))
    except (SyntaxError, ValueError):
        return ()
    blocks = [node for node in nodes if isinstance(node, ast.If) and _is_for_checkers(node.test)]
    inside = itertools.chain.from_iterable(
        ast.walk(statement) for block in blocks for statement in block.body
    )
    return tuple(node for node in inside if isinstance(node, ast.Import | ast.ImportFrom))


def _is_for_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _binds(statement: ast.Import | ast.ImportFrom, name: str) -> bool:
    names = (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    return any(bound in (name, "*") for bound in names)
