"""Rounds that cannot be told apart."""

from typing import Annotated

from gflow import Previous, Until, stage, task


@task
def draft(review: Annotated[str, Previous()], remark: Annotated[int | None, Previous()]) -> str:
    return review


@task
def review(draft: str, rewiev: Annotated[str | None, Previous()]) -> str:
    return draft


@task
def remark() -> str:
    return ""


@task
def last(review: Annotated[str | None, Previous()]) -> str:
    return review or ""


def is_good(review: str) -> str:
    return review


@stage(repeat=Until(is_good))
def rework(draft: str, review: str, remark: str) -> str:
    return draft


@stage(repeat=3)
def again(last: str) -> str:
    return last


@stage
def whole(rework: str, again: str) -> str:
    return rework
