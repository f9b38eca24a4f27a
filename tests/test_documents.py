"""The JSON documents of the command line."""

from __future__ import annotations

import json
from typing import Annotated

from gflow import Approval, Ask, Each, Failed, documents, stage, task
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
        "results", "errors", "steps", "forked", "reason", "questions", "undone", "left",
    ]  # fmt: skip
    assert list(document["progress"]) == [
        "total", "completed", "percent", "current", "eta_seconds", "estimated_completion",
    ]  # fmt: skip
    assert list(document["steps"]["build"]) == [
        "kind", "role", "group", "status", "attempts", "degraded", "error", "preview", "started", "ended",
        "items", "counts", "stand_in",
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


def test_items_and_questions_are_in_the_document() -> None:
    """Items stand under their paths with the counts beside them; questions say what would be decided on."""

    @task
    def regions() -> list[str]:
        return ["eu", "us"]

    @task
    def deploy(region: Annotated[str, Each(regions, key=str, tolerate=1)]) -> str:
        if region == "us":
            raise ValueError("closed")
        return region

    @task
    def ship(deploy: list[str | Failed], ok: Annotated[Approval, Ask("Ship?", timeout=60)]) -> None:
        assert ok

    document = json.loads(json.dumps(documents.run_document(run_in_memory(ship))))
    step = document["steps"]["deploy"]
    assert list(step["items"]) == ["deploy[eu]", "deploy[us]"]
    assert list(step["items"]["deploy[us]"]) == [
        "status", "attempts", "degraded", "stand_in", "error", "preview", "seconds",
    ]  # fmt: skip
    assert step["items"]["deploy[us]"]["error"]["message"] == "closed"
    assert step["counts"] == {
        "total": 2, "completed": 1, "failed": 1, "skipped": 0, "running": 0, "waiting": 0,
    }  # fmt: skip
    assert document["status"] == "waiting"
    question = document["questions"]["ship"]
    assert question["question"] == "Ship?"
    assert question["digest"]
    assert question["expires"]
    assert document["progress"]["current"] == ["ship"]
