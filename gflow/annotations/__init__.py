"""What the compiler knows about annotations: what they mean, and which value may flow where.

Functions of types alone: nothing here knows of workflows, and nothing raises.
"""

from gflow.annotations.assignability import assignable
from gflow.annotations.awaiting import awaited, is_awaitable
from gflow.annotations.evaluate import evaluate
from gflow.annotations.fields import NO_FIELD, field_names, field_type
from gflow.annotations.forms import Unresolved, strip
from gflow.annotations.optional import admits_none
from gflow.annotations.wording import show

__all__ = [
    "NO_FIELD",
    "Unresolved",
    "admits_none",
    "assignable",
    "awaited",
    "evaluate",
    "field_names",
    "field_type",
    "is_awaitable",
    "show",
    "strip",
]
