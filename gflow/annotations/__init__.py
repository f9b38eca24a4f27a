"""What the compiler knows about annotations: what they mean, and which value may flow where.

Functions of types alone: nothing here knows of workflows, and nothing raises.
"""

from gflow.annotations.assignability import assignable
from gflow.annotations.awaiting import awaited, is_awaitable
from gflow.annotations.evaluate import evaluate
from gflow.annotations.fields import NO_FIELD, field_names, field_type
from gflow.annotations.forms import Unresolved, strip, union_of
from gflow.annotations.items import NO_ITEMS, item_type, union_members
from gflow.annotations.optional import admits_none
from gflow.annotations.verdict import all_of, any_of
from gflow.annotations.wording import show

__all__ = [
    "NO_FIELD",
    "NO_ITEMS",
    "Unresolved",
    "admits_none",
    "all_of",
    "any_of",
    "assignable",
    "awaited",
    "evaluate",
    "field_names",
    "field_type",
    "is_awaitable",
    "item_type",
    "show",
    "strip",
    "union_members",
    "union_of",
]
