"""A parameter is misspelt."""

from pathlib import Path

from gflow import stage, task


@task
def build() -> Path:
    return Path("dist")


@task
def tests(biuld: Path) -> None:
    print(biuld)


@stage
def ship(build: Path, tests: None) -> None: ...
