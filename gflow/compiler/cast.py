"""Everyone who takes part in a workflow, and how the names in signatures find them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import unwrap
from types import ModuleType
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from gflow.compiler.reading import Parameter, Reader, Signature, is_step
from gflow.decorators import REGISTRY, AnyStep, Copy, FirstOf, Member, Step, Workflow


@dataclass(frozen=True, slots=True)
class Home:
    """Where a workflow is written: a module, or a function that defines its steps.

    `registered` are the steps that were decorated there, in order, `bound` the name of each step by its id.
    """

    module: str
    file: str
    names: Mapping[str, Any]
    registered: tuple[AnyStep, ...]
    bound: Mapping[int, str]

    @classmethod
    def of(cls, target: ModuleType | AnyStep, reader: Reader) -> Home:
        """Return the home of a module, or of a step."""
        names: Mapping[str, Any] = vars(target) if isinstance(target, ModuleType) else reader.names(target)
        code = None if isinstance(target, ModuleType) else getattr(unwrap(target.fn), "__code__", None)
        file = code.co_filename if code else names.get("__file__") or ""
        return cls(names.get("__name__", ""), file, names, tuple(names.get(REGISTRY, ())), _bound(names))

    def name(self, step: AnyStep) -> str:
        """Return the name that a step is bound to here, a copy's where it was made, else its function's."""
        name = self.bound.get(id(step))
        if name is None and isinstance(step, Copy):
            name = _bound(step.namespace).get(id(step))
        return name or str(getattr(step.fn, "__name__", "step"))

    def workflows(self) -> dict[str, Workflow]:
        """Return the Workflow objects by name; one that has two names counts once."""
        found = {id(value): name for name, value in self.names.items() if issubclass(type(value), Workflow)}
        return {name: self.names[name] for name in found.values()}


def _bound(names: Mapping[str, object]) -> dict[int, str]:
    """Prefer the function's own name where a step is bound to several; a copy takes the first."""
    bound: dict[int, str] = {}
    for name, step in steps_in(names).items():
        if id(step) not in bound or name == getattr(step, "__name__", None):
            bound[id(step)] = name
    return bound


def steps_in(names: Mapping[str, object]) -> dict[str, AnyStep]:
    """Return the steps among what names stand for; `isinstance` would wake what only pretends to be there."""
    return {name: cast("AnyStep", value) for name, value in names.items() if issubclass(type(value), Step)}


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """A step as it takes part: itself, or once more as a member of the copied group `scope`."""

    step: AnyStep
    signature: Signature
    scope: Instance | None
    is_group: bool

    @property
    def is_copied_group(self) -> bool:
        return self.is_group and isinstance(self.step, Copy)

    @property
    def inside(self) -> Instance | None:
        """The copied group in which the names of this step's signature are looked up first."""
        return self if self.is_copied_group else self.scope


class Link(NamedTuple):
    """Where the value of a parameter comes from, once `using()` has had its say.

    `source` is a Step, Member, From or ConstantSource, or whatever else the parameter says. `step` is the
    step that it names, if it is one, which is looked up in `scope`.
    """

    parameter: Parameter
    source: object
    step: AnyStep | Member | None
    scope: Instance | None

    @property
    def is_plain(self) -> bool:
        """Whether the parameter takes a step by its plain name; in a group, a member."""
        return self.source is self.step and is_step(self.step)


Role: TypeAlias = Literal[
    "when", "ask", "shown", "first", "each", "previous", "asks", "fallback", "degraded", "until"
]
"""What a function beside a step is for."""

LATE: Final = ("fallback", "degraded", "until")
"""What is called when the body of a group is, which has its members by then."""
OWN: Final = ("first", "each", "previous", "asks")


class Aside(NamedTuple):
    """A function beside a step, whose parameters are resolved like the step's: a condition, a stand-in.

    "shown" are the placeholders of a question. "first", "each", "previous" and "asks" are parameters of the
    step itself: with such a mark, or of the type of a decision.
    """

    role: Role
    signature: Signature
    links: tuple[Link, ...]

    @property
    def is_own(self) -> bool:
        """Whether it is no function of its own, but a parameter of the step."""
        return self.role in OWN

    def is_late(self, step: Instance) -> bool:
        """Whether what it takes is needed only for the body of a group, not for the group to begin."""
        return step.is_group and self.role in LATE


Edge: TypeAlias = tuple[Link, Instance | None]
"""A parameter, and the step that it takes its value from."""

Links: TypeAlias = dict[Instance, tuple[Link, ...]]
Asides: TypeAlias = dict[Instance, tuple[Aside, ...]]
Targets: TypeAlias = dict[Instance, list[Instance | None]]
Places: TypeAlias = dict[tuple[int, Instance | None], Instance]
"""Who a step (its id) is, by itself or inside a copied group."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Everyone who takes part, in the order of their definition, with the links of their parameters.

    `targets` are who the links lead to, in the same order; they are known once it is known who owns whom.
    """

    home: Home
    reader: Reader
    links: Links = field(default_factory=dict[Instance, tuple[Link, ...]])
    undos: Links = field(default_factory=dict[Instance, tuple[Link, ...]])
    asides: Asides = field(default_factory=dict[Instance, tuple[Aside, ...]])
    places: Places = field(default_factory=dict[tuple[int, Instance | None], Instance])
    targets: Targets = field(default_factory=dict[Instance, list[Instance | None]])

    def find(self, named: AnyStep | Member | None, scope: Instance | None) -> Instance | None:
        """Return who a step is inside a copied group: the copy's own member, else the step itself."""
        if isinstance(named, Member):
            return self._member(named, scope)
        while scope is not None:
            if (found := self.places.get((id(named), scope))) is not None:
                return found
            scope = scope.scope
        return self.places.get((id(named), None))

    def _member(self, member: Member, scope: Instance | None) -> Instance | None:
        group = self.find(member.group, scope)
        links = self.links.get(group, ()) if group else ()
        named = (link for link in links if link.parameter.name == member.name and link.is_plain)
        return next((self.find(link.step, link.scope) for link in named), None)

    def is_nameless(self, step: Instance) -> bool:
        """Whether a step is a copy that was made here and is bound to no name."""
        if not isinstance(step.step, Copy) or id(step.step) in self.home.bound:
            return False
        return any(step.step is own for own in self.home.registered)

    def edges(self, step: Instance) -> Iterable[Edge]:
        """Return the parameters of a step with the steps that they take their values from."""
        return zip(self.links[step], self.targets[step], strict=True)

    def undo_edges(self, step: Instance) -> list[Edge]:
        """Return the parameters of the undo of a step, without the first, which takes the step's result."""
        return [(link, self.find(link.step, link.scope)) for link in self.undos.get(step, ())[1:]]

    def outspoken(self) -> list[Instance]:
        """Return the steps that say what few do; of a step and its copies only the first."""
        said = [step for step in self.asides if step in self.links]
        return list({step.step.fn: step for step in reversed(said)}.values())[::-1]

    def found(self, links: Iterable[Link]) -> list[Edge]:
        """Return parameters with the steps that they take their values from."""
        return [(link, self.find(link.step, link.scope) if link.step else None) for link in links]

    def choice(self, link: Link) -> list[Instance]:
        """Return the steps of a FirstOf."""
        named = link.source.steps if isinstance(link.source, FirstOf) else ()
        return [step for one in named if (step := self.find(one, link.scope)) is not None]

    def beside(self, step: Instance, *, late: bool) -> list[Instance]:
        """Return whom what stands beside a step needs: before it begins, or `late`, for its body."""
        asides = self.asides.get(step, ()) if self.asides else ()
        return [
            other
            for aside in asides
            if aside.is_late(step) is late
            for link, target in self.found(aside.links)
            for other in ([target] if target else self.choice(link))
        ]

    def after(self, step: Instance) -> list[Instance]:
        """Return the steps that `after=` names."""
        given = step.step.options.after
        return [found for other in given if (found := self.find(other, step.inside))] if given else []

    def settled(self, left_out: Collection[Instance]) -> Cast:
        """Return those who take part without some, and with the targets of their links."""
        links, places = self.links, self.places
        if left_out:
            links = {step: links[step] for step in links if step not in left_out}
            places = {key: step for key, step in places.items() if step in links}
        settled = Cast(self.home, self.reader, links, self.undos, self.asides, places)
        for step, given in links.items():
            settled.targets[step] = [
                settled.find(link.step, link.scope) if link.step else None for link in given
            ]
        return settled


def binder(step: Instance, name: str) -> Instance | None:
    """Return the copy whose `using()` binds a parameter of a step: the nearest."""
    return next((copy for copy in copies_around(step) if name in copy.step.bindings), None)


def copies_around(step: Instance) -> Iterator[Instance]:
    """Yield the copies that a step is, or is a member of, innermost first."""
    if isinstance(step.step, Copy):
        yield step
    scope = step.scope
    while scope is not None:
        yield scope
        scope = scope.scope
