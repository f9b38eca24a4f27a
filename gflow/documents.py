"""The JSON documents of the command line: one shape for `run`, `resume` and `show`, one for `runs`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gflow.model import Items, OpenQuestion, Progress, Run, StepError, StepState


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
        "reason": run.reason,
        "questions": {path: question_document(question) for path, question in run.questions.items()},
        "undone": list(run.undone),
        "left": dict(run.left),
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
        "items": step.items and items_document(step.items),
        "counts": step.items and counts_document(step.items),
        "stand_in": step.stand_in,
    }


def items_document(items: Items) -> dict[str, Any]:
    """Return the items or rounds of a step by their paths; `Items.states` says which."""
    return {
        path: {
            "status": item.status,
            "attempts": item.attempts,
            "degraded": item.degraded,
            "stand_in": item.stand_in,
            "error": error_document(item.error) if item.error else None,
            "preview": item.preview,
            "seconds": item.seconds,
        }
        for path, item in items.states.items()
    }


def counts_document(items: Items) -> dict[str, int]:
    """Return how many items a step has, and how they stand."""
    return {
        "total": items.total,
        "completed": items.completed,
        "failed": items.failed,
        "skipped": items.skipped,
        "running": items.running,
        "waiting": items.waiting,
    }


def question_document(question: OpenQuestion) -> dict[str, Any]:
    """Return what a person is asked; `digest` is that of what the question shows."""
    return {
        "question": question.text,
        "digest": question.digest,
        "expires": time_of(question.expires),
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
