"""Parameters that cannot be given by name."""

from gflow import task


@task
def build() -> int:
    return 1


@task
def collect(*results: int) -> None:
    print(results)


@task
def options(build: int, /, **rest: int) -> None:
    print(build, rest)
