"""Running workflows in tests: in memory, in virtual time, with steps replaced.

Steps themselves are functions: call them. `run_in_memory` is for what happens between them; the pytest
fixture `gflow_run` is it.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import anyio

from gflow import runner, session
from gflow.clock import VirtualClock
from gflow.errors import UsageError
from gflow.model import Graph, Node, Param, Run, StepSource
from gflow.notice import Notice
from gflow.secret import forgetting
from gflow.suggest import did_you_mean


class GflowRun(Protocol):
    """The type of the fixture `gflow_run`."""

    def __call__(
        self,
        workflow: runner.Target,
        *,
        inputs: Mapping[str, object] | None = None,
        overrides: Mapping[str, object] | None = None,
        approvals: Mapping[str, bool] | None = None,
        notify: Iterable[Callable[[Notice], object]] = (),
    ) -> Run: ...


def run_in_memory(
    workflow: runner.Target,
    *,
    inputs: Mapping[str, object] | None = None,
    overrides: Mapping[str, object] | None = None,
    approvals: Mapping[str, bool] | None = None,
    notify: Iterable[Callable[[Notice], object]] = (),
) -> Run:
    """Run a workflow in memory and return the run, whatever became of it.

    Waits cost nothing: the clock is virtual. `overrides` replaces steps by name: a value is the step's
    result, an exception (or its class) is raised, a function is called with those of the step's
    parameters that it names. A replaced group does not run its members, unless others read them.
    `approvals` answers the questions of steps, by their paths; one without an answer leaves the run waiting.
    The workflow's own notifiers are told nothing, `notify` is: `notify=[notices.append]`.
    It works in sync and in async tests. Raises CompileError and BadInputs, as a run does.
    """
    graph = replace(overridden(runner.compile(workflow), overrides or {}), notify=tuple(notify))
    decided = approvals or {}

    def ask(path: str, _text: str, _is_decided: Callable[[], bool]) -> session.Verdict | None:
        return session.Verdict(decided[path], "test") if path in decided else None

    settings = session.Settings(folder=None, clock=VirtualClock(), ask=ask)
    with forgetting():
        return _in_a_loop(lambda: runner.start(graph, inputs or {}, settings))


def overridden(graph: Graph, overrides: Mapping[str, object]) -> Graph:
    """Return the graph with steps replaced. Raises UsageError for a name that is no step."""
    for name in overrides:
        if name not in graph.nodes:
            near = did_you_mean(name, graph.nodes)
            raise UsageError(f"overrides: `{name}` is no step of {graph.name}", near)
    nodes = dict(graph.nodes)
    for name, stand_in in overrides.items():
        nodes[name] = _replaced(nodes[name], stand_in)
    for name in overrides:
        if nodes[name].is_group:
            _drop_members(nodes, name)
    return replace(graph, nodes=nodes)


def _replaced(node: Node, stand_in: object) -> Node:
    fn = _function(stand_in)
    wanted = inspect.signature(fn).parameters
    unknown = [name for name in wanted if name not in {param.name for param in node.params}]
    if unknown:
        raise UsageError(f"overrides: `{node.name}` has no parameter `{unknown[0]}`")
    params = tuple(param for param in node.params if param.name in wanted)
    is_async = inspect.iscoroutinefunction(fn)
    policy = replace(node.policy, isolation="thread")  # a child could not find the stand-in
    return replace(node, fn=fn, params=params, is_async=is_async, is_empty=False, policy=policy)


def _function(stand_in: Any) -> Callable[..., Any]:
    if isinstance(stand_in, BaseException):
        return _raising(stand_in)
    if inspect.isclass(stand_in) and issubclass(stand_in, BaseException):
        return _raising(stand_in)
    function: Callable[..., Any] = stand_in if callable(stand_in) else lambda: stand_in
    return function


def _raising(error: BaseException | type[BaseException]) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def _drop_members(nodes: dict[str, Node], group: str) -> None:
    """Leave out what only the replaced group needed: a step inside it that nobody else reads."""
    inside = _inside(nodes, group)
    kept = {
        param.source.step
        for node in nodes.values()
        if node.name not in inside
        for param in _params_read(node)
        if isinstance(param.source, StepSource)
    }
    kept |= {earlier for node in nodes.values() if node.name not in inside for earlier in node.after}
    keep = _with_needs(nodes, kept & inside, inside)
    for name in inside - keep:
        del nodes[name]
    for name, node in list(nodes.items()):
        if name == group or name in keep:
            nodes[name] = replace(
                node,
                members=tuple(member for member in node.members if member in nodes),
                joins=frozenset(join for join in node.joins if join in nodes),
                after=frozenset(earlier for earlier in node.after if earlier in nodes),
            )


def _params_read(node: Node) -> tuple[Param, ...]:
    return (*node.params, *(node.undo.params if node.undo else ()))


def _inside(nodes: Mapping[str, Node], group: str) -> set[str]:
    inside: set[str] = set()
    front = list(nodes[group].members)
    while front:
        name = front.pop()
        inside.add(name)
        front += nodes[name].members
    return inside


def _with_needs(nodes: Mapping[str, Node], wanted: set[str], inside: set[str]) -> set[str]:
    """Return the wanted steps with all inside the group that they need, and the groups around them."""
    keep: set[str] = set()
    front = list(wanted)
    while front:
        name = front.pop()
        if name in keep or name not in inside:
            continue
        keep.add(name)
        node = nodes[name]
        front += [*node.after, *node.joins, *([node.group] if node.group else [])]
    return keep


def _in_a_loop(main: Callable[[], Any]) -> Run:
    """Run in a loop of its own; inside an async test, in a thread beside the running loop."""
    if not runner.is_in_loop():
        return runner.in_own_loop(main)
    outcome: list[Run | BaseException] = []

    def work() -> None:
        try:
            outcome.append(anyio.run(main))
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            outcome.append(error)

    thread = threading.Thread(target=work, name="gflow-run")
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
