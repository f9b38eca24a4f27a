"""Eight mistakes of eight kinds, found in one pass."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gflow import From, Input, parallel, stage, task


@dataclass
class Wheel:
    path: Path
    size: int


@task
def version(changelog: str) -> str:
    return changelog


@task
def changelog(version: str) -> str:
    return version


@task
def build(index: Input[str] = "https://a.example") -> Wheel:
    return Wheel(Path(index), 1)


@task
def tests(biuld: Wheel) -> int:
    return biuld.size


@task
def lint(build: Path) -> int:
    return len(str(build))


@task
def lint(build: Wheel) -> int:
    return build.size


@task
def report(*results: int) -> str:
    return str(results)


@task
def upload(path: Annotated[Path, From(build, "paht")], index: Input[str] = "https://b.example") -> str:
    return index + str(path)


@task
def announce(upload: int) -> None:
    print(upload)


@parallel
def fast(tests: int, lint: int) -> None: ...


@parallel
def slow(lint: int, report: str) -> None: ...


@parallel
def checks(fast: None, slow: None) -> None: ...


@stage
def ship(version: str, changelog: str, build: Wheel, checks: None, upload: str, announce: None) -> None: ...
