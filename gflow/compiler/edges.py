"""Whether the value at one end of an edge fits the other end; three-valued: only a certain no is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gflow.annotations import NO_FIELD, NO_ITEMS, assignable, field_names, field_type, item_type
from gflow.compiler.asides import truth
from gflow.compiler.cast import Cast, Edge, Instance, Link, binder
from gflow.compiler.declared import shown, type_of
from gflow.compiler.findings import Report
from gflow.compiler.reading import Parameter, Signature
from gflow.compiler.scopes import Scopes
from gflow.compiler.seen import depth, fits_seen, seen
from gflow.compiler.skips import Skips, may_lack
from gflow.compiler.words import binding_place, called, is_lambda, plain, result_of, show, takes_result
from gflow.decorators import Each, FirstOf, From
from gflow.diagnostics import locate
from gflow.model import MISSING, ConstantSource
from gflow.suggest import did_you_mean


def report_edges(
    cast: Cast, names: Mapping[Instance, str], scopes: Scopes, skips: Skips[Instance], report: Report
) -> None:
    """Report edges whose types do not fit, or cannot be told to fit."""
    judge = _Judge(cast, names, scopes, skips, report)
    for step in cast.links:
        judge.edges(step, step.signature, cast.edges(step))
    for step, links in cast.undos.items():
        signature = cast.reader.undo(step.step)
        if signature is not None and step in cast.links:
            judge.undo(step, signature, links)
    for step, asides in cast.asides.items():
        for aside in asides if step in cast.links else ():
            if not aside.is_own and aside.role != "shown" and aside.signature.fn is not truth:
                judge.edges(step, aside.signature, cast.found(aside.links), inside=aside.is_late(step))


class _Judge:
    """Compares the two ends of edges, each pair of types once."""

    def __init__(
        self,
        cast: Cast,
        names: Mapping[Instance, str],
        scopes: Scopes,
        skips: Skips[Instance],
        report: Report,
    ) -> None:
        self.cast = cast
        self.names = names
        self.scopes = scopes
        self.skips = skips
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

    def edges(
        self, step: Instance, signature: Signature, edges: Iterable[Edge], *, inside: bool | None = None
    ) -> None:
        """Judge the parameters whose values a step or a binding gives; `inside` are they read by a body."""
        for link, target in edges:
            parameter, source = link.parameter, link.source
            if source is link.step and self._is_same(parameter, target):
                continue
            reads_inside = inside if inside is not None else step.is_group and link.is_plain
            if target is not None:
                self._edge(step, signature, link, target, inside=reads_inside)
            elif isinstance(source, ConstantSource):
                self._constant(step, signature, parameter, source.value)
            elif isinstance(source, FirstOf):
                for one in self.cast.choice(link):
                    self._edge(step, signature, link, one, inside=reads_inside)

    def _is_same(self, parameter: Parameter, target: Instance | None) -> bool:
        """Whether the two ends plainly say the same: most do."""
        if target is None or self.scopes.each or parameter.default is not MISSING:
            return False
        return parameter.annotation is not MISSING and parameter.annotation is result_of(target)

    def _edge(
        self, step: Instance, signature: Signature, link: Link, target: Instance, *, inside: bool
    ) -> None:
        parameter, source, field = link.parameter, link.source, None
        provided, taken = self._seen(step, target, inside=inside), parameter.annotation
        if provided is MISSING or taken is MISSING or parameter.default is not MISSING:
            self._note_silence(step, signature, link, target, inside=inside)
        if isinstance(source, Each):
            provided = MISSING if provided is MISSING else item_type(provided)
            if provided is NO_ITEMS:
                return  # reported with what else may be wrong with a fan-out
        elif isinstance(source, From) and source.field is not None and provided is not MISSING:
            field = source.field
            whole, provided = provided, field_type(provided, field)
            if provided is NO_FIELD:
                self._report_field(signature, parameter, target, field, whole)
                return
        is_whole = field is None and not isinstance(source, Each)
        verdict = (
            self._verdict(step, target, provided, taken, inside=inside)
            if is_whole
            else _fits(provided, taken)
        )
        if verdict is False:
            lacks = is_whole and self._fits_bare(step, target, taken, inside=inside)
            self._report_mismatch(signature, link, target, field, provided, lacks=lacks)
        elif verdict is None:
            self._note_unknown(signature, parameter, target, provided)

    def _seen(self, step: Instance, target: Instance, *, inside: bool) -> object:
        if not self.scopes.each:
            return result_of(target)
        place = self.scopes.inside(step) if inside else self.scopes.around(step)
        return seen(self.scopes, self.skips, place, target)

    def _verdict(
        self, step: Instance, target: Instance, provided: object, taken: object, *, inside: bool
    ) -> bool | None:
        """Return whether a whole value fits; a list of several is made for its reader."""
        if provided is result_of(target):
            return self.fits(provided, taken)  # both belong to signatures, which keep them alive
        if MISSING in (provided, taken):
            return True
        place = self.scopes.inside(step) if inside else self.scopes.around(step)
        return fits_seen(provided, taken, depth(self.scopes, place, target))

    def _fits_bare(self, step: Instance, target: Instance, taken: object, *, inside: bool) -> bool:
        """Whether a list would fit if every item gave a result."""
        place = self.scopes.inside(step) if inside else self.scopes.around(step)
        bare = seen(self.scopes, None, place, target)
        return (
            bare is not result_of(target)
            and fits_seen(bare, taken, depth(self.scopes, place, target)) is not False
        )

    def _note_silence(
        self, step: Instance, signature: Signature, link: Link, target: Instance, *, inside: bool
    ) -> None:
        """Note an end that says nothing, and a default that says something in vain."""
        parameter = link.parameter
        name, source = parameter.name, plain(self.names[target])
        is_silent = target.signature.is_function and "return" not in target.signature.unevaluated
        if result_of(target) is MISSING and is_silent:
            message = f"`{source}` does not say what it returns, so nothing that takes it is checked"
            self.report.note("GF025", message, locate(target.step.fn), hints=["annotate it: `-> …`"])
        if (
            parameter.annotation is MISSING
            and name not in signature.unevaluated
            and not is_lambda(signature.fn)
        ):
            message = (
                f"`{name}` of `{called(signature.fn)}` has no type, so the value of `{source}` is not checked"
            )
            hint = f"write `{name}: {show(result_of(target))}`"
            self.report.note("GF025", message, locate(signature.fn, name), hints=[hint])
        is_used = any(
            may_lack(self.skips, self.scopes, step, one, inside=inside)
            for one in self.cast.choice(link) or [target]
        )
        if parameter.default is not MISSING and not is_used:
            message = (
                f"the default of `{name}` in `{called(signature.fn)}` is never used: `{source}` is a step"
            )
            self.report.note(
                "GF028", message, locate(signature.fn, name, "default"), hints=["take the default away"]
            )

    def _report_field(
        self, signature: Signature, parameter: Parameter, target: Instance, field: str, whole: object
    ) -> None:
        known = field_names(whole)
        question = did_you_mean(field, known)
        kind, name = show(whole), plain(self.names[target])
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
        link: Link,
        target: Instance,
        field: str | None,
        provided: object,
        *,
        lacks: bool,
    ) -> None:
        name, step, code = link.parameter.name, plain(self.names[target]), "GF021"
        taken, given = show(link.parameter.annotation), show(provided)
        if lacks:
            code, remedy = "GF064", ""
            reason = f"not every item gives a result: `{step}` is seen from here as {given}"
        elif field is not None:
            reason, remedy = f"`{step}.{field}` is {given}", ""
        elif isinstance(link.source, Each):
            reason, remedy = f"the items of `{step}` are {given}", ""
        elif provided is not result_of(target):
            reason, remedy = f"`{step}` is seen from here as {given}", ""
        elif target.is_group and target.signature.is_empty:
            reason = f"`{step}` is a milestone: its body is empty, its result None"
            remedy = f", or give `{step}` a body that returns {taken}"
        else:
            reason, remedy = f"`{step}` returns {given}", f", or let `{step}` return {taken}"
        self.report.error(
            code,
            f"`{called(signature.fn)}` takes `{name}` as {taken}, but {reason}",
            locate(signature.fn, name, "parameter"),
            locate(target.step.fn, None, "return"),
            hints=[f"write `{_written(name, given, link.parameter.source, step, field)}`{remedy}"],
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


def _written(name: str, kind: str, mark: object, step: str, field: str | None) -> str:
    """Return a parameter as it should be written, with its mark."""
    match mark:
        case From():
            return f"{name}: Annotated[{kind}, From({step}{f', {field!r}' if field else ''})]"
        case Each():
            return f"{name}: Annotated[{kind}, Each({step})]"
        case FirstOf():
            return f"{name}: Annotated[{kind} | …, FirstOf(…)]"
        case _:
            return f"{name}: {kind}"


def _fits(provided: object, taken: object) -> bool | None:
    return True if provided is MISSING or taken is MISSING else assignable(provided, taken)
