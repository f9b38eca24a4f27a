"""The graph and the plan of a workflow as text: pure functions of `Graph`, without colour or terminal."""

from gflow.drawing.document import as_json
from gflow.drawing.mermaid import mermaid
from gflow.drawing.plan import plan
from gflow.drawing.rollback import rollback
from gflow.drawing.tree import text
from gflow.drawing.why import why

__all__ = ["as_json", "mermaid", "plan", "rollback", "text", "why"]
