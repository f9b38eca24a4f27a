"""Random workflows: groups, edges, limits, ladders, conditions, fan-outs, rounds, questions, teardown."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

from gflow import runner
from gflow.model import Graph

PRELUDE: Final = """\
from typing import Annotated
from gflow import (
    Approval, Ask, Context, Each, Failed, FirstOf, Previous, Rejected, Retry, Until, parallel, stage, task,
)"""


class Value(NamedTuple):
    """A step that later ones may read: whether it may be skipped, fail as a value, or is seen as a list."""

    name: str
    skips: bool = False
    fails: bool = False
    is_many: bool = False


@dataclass
class Reading:
    """What a step reads: its parameters, those with a default last, and what its body passes on."""

    params: list[str] = field(default_factory=list)
    defaults: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    skips: bool = False

    @property
    def signature(self) -> str:
        return ", ".join(["ctx: Context", *self.params, *self.defaults])

    @property
    def call(self) -> str:
        return ", ".join(["ctx", *self.given])


@dataclass
class Group:
    """A group of a random workflow while it is being made up: its members, with what it takes them as."""

    name: str
    kind: str
    members: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def add(self, value: Value, *, is_odd: bool = False) -> None:
        """Take a step as a member; `is_odd` is one that returns something else than the rest."""
        self.values.append(value)
        self.members.append(f"{value.name}: {'object' if value.is_many or is_odd else _taken_as(value)}")


def _taken_as(value: Value) -> str:
    return "Made | Failed | None" if value.fails else "Made | None"


class Author:
    """Writes a random workflow.

    `readable` are the values that a step which comes next may read, `conditions` the bool steps, `item` the
    variable of the fan-out around it. `faulty` is what fails by design: for each step the chance of each of
    its rungs, or the numbers of the items that fail. `fragile` are steps that often fail, which their
    teardown takes. Where `forgiving` is not 0, a failure is taken as a value.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.lines: list[str] = []
        self.readable: list[Value] = []
        self.conditions: list[str] = []
        self.item: str | None = None
        self.in_rounds = False
        self.forgiving = 0
        self.blocks = dice.randint(2, 7)
        self.count = 0
        self.faulty: dict[str, tuple[float, ...]] = {}
        self.faulty_items: dict[str, int] = {}
        self.fragile: set[str] = set()

    def text(self) -> str:
        """Return the source of a workflow."""
        self._close(self._filled(self._new_group(), self.blocks, depth=0))
        return "\n".join([PRELUDE, *self.lines])

    # ------------------------------------------------------------ groups

    def _new_group(self) -> Group:
        return Group(self._name("g"), self.dice.choice(["stage", "parallel"]))

    def _filled(self, group: Group, blocks: int, depth: int) -> Group:
        kinds: dict[Callable[[Group, int], None], int] = {
            self._leaf: 3, self._replaced: 2, self._handled: 2, self._teardown: 2, self._conditional: 3,
            self._first_of: 2, self._asking: 4,
        }  # fmt: skip
        if depth < 3:
            kinds |= {self._inner: 2, self._fan_out: 2, self._fan_out_group: 2, self._rounds: 2}
        for _ in range(blocks):
            [block] = self.dice.choices([*kinds], [*kinds.values()])
            block(group, depth)
        return group

    def _close(self, group: Group, *, decorator: str = "", first: str = "", fails: bool = False) -> Value:
        """Write a group whose members are written; `first` is the parameter that takes its item."""
        limit = f"limit={self.dice.randint(1, 2)}" if self.dice.random() < 0.3 else ""
        options = ", ".join(option for option in (limit, decorator) if option)
        params = ", ".join([*([first] if first else []), *group.members])
        self.lines.append(f"@{group.kind}({options})")
        if self.dice.random() < 0.3 and not (decorator or first or fails):
            self.lines.append(f"def {group.name}({params}) -> None: ...")
            return Value(group.name, is_many=True)  # which nobody reads but the group around it
        given = [f"maybe({value.name})" for value in group.values]
        given += [first.partition(":")[0]] if first else []
        self.lines.append(
            f"def {group.name}(ctx: Context, {params}) -> Made: return act({', '.join(['ctx', *given])})"
        )
        return Value(group.name, skips="when=" in decorator, fails=fails)

    def _inner(self, group: Group, depth: int) -> None:
        """A group: plain, under a condition, or one whose failure is a value."""
        before = len(self.readable)
        variant = self.dice.choice(["plain", "plain", "when", "handled"])
        self.forgiving += variant == "handled"
        inner = self._filled(self._new_group(), self.dice.randint(1, 3), depth + 1)
        self.forgiving -= variant == "handled"
        if variant == "handled":
            bad = self._leaf_of(Reading())
            self.faulty[bad.name] = (0.5,)
            inner.add(bad)
            value = self._close(inner, fails=True)
            del self.readable[before:]  # what is in it may be half done
        elif variant == "when" and (when := self._when(inner.name)):
            value = self._close(inner, decorator=when)
            self.readable[before:] = [each._replace(skips=True) for each in self.readable[before:]]
        else:
            value = self._close(inner)
        self._member(group, value, is_read=not value.is_many)

    def _rounds(self, group: Group, depth: int) -> None:
        """A group that is repeated; its first member reads what its last one gave in the round before."""
        if self.in_rounds:
            return
        before, self.in_rounds = len(self.readable), True
        again = Group(self._name("g"), self.dice.choice(["stage", "parallel"]))
        last = self._name("s")
        reading = self._reading()
        reading.params.append(f"{last}: Annotated[Made | None, Previous()]")
        reading.given.append(f"before({last})")
        self._member(again, self._leaf_of(reading))
        self._filled(again, self.dice.randint(0, 1), depth + 1)
        self._member(again, self._leaf_of(Reading(), last))
        self.lines.append(f"def until_{again.name}({last}: Made) -> bool: return enough()")
        value = self._close(again, decorator=f"repeat=Until(until_{again.name}, max=3)")
        self.in_rounds = False
        self.readable[before:] = [each for each in self.readable[before:] if not each.fails]
        self._member(group, value)

    def _fan_out_group(self, group: Group, depth: int) -> None:
        """A group that runs once per item, and may tolerate that some fail."""
        source = self._list(group)
        before, outer = len(self.readable), (self.item, list(self.conditions))
        items = self._new_group()
        self.item = f"item{items.name}"
        tolerate = self.dice.choice([0, 0, 1])
        self.forgiving += tolerate
        self._filled(items, self.dice.randint(1, 3), depth + 1)
        self.forgiving -= tolerate
        if tolerate:
            bad = self._leaf_of(self._reading())
            self.faulty_items[bad.name] = self.dice.randint(0, 2)
            items.add(bad)
        value = self._close(items, first=f"{self.item}: {self._each(source, tolerate)}")
        inside = self.readable[before:]
        del self.readable[before:]
        self.item, self.conditions = outer
        if not tolerate:
            self.readable += [each._replace(is_many=True) for each in inside if not each.fails]
        self._member(group, value._replace(is_many=True))

    # ------------------------------------------------------------ leaves

    def _leaf(self, group: Group, _depth: int) -> None:
        self._member(group, self._leaf_of(self._reading()))

    def _replaced(self, group: Group, _depth: int) -> None:
        """A leaf for which others stand in when it fails."""
        name, reading = self._name("s"), self._reading()
        rungs = self.dice.randint(0, 2)
        degraded = rungs == 0 or self.dice.random() < 0.5
        names = [f"fallback{number}_{name}" for number in range(rungs)]
        for other in [*names, *([f"degraded_{name}"] if degraded else [])]:
            self.lines.append(f"def {other}({reading.signature}) -> Made: return act({reading.call})")
        options = [f"fallback=[{', '.join(names)}]"] if names else []
        options += [f"degraded=degraded_{name}"] if degraded else []
        self.faulty[name] = (*(0.7 for _ in range(rungs + degraded)), 0.0)
        self._member(group, self._leaf_of(reading, name, *options))

    def _handled(self, group: Group, _depth: int) -> None:
        """A leaf that may fail, and all who read it take that as a value."""
        value = self._leaf_of(self._reading())
        self.faulty[value.name] = (0.5,)
        value = value._replace(fails=True)
        reader = Reading(
            [f"{value.name}: Made | Failed{' | None' if value.skips else ''}"], [], [f"maybe({value.name})"]
        )
        self._member(group, value)
        self._member(group, self._leaf_of(reader))

    def _teardown(self, group: Group, _depth: int) -> None:
        """A leaf that runs though the one before it has failed, and one that is made from it."""
        fragile = self._leaf_of(Reading())
        self.fragile.add(fragile.name)
        reading = Reading([f"{fragile.name}: Made | Failed"], [], [fragile.name])
        teardown = self._leaf_of(reading, has_undo=False)
        self._member(group, fragile)
        self._member(group, teardown)
        if self.dice.random() < 0.5:
            both = Reading([*reading.params, f"{teardown.name}: Made"], [], [fragile.name, teardown.name])
            self._member(group, self._leaf_of(both, has_undo=False))

    def _conditional(self, group: Group, _depth: int) -> None:
        """A leaf under a condition, and one that reads it: it is skipped as well, or does without."""
        name, reading = self._name("s"), self._reading()
        if self.dice.random() < 0.3:
            condition = self._name("c")
            self.lines += ["@task", f"def {condition}(ctx: Context) -> bool: return choose(ctx)"]
            group.add(Value(condition), is_odd=True)
            group.values.pop()
            self.conditions.append(condition)
        when = self._when(name)
        value = self._leaf_of(reading, name, when)._replace(skips=True)
        self._member(group, value)
        self._member(group, self._leaf_of(self._read([value])))

    def _first_of(self, group: Group, _depth: int) -> None:
        """A leaf that reads the first of several that was not skipped."""
        several = [each for each in self.readable if not (each.fails or each.is_many)]
        if len(several) < 2:
            return
        chosen = sorted(self.dice.sample(several, 2), key=lambda each: not each.skips)
        names = ", ".join(each.name for each in chosen)
        skips = all(each.skips for each in chosen)
        reading = Reading([f"first: Annotated[Made, FirstOf({names})]"], [], ["first"], skips)
        self._member(group, self._leaf_of(reading))

    def _asking(self, group: Group, _depth: int) -> None:
        """A leaf that asks a person first; some take a no as a value."""
        name, reading = self._name("s"), self._reading()
        plain = [each.name for each in self.readable if not (each.skips or each.fails or each.is_many)]
        shown = self.dice.choice(plain) if plain else ""
        options = [f'"{name} after {{{shown}}}?"' if shown else f'"{name}?"']
        options += ["timeout=60.0"] if self.dice.random() < 0.5 and not self.forgiving else []
        if self.dice.random() < 0.3:
            taken = f"{shown}: Made" if shown else ""
            self.lines.append(f"def needs_{name}({taken}) -> bool: return yes()")
            options.append(f"when=needs_{name}")
        kind = self.dice.choice(["Approval", "Approval | Rejected"])
        reading.params.append(f"ok: Annotated[{kind}, Ask({', '.join(options)})]")
        reading.given.append("ok")
        self._member(group, self._leaf_of(reading, name))

    def _fan_out(self, group: Group, _depth: int) -> None:
        """A leaf that runs once per item."""
        source, name, reading = self._list(group), self._name("s"), self._reading()
        tolerate = self.dice.choice([0, 0, 1])
        if tolerate:
            self.faulty_items[name] = self.dice.randint(0, 2)
        item = f"item{name}"
        reading.params.insert(0, f"{item}: {self._each(source, tolerate)}")
        reading.given.append(item)
        when = ""
        if self.dice.random() < 0.4:
            self.lines.append(f"def when_{name}({item}: Made) -> bool: return yes()")
            when = f"when=when_{name}"
        value = self._leaf_of(reading, name, when)
        self._member(group, value._replace(is_many=True))

    def _list(self, group: Group) -> str:
        """A leaf that returns the items of a fan-out."""
        name = self._name("l")
        self.lines += ["@task", f"def {name}(ctx: Context) -> list[Made]: return listed(ctx)"]
        group.add(Value(name), is_odd=True)
        group.values.pop()
        return name

    def _each(self, source: str, tolerate: int) -> str:
        options = [f"limit={self.dice.randint(1, 2)}"] if self.dice.random() < 0.4 else []
        options += ["key=key_of"] if self.dice.random() < 0.4 else []
        options += [f"tolerate={tolerate}"] if tolerate else []
        return f"Annotated[Made, Each({', '.join([source, *options])})]"

    # ------------------------------------------------------------ the parts of a leaf

    def _reading(self) -> Reading:
        number = min(len(self.readable), self.dice.choice([0, 1, 1, 2, 3]))
        reading = self._read(self.dice.sample(self.readable, number))
        if self.item is not None and self.dice.random() < 0.7:
            reading.params.append(f"{self.item}: Made")
            reading.given.append(self.item)
        return reading

    def _read(self, values: list[Value]) -> Reading:
        """Return how values are read: what may be skipped is needed, or done without in one of two ways."""
        reading = Reading()
        for name, skips, fails, is_many in values:
            how = self.dice.choice(["needs", "none", "default"]) if skips and not (fails or is_many) else ""
            kind = "object" if is_many else _taken_as(Value(name, fails=True)) if fails else "Made"
            reading.skips = reading.skips or how == "needs"
            if how == "default":
                reading.defaults.append(f"{name}: Made = NOTHING")
            else:
                reading.params.append(f"{name}: {kind}{' | None' if how == 'none' else ''}")
            reading.given.append(name if kind == "Made" and how != "none" else f"maybe({name})")
        return reading

    def _when(self, name: str) -> str:
        if self.conditions and self.dice.random() < 0.5:
            return f"when={self.dice.choice(self.conditions)}"
        self.lines.append(f"def when_{name}() -> bool: return yes()")
        return f"when=when_{name}"

    def _leaf_of(self, reading: Reading, name: str = "", *options: str, has_undo: bool = True) -> Value:
        name = name or self._name("s")
        is_async = self.dice.random() < 0.3
        how = "async def" if is_async else "def"
        call = f"{'await aact' if is_async else 'act'}({reading.call})"
        attempts = f"attempts=Retry({self.dice.randint(1, 3)}, base={self.dice.choice([0.0, 1.0])})"
        self.lines += [
            f"@task({', '.join(option for option in (attempts, *options) if option)})",
            f"{how} {name}({reading.signature}) -> Made: return {call}",
        ]
        if has_undo and self.dice.random() < 0.5:
            self._undo(name)
        return Value(name, reading.skips)

    def _undo(self, name: str) -> None:
        """Most undos also take back what did not complete."""
        takes = "Made" if self.dice.random() < 0.2 else "Made | None"
        how, call = self.dice.choice([("def", "undo"), ("async def", "await aundo")])
        self.lines += [
            f"@{name}.undo",
            f"{how} undo_{name}({name}: {takes}, ctx: Context) -> None: {call}(ctx, {name})",
        ]

    def _member(self, group: Group, value: Value, *, is_read: bool = True) -> None:
        group.add(value)
        if is_read:
            self.readable.append(value)

    def _name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"


def written(text: str, **names: Any) -> Graph:
    """Return the graph of a workflow whose bodies call what `names` gives them."""
    module = ModuleType("simulated")
    module.__dict__.update(names)
    exec(compile(text, "simulated.py", "exec"), module.__dict__)
    return runner.compile(module)
