"""What is no function: a class, a generator, a method, an object."""

from collections.abc import AsyncIterator, Iterator
from functools import partial

from gflow import task


@task
class Build:
    pass


@task
def rows() -> Iterator[int]:
    yield 1


@task
async def pages() -> AsyncIterator[int]:
    yield 1


class Tools:
    @task
    def lint(self) -> None:
        print(self)


twice = task(partial(print, "twice"))


@task
def total(rows: list[int]) -> int:
    return sum(rows)
