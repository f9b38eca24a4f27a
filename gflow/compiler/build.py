"""What the scheduler gets: the graph, with every step in the order of the plan."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from gflow.compiler.cast import Cast, Instance
from gflow.compiler.collect import listed
from gflow.compiler.containment import Tree
from gflow.compiler.order import Order
from gflow.compiler.practice import handled, practised, readers
from gflow.compiler.resolve import Wiring
from gflow.compiler.scopes import Scopes
from gflow.compiler.words import result_of
from gflow.decorators import AnyStep, Workflow
from gflow.model import GROUPS, Graph, Node, Policy, Retry, Undo

ORDINARY: Final = Policy()
NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is known about those who take part; `begun` are they in an order that time allows."""

    cast: Cast
    tree: Tree
    names: Mapping[Instance, str]
    wiring: Wiring
    scopes: Scopes
    order: Order
    begun: Sequence[Instance]


def build(plan: Plan, target: AnyStep | None) -> Graph:
    """Return the graph of a module, or of a step with what it needs."""
    home, names = plan.cast.home, plan.names
    workflow = next(iter(home.workflows().values()), Workflow())
    nodes = {names[step]: _node(plan, step) for step in _in_order(plan)}
    for step in _practised(plan):
        nodes[names[step]] = practised(nodes[names[step]], plan.cast, names, plan.scopes, plan.wiring, step)
    for name in handled(names, plan.scopes, plan.wiring):
        nodes[name] = replace(nodes[name], handled=True)
    outermost, results = _ends(plan, nodes, target)
    inputs_type = home.names.get("Inputs")
    return Graph(
        name=_name(plan, workflow, target),
        version=workflow.version or str(home.names.get("__version__", "")),
        doc=_first_paragraph(home.names.get("__doc__") if target is None else target.__doc__),
        module=home.module,
        nodes=nodes,
        inputs=plan.wiring.inputs,
        outermost=outermost,
        results=results,
        inputs_type=inputs_type if isinstance(inputs_type, type) else None,
        durability=workflow.durability,
        on_exhausted=workflow.on_exhausted,
        notify=tuple(cast("list[Callable[[Any], object]]", listed(workflow.notify))),
    )


def _name(plan: Plan, workflow: Workflow, target: AnyStep | None) -> str:
    if target is not None:
        return plan.cast.home.name(target)
    return workflow.name or plan.cast.home.module.rpartition(".")[2]


def _first_paragraph(doc: str | None) -> str:
    return _clean(doc).partition("\n\n")[0]


def _clean(doc: str | None) -> str:
    if not doc or "\n" not in doc:  # most are one line, and cleandoc takes its time
        return (doc or "").strip()
    return inspect.cleandoc(doc)


def _in_order(plan: Plan) -> Iterator[Instance]:
    """Yield groups before their members, and these in the order of the signature."""
    waiting = [step for step in reversed(plan.begun) if step not in plan.tree.owner]
    while waiting:
        step = waiting.pop()
        yield step
        waiting += reversed(plan.tree.members(step))


def _practised(plan: Plan) -> Iterable[Instance]:
    """Return those who say more than a name, a body and what it takes."""
    cast, scopes = plan.cast, plan.scopes
    if scopes.each or scopes.rounds:
        return cast.links
    return [step for step in cast.links if step.step.options.after or step in cast.asides]


def _ends(
    plan: Plan, nodes: Mapping[str, Node], target: AnyStep | None
) -> tuple[str | None, tuple[str, ...]]:
    """Return the outermost group, if there is one, and the steps whose values are the run's results."""
    if target is not None:
        name = next(plan.names[step] for step in plan.cast.links if step.step is target)
        return (name if target.kind in GROUPS else None), (name,)
    outermost = next((name for name, node in nodes.items() if node.is_group and node.group is None), None)
    if outermost is not None:
        return outermost, (outermost,)
    consumed = readers(plan.wiring)
    return None, tuple(name for name in nodes if name not in consumed)


def _node(plan: Plan, step: Instance) -> Node:
    names, signature, options = plan.names, step.signature, step.step.options
    owner = plan.tree.owner.get(step)
    attempts = options.attempts
    return Node(
        name=names[step],
        kind=step.step.kind,
        fn=step.step.fn,
        params=plan.wiring.params[step],
        returns=result_of(step),
        role=step.step.role,
        doc=_clean(step.step.fn.__doc__),
        group=None if owner is None else names[owner],
        members=tuple([names[member] for member in plan.tree.members(step)]) if step.is_group else (),
        after=frozenset([names[other] for other in plan.order.after[step]]),
        joins=frozenset([names[other] for other in plan.order.joins[step]]) if step.is_group else NOBODY,
        is_async=signature.is_async,
        is_empty=signature.is_empty and step.is_group,
        retry=Retry(attempts) if isinstance(attempts, int) else attempts,
        policy=options.policy or ORDINARY,
        timeout=options.timeout,
        effects=options.effects,
        limit=options.limit,
        undo=_undo(plan, step) if step in plan.cast.undos else None,
    )


def _undo(plan: Plan, step: Instance) -> Undo | None:
    signature = plan.cast.reader.undo(step.step)
    if signature is None:
        return None
    return Undo(signature.fn, plan.wiring.undos[step], _clean(signature.fn.__doc__))
