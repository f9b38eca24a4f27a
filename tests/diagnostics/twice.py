"""Names that are given twice: to two steps, to a step and a function, to a step and a value."""

from gflow import task


@task
def build() -> int:
    return 1


@task
def build() -> int:
    return 2


@task
def lint() -> int:
    return 1


def lint() -> int:
    return 2


@task
def size() -> int:
    return 1


size = 3


@task
def report(build: int) -> None:
    print(build)
