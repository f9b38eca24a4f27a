"""What a workflow is written with: @task, @agent, @stage, @parallel, and the marks on parameters.

A decorator returns a plain value, a `Step`: callable as before, with what the compiler needs beside it.
Nothing is checked here, so that the compiler can report every mistake of a module at once.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    overload,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from gflow.model import Durability, Effects, Exhausted, Kind, Policy, Retry
    from gflow.notice import Notice

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
X = TypeVar("X")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

REGISTRY = "__gflow_steps__"
"""The name under which a module keeps the steps that were decorated in it, in order."""


@dataclass(frozen=True, slots=True)
class Options:
    """The keywords that a decorator was given."""

    after: tuple[AnyStep | Member, ...] = ()
    attempts: int | Retry | None = None
    effects: Effects | None = None
    policy: Policy | None = None
    limit: int | None = None
    timeout: float | None = None
    when: AnyStep | Condition | None = None
    fallback: tuple[Fallback, ...] = ()
    degraded: Callable[..., Any] | None = None
    repeat: Until | None = None


class Step(Generic[P, R_co]):
    """A decorated function: call it as before; a workflow runs it as a step.

    Attributes that the compiler reads: `fn`, `kind`, `role`, `options`, `undo_fn`; `frame` is the
    function that a step was defined in, if it was (its local names are looked up there), and
    `bindings` what `using()` bound; `namespace` are the globals of the module that made it.
    """

    __test__ = False  # pytest would collect an imported step called test_*

    def __init__(
        self,
        fn: Callable[P, R_co],
        kind: Kind,
        options: Options,
        role: str | None = None,
        frame: FrameType | None = None,
    ) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.kind: Kind = kind
        self.options = options
        self.role = role
        self.frame = frame
        self.undo_fn: Callable[..., Any] | None = None
        self.origin: AnyStep | None = None
        self.bindings: Mapping[str, object] = {}
        self.namespace: Mapping[str, object] = {}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.fn.__qualname__}>"

    def __reduce__(self) -> str:
        return self.fn.__qualname__

    if TYPE_CHECKING:  # at run time a property would have to raise, which breaks mock.create_autospec

        @property
        def returns(self) -> R_co:
            """For `gflow check --types` only: the type of one call."""
            ...

    # First those that admit None: an undo may be called without a result.
    @overload
    def undo(
        self: Step[..., Coroutine[Any, Any, T]], fn: Callable[Concatenate[T | None, Q], X], /
    ) -> Callable[Concatenate[T | None, Q], X]: ...
    @overload
    def undo(
        self: Step[..., Coroutine[Any, Any, T]], fn: Callable[Concatenate[T, Q], X], /
    ) -> Callable[Concatenate[T, Q], X]: ...
    @overload
    def undo(
        self: Step[..., T], fn: Callable[Concatenate[T | None, Q], X], /
    ) -> Callable[Concatenate[T | None, Q], X]: ...
    @overload
    def undo(self: Step[..., T], fn: Callable[Concatenate[T, Q], X], /) -> Callable[Concatenate[T, Q], X]: ...
    def undo(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Register the compensation of this step; a rollback calls it with the step's result first.

        The other parameters are resolved like the step's own. The function is returned unchanged.
        """
        self.undo_fn = fn
        return fn

    def using(self, **bindings: object) -> Copy[P, R_co]:
        """Return a copy of this step, or of this group with all its members, for use under another name.

        `bindings` maps parameters to values, to other steps or to marks such as `From(step)`.

        >>> lint_api = lint.using(package="api")      # doctest: +SKIP
        """
        copy: Copy[P, R_co] = Copy(self.fn, self.kind, self.options, self.role, self.frame)
        copy.undo_fn = self.undo_fn
        copy.origin = self.origin or self
        copy.bindings = {**self.bindings, **bindings}
        _register(copy, _caller(1))
        return copy


class Copy(Step[P, R_co]):
    """What `using()` returns. The members of a copied group are its attributes: `From(canary.build)`."""

    def __getattr__(self, name: str) -> Member:
        code = getattr(self.__dict__.get("fn"), "__code__", None)
        if code is None or name not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            raise AttributeError(name)
        return Member(self, name)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a copied group, named through it."""

    group: AnyStep
    name: str


AnyStep = Step[..., Any]
Condition = Callable[..., bool]
Fallback = str | Callable[..., Any]
"""An alternate role, or an undecorated function with the parameters of the step."""


class Decorator(Protocol):
    """What a decorator with keywords returns."""

    def __call__(self, fn: Callable[P, R], /) -> Step[P, R]: ...


def _caller(depth: int) -> FrameType:
    """Return the frame that called the caller of this function, `depth` calls up."""
    return sys._getframe(depth + 1)  # pyright: ignore[reportPrivateUsage]  # private in name only


def _register(step: AnyStep, frame: FrameType) -> AnyStep:
    step.namespace = frame.f_globals
    frame.f_globals.setdefault(REGISTRY, []).append(step)
    return step


def _decorator(kind: Kind, options: Options, role: str | None = None) -> Decorator:
    def decorate(fn: Callable[P, R], /) -> Step[P, R]:
        frame = _caller(1)
        nested = "<locals>" in getattr(fn, "__qualname__", "")
        step = Step(fn, kind, options, role, frame if nested else None)
        _register(step, frame)
        return step

    return decorate


def _listed(given: Any) -> tuple[Any, ...]:
    """Take one step, or a string, for a list of it: the compiler says what is wrong with it."""
    is_list = hasattr(given, "__iter__") and not isinstance(given, str)
    return tuple(given) if is_list else (given,)


@overload
def task(fn: Callable[P, R], /) -> Step[P, R]: ...
@overload
def task(
    *,
    after: Iterable[AnyStep | Member] = ...,
    when: AnyStep | Condition | None = ...,
    attempts: int | Retry | None = ...,
    timeout: float | None = ...,
    fallback: Fallback | Iterable[Fallback] = ...,
    degraded: Callable[..., Any] | None = ...,
    effects: Effects | None = ...,
    policy: Policy | None = ...,
) -> Decorator: ...
def task(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    after: Iterable[AnyStep | Member] = (),
    when: AnyStep | Condition | None = None,
    attempts: int | Retry | None = None,
    timeout: float | None = None,
    fallback: Fallback | Iterable[Fallback] = (),
    degraded: Callable[..., Any] | None = None,
    effects: Effects | None = None,
    policy: Policy | None = None,
) -> Any:
    """Make a function a step that Python does, sync or async.

    `after` names steps that must have ended first, beside those that the parameters name. `when` is a
    condition: a bool step, or a function whose parameters are resolved like those of the step; if it says
    no, the step is skipped, with all that needs it.
    `attempts` counts calls: 3, or `Retry(3, base=…)`; every Exception is then tried again.
    `timeout` ends an attempt after so many seconds: an async body is cancelled, commands are killed, other
    code is asked (`ctx.check_cancelled()`).
    `fallback` stands in when the body has failed: undecorated functions that take the step's parameters
    (and a `Failed`, if they want to know), or alternate roles, in order; `degraded` comes last, and marks
    the result.
    `effects` is "none" (nothing to undo) or "irreversible"; `policy` holds the rarer knobs.
    """
    options = Options(
        _listed(after), attempts, effects, policy, None, timeout, when, _listed(fallback), degraded
    )
    decorator = _decorator("task", options)
    return decorator if fn is None else _decorate_bare("task", fn)


def agent(
    role: str,
    /,
    *,
    after: Iterable[AnyStep | Member] = (),
    when: AnyStep | Condition | None = None,
    attempts: int | Retry | None = None,
    fallback: Fallback | Iterable[Fallback] = (),
    degraded: Callable[..., Any] | None = None,
    effects: Effects | None = None,
    policy: Policy | None = None,
) -> Decorator:
    """Make a function a step that a role plays: `@agent("code-reviewer")`.

    The docstring is the instruction, the parameters are the data it is given, the return annotation is
    what the answer must be; the body runs when nothing else is bound to the role.
    The keywords are those of `task`, but for `timeout`.
    """
    if callable(role):  # a bare @agent: recorded, so that the compiler can say what to write
        return cast("Decorator", _decorate_bare("agent", role))
    options = Options(
        _listed(after), attempts, effects, policy, None, None, when, _listed(fallback), degraded
    )
    return _decorator("agent", options, role)


@overload
def stage(fn: Callable[P, R], /) -> Step[P, R]: ...
@overload
def stage(
    *,
    after: Iterable[AnyStep | Member] = ...,
    when: AnyStep | Condition | None = ...,
    attempts: int | Retry | None = ...,
    timeout: float | None = ...,
    fallback: Fallback | Iterable[Fallback] = ...,
    degraded: Callable[..., Any] | None = ...,
    effects: Effects | None = ...,
    policy: Policy | None = ...,
    limit: int | None = ...,
    repeat: Until | None = ...,
) -> Decorator: ...
def stage(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    after: Iterable[AnyStep | Member] = (),
    when: AnyStep | Condition | None = None,
    attempts: int | Retry | None = None,
    timeout: float | None = None,
    fallback: Fallback | Iterable[Fallback] = (),
    degraded: Callable[..., Any] | None = None,
    effects: Effects | None = None,
    policy: Policy | None = None,
    limit: int | None = None,
    repeat: Until | None = None,
) -> Any:
    """Make a function a group whose members, the steps its parameters name, run one after another.

    The body runs last, with every parameter filled in. `limit` bounds the attempts that run at once
    inside; `repeat=Until(…)` runs members and body again until a condition holds. `when` and `after` are for
    the whole group; the other keywords are those of `task` and apply to the body.
    """
    options = Options(
        _listed(after), attempts, effects, policy, limit, timeout, when, _listed(fallback), degraded, repeat
    )
    decorator = _decorator("stage", options)
    return decorator if fn is None else _decorate_bare("stage", fn)


@overload
def parallel(fn: Callable[P, R], /) -> Step[P, R]: ...
@overload
def parallel(
    *,
    after: Iterable[AnyStep | Member] = ...,
    when: AnyStep | Condition | None = ...,
    attempts: int | Retry | None = ...,
    timeout: float | None = ...,
    fallback: Fallback | Iterable[Fallback] = ...,
    degraded: Callable[..., Any] | None = ...,
    effects: Effects | None = ...,
    policy: Policy | None = ...,
    limit: int | None = ...,
    repeat: Until | None = ...,
) -> Decorator: ...
def parallel(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    after: Iterable[AnyStep | Member] = (),
    when: AnyStep | Condition | None = None,
    attempts: int | Retry | None = None,
    timeout: float | None = None,
    fallback: Fallback | Iterable[Fallback] = (),
    degraded: Callable[..., Any] | None = None,
    effects: Effects | None = None,
    policy: Policy | None = None,
    limit: int | None = None,
    repeat: Until | None = None,
) -> Any:
    """Make a function a group whose members run at the same time; otherwise as `stage`."""
    options = Options(
        _listed(after), attempts, effects, policy, limit, timeout, when, _listed(fallback), degraded, repeat
    )
    decorator = _decorator("parallel", options)
    return decorator if fn is None else _decorate_bare("parallel", fn)


def _decorate_bare(kind: Kind, fn: Callable[..., Any]) -> AnyStep:
    frame = _caller(2)
    nested = "<locals>" in getattr(fn, "__qualname__", "")
    return _register(Step(fn, kind, Options(), None, frame if nested else None), frame)


# ---------------------------------------------------------------- marks on parameters


@dataclass(frozen=True, slots=True)
class From:
    """Take a parameter from a step of another name, or from one field of its result.

    >>> async def upload(wheel: Annotated[Path, From(build)]): ...            # doctest: +SKIP
    >>> async def notify(url: Annotated[str, From(deploy, "url")]): ...       # doctest: +SKIP
    """

    step: AnyStep | Member
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Each:
    """Run a step, or a group with all its members, once per item of the list that another step returns.

    At most `limit` items run at once (1: one after another). `key` names an item for people, in its path
    `check[eu]`; without it the index does. `tolerate` failures, a number or a share such as "10%", do not
    fail the whole. Seen from outside the results are a list, in the order of the items.

    >>> def check(region: Annotated[str, Each(regions)]) -> Report: ...       # doctest: +SKIP
    """

    step: AnyStep | Member
    limit: int | None = None
    key: Callable[[Any], str] | None = None
    tolerate: int | str = 0


@dataclass(frozen=True, slots=True, init=False)
class FirstOf:
    """Take a parameter from the first of several steps that was not skipped.

    >>> def publish(wheel: Annotated[Path, FirstOf(build_fast, build_full)]): ...     # doctest: +SKIP
    """

    steps: tuple[AnyStep | Member, ...]

    def __init__(self, *steps: AnyStep | Member) -> None:
        object.__setattr__(self, "steps", steps)


@dataclass(frozen=True, slots=True)
class Previous:
    """Take a parameter from the round before: the result of the member that the parameter is named after.

    In the first round there is none, so the type admits None.

    >>> def fix(review: Annotated[Review | None, Previous()]) -> Patch: ...           # doctest: +SKIP
    """


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person is asked before a step begins, on a parameter of type `Approval`.

    `text` shows results as `{step}` or `{step.field}`. `when`, a function whose parameters are resolved like
    those of the step, says whether anybody has to be asked. After `timeout` seconds the answer is no.

    >>> def tag(ok: Annotated[Approval, Ask("Publish {build.version}?")]): ...        # doctest: +SKIP
    """

    text: str = ""
    when: Condition | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Until:
    """Run a group again until `condition` holds, at most `max` times; used up, the group fails.

    The parameters of the condition are resolved like those of the group's body.

    >>> @stage(repeat=Until(lambda review: review.ok, max=3))                # doctest: +SKIP
    """

    condition: AnyStep | Condition
    max: int = 3


@dataclass(frozen=True, slots=True)
class InputMark:
    """What `Input[T]` adds to T."""


Input = Annotated[T, InputMark()]
"""Declare a parameter as an input of the workflow: `out: Input[Path] = Path("dist")` is `--out`."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """Facts about a workflow that belong to no step; every one is optional.

    Defaults: `name` is the module's, `version` its `__version__`. `uses` lists imported steps that
    only a parameter's name uses (linters would delete their import). `durability` is "full" (survives a
    power loss) or "process" (survives kill -9). `on_exhausted="abort"` rolls the run back when a step has
    failed for good, instead of stopping there. `notify` lists who is told what becomes of a run: notifiers of
    `gflow.notify`, or functions that take a notice.
    """

    name: str | None = None
    version: str | None = None
    uses: Iterable[AnyStep] = field(default=())
    durability: Durability | None = None
    on_exhausted: Exhausted = "stop"
    notify: Iterable[Callable[[Notice], object]] = field(default=())
