"""The edges of a workflow as a typed module, for a type checker to judge.

One function per call and one line per parameter, so that the line of a complaint names the edge::

    async def wire_41() -> None:  # publish
        m0.publish(
            version=(await m0.version.returns),

`Step.returns` exists for type checkers only, and the module is never imported. A checker that cannot see a
module takes all of it for Any and is content, so every import is followed by a line that it has to reject.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Final, TypeAlias, TypeVar, get_args

from gflow.annotations import field_names
from gflow.annotations.forms import class_of, is_union, plain
from gflow.compiler.asides import truth
from gflow.decorators import REGISTRY
from gflow.model import (
    ApprovalSource,
    Call,
    ConstantSource,
    ContextSource,
    EachSource,
    FailureSource,
    FirstOfSource,
    Graph,
    InputSource,
    ItemSource,
    Node,
    Param,
    PreviousSource,
    StepSource,
    Undo,
)
from gflow.wiring.lists import Lists, inside, place_of

PREAMBLE: Final = '''\
"""Made by `gflow check --types`; never imported."""
# What a team is strict about is meant for its own code; a call is written here for its arguments alone.
# mypy: disallow-any-decorated=False, disallow-any-explicit=False, disallow-any-expr=False
# mypy: disallow-any-unimported=False, disallow-untyped-calls=False, warn-unreachable=False
# mypy: enable-error-code="arg-type"
# mypy: disable-error-code="func-returns-value,unused-awaitable,unused-coroutine"
# pyright: basic, reportPrivateUsage=false, reportUnusedCoroutine=false

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from gflow import Approval, Context, Failed, Rejected

T = TypeVar("T")
U = TypeVar("U")
ANY: Any = None


class Place(Generic[T]):
    def put(self, value: T, /) -> None: ...


def place(kind: T, /) -> Place[T]:
    raise NotImplementedError


def condition(answer: bool, /) -> None: ...


def shown(*values: object) -> None: ...


def item(items: Sequence[T], /) -> T:
    raise NotImplementedError


def opt(value: T, /) -> T | None:
    raise NotImplementedError


def tolerated(value: T, /) -> T | Failed:
    raise NotImplementedError


def either(one: T, other: U, /) -> T | U:
    raise NotImplementedError


def given(kind: type[T], /) -> T:
    raise NotImplementedError


def must_be_rejected(number: int, /) -> None: ...


must_be_rejected(Context)'''

LITERALS: Final = (bool, bytes, int, str, type(None))
"""The types of the constants that are written as they are; a float may be infinite."""


Callee: TypeAlias = Node | Undo | Call
"""What a run may call: the body of a step, its undo, or a function beside it."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What a line stands for: a parameter of what is called; without one, the call as a whole.

    `basis` is the line on which the value was computed, if it was: only if that is right, this can be.
    """

    step: Node
    call: Callee
    param: Param | None = None
    basis: int | None = None


GIVEN: Final[Mapping[type, str]] = {
    ContextSource: "given(Context)",
    FailureSource: "given(Failed)",
    ApprovalSource: "given(Approval)",
}
"""What a run makes itself."""


@dataclass
class Wiring:
    """The module, line by line; lines are counted from 1.

    `names` says what it calls functions and classes, by their ids; `edges` are what lines stand for, `proofs`
    the modules that a checker knows if it rejects a line.
    """

    graph: Graph
    names: Mapping[int, str]
    lists: Lists
    lines: list[str] = field(default_factory=list[str])
    edges: dict[int, Edge] = field(default_factory=dict[int, Edge])
    proofs: dict[int, str] = field(default_factory=dict[int, str])

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def add(self, text: str, edge: Edge | None = None) -> None:
        """Add lines; the last one stands for an edge."""
        self.lines += text.split("\n")
        if edge is not None:
            self.edges[len(self.lines)] = edge

    def add_proof(self, text: str, module: str) -> None:
        """Add lines; the last one has to be rejected by whoever knows a module."""
        self.add(text)
        self.proofs[len(self.lines)] = module

    def add_call(self, step: Node, call: Callee) -> None:
        """Add the call of a step, of its undo, which takes its result first, or of what stands beside it."""
        self.add(f"\n\nasync def wire_{len(self.lines)}() -> None:  # {step.name}")
        if isinstance(call, Call) and call.fn is truth:
            for param in call.params:
                self.add(f"    condition({self._value(step, call, param)})", Edge(step, call, param))
            return
        prepared = [self._prepared(step, call, param) for param in call.params]
        begin, end = self._around(step, call)
        self.add(f"    {begin}{self.names[id(call.fn)]}(", Edge(step, call))
        for number, (param, (value, basis)) in enumerate(zip(call.params, prepared, strict=True)):
            keyword = "" if isinstance(call, Undo) and number == 0 else f"{param.name}="
            self.add(f"        {keyword}{value},", Edge(step, call, param, basis))
        self.add(f"    ){end}")

    def add_shown(self, step: Node) -> None:
        """Add what the question of a step shows."""
        values = step.ask.values if step.ask else ()
        if values:
            self.add(f"\n\nasync def wire_{len(self.lines)}() -> None:  # {step.name}")
        for param in values:
            self.add(f"    shown({self._value(step, step, param)})", Edge(step, step, param))

    def _around(self, step: Node, call: Callee) -> tuple[str, str]:
        """Return what stands around the call of a condition, or of what stands in for a step."""
        if not isinstance(call, Call):
            return "", ""
        awaited = "await " if call.is_async else ""
        if not any(call is rung.call for rung in step.rungs):
            return f"condition({awaited}", ")"
        if _is_generic(step) or (result := self._result(step)) == "ANY":
            return awaited, ""
        return f"place({result}).put({awaited}", ")"

    def _prepared(self, step: Node, call: Callee, param: Param) -> tuple[str, int | None]:
        """Return the value of a parameter; the result of a generic step is first put in a variable.

        As an argument the call would be judged by what is wanted of it, not by what it gives.
        """
        value = self._value(step, call, param)
        if isinstance(param.source, StepSource) and _is_generic(self.graph.nodes[param.source.step]):
            self.add(f"    {param.name}_ = {value}")
            return f"{param.name}_", len(self.lines)
        return value, None

    def _value(self, step: Node, call: Callee, param: Param) -> str:
        match param.source:
            case StepSource(name) if isinstance(call, Undo) and name == step.name:
                return self._result(step)
            case StepSource(name, key):
                return self._seen(step, name) + (_access(self.graph.nodes[name].returns, key) if key else "")
            case InputSource(name):
                return self._input(inputs_with(self.graph, call, name), name)
            case ConstantSource(value) if type(value) in LITERALS:
                return repr(value)
            case ApprovalSource() if step.ask and step.ask.admits_rejected:
                return "either(given(Approval), given(Rejected))"
            case _:
                return self._repeated(step, param) or GIVEN.get(type(param.source), "ANY")

    def _repeated(self, step: Node, param: Param) -> str:
        """Return a value that there are several of, of which a run takes one; "" for any other."""
        match param.source:
            case EachSource(name):
                return f"item({self._seen(step, name)})"
            case ItemSource(group):
                return self._item(self.graph.nodes[group])
            case FirstOfSource(steps):
                *others, value = [self._seen(step, name) for name in steps]
                for other in reversed(others):
                    value = f"either({other}, {value})"
                return value
            case PreviousSource(name):
                return f"opt({self._seen(self._group_of_rounds(step), name)})"
            case _:
                return ""

    def _item(self, group: Node) -> str:
        return f"item({self._seen(group, group.each.step)})" if group.each else "ANY"

    def _group_of_rounds(self, step: Node) -> Node:
        """Return the innermost repeated group around what reads the round before."""
        around = [self.graph.nodes[name] for name in inside(step)]
        return next((group for group in reversed(around) if group.repeat), step)

    def _seen(self, reader: Node, name: str) -> str:
        """Return a result as a step reads it: in a list for every fan-out between them."""
        step = self.graph.nodes[name]
        value = self._result(step)
        for is_skipped, is_tolerated in self.lists.around(place_of(reader, step), step):
            value = f"opt({value})" if is_skipped else value
            value = f"[tolerated({value})]" if is_tolerated else f"[{value}]"
        return value

    def _result(self, step: Node) -> str:
        called = self.names.get(id(step.fn))
        if step.is_empty or called is None:
            return "None" if step.is_empty else "ANY"
        result = f"{called}.returns"
        if _is_generic(step):
            given = [f"{param.name}={self._value(step, step, param)}" for param in step.params]
            result = f"{called}({', '.join(given)})"
        return f"(await {result})" if step.is_async else result

    def _input(self, cls: type | None, name: str) -> str:
        if cls is None or id(cls) not in self.names:
            return "ANY"
        may_be_absent = _is_mapping(cls) and not self.graph.inputs[name].required
        access = f".get({name!r})" if may_be_absent else _access(cls, name)
        return f"given({self.names[id(cls)]}){access}"


def write(graph: Graph) -> Wiring:
    """Return the wiring of a graph. What no module gives a name to is left out."""
    aliases = {module: f"m{number}" for number, module in enumerate(_modules(graph))}
    wiring = Wiring(graph, _names(aliases), Lists(graph))
    wiring.add_proof(PREAMBLE, "gflow")
    for module, alias in aliases.items():
        wiring.add_proof(f"import {module} as {alias}\nmust_be_rejected({alias})", module)
    for step, call in calls(graph):
        if id(call.fn) in wiring.names or call.fn is truth:
            wiring.add_call(step, call)
    for step in graph.nodes.values():
        wiring.add_shown(step)
    return wiring


def calls(graph: Graph) -> Iterator[tuple[Node, Callee]]:
    """Yield every step with itself and with what stands beside it: all that a run may call."""
    for step in graph.nodes.values():
        yield step, step
        if step.undo is not None:
            yield step, step.undo
        for call in beside(step):
            yield step, call


def beside(step: Node) -> list[Call]:
    """Return the conditions of a step, and what stands in for it."""
    until = step.repeat.until if step.repeat else None
    asked = step.ask.when if step.ask else None
    conditions = [call for call in (step.when, until, asked) if call is not None]
    return [*conditions, *(rung.call for rung in step.rungs)]


def inputs_with(graph: Graph, call: Callee, name: str) -> type | None:
    """Return the class Inputs that types an input: the one beside the function, else the workflow's."""
    classes = (_inputs_beside(call), graph.inputs_type)
    return next((cls for cls in classes if cls is not None and name in field_names(cls)), None)


def _inputs_beside(call: Callee) -> type | None:
    cls = getattr(sys.modules.get(call.fn.__module__), "Inputs", None)
    return cls if isinstance(cls, type) else None


def _modules(graph: Graph) -> list[str]:
    """Return the modules that functions and inputs are taken from, as far as an import can name them."""
    everything = [call for _, call in calls(graph) if call.fn is not truth]
    classes = [graph.inputs_type, *map(_inputs_beside, everything)]
    used = [graph.module, *(call.fn.__module__ for call in everything)]
    used += [cls.__module__ for cls in classes if cls is not None]
    names = dict.fromkeys(used)
    return [name for name in names if name in sys.modules and name.replace(".", "_").isidentifier()]


def _names(aliases: Mapping[str, str]) -> dict[int, str]:
    """Return how the wiring calls each step, by the id of its function, and each other function and class.

    They are taken from where they are defined: a strict checker refuses what a module has only imported.
    """
    steps: dict[int, str] = {}
    others: dict[int, str] = {}
    for module, alias in aliases.items():
        bound = vars(sys.modules[module])
        own = {id(step) for step in bound.get(REGISTRY, ())}
        for name, value in bound.items():
            if id(value) in own and name.isidentifier():
                steps.setdefault(id(value.fn), f"{alias}.{name}")
            elif isinstance(value, FunctionType | type) and value.__module__ == module:
                others.setdefault(id(value), f"{alias}.{name}")
    return others | steps


def _is_generic(step: Node) -> bool:
    """Whether the type of a result depends on the arguments: `-> T`, `-> list[T]`."""
    if isinstance(step.returns, type):
        return False
    return isinstance(step.returns, TypeVar) or bool(getattr(step.returns, "__parameters__", ()))


def _access(kind: object, name: str) -> str:
    """Return how a run takes a field: by key from a mapping, as an attribute from anything else."""
    return f"[{name!r}]" if _is_mapping(kind) else f".{name}"


def _is_mapping(kind: object) -> bool:
    bare = plain(kind)
    if is_union(bare):
        return any(map(_is_mapping, get_args(bare)))
    return issubclass(class_of(bare) or object, Mapping)
