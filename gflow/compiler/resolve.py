"""Where the value of every parameter comes from: a step, an input, a constant, the context, or nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gflow.compiler.cast import Cast, Edge, Instance, Link
from gflow.compiler.declared import Fields, Taker, declare
from gflow.compiler.findings import Report
from gflow.compiler.reading import Signature, is_step
from gflow.compiler.unknown import report_unknown
from gflow.compiler.words import called, result_shown, takes_result
from gflow.decorators import From, InputMark
from gflow.diagnostics import locate
from gflow.model import (
    ConstantSource,
    ContextSource,
    InputSource,
    InputSpec,
    NoSource,
    Param,
    Source,
    StepSource,
)

NOWHERE = NoSource()


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parameters of every step and of every undo, and the inputs."""

    params: Mapping[Instance, tuple[Param, ...]]
    undos: Mapping[Instance, tuple[Param, ...]]
    inputs: Mapping[str, InputSpec]


def resolve(cast: Cast, names: Mapping[Instance, str], report: Report) -> Wiring:
    """Find the source of every parameter; one that has none is a finding, never an input by accident."""
    resolver = _Resolver(cast, names, report)
    params = {step: resolver.params(step, step.signature, cast.edges(step)) for step in cast.links}
    undos = {step: resolver.undo(step, links) for step, links in cast.undos.items() if step in params}
    return Wiring(params, undos, declare(cast, resolver.fields, resolver.takers, report))


class _Resolver:
    def __init__(self, cast: Cast, names: Mapping[Instance, str], report: Report) -> None:
        self.cast = cast
        self.names = names
        self.report = report
        self.fields = Fields(report)
        self.takers: dict[str, list[Taker]] = {}
        self.in_place = {
            link.parameter.name
            for links in (*cast.links.values(), *cast.undos.values())
            for link in links
            if isinstance(link.source, InputMark)
        }

    def params(self, step: Instance, signature: Signature, edges: Iterable[Edge]) -> tuple[Param, ...]:
        """Return the parameters of a step, or of its undo."""
        params: list[Param] = []
        for link, target in edges:
            name, annotation, default, *_ = link.parameter
            params.append(Param(name, self._source(step, signature, link, target), annotation, default))
        return tuple(params)

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

    def _source(self, step: Instance, signature: Signature, link: Link, target: Instance | None) -> Source:
        source = link.source
        if target is not None:
            return StepSource(self.names[target], source.field if isinstance(source, From) else None)
        if isinstance(source, ConstantSource | ContextSource):
            return source
        name = link.parameter.name
        if isinstance(source, InputMark) or (source is None and self._is_input(signature, name)):
            taker = Taker(self.names[step], signature.fn, signature.names, link.parameter)
            self.takers.setdefault(name, []).append(taker)
            return InputSource(name)
        if source is None:
            self._report_unknown(signature, link)
        return NOWHERE

    def _report_unknown(self, signature: Signature, link: Link) -> None:
        inputs = {*self.in_place, *self.fields.of(signature.names)}
        report_unknown(self.cast.reader, signature, link.parameter, inputs, self.report)

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
