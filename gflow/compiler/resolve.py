"""Where the value of every parameter comes from: a step, an input, a constant, the context, or nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import TypeAlias

from gflow.annotations import admits_none, union_members
from gflow.compiler.cast import Aside, Cast, Edge, Instance, Link
from gflow.compiler.declared import Fields, Taker, declare
from gflow.compiler.findings import Report
from gflow.compiler.reading import Signature, is_step
from gflow.compiler.scopes import Place, Scopes
from gflow.compiler.unknown import (
    report_item_and_input,
    report_outside,
    report_previous,
    report_shown,
    report_unknown,
    report_unknown_placeholder,
)
from gflow.compiler.words import called, plain, result_shown, takes_result
from gflow.decorators import Each, FirstOf, From, InputMark, Previous
from gflow.diagnostics import locate
from gflow.model import (
    MISSING,
    ApprovalSource,
    ConstantSource,
    ContextSource,
    EachSource,
    Failed,
    FailureSource,
    FirstOfSource,
    InputSource,
    InputSpec,
    ItemSource,
    NoSource,
    Param,
    PreviousSource,
    Source,
    StepSource,
)

NOWHERE = NoSource()
GIVEN = ConstantSource | ContextSource | ApprovalSource | FailureSource

Beside: TypeAlias = tuple[Aside, tuple[Param, ...]]
"""What stands beside a step, with its parameters."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parameters of every step, of every undo and of what stands beside steps, and the inputs."""

    params: Mapping[Instance, tuple[Param, ...]]
    undos: Mapping[Instance, tuple[Param, ...]]
    inputs: Mapping[str, InputSpec]
    beside: Mapping[Instance, Sequence[Beside]] = field(default_factory=dict[Instance, Sequence[Beside]])
    takes_failed: bool = False


def resolve(cast: Cast, names: Mapping[Instance, str], scopes: Scopes, report: Report) -> Wiring:
    """Find the source of every parameter; one that has none is a finding, never an input by accident."""
    resolver = _Resolver(cast, names, scopes, report)
    params = {step: resolver.params(step, step.signature, cast.edges(step)) for step in cast.links}
    undos = {step: resolver.undo(step, links) for step, links in cast.undos.items() if step in params}
    beside = {step: resolver.beside(step, asides) for step, asides in cast.asides.items() if step in params}
    inputs = declare(cast, resolver.fields, resolver.takers, report)
    return Wiring(params, undos, inputs, beside, resolver.takes_failed)


def says_failed(annotation: object) -> bool:
    """Whether a type mentions `Failed`, alone or in a union; Any and object do not."""
    return annotation is not MISSING and any(kind is Failed for kind in union_members(annotation))


class _Resolver:
    def __init__(self, cast: Cast, names: Mapping[Instance, str], scopes: Scopes, report: Report) -> None:
        self.cast = cast
        self.names = names
        self.scopes = scopes
        self.report = report
        self.fields = Fields(report)
        self.takers: dict[str, list[Taker]] = {}
        beside = [aside.links for asides in cast.asides.values() for aside in asides]
        self.in_place = {
            link.parameter.name
            for links in (*cast.links.values(), *cast.undos.values(), *beside)
            for link in links
            if isinstance(link.source, InputMark)
        }
        self.takes_failed = False
        self._admitted: dict[int, tuple[bool, bool]] = {}

    def params(
        self, step: Instance, signature: Signature, edges: Iterable[Edge], aside: Aside | None = None
    ) -> tuple[Param, ...]:
        """Return the parameters of a step, of its undo, or of what stands beside it."""
        params: list[Param] = []
        for link, target in edges:
            name, annotation, default, *_ = link.parameter
            none, failed = self._admitted.get(id(annotation)) or self._admits(annotation)
            if step.is_group and _is_none(annotation) and link.is_plain:
                none = True  # a group is never skipped for a member: here a plain None says it all
            source = self._source(step, signature, link, target, aside)
            if isinstance(
                source, EachSource
            ):  # the type is that of an item, and it is a list that may be missing
                none = failed = False
            params.append(Param(name, source, annotation, default, none, failed))
        return tuple(params)

    def _admits(self, annotation: object) -> tuple[bool, bool]:
        """Return whether a type admits the None of a skipped step, and whether it says `Failed`."""
        none = not _is_none(annotation) and admits_none(annotation)
        failed = says_failed(annotation)
        self.takes_failed |= failed or "Failed" in str(annotation)  # or somewhere in a list
        self._admitted[id(annotation)] = none, failed  # the signatures keep it alive
        return none, failed

    def beside(self, step: Instance, asides: Iterable[Aside]) -> list[Beside]:
        """Return what stands beside a step with its parameters."""
        found: list[Beside] = []
        for aside in asides:
            if not aside.is_own:
                params = self.params(step, aside.signature, self.cast.found(aside.links), aside)
                found.append((aside, params))
                if aside.role == "shown":
                    self._report_hidden(step, aside.links, params)
        return found

    def _report_hidden(self, step: Instance, links: Sequence[Link], params: Sequence[Param]) -> None:
        """Report placeholders that a question cannot show."""
        for link, param in zip(links, params, strict=True):
            has_field = isinstance(param.source, StepSource) and param.source.field is not None
            is_shown = isinstance(
                param.source, StepSource | InputSource | ItemSource | ConstantSource | FirstOfSource
            )
            if param.source is not NOWHERE and (not is_shown or ("." in param.name and not has_field)):
                report_shown(step, link, self.report)

    def undo(self, step: Instance, links: tuple[Link, ...]) -> tuple[Param, ...]:
        """Resolve the parameters of an undo; the first takes the result of its own step."""
        signature = self.cast.reader.undo(step.step)
        if signature is None:
            return ()
        self._report_undo(step, signature, links)
        if not links:
            return ()
        first = links[0].parameter
        own = Param(first.name, StepSource(self.names[step]), first.annotation, first.default)
        return (own, *self.params(step, signature, self.cast.undo_edges(step)))

    def _source(
        self,
        step: Instance,
        signature: Signature,
        link: Link,
        target: Instance | None,
        aside: Aside | None,
    ) -> Source:
        source = link.source
        if target is not None and not isinstance(source, Each):
            return StepSource(self.names[target], source.field if isinstance(source, From) else None)
        if target is not None:
            is_shown = aside is not None and aside.role == "shown"
            return ItemSource(self.names[step]) if is_shown else EachSource(self.names[target])
        if isinstance(source, GIVEN):
            return source
        if isinstance(source, FirstOf):
            return FirstOfSource(tuple(self.names[one] for one in self.cast.choice(link)))
        if isinstance(source, Previous):
            return self._previous(step, signature, link, aside)
        return self._by_name(step, signature, link, aside)

    def _by_name(self, step: Instance, signature: Signature, link: Link, aside: Aside | None) -> Source:
        """Return the source of a parameter that names no step: an item of a group around, or an input."""
        name, source = link.parameter.name, link.source
        is_own = aside is not None or signature is not step.signature
        around = self.scopes.inside(step) if is_own else self.scopes.around(step)
        if source is None and around and (group := self._fan_out(around, name)) is not None:
            if name in self.fields.of(signature.names):
                report_item_and_input(signature, link, group, self.report)
            return ItemSource(self.names[group])
        if isinstance(source, InputMark) or (source is None and self._is_input(signature, name)):
            taker = Taker(self.names[step], signature.fn, signature.names, link.parameter)
            self.takers.setdefault(name, []).append(taker)
            return InputSource(name)
        if source is None and aside is not None and aside.role == "shown":
            report_unknown_placeholder(step, link, self._inputs(signature), self.report)
        elif source is None:
            self._report_unknown(step, signature, link)
        return NOWHERE

    def _fan_out(self, around: Place, name: str) -> Instance | None:
        """Return the innermost group around whose items have this name."""
        each = self.scopes.each
        found = (one for one in reversed(around) if one in each and each[one].parameter.name == name)
        return next(found, None)

    def _previous(self, step: Instance, signature: Signature, link: Link, aside: Aside | None) -> Source:
        """Return which step of the innermost repeated group around a Previous names."""
        is_inside = step.is_group and (aside is None or aside.is_late(step))
        around = self.scopes.inside(step) if is_inside else self.scopes.around(step)
        group = next((one for one in reversed(around) if one in self.scopes.rounds), None)
        inside = [one for one in self.cast.links if group and group in self.scopes.inside(one)]
        name = link.parameter.name
        found = next((one for one in inside if plain(self.names[one]) == name), None)
        if found is None:
            report_previous(signature, link, group, [plain(self.names[one]) for one in inside], self.report)
            return NOWHERE
        return PreviousSource(self.names[found])

    def _report_unknown(self, step: Instance, signature: Signature, link: Link) -> None:
        each = self.scopes.each
        named = [one for one in each if each[one].parameter.name == link.parameter.name]
        groups = sorted(named, key=lambda one: not one.is_group)
        if groups:
            found = {one: self.cast.find(each[one].step, each[one].scope) for one in groups}
            sources = {one: plain(self.names[source]) for one, source in found.items() if source}
            report_outside(signature, link, groups, sources, self.report)
            return
        report_unknown(self.cast.reader, signature, link.parameter, self._inputs(signature), self.report)

    def _inputs(self, signature: Signature) -> set[str]:
        return {*self.in_place, *self.fields.of(signature.names)}

    def _report_undo(self, step: Instance, signature: Signature, links: tuple[Link, ...]) -> None:
        """Report an undo that does not take the result of its step first, or is a step as well."""
        fn, name, undo = signature.fn, called(step.step.fn), called(signature.fn)
        takes = f"def {undo}({name}: {result_shown(step)}) -> None:"
        first = links[0].parameter.name if links else ""
        other = self._other_source(step, signature, links[0]) if links else "missing"
        if other is not None:
            self.report.error(
                "GF040",
                f"the first parameter of `{undo}` takes the result of `{name}`, but it is {other}",
                locate(fn, first, "parameter"),
                hints=[f"write `{takes}`"],
            )
        if any(fn in (registered, registered.fn) for registered in self.cast.home.registered):
            message = f"`{undo}`, the undo of `{name}`, is a step as well: it would run with the others"
            self.report.error("GF041", message, locate(fn), hints=["take its other decorator away"])

    def _other_source(self, step: Instance, signature: Signature, first: Link) -> str | None:
        """Return what else the first parameter of an undo stands for, None if nothing."""
        if first.source is None:
            return "an input" if self._is_input(signature, first.parameter.name) else None
        if takes_result(step, first):
            return None
        if is_step(first.source):
            return f"the step `{called(first.source.fn)}`"
        return "the context" if isinstance(first.source, ContextSource) else "marked as something else"

    def _is_input(self, signature: Signature, name: str) -> bool:
        return name in self.in_place or name in self.fields.of(signature.names)


def _is_none(annotation: object) -> bool:
    return annotation is None or annotation is NoneType
