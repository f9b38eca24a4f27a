"""The class `Inputs` of a module: its fields as inputs, their defaults and help texts.

A dataclass, a TypedDict or a pydantic model; pydantic is recognised without being imported.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import sys
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, Final, ForwardRef, get_args, get_origin

from gflow.annotations import evaluate
from gflow.errors import UsageError
from gflow.model import MISSING, Graph, InputSpec

_QUALIFIERS: Final = {"Required": True, "NotRequired": False, "ReadOnly": None}


@dataclasses.dataclass(frozen=True, slots=True)
class Computed:
    """A default that a function makes anew for each run; it is called to be shown, never before."""

    make: Callable[[], object]

    def __repr__(self) -> str:
        return repr(self.make())


def declared(inputs_type: type, module_globals: Mapping[str, Any]) -> dict[str, InputSpec]:
    """Return the fields of a class `Inputs`, a dataclass, TypedDict or pydantic model, as inputs.

    `module_globals` are the names of its module. The help texts are left out, see `help_texts`. A key of a
    TypedDict that need not be there has the default None.

    Raises UsageError if the class is none of the three.
    """
    name = f"{inputs_type.__module__}.{inputs_type.__qualname__}"
    if dataclasses.is_dataclass(inputs_type):
        return _of_dataclass(inputs_type, module_globals)
    if is_typed_dict(inputs_type):
        return _of_typed_dict(inputs_type, module_globals)
    if is_model(inputs_type):
        return _of_model(inputs_type)
    raise UsageError(f"{name} is no dataclass, TypedDict or pydantic model", "write @dataclass above it")


def _of_dataclass(inputs_type: Any, module_globals: Mapping[str, Any]) -> dict[str, InputSpec]:
    specs: dict[str, InputSpec] = {}
    for field in dataclasses.fields(inputs_type):
        if field.init:
            annotation = _evaluated(field.type, _home(inputs_type, field.name, module_globals))
            default = MISSING if field.default is dataclasses.MISSING else field.default
            specs[field.name] = InputSpec(field.name, annotation, _default(default, field.default_factory))
    return specs


def _of_typed_dict(inputs_type: Any, module_globals: Mapping[str, Any]) -> dict[str, InputSpec]:
    specs: dict[str, InputSpec] = {}
    for name, written in inspect.get_annotations(inputs_type).items():
        annotation = _evaluated(written, module_globals)
        required: bool | None = name in inputs_type.__required_keys__
        while (qualifier := getattr(get_origin(annotation), "_name", None)) in _QUALIFIERS:
            required = _QUALIFIERS.get(qualifier, required)
            annotation = get_args(annotation)[0]
        specs[name] = InputSpec(name, annotation, MISSING if required else None)
    return specs


def _of_model(inputs_type: Any) -> dict[str, InputSpec]:
    specs: dict[str, InputSpec] = {}
    for name, field in inputs_type.model_fields.items():
        default = MISSING if field.is_required() else field.default
        specs[name] = InputSpec(name, field.annotation, _default(default, field.default_factory))
    return specs


def _default(value: object, factory: Any) -> object:
    return value if factory in (None, dataclasses.MISSING) else Computed(factory)


def _home(inputs_type: type, name: str, module_globals: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the names of the module that declares a field, which may be inherited."""
    owner = next(cls for cls in inputs_type.__mro__ if name in inspect.get_annotations(cls))
    is_here = owner.__module__ == inputs_type.__module__
    return module_globals if is_here else vars(sys.modules[owner.__module__])


def _evaluated(written: object, namespace: Mapping[str, Any]) -> object:
    """Return an annotation as a type; a TypedDict wraps its text and may say which module it is from."""
    if not isinstance(written, ForwardRef):
        return evaluate(written, namespace)
    module = sys.modules.get(str(written.__forward_module__))
    return evaluate(written.__forward_arg__, vars(module) if module else namespace)


def help_texts(inputs_type: type) -> dict[str, str]:
    """Return the texts of the fields of a class `Inputs`: the string below a field, a model's `description`.

    It reads source code, so call it only for what a person is going to see.
    """
    texts: dict[str, str] = {}
    bases = [*getattr(inputs_type, "__orig_bases__", ()), *inputs_type.__mro__[::-1]]
    for base in bases:
        if isinstance(base, type) and inspect.get_annotations(base):
            texts |= _strings_below_fields(base)
    fields: Mapping[str, Any] = getattr(inputs_type, "model_fields", {})
    return texts | {name: field.description for name, field in fields.items() if field.description}


def _strings_below_fields(cls: type) -> dict[str, str]:
    try:
        definition = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError):  # made by exec or in a shell: nobody kept the source
        return {}
    statements = definition.body if isinstance(definition, ast.ClassDef) else []
    texts: dict[str, str] = {}
    for field, below in itertools.pairwise(statements):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = inspect.cleandoc(text)
            case _:
                pass
    return texts


def helps(graph: Graph) -> dict[str, str]:
    """Return the help text of every input of a graph, "" where there is none."""
    texts = help_texts(graph.inputs_type) if graph.inputs_type else {}
    return {name: spec.help or texts.get(name, "") for name, spec in graph.inputs.items()}


def is_typed_dict(kind: Any) -> bool:
    """Tell whether a class is a TypedDict, also one of typing_extensions."""
    return hasattr(kind, "__required_keys__")


def is_model(kind: Any) -> bool:
    """Tell whether a class is a pydantic model."""
    return hasattr(kind, "model_fields")
