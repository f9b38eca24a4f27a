"""What a function's signature says: its parameters, where each may come from, and what it returns.

Parameters are read from the code object and annotations are evaluated one by one, once per text and
namespace; `inspect.signature` is for callables that are no plain functions.
"""

from __future__ import annotations

import inspect
import sys
from collections import ChainMap
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard

from gflow.annotations import Unresolved, awaited, evaluate, is_awaitable, union_members
from gflow.context import Context
from gflow.decorators import (
    AnyStep,
    Ask,
    Each,
    FirstOf,
    From,
    Input,
    InputMark,
    Member,
    Previous,
    Step,
)
from gflow.errors import Rejected
from gflow.model import MISSING, Approval, ApprovalSource, ContextSource, Failed, FailureSource

if sys.version_info >= (3, 14):
    import annotationlib

CONTEXT: Final = ContextSource()
APPROVAL: Final = ApprovalSource()
FAILURE: Final = FailureSource()
MARKS: Final = (From, Each, FirstOf, Previous, Ask, InputMark)
"""The marks of gflow; one that is written without brackets is seen as well."""

GENERATOR: Final = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
COROUTINE: Final = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE

Fn: TypeAlias = Callable[..., Any]


class Parameter(NamedTuple):
    """One parameter; `annotation` is without Annotated, MISSING if there is none or it cannot be evaluated.

    `source` is what the annotation says (CONTEXT, APPROVAL, or a mark: From, Each, FirstOf, Previous,
    InputMark), else the Step that the name stands for, else None; `step` is the step in it. `marks` are all
    marks of gflow in the annotation.
    """

    name: str
    annotation: object = MISSING
    default: object = MISSING
    source: object = None
    step: AnyStep | Member | None = None
    marks: tuple[object, ...] = ()


class Signature(NamedTuple):
    """What a function says about itself, and the `names` that it sees.

    `inner` is the function below decorators that wrap it, or what else was decorated. `returns` is what an
    awaited call gives. `unevaluated` are the annotations that cannot be evaluated, by parameter or "return".
    Of what is no plain function (`is_function`), a class say, or a generator, nothing more is known.
    """

    fn: Fn
    inner: Fn
    names: Mapping[str, Any]
    parameters: tuple[Parameter, ...] = ()
    returns: object = MISSING
    is_async: bool = False
    is_empty: bool = False
    is_function: bool = True
    unevaluated: Mapping[str, Unresolved] = MappingProxyType({})

    @property
    def code(self) -> CodeType | None:
        """The code of the function; None for a class, or what is written in C."""
        return getattr(self.inner, "__code__", None)

    @property
    def named(self) -> list[AnyStep]:
        """The steps that parameters name by their own names."""
        return [parameter.source for parameter in self.parameters if is_step(parameter.source)]


class Reader:
    """Reads signatures, each once."""

    def __init__(self) -> None:
        self._signatures: dict[tuple[int, int], Signature] = {}
        self._around: dict[int, Mapping[str, object]] = {}
        self._memo: dict[tuple[int, Any], Any] = {}
        self._awaitable: dict[int, bool] = {}

    def signature(self, step: AnyStep) -> Signature:
        """Return the signature of a step."""
        return self._signature(step.fn, step.frame)

    def undo(self, step: AnyStep) -> Signature | None:
        """Return the signature of a step's undo; a copy has that of its origin."""
        fn = step.undo_fn or (step.origin.undo_fn if step.origin else None)
        return self._signature(fn, step.frame) if fn else None

    def beside(self, step: AnyStep, fn: Fn) -> Signature:
        """Return the signature of a function that stands in for a step, or decides about it.

        A name that its own module does not know is looked up where the step's function is.
        """
        signature = self._signature(fn, step.frame)
        names = self.signature(step).names
        known = {name: names[name] for name in _unknown(signature) if is_step(names.get(name))}
        if not known:
            return signature
        parameters = [
            parameter._replace(source=known[parameter.name], step=known[parameter.name])
            if parameter.name in known
            else parameter
            for parameter in signature.parameters
        ]
        return signature._replace(parameters=tuple(parameters), names={**signature.names, **known})

    def names(self, step: AnyStep) -> Mapping[str, object]:
        """Return the names that a step's function sees: of the function around it, then of its module."""
        return self._names(inspect.unwrap(step.fn), step.frame)

    def _names(self, fn: Fn, frame: FrameType | None) -> Mapping[str, object]:
        names: dict[str, object] = getattr(fn, "__globals__", {})
        return names if frame is None else ChainMap(dict(self._locals(frame)), names)

    def _locals(self, frame: FrameType) -> Mapping[str, object]:
        if id(frame) not in self._around:
            self._around[id(frame)] = frame.f_locals  # in Python 3.11 and 3.12 copied each time it is read
        return self._around[id(frame)]

    def _signature(self, fn: Fn, frame: FrameType | None) -> Signature:
        key = (id(fn), id(frame))
        signature = self._signatures.get(key)
        if signature is None:
            signature = self._signatures[key] = self._read(fn, frame)
        return signature

    def _read(self, fn: Fn, frame: FrameType | None) -> Signature:
        is_plain = not getattr(fn, "__dict__", None)  # nothing wraps it, nothing marks it
        inner = fn if is_plain else inspect.unwrap(fn)
        names = self._names(inner, frame)
        code = getattr(inner, "__code__", None)
        is_generator = code is not None and code.co_flags & GENERATOR != 0
        if is_generator or isinstance(inner, type) or not hasattr(inner, "__qualname__"):
            return Signature(fn, inner, names, is_function=False)
        evaluated = self._annotations(inner, frame)
        unevaluated = {name: kind for name, kind in evaluated.items() if isinstance(kind, Unresolved)}
        evaluated |= dict.fromkeys(unevaluated, MISSING)
        given = _of_callable(inner) if code is None else _of_code(inner, code)
        parameters = tuple([_parameter(name, evaluated, default, names) for name, default in given])
        returns = evaluated.get("return", MISSING)
        is_async = (code is not None and code.co_flags & COROUTINE != 0) or (
            not is_plain and (inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(inner))
        )
        if not is_async and self._is_awaitable(returns):
            is_async, returns = True, awaited(returns, is_coroutine_function=False)
        is_empty = code is not None and code.co_code in EMPTY and _returns_nothing(code)
        return Signature(fn, inner, names, parameters, returns, is_async, is_empty, unevaluated=unevaluated)

    def _annotations(self, fn: Fn, frame: FrameType | None) -> dict[str, object]:
        """Evaluate the annotations of a function, each text of a module once."""
        names, types = getattr(fn, "__globals__", {}), getattr(fn, "__type_params__", ())
        around = None if frame is None else self._locals(frame)
        kinds = dict(_written(fn))
        for name, kind in kinds.items():
            if kind is None or type(kind) is type:
                continue
            known = (
                MISSING
                if around or types or type(kind) is not str
                else self._memo.get((id(names), kind), MISSING)
            )
            kinds[name] = evaluate(kind, names, around, self._memo, types) if known is MISSING else known
        return kinds

    def _is_awaitable(self, annotation: object) -> bool:
        if annotation is MISSING or annotation is None:
            return False
        known = self._awaitable.get(id(annotation))  # the signatures keep it alive
        if known is None:
            known = self._awaitable[id(annotation)] = is_awaitable(annotation)
        return known


def _parameter(
    name: str, evaluated: Mapping[str, object], default: object, names: Mapping[str, object]
) -> Parameter:
    annotation: Any = evaluated.get(name, MISSING)
    marks: tuple[object, ...] = ()
    if (metadata := getattr(annotation, "__metadata__", None)) is not None:
        marks = tuple(mark for mark in metadata if isinstance(mark, MARKS) or _is_bare(mark))
        annotation = MISSING if annotation is Input else annotation.__origin__  # bare, it says no type
    if annotation is Context:
        return Parameter(name, annotation, default, CONTEXT)
    if (type(annotation) is not type or annotation is Approval) and asks(annotation):
        return Parameter(name, annotation, default, APPROVAL, None, marks)
    if marks:  # an Ask alone is one on something that is no Approval, which is reported
        source = next((mark for mark in marks if not (isinstance(mark, Ask) or mark is Ask)), APPROVAL)
        return Parameter(name, annotation, default, source, step_of(source), marks)
    named = names.get(name)
    if is_step(named):
        return Parameter(name, annotation, default, named, named)
    return Parameter(name, annotation, default)


def _is_bare(mark: object) -> bool:
    """Whether a mark was written without brackets."""
    return any(mark is kind for kind in MARKS)


def asks(annotation: object) -> bool:
    """Whether an annotation is that of a decision: `Approval`, or `Approval | Rejected`."""
    if annotation is Approval:
        return True
    if type(annotation) is type or annotation is MISSING:
        return False
    kinds = union_members(annotation)
    return Approval in kinds and all(kind in (Approval, Rejected, None, type(None)) for kind in kinds)


def replaces(parameter: Parameter) -> bool:
    """Whether a parameter of a fallback takes the failure that it stands in for."""
    return parameter.annotation is Failed


def _unknown(signature: Signature) -> list[str]:
    """Return the parameters that a function's own names say nothing about."""
    return [parameter.name for parameter in signature.parameters if parameter.source is None]


def step_of(source: object) -> AnyStep | Member | None:
    """Return the step that a mark or a binding names, if it does."""
    named = source.step if isinstance(source, From | Each) else source
    return named if is_step(named) or isinstance(named, Member) else None


def is_step(thing: object) -> TypeGuard[AnyStep]:
    """Whether something was decorated."""
    return isinstance(thing, Step)


def _of_code(fn: Fn, code: CodeType) -> list[tuple[str, object]]:
    """Return parameters with their defaults; ten times as fast as `inspect.signature`."""
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    given, by_name = fn.__defaults__, fn.__kwdefaults__
    if not given and not by_name:
        return [(name, MISSING) for name in names]
    positional = names[: code.co_argcount]
    defaults = dict(zip(positional[len(positional) - len(given or ()) :], given or (), strict=True))
    return [(name, {**defaults, **(by_name or {})}.get(name, MISSING)) for name in names]


def _of_callable(fn: Fn) -> list[tuple[str, object]]:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # written in C
        return []
    return [
        (parameter.name, MISSING if parameter.default is parameter.empty else parameter.default)
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _written(fn: Fn) -> Mapping[str, object]:
    """Return annotations as they are written: text under the future import, else types."""
    if sys.version_info >= (3, 14):  # evaluated when asked for, all or nothing
        try:
            return fn.__annotations__
        except Exception:  # noqa: BLE001  whatever the user's annotation raises
            return annotationlib.get_annotations(fn, format=annotationlib.Format.STRING)
    return getattr(fn, "__annotations__", {})


# ---------------------------------------------------------------- bodies that do nothing


def _blank() -> None: ...


def _told() -> None:
    """Do nothing, with a docstring."""


async def _blank_async() -> None: ...


async def _told_async() -> None:
    """Do nothing, with a docstring."""


EMPTY: Final = {fn.__code__.co_code for fn in (_blank, _told, _blank_async, _told_async)}
"""The bytecode of a body that is a docstring, `...` or `pass`, and nothing else."""


def _returns_nothing(code: CodeType) -> bool:
    """Whether the only constants are a docstring and the None that is returned."""
    *told, returned = code.co_consts
    return returned is None and all(isinstance(text, str) for text in told)
