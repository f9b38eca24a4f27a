"""The words of gflow: frozen facts about a workflow and about a run of it.

A `Graph` is what the compiler makes of a module and all that the scheduler knows about it.
A `Run` is what a person sees of an execution. Neither holds anything that moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from gflow.errors import StepFailed

if TYPE_CHECKING:
    from gflow.errors import Severity

Kind = Literal["task", "agent", "stage", "parallel"]
Effects = Literal["none", "irreversible"]
Durability = Literal["full", "process"]
Orphans = Literal["wait", "kill", "fail"]
Isolation = Literal["thread", "process"]
Exhausted = Literal["stop", "abort"]
Key = Callable[[Any], str]
Status = Literal[
    "pending", "running", "waiting", "completed", "failed", "rejected", "interrupted", "cancelled",
    "rolling_back", "rolled_back", "rollback_incomplete", "skipped",
]  # fmt: skip

GROUPS: Final = frozenset[Kind](("stage", "parallel"))


class Missing(Enum):
    """The type of MISSING: no default, no annotation, nothing given."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


# ---------------------------------------------------------------- how a step is treated


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step is tried, and how long gflow waits in between.

    `attempts` counts calls, the first included. The n-th wait is drawn evenly from
    0 … min(`base` * `factor` ** n, `max`) seconds: exponential backoff with full jitter
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    attempts: int = 3
    base: float = 1.0
    factor: float = 2.0
    max: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts={self.attempts}: a step is called at least once")
        if min(self.base, self.factor, self.max) < 0:
            raise ValueError("base, factor and max of a Retry are seconds and cannot be negative")


@dataclass(frozen=True, slots=True)
class Policy:
    """The rarer knobs of a step.

    `severity` maps exception types to "low" (tried again), "medium" (not) or "high"; the most
    derived type that fits wins.

    `orphans` says what becomes of a command that outlived its gflow, after a kill -9, before the step is
    tried again: "wait" for its end, which is the default and disturbs nothing that may be half done,
    "kill" it with everything it has started, or "fail", so that somebody has a look.

    `isolation="process"` runs the body of a sync step in a child process of its own, which a timeout or a
    cancellation really ends. It costs the start of a Python, and arguments and result are pickled.

    `version` speaks for the body of the step: a resumed run takes it for changed when the version is, and
    only then.
    """

    severity: Mapping[type[BaseException], Severity] = field(
        default_factory=dict[type[BaseException], "Severity"]
    )
    orphans: Orphans = "wait"
    isolation: Isolation = "thread"
    version: str | None = None


# ---------------------------------------------------------------- what a step may be given beside values


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure as a value: what a parameter gets whose annotation admits it (`report: Report | Failed`).

    `type` and `message` are those of the exception; a step that never started has the type "NotStarted".
    """

    step: str
    type: str
    message: str
    attempts: int = 1
    place: str = ""

    def reraise(self) -> NoReturn:
        """Raise the failure again, as a StepFailed that carries its type and message."""
        raise StepFailed(str(self))

    def __str__(self) -> str:
        return f"{self.step}: {self.type}: {self.message}" if self.message else f"{self.step}: {self.type}"


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes: to which question, by whom, when (UTC), with which comment.

    `digest` binds it to what was shown; an early approval has none. `asked` is False where the question's
    `when` said that nobody has to be asked.
    """

    question: str = ""
    who: str = ""
    at: datetime | None = None
    comment: str = ""
    digest: str = ""
    asked: bool = True


# ---------------------------------------------------------------- where a parameter's value comes from


@dataclass(frozen=True, slots=True)
class StepSource:
    """The result of a step, or one field of it."""

    step: str
    field: str | None = None

    def __str__(self) -> str:
        return f"step:{self.step}.{self.field}" if self.field else f"step:{self.step}"


@dataclass(frozen=True, slots=True)
class InputSource:
    """A declared input of the workflow."""

    name: str

    def __str__(self) -> str:
        return f"input:{self.name}"


@dataclass(frozen=True, slots=True)
class ConstantSource:
    """A value bound by `using()`."""

    value: object

    def __str__(self) -> str:
        return f"value:{self.value!r}"


@dataclass(frozen=True, slots=True)
class ContextSource:
    """What a running step may ask: its `Context`."""

    def __str__(self) -> str:
        return "context"


@dataclass(frozen=True, slots=True)
class EachSource:
    """One item of the list that a step returns: the step that takes it runs once per item."""

    step: str

    def __str__(self) -> str:
        return f"each:{self.step}"


@dataclass(frozen=True, slots=True)
class ItemSource:
    """The item of the fan-out group `group` around the step."""

    group: str

    def __str__(self) -> str:
        return f"item:{self.group}"


@dataclass(frozen=True, slots=True)
class FirstOfSource:
    """The result of the first of several steps that was not skipped."""

    steps: tuple[str, ...]

    def __str__(self) -> str:
        return f"first:{','.join(self.steps)}"


@dataclass(frozen=True, slots=True)
class PreviousSource:
    """The result of a step in the round before; None in the first."""

    step: str

    def __str__(self) -> str:
        return f"previous:{self.step}"


@dataclass(frozen=True, slots=True)
class ApprovalSource:
    """The decision of a person, who is asked before the step begins."""

    def __str__(self) -> str:
        return "approval"


@dataclass(frozen=True, slots=True)
class FailureSource:
    """The failure that a fallback stands in for."""

    def __str__(self) -> str:
        return "failure"


@dataclass(frozen=True, slots=True)
class NoSource:
    """Nothing: the parameter has a finding."""

    def __str__(self) -> str:
        return "nothing"


Source = (
    StepSource | InputSource | ConstantSource | ContextSource | EachSource | ItemSource | FirstOfSource
    | PreviousSource | ApprovalSource | FailureSource | NoSource
)  # fmt: skip


# ---------------------------------------------------------------- the compiled workflow


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a step: its evaluated type and the source of its value.

    `admits_none` and `admits_failed` say what else may arrive: the None of a skipped step, a `Failed`.
    """

    name: str
    source: Source
    annotation: object = MISSING
    default: object = MISSING
    admits_none: bool = False
    admits_failed: bool = False


@dataclass(frozen=True, slots=True)
class Undo:
    """The compensation of a step; its first parameter takes the step's own result."""

    fn: Callable[..., Any]
    params: tuple[Param, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function beside the steps, with its parameters resolved like those of a step: a condition, say."""

    fn: Callable[..., Any]
    params: tuple[Param, ...] = ()
    is_async: bool = False


@dataclass(frozen=True, slots=True)
class Rung:
    """What stands in for a step's body when that has failed; `label` is what people see.

    `degraded` marks its results; `role` is the alternate role that plays it, if it is one.
    """

    call: Call
    label: str
    degraded: bool = False
    role: str | None = None


@dataclass(frozen=True, slots=True)
class FanOut:
    """A step runs once per item of the list that `step` returns; the item goes to `param`.

    At most `limit` items run at once (None: as many as there is room for). `key` names an item (None: by its
    index). The fan-out fails when more than `tolerate` items have failed: a number, or a share of all
    ("10%", as 0.1).
    """

    step: str
    param: str
    limit: int | None = None
    key: Key | None = None
    tolerate: int | float = 0


@dataclass(frozen=True, slots=True)
class Repeat:
    """A group runs again until the condition holds, at most `max` times."""

    until: Call
    max: int


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before a step begins; `param` takes the decision.

    `values` are the parts that `text` shows, by the name of their placeholder (`{step.field}`). `when` says
    whether anybody has to be asked. After `timeout` seconds the answer is no. `admits_rejected` says that the
    parameter takes a no as a value.
    """

    text: str
    param: str
    values: tuple[Param, ...] = ()
    when: Call | None = None
    timeout: float | None = None
    admits_rejected: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A step as the compiler understood it.

    `group` owns the step, `members` are the steps that a group owns, in order.
    `after` are the steps that must have ended before this one may begin; `joins` are those that must
    have ended before a group's body runs. A step begins only when its group has begun. `follows` are those
    that `after=` names: if one of them is skipped, so is this step.

    `scope` are the groups with `each` or `repeat` around the step, outermost first: it has an instance for
    every item or round of them. Whatever is in `after` and `joins` is in the same scope or one around it.
    `handled` says that everyone who reads the step takes a `Failed` too, so that work goes on without it.
    """

    name: str
    kind: Kind
    fn: Callable[..., Any]
    params: tuple[Param, ...] = ()
    returns: object = MISSING
    role: str | None = None
    doc: str = ""
    group: str | None = None
    members: tuple[str, ...] = ()
    after: frozenset[str] = frozenset()
    joins: frozenset[str] = frozenset()
    is_async: bool = False
    is_empty: bool = False
    retry: Retry | None = None
    timeout: float | None = None
    policy: Policy = field(default_factory=Policy)
    effects: Effects | None = None
    limit: int | None = None
    undo: Undo | None = None
    follows: frozenset[str] = frozenset()
    scope: tuple[str, ...] = ()
    when: Call | None = None
    rungs: tuple[Rung, ...] = ()
    each: FanOut | None = None
    repeat: Repeat | None = None
    ask: Question | None = None
    handled: bool = False

    @property
    def is_group(self) -> bool:
        return self.kind in GROUPS

    @property
    def is_scope(self) -> bool:
        """Whether the step runs once per item or round."""
        return self.each is not None or self.repeat is not None


@dataclass(frozen=True, slots=True)
class InputSpec:
    """A declared input: `consumers` are the steps that take it."""

    name: str
    annotation: object
    default: object = MISSING
    help: str = ""
    consumers: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is MISSING


@dataclass(frozen=True, slots=True)
class Graph:
    """A compiled workflow: every step in the order of the plan, every input, and what its result is.

    `outermost` is the group that is the workflow, None in a module without groups; `results` are the
    steps whose values are the run's results. `inputs_type` is the module's class `Inputs`, if any;
    `notify` is called with the notices of what becomes of a run.
    """

    name: str
    version: str
    doc: str
    module: str
    nodes: Mapping[str, Node]
    inputs: Mapping[str, InputSpec]
    outermost: str | None
    results: tuple[str, ...]
    inputs_type: type | None = None
    durability: Durability | None = None
    on_exhausted: Exhausted = "stop"
    notify: tuple[Callable[[Any], object], ...] = ()

    def leaves(self) -> list[Node]:
        """Return the tasks and agents, in the order of the plan."""
        return [node for node in self.nodes.values() if not node.is_group]


# ---------------------------------------------------------------- what a person sees of a run


def _cannot_load(step: str) -> Any:
    raise KeyError(step)


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a user's traceback."""

    file: str
    line: int
    function: str
    text: str


@dataclass(frozen=True, slots=True)
class StepError:
    """A failure as data: what was raised, where in the user's code, at which attempt."""

    step: str
    type: str
    message: str
    attempt: int = 1
    frames: tuple[Frame, ...] = ()

    @property
    def place(self) -> str:
        """The innermost line of the user's code, as `file:line`; empty if there is none."""
        return f"{self.frames[-1].file}:{self.frames[-1].line}" if self.frames else ""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True)
class ItemState:
    """What a run knows about one instance of a step: an item of a fan-out, or a round."""

    status: Status
    attempts: int = 0
    error: StepError | None = None
    preview: str | None = None
    seconds: float | None = None
    degraded: str | None = None
    stand_in: str | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """The instances of a step that runs once per item or round: how many there are, and how they stand.

    Of a fan-out inside another, `total` counts the items that are known so far; of a repeated group, the
    rounds that have begun. `failed` counts those that are tolerated, too. `states` holds each by its path,
    in order; of more than a hundred only those that failed, run or wait, and at most a hundred.
    """

    total: int
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    running: int = 0
    waiting: int = 0
    states: Mapping[str, ItemState] = field(default_factory=dict[str, ItemState])

    @property
    def ended(self) -> int:
        """How many have an outcome."""
        return self.completed + self.failed + self.skipped

    def __str__(self) -> str:
        total = f"{self.total} item{'' if self.total == 1 else 's'}"
        parts = [total if self.ended == self.total else f"{self.ended}/{total}"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """What a person is asked before a step begins; `digest` is that of what is shown.

    After `expires` (UTC) no answer means no.
    """

    text: str
    digest: str = ""
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class StepState:
    """What a run knows about one of its steps. Times are UTC; `seconds` is the time its body took.

    `stand_in` names the fallback, or the degraded mode, that made its result. Of a step that runs once per
    item or round, `items` holds the instances, and the rest is what they come to: `attempts` are the most
    that one needed, `seconds` the time from the first start to the last end, `error` the first that stopped
    the run. Of rounds the last one is seen.
    """

    name: str
    kind: Kind
    status: Status
    role: str | None = None
    group: str | None = None
    attempts: int = 0
    degraded: str | None = None
    error: StepError | None = None
    preview: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    seconds: float | None = None
    kept: bool = False
    stand_in: str | None = None
    items: Items | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: leaves counted, and when it should end (None: not known).

    `partly` is what fan-outs under way have done, in steps: 0.3 when three of ten items have ended.
    """

    total: int
    completed: int
    current: tuple[str, ...] = ()
    eta_seconds: float | None = None
    estimated_completion: datetime | None = None
    partly: float = 0.0

    @property
    def percent(self) -> float:
        """How much is done; 100 only when all of it is."""
        if self.completed >= self.total:
            return 100.0
        return min(99.9, round(100 * (self.completed + self.partly) / self.total, 1))

    def __str__(self) -> str:
        where = ", ".join(self.current) or "done"
        eta = "" if self.eta_seconds is None else f", eta {duration(self.eta_seconds)}"
        return f"{where} ({self.percent}% complete){eta}"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution, as it was when it was looked at. Times are UTC.

    `results` holds the values of the run's results, loaded when they are asked for; `value` those of
    any completed step. `errors` holds what stopped the run, `current` the leaves that run now. `forked`
    names the run and the step at which this one was forked, if it was. `questions` are those that wait for
    a person, by the path of what asks. After a rollback, `undone` are the steps whose undo has run, `left`
    those that stay as they are, with the reason; `errors` of an aborted run are what it was aborted for.
    """

    id: str
    workflow: str
    version: str
    status: Status
    current: tuple[str, ...]
    steps: Mapping[str, StepState] = field(repr=False)
    started: datetime | None
    ended: datetime | None
    errors: tuple[StepError, ...]
    results: Mapping[str, Any]
    inputs: Mapping[str, str]
    progress: Progress
    reason: str = ""
    forked: tuple[str, str] | None = None
    questions: Mapping[str, OpenQuestion] = field(default_factory=dict[str, OpenQuestion])
    undone: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict[str, str])
    load: Callable[[str], Any] = field(default=_cannot_load, repr=False, compare=False)
    exceptions: Mapping[str, BaseException] = field(default_factory=dict[str, BaseException], repr=False)

    @property
    def degraded(self) -> tuple[str, ...]:
        """The steps whose results are degraded."""
        return tuple(name for name, step in self.steps.items() if step.degraded)

    def value(self, step: str) -> Any:
        """Return the result of a completed step; a KeyError names one that has none."""
        if step not in self.steps or self.steps[step].status != "completed":
            raise KeyError(f"{step} has no result in run {self.id}")
        return self.load(step)

    def raise_for_status(self) -> Run:
        """Return this run if it completed, else raise what its first failed step raised.

        The traceback shows the user's frames only; a note names step, line, attempt and run.
        """
        if self.status == "completed":
            return self
        for error in self.errors:
            if error.step in self.exceptions:
                raise self.exceptions[error.step]
        raise RuntimeError(
            f"run {self.id} of {self.workflow} is {self.status}: {'; '.join(map(str, self.errors))}"
        )


def duration(seconds: float) -> str:
    """Return a duration as people write it: `0.7 s`, `2m 05s`, `3h 20m`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    return f"{minutes // 60}h {minutes % 60:02}m"
