"""Whether a class has the members that a protocol asks for.

The rules are those of https://typing.python.org/en/latest/spec/protocol.html
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from inspect import Signature
from typing import Any, Final

from gflow.annotations.callables import with_names_of
from gflow.annotations.declarations import own_annotations
from gflow.annotations.forms import CALLABLE, arguments_of, class_of, is_protocol
from gflow.annotations.members import Member, find
from gflow.annotations.signatures import UNSEEN, callable_signature
from gflow.annotations.stdlib import PROTOCOLS, T_co
from gflow.annotations.verdict import Flows, Verdict, all_of, at_best


@typing.runtime_checkable
class _Bare(typing.Protocol[T_co]):
    """A protocol that asks for nothing: whatever its class has, Python adds to every one."""

    _: None


_NOT_MEMBERS: Final = frozenset(
    {
        *vars(_Bare),
        *("__annotations_cache__", "__class_getitem__", "__init__", "__init_subclass__", "__match_args__"),
        *("__new__", "__slots__", "__type_params__"),
    }
)


def as_protocol(annotation: object) -> object | None:
    """Return a type as the protocol by which it is compared; None if it is compared by name."""
    cls = class_of(annotation)
    if cls in PROTOCOLS:
        return types.GenericAlias(PROTOCOLS[cls], arguments_of(annotation) or (Any,))
    return annotation if is_protocol(cls) else None


def protocol_flows(source: object, protocol: object, flows: Flows) -> Verdict:
    """Return whether a class has every member of a protocol, with a type that fits."""
    cls = class_of(protocol)
    return None if cls is None else members_flow(source, protocol, names_of(cls), flows)


def members_flow(source: object, target: object, names: Iterable[str], flows: Flows) -> Verdict:
    """Return whether these members of `source` fit those of `target`."""
    return all_of(_member_flows(source, target, name, flows) for name in names)


def names_of(cls: type[Any]) -> list[str]:
    """Return the names of the members that a protocol asks for."""
    owners = [owner for owner in cls.__mro__ if vars(owner).get("_is_protocol")]
    names = dict.fromkeys(name for owner in owners for name in _own_names(owner))
    return [name for name in names if name not in _NOT_MEMBERS]


def _own_names(owner: type[Any]) -> list[str]:
    if owner is typing.Protocol:
        return []
    defined = [name for name, value in vars(owner).items() if name != "__hash__" or value is not None]
    return [*own_annotations(owner), *defined]


def _member_flows(source: object, target: object, name: str, flows: Flows) -> Verdict:
    wanted = find(target, name, itself=source)
    given = _given(source, name)
    if wanted is None or given is None:
        return False if given is None else None
    if isinstance(wanted.type, Signature):
        return _method_flows(given.type, wanted.type, name, flows)
    forward = flows(given.type, wanted.type)
    if not wanted.writable:
        return forward
    return all_of([given.writable, forward, flows(wanted.type, given.type)])


def _given(source: object, name: str) -> Member | None:
    if class_of(source) is not CALLABLE:
        return find(source, name, itself=source)
    if name == "__call__":
        return Member(callable_signature(source))
    hidden = Member(UNSEEN, None) if hasattr(types.FunctionType, name) else None
    return find(source, name) or hidden  # a function has more than Callable shows


def _method_flows(given: object, wanted: Signature, name: str, flows: Flows) -> Verdict:
    """Compare two methods; where only the names of parameters differ, checkers disagree.

    Python calls its special methods by position, so their names do not count.
    """
    if class_of(given) is CALLABLE:
        given = callable_signature(given)
    verdict = flows(given, wanted)
    if verdict is not False or name == "__call__" or not isinstance(given, Signature):
        return verdict
    relaxed = flows(with_names_of(given, wanted), wanted)
    return at_best(True if name.startswith("__") else None, relaxed)
