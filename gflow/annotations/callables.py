"""Whether one callable may stand in for another.

The rules are those of https://typing.python.org/en/latest/spec/callables.html#assignability-rules-for-callables
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any, Final, ParamSpec, ParamSpecArgs, ParamSpecKwargs, TypeVarTuple, get_origin

from gflow.annotations.forms import is_form
from gflow.annotations.verdict import Flows, Verdict, all_of

_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def signature_flows(source: Signature, target: Signature, flows: Flows) -> Verdict:
    """Return whether `source` can be called in every way that `target` promises, and returns what it does."""
    returns = flows(source.return_annotation, target.return_annotation)
    return all_of([returns, _parameters_flow(_Taken.of(source), _Taken.of(target), flows)])


def takes_anything(signature: Signature) -> bool:
    """Return whether a signature is that of `Callable[..., R]`."""
    taken = _Taken.of(signature)
    return taken.is_open and not taken.positional


def with_names_of(source: Signature, target: Signature) -> Signature:
    """Return `source` with its positional parameters named and passed as those of `target`."""
    named = _Taken.of(target).positional
    renamed = [
        one.replace(name=named[index].name, kind=named[index].kind)
        if index < len(named) and one.kind in _POSITIONAL
        else one
        for index, one in enumerate(source.parameters.values())
    ]
    try:
        return source.replace(parameters=renamed)
    except ValueError:  # they do not go with the other parameters
        return source


@dataclass(frozen=True, slots=True)
class _Taken:
    """The parameters of a signature by the way they are passed."""

    positional: tuple[Parameter, ...]
    star: Parameter | None
    named: dict[str, Parameter]
    stars: Parameter | None

    @staticmethod
    def of(signature: Signature) -> _Taken:
        kinds: dict[Any, list[Parameter]] = {}
        for one in signature.parameters.values():
            kinds.setdefault(one.kind, []).append(one)
        return _Taken(
            tuple(kinds.get(Parameter.POSITIONAL_ONLY, []) + kinds.get(Parameter.POSITIONAL_OR_KEYWORD, [])),
            next(iter(kinds.get(Parameter.VAR_POSITIONAL, [])), None),
            {one.name: one for one in kinds.get(Parameter.KEYWORD_ONLY, [])},
            next(iter(kinds.get(Parameter.VAR_KEYWORD, [])), None),
        )

    @property
    def is_open(self) -> bool:
        """Whether further arguments may be of any number and type, as in `Callable[..., R]`."""
        rest = (self.star, self.stars)
        return all(one is not None and one.annotation in (Any, Parameter.empty) for one in rest)

    @property
    def is_unsolved(self) -> bool:
        """Whether some parameters hide behind a ParamSpec, a TypeVarTuple or Unpack."""
        return any(one is not None and _is_pack(one.annotation) for one in (self.star, self.stars))

    def by_name(self, name: str) -> Parameter | None:
        """Return the parameter that can be passed by this name."""
        either = {one.name: one for one in self.positional if one.kind is Parameter.POSITIONAL_OR_KEYWORD}
        return self.named.get(name) or either.get(name)


def _is_pack(annotation: object) -> bool:
    if isinstance(annotation, ParamSpec | ParamSpecArgs | ParamSpecKwargs | TypeVarTuple):
        return True
    return is_form(get_origin(annotation), "Unpack") or getattr(annotation, "__unpacked__", False) is True


def _parameters_flow(source: _Taken, target: _Taken, flows: Flows) -> Verdict:
    if source.is_unsolved or target.is_unsolved:
        return True if source == target else None
    parts = list(_positional(source, target, flows))
    if not target.is_open:
        parts += _further(source, target, flows)
    return all_of(parts)


def _positional(source: _Taken, target: _Taken, flows: Flows) -> Iterator[Verdict]:
    """Yield a verdict on each parameter that the target takes by position."""
    for index, wanted in enumerate(target.positional):
        if index < len(source.positional):
            taken = source.positional[index]
            yield _fits(taken, wanted, flows)
            yield wanted.kind is Parameter.POSITIONAL_ONLY or _is_named(taken, wanted)
        elif source.star is None:
            yield False
        else:
            yield flows(wanted.annotation, source.star.annotation)
            if wanted.kind is Parameter.POSITIONAL_OR_KEYWORD:
                yield _by_keyword(source, wanted, flows)


def _is_named(taken: Parameter, wanted: Parameter) -> bool:
    return taken.kind is Parameter.POSITIONAL_OR_KEYWORD and taken.name == wanted.name


def _fits(taken: Parameter, wanted: Parameter, flows: Flows) -> Verdict:
    """Return whether what is passed for `wanted` is accepted by `taken`, also if nothing is passed."""
    if wanted.default is not Parameter.empty and taken.default is Parameter.empty:
        return False
    return flows(wanted.annotation, taken.annotation)


def _by_keyword(source: _Taken, wanted: Parameter, flows: Flows) -> Verdict:
    taken = source.named.get(wanted.name)
    if taken is not None:
        return _fits(taken, wanted, flows)
    return source.stars is not None and flows(wanted.annotation, source.stars.annotation)


def _further(source: _Taken, target: _Taken, flows: Flows) -> Iterator[Verdict]:
    """Yield a verdict on what is passed by name or by a star, and on what only the source demands."""
    rest = source.positional[len(target.positional) :]
    yield from _by_names(source, target, rest, flows)
    if target.star is not None:
        yield source.star is not None and flows(target.star.annotation, source.star.annotation)
        yield from (flows(target.star.annotation, one.annotation) for one in rest)
    if target.stars is not None:
        yield source.stars is not None and flows(target.stars.annotation, source.stars.annotation)
        more = [one for name, one in source.named.items() if name not in target.named]
        yield from (flows(target.stars.annotation, one.annotation) for one in more)


def _by_names(source: _Taken, target: _Taken, rest: tuple[Parameter, ...], flows: Flows) -> Iterator[Verdict]:
    free = {one.name: one for one in rest if one.kind is Parameter.POSITIONAL_OR_KEYWORD} | source.named
    for name, wanted in target.named.items():
        if name in free:
            yield _fits(free[name], wanted, flows)
        else:
            yield source.stars is not None and flows(wanted.annotation, source.stars.annotation)
    demanded = [one for one in (*rest, *source.named.values()) if one.default is Parameter.empty]
    yield all(one.name in target.named and one.kind is not Parameter.POSITIONAL_ONLY for one in demanded)
