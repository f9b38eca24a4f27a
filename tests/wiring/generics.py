"""Steps whose result depends on what they are given, and generic classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from gflow import From, stage, task

T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    """A thing with something in it."""

    content: T


@task
def numbers() -> list[int]:
    return [1]


@task
def first(numbers: Sequence[T]) -> T:
    return numbers[0]


@task
async def boxed(first: T) -> Box[T]:
    return Box(first)


@task
def twice(boxed: Box[int]) -> int:
    return 2 * boxed.content


@task
def once(content: Annotated[float, From(boxed, "content")], anything: Annotated[Box[T], From(boxed)]) -> None:
    print(content, anything)


@stage
def flow(numbers: list[int], first: int, boxed: Box[int], twice: int, once: None) -> None: ...
