"""A step that two groups name, with no order between these."""

from gflow import parallel, stage, task


@task
def sources() -> list[str]:
    return []


@task
def lint(sources: list[str]) -> int:
    return len(sources)


@task
def types(sources: list[str]) -> int:
    return len(sources)


@stage
def fast(sources: list[str], lint: int) -> int:
    return lint


@stage
def slow(sources: list[str], types: int) -> int:
    return types


@parallel
def checks(fast: int, slow: int) -> None: ...
