"""Steps that need each other, directly and on a longer way."""

from gflow import task


@task
def build(tests: int) -> int:
    return tests


@task
def tests(build: int) -> int:
    return build


@task
def plan(review: str) -> str:
    return review


@task
def write(plan: str) -> str:
    return plan


@task
def format_(write: str) -> str:
    return write


@task(after=[format_])
def review() -> str:
    return ""


@task
def again(again: int) -> int:
    return again
