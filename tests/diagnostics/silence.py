"""What the compiler cannot judge is a note: no annotation, types that cannot be compared, a default in vain."""

from collections.abc import Callable
from typing import TypeVar

from gflow import task

T = TypeVar("T")


@task
def load():
    return 1


@task
def first(load: int) -> list[T]:
    return []


@task
def second(first: list[int], load) -> None:
    print(first, load)


@task
def third(load: int = 3) -> None:
    print(load)
