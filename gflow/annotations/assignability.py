"""May a value of one type flow into a parameter of another? Yes, surely not, or cannot tell.

The rules are those of https://typing.python.org/en/latest/spec/concepts.html
"""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Callable
from enum import Enum
from inspect import Signature
from typing import Any, Final, ForwardRef, Literal, ParamSpec, TypeVar, get_args

from gflow.annotations.callables import signature_flows, takes_anything
from gflow.annotations.forms import (
    Unresolved,
    arguments_of,
    class_of,
    is_form,
    is_newtype,
    is_protocol,
    is_typed_dict,
    is_union,
    plain,
)
from gflow.annotations.generics import seen_as, solution_of
from gflow.annotations.members import Overloads, find
from gflow.annotations.parts import (
    bound_of,
    instance_of,
    is_guard,
    is_known,
    key,
    literals_of,
    parts_of,
    signatures_of,
    typed,
    values_of,
)
from gflow.annotations.protocols import as_protocol, names_of, protocol_flows
from gflow.annotations.tuples import tuple_flows
from gflow.annotations.typed_dicts import typed_dict_flows
from gflow.annotations.variance import Variance, body_flows, variance_of
from gflow.annotations.verdict import Verdict, all_of, any_of, at_best

_DEEPEST: Final = 60
"""How many questions deep a question may lead before it counts as one that cannot be told."""

_MOST: Final = 2_000
"""How many questions a question may lead to in all."""

_NUMBERS: Final = (int, float, complex)
"""Each of them is accepted where a later one is asked for."""


def assignable(source: object, target: object) -> Verdict:
    """Return whether a value of type `source` may flow into a parameter of type `target`.

    True: surely. False: a type checker would refuse it. None: that cannot be told, as where one of the
    types is `Unresolved`. Nothing is raised, whatever the annotations are.
    """
    if type(source) is type and type(target) is type and _is_subclass(source, target):
        return True
    try:
        return _Question().flows(source, target)
    except Exception:  # noqa: BLE001  classes may do anything when they are compared
        return None


def _is_subclass(source: type[Any], target: type[Any]) -> bool:
    return issubclass(source, target) or _is_promoted(source, target)


def _is_promoted(source: type[Any], target: type[Any]) -> bool:
    """Return whether an int is asked to be a float, and the like."""
    return target in _NUMBERS and issubclass(source, _NUMBERS[: _NUMBERS.index(target)])


class _Other(Enum):
    """What a rule answers to a question of another kind."""

    RULE = "another rule decides"


_Answer = Verdict | Literal[_Other.RULE]


class _Question:
    """One question and all the questions that it leads to.

    A question that comes up again inside itself is answered yes: recursive types are compared so
    (Amadio and Cardelli, Subtyping recursive types, 1993).
    """

    def __init__(self) -> None:
        self._open: list[tuple[object, object]] = []
        self._inferring: list[tuple[type[Any], object]] = []
        self._solved: dict[object, object] = {}
        self._asked = 0

    def flows(self, source: object, target: object) -> Verdict:
        """Answer the question for two types, the parts of types, or signatures."""
        if source is target and not isinstance(source, str | ForwardRef | Unresolved):
            return True
        source, target = plain(source), plain(target)
        pair = key(source), key(target)
        if pair in self._open:
            return True
        self._asked += 1
        if len(self._open) > _DEEPEST or self._asked > _MOST:
            return None
        self._open.append(pair)
        try:
            return self._answer(source, target)
        finally:
            self._open.pop()

    def _answer(self, source: object, target: object) -> Verdict:
        for rule in _RULES:
            answer = rule(self, source, target)
            if answer is not _Other.RULE:
                return answer
        return True if source == target else None

    # ------------------------------------------------------------ what fits everything, or nothing

    def gradual(self, source: object, target: object) -> _Answer:
        if source is Any or target is Any or target is object:
            return True
        if isinstance(source, Unresolved) or isinstance(target, Unresolved):
            return None
        if Any in getattr(class_of(source), "__mro__", ()):  # such a class may be derived from anything
            return target is not types.NoneType
        return _Other.RULE

    def unknown(self, source: object, target: object) -> _Answer:
        """Give up on `Self`, a ParamSpec, what is no type at all, but for equal ones."""
        if is_guard(source) and not is_guard(target):
            return self.flows(bool, target)
        if is_known(source) and is_known(target):
            return _Other.RULE
        return True if source == target else None

    def from_never(self, source: object, _: object) -> _Answer:
        return True if is_form(source, "Never", "NoReturn") else _Other.RULE

    # ------------------------------------------------------------ type variables

    def into_variable(self, source: object, target: object) -> _Answer:
        """Solve a variable of the parameter's own function by the first value that flows into it."""
        if not isinstance(target, TypeVar):
            return _Other.RULE
        if target in self._solved:
            return True if source == self._solved[target] else None
        self._solved[target] = source
        if target.__constraints__:
            return any_of(self.flows(source, one) for one in target.__constraints__)
        return self.flows(source, bound_of(target))

    def from_variable(self, source: object, target: object) -> _Answer:
        """Compare a variable that comes as a value: it may stand for any type that its bound allows."""
        if not isinstance(source, TypeVar):
            return _Other.RULE
        if is_union(target) and any(one == source for one in get_args(target)):
            return True
        if source.__constraints__:
            verdicts = {self.flows(one, target) for one in source.__constraints__}
            return verdicts.pop() if len(verdicts) == 1 else None
        bound = bound_of(source)
        if source in self._solved:
            return True if self.flows(self._solved[source], target) is True else None
        verdict = self.flows(bound, target)
        return None if verdict is False and self.flows(target, bound) is not False else verdict

    # ------------------------------------------------------------ unions, literals, new types

    def from_union(self, source: object, target: object) -> _Answer:
        parts = parts_of(source)
        return all_of(self.flows(one, target) for one in parts) if parts else _Other.RULE

    def into_union(self, source: object, target: object) -> _Answer:
        if not is_union(target):
            return _Other.RULE
        verdict = any_of(self.flows(source, one) for one in get_args(target))
        if verdict is not True and (values := values_of(source)):
            return all_of(self.flows(Literal[value], target) for value in values)
        return verdict

    def from_new_type(self, source: object, target: object) -> _Answer:
        if not is_newtype(source):
            return _Other.RULE
        return source == target or self.flows(source.__supertype__, target)

    def into_new_type(self, _: object, target: object) -> _Answer:
        return False if is_newtype(target) or is_form(target, "Never", "NoReturn") else _Other.RULE

    def literal(self, source: object, target: object) -> _Answer:
        given, wanted = literals_of(source), literals_of(target)
        if wanted:
            values = given or values_of(source)
            return bool(values) and all(typed(value) in map(typed, wanted) for value in values)
        if is_form(target, "LiteralString"):
            return bool(given) and all(isinstance(value, str) for value in given)
        if given:
            return all_of(self.flows(kind, target) for kind in {type(value): None for value in given})
        return self.flows(str, target) if is_form(source, "LiteralString") else _Other.RULE

    # ------------------------------------------------------------ typed dicts

    def typed_dict(self, source: object, target: object) -> _Answer:
        given, wanted = (is_typed_dict(class_of(one)) for one in (source, target))
        if given and wanted:
            return typed_dict_flows(source, target, self.flows)
        if given:
            verdict = self.flows(collections.abc.Mapping[str, object], target)
            hidden = is_protocol(class_of(target)) and _may_fit(dict, target)
            return None if verdict is False and hidden else verdict
        return False if wanted else _Other.RULE

    # ------------------------------------------------------------ callables and classes as values

    def callable(self, source: object, target: object) -> _Answer:
        wanted = signatures_of(target)
        if not wanted:
            is_method = isinstance(source, Signature | Overloads)
            return _Other.RULE if not is_method else None if as_protocol(target) else False
        given = signatures_of(source)
        if given:
            return all_of(self._call_flows(given, one) for one in wanted)
        if class_of(source) is type:
            return all_of(self._made_by(source, one) for one in wanted)
        call = find(source, "__call__", itself=source)
        return call is not None and self.flows(call.type, target)

    def _call_flows(self, given: tuple[Signature, ...], wanted: Signature) -> Verdict:
        verdict = any_of(signature_flows(one, wanted, self.flows) for one in given)
        return None if verdict is False and len(given) > 1 else verdict  # overloads may cover it together

    def _made_by(self, source: object, wanted: Signature) -> Verdict:
        """Return whether calling a class gives what is wanted; which arguments it takes is not worked out."""
        if instance_of(source) is Any:
            return True
        made = self.flows(instance_of(source), wanted.return_annotation)
        return made if takes_anything(wanted) else at_best(None, made)

    def type_object(self, source: object, target: object) -> _Answer:
        given, wanted = instance_of(source), instance_of(target)
        if given is None and wanted is None:
            return _Other.RULE
        if given is not None and wanted is not None:
            return self.flows(given, wanted)
        if given is None:
            return None if issubclass(class_of(source) or object, type) else False
        verdict = self.nominal(type(class_of(given) or object), target)
        return None if verdict is False and _may_fit(given, target) else verdict

    # ------------------------------------------------------------ classes

    def nominal(self, source: object, target: object) -> _Answer:
        given, wanted = class_of(source), class_of(target)
        if given is None or wanted is None:
            return _Other.RULE
        seen = seen_as(source, wanted)
        if seen is not None:
            return self._specialised(seen, target, wanted)
        if _is_promoted(given, wanted):
            return True
        protocol = as_protocol(target)
        if protocol is not None:
            return protocol_flows(source, protocol, self.flows)
        if issubclass(given, wanted):  # by registration, which tells no arguments
            return None if arguments_of(target) else True
        return False

    def _specialised(self, source: object, target: object, cls: type[Any]) -> Verdict:
        """Compare the arguments of one and the same class."""
        if cls is tuple:
            return tuple_flows(source, target, self.flows)
        given, wanted = solution_of(source), solution_of(target)
        if given:
            return all_of(self._argument(cls, one, given[one], wanted[one]) for one in given)
        one, other = arguments_of(source), arguments_of(target)
        if len(one) != len(other):
            return None if one and other else True
        return all_of(self._argument(cls, None, *pair) for pair in zip(one, other, strict=True))

    def _argument(self, cls: type[Any], parameter: object, given: object, wanted: object) -> Verdict:
        if isinstance(parameter, ParamSpec):
            return True if given == wanted or Ellipsis in (given, wanted) else None
        variance = self._variance_of(cls, parameter)
        if variance == "covariant":
            return self.flows(given, wanted)
        if variance == "contravariant":
            return self.flows(wanted, given)
        there, back = self.flows(given, wanted), self.flows(wanted, given)
        return all_of([there, back]) if variance == "invariant" or there == back else None

    def _variance_of(self, cls: type[Any], parameter: object) -> Variance | None:
        if parameter is None or (cls, parameter) in self._inferring:
            return None
        self._inferring.append((cls, parameter))
        try:
            return variance_of(cls, parameter, self._body_flows)
        finally:
            self._inferring.pop()

    def _body_flows(self, source: object, target: object) -> Verdict:
        self._open.append((key(source), key(target)))
        try:
            return body_flows(source, target, self.flows)
        finally:
            self._open.pop()


_RULES: Final[tuple[Callable[[_Question, object, object], _Answer], ...]] = (
    _Question.gradual,
    _Question.unknown,
    _Question.from_never,
    _Question.into_variable,
    _Question.from_variable,
    _Question.from_union,
    _Question.into_union,
    _Question.from_new_type,
    _Question.into_new_type,
    _Question.literal,
    _Question.typed_dict,
    _Question.callable,
    _Question.type_object,
    _Question.nominal,
)
"""The first that knows the kind of question decides."""


def _may_fit(given: object, target: object) -> bool:
    """Return whether the class `given` itself may have the members of a protocol."""
    protocol, cls = class_of(as_protocol(target)), class_of(given)
    if protocol is None or cls is None:
        return protocol is not None
    return all(hasattr(cls, name) for name in names_of(protocol))
