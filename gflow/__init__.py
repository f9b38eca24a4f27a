"""gflow runs a software team's development workflows: checked before they run, resumable, undoable.

A workflow is a Python module of decorated functions; their signatures are the graph::

    @task
    def build(out: Input[Path] = Path("dist")) -> Path: ...     # an input: --out

    @task(attempts=3)
    def upload(build: Path) -> None: ...                        # `build` is a step: an edge, type-checked

    @stage
    def ship(build: Path, upload: None) -> None: ...            # one after another

`python -m gflow ship.py` runs it, `gflow.run("ship.py")` does so from Python. Importing gflow loads
nothing but the standard library; what runs a workflow is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gflow.context import Context
from gflow.decorators import (
    Ask,
    Each,
    FirstOf,
    From,
    Input,
    Previous,
    Step,
    Until,
    Workflow,
    agent,
    parallel,
    stage,
    task,
)
from gflow.errors import GflowError, Refused, Rejected, WorkflowError
from gflow.model import (
    Approval,
    Failed,
    Graph,
    Policy,
    Progress,
    Retry,
    Run,
    StepError,
    StepState,
)

if TYPE_CHECKING:
    from gflow.approval import approve, reject
    from gflow.runner import arun, cancel, compile, fork, resume, run  # noqa: A004  # gflow.compile is the word for it
    from gflow.secret import Secret
    from gflow.shell import CommandFailed, CommandTimeout, Output, ash, sh

__version__ = "0.1.0"

__all__ = [
    "Approval",
    "Ask",
    "CommandFailed",
    "CommandTimeout",
    "Context",
    "Each",
    "Failed",
    "FirstOf",
    "From",
    "GflowError",
    "Graph",
    "Input",
    "Output",
    "Policy",
    "Previous",
    "Progress",
    "Refused",
    "Rejected",
    "Retry",
    "Run",
    "Secret",
    "Step",
    "StepError",
    "StepState",
    "Until",
    "Workflow",
    "WorkflowError",
    "agent",
    "approve",
    "arun",
    "ash",
    "cancel",
    "compile",
    "fork",
    "parallel",
    "reject",
    "resume",
    "run",
    "sh",
    "stage",
    "task",
]

_RUNNER = ("arun", "cancel", "compile", "fork", "resume", "run")
_SHELL = ("CommandFailed", "CommandTimeout", "Output", "ash", "sh")
_LATER: dict[str, str] = {
    **dict.fromkeys(("approve", "reject"), "gflow.approval"),
    **dict.fromkeys(_RUNNER, "gflow.runner"),
    **dict.fromkeys(_SHELL, "gflow.shell"),
    "Secret": "gflow.secret",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'gflow' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
