"""Inputs of a TypedDict, and one that is declared in place."""

from typing import NotRequired, TypedDict

from gflow import Input, stage, task


class Inputs(TypedDict):
    """What this workflow takes."""

    title: str
    reviewer: NotRequired[str]


@task
def draft(title: str, words: Input[int] = 100) -> str:
    return title * words


@task
def review(draft: str, reviewer: str | None, words: int) -> None:
    print(draft, reviewer, words)


@stage
def flow(draft: str, review: None) -> None: ...
