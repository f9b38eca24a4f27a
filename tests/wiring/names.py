"""Edges by name and by From, sync and async, through what type systems let pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Protocol

from gflow import Context, From, agent, parallel, stage, task

Level = Literal["minor", "patch"]


class Readable(Protocol):
    """What has a name and can be read."""

    @property
    def name(self) -> str: ...

    def read_text(self) -> str: ...


class Report:
    """What a check found."""


class Audit(Report):
    """A report about security."""


@task
def level() -> Level:
    return "minor"


@agent("developer")
def version(level: Level, ctx: Context) -> str:
    return f"{level} {ctx.attempt}"


@task
async def wheel(version: str) -> Path:
    return Path(version)


@task
def tests(wheel: Readable) -> list[int]:
    return [len(wheel.name)]


@task
def later(wheel: Path) -> Awaitable[int]:
    async def count() -> int:
        return len(wheel.name)

    return asyncio.create_task(count())


@task
async def size(later: float) -> int | None:
    return int(later)


@task
def namer() -> Callable[[Path], str]:
    return str


@task
def audit(size: int | None, names: Annotated[Callable[[Path], object], From(namer)]) -> Audit:
    print(size, names)
    return Audit()


@task
def publish(
    whl: Annotated[Path, From(wheel)], audit: Report, counts: Annotated[Sequence[int], From(tests)]
) -> None:
    print(whl, audit, counts)


@parallel
def checks(tests: list[int], namer: object, audit: Audit) -> tuple[int, Report]:
    return len([namer]) + sum(tests), audit


@parallel
def preparation(level: Level, version: str, wheel: Path, later: float, size: int | None) -> None: ...


@stage
def flow(preparation: None, checks: tuple[int, Report], publish: None) -> int:
    return checks[0]
