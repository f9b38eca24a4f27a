"""The JSON documents of the command line: one shape for `run`, `resume` and `show`, one for `runs`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gflow.model import Progress, Run, StepError, StepState


def run_document(run: Run) -> dict[str, Any]:
    """Return a run as `--json` prints it. Times are ISO 8601 in UTC; values are previews, never loaded."""
    return {
        "id": run.id,
        "workflow": run.workflow,
        "version": run.version,
        "status": run.status,
        "current": list(run.current),
        "started": time_of(run.started),
        "ended": time_of(run.ended),
        "progress": progress_document(run.progress),
        "inputs": dict(run.inputs),
        "results": {name: run.steps[name].preview for name in run.results},
        "errors": [error_document(error) for error in run.errors],
        "steps": {name: step_document(step) for name, step in run.steps.items()},
        "forked": dict(zip(("run", "at"), run.forked, strict=True)) if run.forked else None,
    }


def progress_document(progress: Progress) -> dict[str, Any]:
    """Return how far a run is, as `--json` prints it."""
    return {
        "total": progress.total,
        "completed": progress.completed,
        "percent": progress.percent,
        "current": list(progress.current),
        "eta_seconds": progress.eta_seconds,
        "estimated_completion": time_of(progress.estimated_completion),
    }


def step_document(step: StepState) -> dict[str, Any]:
    """Return one step of a run, as `--json` prints it."""
    return {
        "kind": step.kind,
        "role": step.role,
        "group": step.group,
        "status": step.status,
        "attempts": step.attempts,
        "degraded": step.degraded,
        "error": error_document(step.error) if step.error else None,
        "preview": step.preview,
        "started": time_of(step.started),
        "ended": time_of(step.ended),
        "items": None,
    }


def error_document(error: StepError) -> dict[str, Any]:
    """Return one failure, as `--json` prints it."""
    return {
        "step": error.step,
        "type": error.type,
        "message": error.message,
        "attempt": error.attempt,
        "place": error.place,
        "frames": [
            {"file": frame.file, "line": frame.line, "function": frame.function, "text": frame.text}
            for frame in error.frames
        ],
    }


def time_of(moment: datetime | None) -> str | None:
    """Return a moment as the documents write it: ISO 8601 with milliseconds."""
    return moment.isoformat(timespec="milliseconds") if moment else None
