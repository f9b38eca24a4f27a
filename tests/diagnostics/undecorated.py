"""Helpers and globals are no steps; names as strings are not either."""

from typing import Annotated

from gflow import From, Workflow, task

REGION = "eu"


def fetch() -> str:
    return "data"


@task
def clean(fetch: str, REGION: str) -> str:
    return fetch + REGION


@task(after=[fetch, "claen"])
def report(text: Annotated[str, From("clean")], other: Annotated[str, From]) -> None:
    print(text, other)


workflow = Workflow(uses=[fetch])
