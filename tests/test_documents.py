"""The JSON documents of the command line."""

from __future__ import annotations

import json

from gflow import documents, stage, task
from gflow.testing import run_in_memory


def test_a_runs_document_has_the_documented_shape() -> None:
    """The keys are those of the design, and every value is plain JSON."""

    @task
    def build() -> str:
        return "a wheel"

    @task
    def check(build: str) -> None:
        raise ValueError("no")

    @stage
    def flow(build: str, check: None) -> str:
        return build

    document = json.loads(json.dumps(documents.run_document(run_in_memory(flow))))
    assert list(document) == [
        "id", "workflow", "version", "status", "current", "started", "ended", "progress", "inputs",
        "results", "errors", "steps", "forked",
    ]  # fmt: skip
    assert list(document["progress"]) == [
        "total", "completed", "percent", "current", "eta_seconds", "estimated_completion",
    ]  # fmt: skip
    assert list(document["steps"]["build"]) == [
        "kind", "role", "group", "status", "attempts", "degraded", "error", "preview", "started", "ended",
        "items",
    ]  # fmt: skip
    assert document["status"] == "failed"
    assert document["progress"]["percent"] == 50.0
    assert (
        document["steps"]["build"]["preview"] == "'a wheel'"
        or document["steps"]["build"]["preview"] == "a wheel"
    )
    assert document["steps"]["check"]["error"]["message"] == "no"
    assert document["errors"][0]["step"] == "check"
    assert document["results"] == {}
