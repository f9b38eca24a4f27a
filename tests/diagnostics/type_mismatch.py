"""Types that do not fit: plainly, from a union, by From, through a milestone, awaited, in an undo."""

from pathlib import Path
from typing import Annotated

from gflow import From, parallel, stage, task


@task
def build() -> Path:
    return Path("dist")


@task
async def found() -> list[bool]:
    return []


@task
def maybe() -> str | None:
    return None


@task
def upload(build: str) -> None:
    print(build)


@task
def count(found: list[int]) -> int:
    return sum(found)


@task
def shout(maybe: str) -> str:
    return maybe.upper()


@task
def copy(wheel: Annotated[bytes, From(build)]) -> bytes:
    return wheel


@copy.undo
def remove(copy: str) -> None:
    print(copy)


@parallel
def checks(count: int, shout: str) -> None: ...


@stage
def ship(build: Path, found: list[bool], maybe: str | None, checks: str, upload: None, copy: bytes) -> None: ...
