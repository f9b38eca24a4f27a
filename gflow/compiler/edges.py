"""Whether the value at one end of an edge fits the other end; three-valued: only a certain no is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gflow.annotations import NO_FIELD, assignable, field_names, field_type
from gflow.compiler.cast import Cast, Edge, Instance, Link, binder
from gflow.compiler.declared import shown, type_of
from gflow.compiler.findings import Report
from gflow.compiler.reading import Parameter, Signature
from gflow.compiler.words import binding_place, called, plain, result_of, show, takes_result
from gflow.decorators import From
from gflow.diagnostics import locate
from gflow.model import MISSING, ConstantSource
from gflow.suggest import did_you_mean


def report_edges(cast: Cast, names: Mapping[Instance, str], report: Report) -> None:
    """Report edges whose types do not fit, or cannot be told to fit."""
    judge = _Judge(cast, names, report)
    for step in cast.links:
        judge.edges(step, step.signature, cast.edges(step))
    for step, links in cast.undos.items():
        signature = cast.reader.undo(step.step)
        if signature is not None and step in cast.links:
            judge.undo(step, signature, links)


class _Judge:
    """Compares the two ends of edges, each pair of types once."""

    def __init__(self, cast: Cast, names: Mapping[Instance, str], report: Report) -> None:
        self.cast = cast
        self.names = names
        self.report = report
        self._verdicts: dict[tuple[int, int], bool | None] = {}

    def fits(self, provided: object, taken: object) -> bool | None:
        """Whether a type of one signature may flow into one of another; None if it cannot be told."""
        if provided is taken:
            return True
        key = (id(provided), id(taken))  # the signatures keep them alive
        if key not in self._verdicts:
            self._verdicts[key] = _fits(provided, taken)
        return self._verdicts[key]

    def edges(self, step: Instance, signature: Signature, edges: Iterable[Edge]) -> None:
        """Judge the parameters whose values a step or a binding gives."""
        for link, target in edges:
            source = link.source
            if target is not None:
                self._edge(
                    signature, link.parameter, target, source.field if isinstance(source, From) else None
                )
            elif isinstance(source, ConstantSource):
                self._constant(step, signature, link.parameter, source.value)

    def _edge(self, signature: Signature, parameter: Parameter, target: Instance, field: str | None) -> None:
        provided, taken = result_of(target), parameter.annotation
        if provided is MISSING or taken is MISSING or parameter.default is not MISSING:
            self._note_silence(signature, parameter, target)
        if field is not None and provided is not MISSING:
            provided = field_type(provided, field)
            if provided is NO_FIELD:
                self._report_field(signature, parameter, target, field)
                return
        verdict = self.fits(provided, taken) if field is None else _fits(provided, taken)
        if verdict is False:
            self._report_mismatch(signature, parameter, target, field, provided)
        elif verdict is None:
            self._note_unknown(signature, parameter, target, provided)

    def _note_silence(self, signature: Signature, parameter: Parameter, target: Instance) -> None:
        """Note an end that says nothing, and a default that says something in vain."""
        name, source = parameter.name, plain(self.names[target])
        is_silent = target.signature.is_function and "return" not in target.signature.unevaluated
        if result_of(target) is MISSING and is_silent:
            message = f"`{source}` does not say what it returns, so nothing that takes it is checked"
            self.report.note("GF025", message, locate(target.step.fn), hints=["annotate it: `-> …`"])
        if parameter.annotation is MISSING and name not in signature.unevaluated:
            message = (
                f"`{name}` of `{called(signature.fn)}` has no type, so the value of `{source}` is not checked"
            )
            hint = f"write `{name}: {show(result_of(target))}`"
            self.report.note("GF025", message, locate(signature.fn, name), hints=[hint])
        if parameter.default is not MISSING:
            message = (
                f"the default of `{name}` in `{called(signature.fn)}` is never used: `{source}` is a step"
            )
            self.report.note(
                "GF028", message, locate(signature.fn, name, "default"), hints=["take the default away"]
            )

    def _report_field(self, signature: Signature, parameter: Parameter, target: Instance, field: str) -> None:
        known = field_names(result_of(target))
        question = did_you_mean(field, known)
        kind, name = show(result_of(target)), plain(self.names[target])
        self.report.error(
            "GF022",
            f"{kind}, which `{name}` returns, has no field `{field}`{f'; {question}' if question else ''}",
            locate(signature.fn, parameter.name, "annotation"),
            locate(target.step.fn, None, "return"),
            hints=[f"its fields: {', '.join(known)}" if known else f"{kind} has no fields: take it whole"],
        )

    def _report_mismatch(
        self,
        signature: Signature,
        parameter: Parameter,
        target: Instance,
        field: str | None,
        provided: object,
    ) -> None:
        name, step = parameter.name, plain(self.names[target])
        taken, given = show(parameter.annotation), show(provided)
        if field is not None:
            reason, remedy = f"`{step}.{field}` is {given}", ""
        elif target.is_group and target.signature.is_empty:
            reason = f"`{step}` is a milestone: its body is empty, its result None"
            remedy = f", or give `{step}` a body that returns {taken}"
        else:
            reason, remedy = f"`{step}` returns {given}", f", or let `{step}` return {taken}"
        written = f"{name}: {given}"
        if isinstance(parameter.source, From):
            written = f"{name}: Annotated[{given}, From({step}{f', {field!r}' if field else ''})]"
        self.report.error(
            "GF021",
            f"`{called(signature.fn)}` takes `{name}` as {taken}, but {reason}",
            locate(signature.fn, name, "parameter"),
            locate(target.step.fn, None, "return"),
            hints=[f"write `{written}`{remedy}"],
        )

    def _note_unknown(
        self, signature: Signature, parameter: Parameter, target: Instance, provided: object
    ) -> None:
        taken, given = show(parameter.annotation), show(provided)
        self.report.note(
            "GF024",
            f"it cannot be told whether {given} fits `{parameter.name}: {taken}` of `{called(signature.fn)}`",
            locate(signature.fn, parameter.name, "parameter"),
            locate(target.step.fn, None, "return"),
            hints=["`gflow check --types` asks your type checker"],
        )

    def _constant(self, step: Instance, signature: Signature, parameter: Parameter, value: object) -> None:
        copy = binder(step, parameter.name)
        if copy is None or _fits(type_of(value), parameter.annotation) is not False:
            return
        name, bound = parameter.name, plain(self.names[copy])
        taken = show(parameter.annotation)
        self.report.error(
            "GF021",
            f"`{bound}` binds `{name}` to {shown(value)}, but `{called(signature.fn)}` takes it as {taken}",
            binding_place(self.cast, copy, name),
            locate(signature.fn, name, "parameter"),
            hints=[f"bind a value of type {taken}"],
        )

    def undo(self, step: Instance, signature: Signature, links: tuple[Link, ...]) -> None:
        """Judge the undo of a step: its first parameter takes the step's own result."""
        self.edges(step, signature, self.cast.undo_edges(step))
        if (
            links
            and takes_result(step, links[0])
            and _fits(result_of(step), links[0].parameter.annotation) is False
        ):
            first, name = links[0].parameter, called(step.step.fn)
            given = show(result_of(step))
            self.report.error(
                "GF021",
                f"`{called(signature.fn)}`, the undo of `{name}`, takes {show(first.annotation)},"
                f" but `{name}` returns {given}",
                locate(signature.fn, first.name, "parameter"),
                locate(step.step.fn, None, "return"),
                hints=[f"write `{first.name}: {given}`"],
            )


def _fits(provided: object, taken: object) -> bool | None:
    return True if provided is MISSING or taken is MISSING else assignable(provided, taken)
