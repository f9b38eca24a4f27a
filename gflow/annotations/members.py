"""A member of a class as its instances have it: its type, and whether it can be assigned."""

from __future__ import annotations

import dis
import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from inspect import Signature
from typing import Any, Final, cast

from gflow.annotations.declarations import evaluated_in, own_annotations
from gflow.annotations.forms import SELF, class_of, plain, qualifiers_of, substitute
from gflow.annotations.generics import seen_as, solution_of
from gflow.annotations.signatures import UNSEEN, bound, declared_signature, substituted
from gflow.annotations.stdlib import ORDERING, UNORDERED
from gflow.annotations.verdict import Verdict

_OPEN: Final = (types.SimpleNamespace, types.ModuleType)
_BUILDERS: Final = ("__init__", "__new__", "__post_init__")
_INFERRED: Final = (bool, int, float, complex, str, bytes)


@dataclass(frozen=True, slots=True)
class Member:
    """The type of a member (an `inspect.Signature` for a method) and whether it can be assigned."""

    type: object
    writable: Verdict = False


def find(annotation: object, name: str, itself: object = SELF) -> Member | None:
    """Return a member of the instances of a class; None if there surely is none.

    Its type is UNSEEN where something of that name exists, or may, that nothing declares. `itself` is
    what `Self` stands for.
    """
    cls = class_of(annotation)
    if cls is None:
        return Member(UNSEEN, None)
    model_fields = model_fields_of(cls)
    if name in model_fields:
        return Member(model_fields[name].annotation, _writable(cls))
    for owner in cls.__mro__:
        member = _own_member(owner, name)
        if member is not None:
            writable = member.writable and _writable(cls)
            return Member(_specialised(member.type, annotation, owner, itself), writable)
    return Member(UNSEEN, None) if _may_hide(cls, name) else None


def _specialised(member_type: object, annotation: object, owner: type[Any], itself: object) -> object:
    types_of = {**solution_of(seen_as(annotation, owner) or owner), SELF: itself}
    if isinstance(member_type, Overloads):
        return Overloads(tuple(substituted(one, types_of) for one in member_type.signatures))
    if isinstance(member_type, Signature):
        return substituted(member_type, types_of)
    return substitute(member_type, types_of)


# ---------------------------------------------------------------- what stands in the body of a class


@dataclass(frozen=True, slots=True)
class Overloads:
    """The type of a method with several signatures."""

    signatures: tuple[Signature, ...]


def _own_member(owner: type[Any], name: str) -> Member | None:
    annotations = own_annotations(owner)
    if name in annotations:
        return _annotated(owner, annotations[name])
    if name in _attrs_of(owner):
        return Member(evaluated_in(owner, _attrs_of(owner)[name]), writable=True)
    if name not in vars(owner) or (name in ORDERING and owner in UNORDERED):
        return None
    if vars(owner)[name] is None:  # `__hash__ = None` takes a method away, `size = None` says nothing yet
        return Member(types.NoneType if name.startswith("__") else Any, writable=True)
    return _described(vars(owner)[name], owner)


def _attrs_of(owner: type[Any]) -> dict[str, object]:
    """Return the types of the attributes that only attrs was told: `x = attr.ib(type=int)`."""
    attributes = vars(owner).get("__attrs_attrs__", ())
    return {one.name: one.type for one in attributes if one.type is not None and not one.inherited}


def _annotated(owner: type[Any], annotation: object) -> Member | None:
    declared = evaluated_in(owner, annotation)
    if isinstance(declared, InitVar):
        return None
    return Member(plain(declared), not qualifiers_of(declared) & {"Final", "ReadOnly"})


@functools.singledispatch
def _described(value: object, owner: type[Any]) -> Member:  # noqa: ARG001  the other kinds need it
    """Return the member that a value in the body of a class makes."""
    if type(value) in _INFERRED:
        return Member(type(value), writable=True)
    return Member(UNSEEN, None)


@_described.register(property)
def _of_property(value: property, owner: type[Any]) -> Member:
    return Member(_returned(value.fget, owner), value.fset is not None)


@_described.register(functools.cached_property)
def _of_cached_property(value: functools.cached_property[Any], owner: type[Any]) -> Member:
    return Member(_returned(value.func, owner), writable=True)


@_described.register(types.FunctionType)
@_described.register(types.WrapperDescriptorType)
@_described.register(types.MethodDescriptorType)
def _of_function(value: Any, owner: type[Any]) -> Member:
    overloads = typing.get_overloads(value) if isinstance(value, types.FunctionType) else ()
    signatures = [bound(declared_signature(one, owner)) for one in overloads]
    known = tuple(one for one in signatures if isinstance(one, Signature))
    return Member(Overloads(known) if known else bound(declared_signature(value, owner)))


@_described.register(staticmethod)
def _of_static_method(value: staticmethod[..., Any], owner: type[Any]) -> Member:
    return Member(declared_signature(value.__func__, owner))


@_described.register(classmethod)
def _of_class_method(value: classmethod[Any, ..., Any], owner: type[Any]) -> Member:
    return Member(bound(declared_signature(value.__func__, owner)))


@_described.register(types.MemberDescriptorType)
def _of_slot(value: types.MemberDescriptorType, owner: type[Any]) -> Member:  # noqa: ARG001
    return Member(Any if "__slots__" in vars(owner) else UNSEEN, writable=True)


def _returned(function: object, owner: type[Any]) -> object:
    signature = declared_signature(function, owner)
    return signature.return_annotation if isinstance(signature, Signature) else UNSEEN


# ---------------------------------------------------------------- what a class as a whole allows


def model_fields_of(cls: type[Any]) -> Mapping[str, Any]:
    """Return the fields of a pydantic model, by name; none of any other class."""
    return _mapping(cls, "model_fields") if hasattr(cls, "model_config") else {}


def _mapping(cls: type[Any], name: str) -> Mapping[str, Any]:
    value = getattr(cls, name, None)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _writable(cls: type[Any]) -> Verdict:
    """Return whether the attributes of a class can be assigned."""
    parameters = getattr(cls, "__dataclass_params__", None)
    if getattr(parameters, "frozen", False) or (hasattr(cls, "_fields") and tuple in cls.__mro__):
        return False
    if model_fields_of(cls):
        return not _mapping(cls, "model_config").get("frozen", False)
    return True if getattr(cls, "__setattr__", None) is object.__setattr__ else None


def _may_hide(cls: type[Any], name: str) -> bool:
    """Return whether instances may have a member that their class does not show."""
    if name.startswith("__"):
        return False  # special methods are looked up in the class
    if model_fields_of(cls):
        return bool(_mapping(cls, "model_config").get("extra") == "allow")
    if Any in cls.__mro__ or issubclass(cls, _OPEN) or find(cls, "__getattr__") is not None:
        return True
    return any(_may_set(function, name) for owner in cls.__mro__ for function in _functions_of(owner))


def is_hiding(cls: type[Any]) -> bool:
    """Return whether functions of a class set attributes that it does not declare."""
    declared = {name for owner in cls.__mro__ for name in (*own_annotations(owner), *vars(owner))}
    names = (name for owner in cls.__mro__ for one in _functions_of(owner) for name in one.__code__.co_names)
    return any(_may_hide(cls, name) for name in dict.fromkeys(names) if name not in declared)


def _functions_of(owner: type[Any]) -> list[types.FunctionType]:
    if owner.__module__ == "typing":
        return []
    return [value for value in vars(owner).values() if isinstance(value, types.FunctionType)]


def _may_set(function: types.FunctionType, name: str) -> bool:
    code = function.__code__
    if function.__name__ in _BUILDERS and {"setattr", "__dict__"} & {*code.co_names}:
        return True
    return name in code.co_names and any(
        step.opname == "STORE_ATTR" and step.argval == name for step in dis.get_instructions(code)
    )
