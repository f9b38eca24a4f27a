"""Random workflows: nested groups, data edges to what comes earlier, limits, retries, sync and async."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from gflow import runner
from gflow.model import Graph


@dataclass
class Group:
    """A group of a random workflow while it is being made up."""

    name: str
    kind: str
    members: list[str] = field(default_factory=list)


class Author:
    """Writes a random workflow: nested groups, data edges to what comes earlier, limits, retries."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.lines: list[str] = []
        self.readable: list[str] = []
        self.steps = dice.randint(3, 10)
        self.count = 0

    def text(self) -> str:
        """Return the source of a workflow."""
        self._group(depth=0)
        return "\n".join(["from gflow import Context, Retry, parallel, stage, task", *self.lines])

    def _group(self, depth: int) -> str:
        group = Group(self._name("g"), self.dice.choice(["stage", "parallel"]))
        for _ in range(self.dice.randint(1, 4) if depth else self.steps):
            deeper = depth < 3 and self.dice.random() < 0.25
            group.members.append(self._group(depth + 1) if deeper else self._leaf())
        self._close(group)
        return group.name

    def _close(self, group: Group) -> None:
        limit = f"limit={self.dice.randint(1, 2)}" if self.dice.random() < 0.4 else ""
        params = ", ".join(f"{name}: object" for name in group.members)
        if self.dice.random() < 0.4:
            body = f"def {group.name}({params}) -> None: ..."
        else:
            taken = ", ".join(group.members)
            body = f"def {group.name}(ctx: Context, {params}) -> object: return act(ctx, {taken})"
            self.readable.append(group.name)
        self.lines += [f"@{group.kind}({limit})", body]

    def _leaf(self) -> str:
        name = self._name("s")
        given = self.dice.sample(self.readable, min(len(self.readable), self.dice.choice([0, 1, 1, 2, 3])))
        params = "".join(f", {each}: object" for each in given)
        is_async = self.dice.random() < 0.3
        how = "async def" if is_async else "def"
        call = f"{'await aact' if is_async else 'act'}(ctx, {', '.join(given)})"
        self.lines += [
            f"@task(attempts=Retry({self.dice.randint(1, 3)}, base={self.dice.choice([0.0, 1.0])}))",
            f"{how} {name}(ctx: Context{params}) -> object: return {call}",
        ]
        self.readable.append(name)
        if self.dice.random() < 0.5:
            self._undo(name)
        return name

    def _undo(self, name: str) -> None:
        """Most undos also take back what did not complete."""
        takes = "object" if self.dice.random() < 0.2 else "object | None"
        how, call = self.dice.choice([("def", "undo"), ("async def", "await aundo")])
        self.lines += [
            f"@{name}.undo",
            f"{how} undo_{name}({name}: {takes}, ctx: Context) -> None: {call}(ctx, {name})",
        ]

    def _name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"


def written(text: str, **bodies: Callable[..., Any]) -> Graph:
    """Return the graph of a workflow whose bodies call `act` and `undo`, or await `aact` and `aundo`."""
    module = ModuleType("simulated")
    module.__dict__.update(bodies)
    exec(compile(text, "simulated.py", "exec"), module.__dict__)
    return runner.compile(module)
