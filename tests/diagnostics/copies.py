"""Copies that hold each other, and a cycle and a dispute in a copied group, each of which is told once."""

from gflow import parallel, stage, task


@stage
def night(morning: int) -> int:
    return morning


@stage
def day(evening: int) -> int:
    return evening


morning = day.using()
evening = night.using()


@task
def one(two: int) -> int:
    return two


@task
def two(one: int) -> int:
    return one


@task
def shared() -> int:
    return 1


@stage
def left(shared: int) -> int:
    return shared


@stage
def right(shared: int) -> int:
    return shared


@parallel
def job(one: int, two: int, left: int, right: int) -> None: ...


first = job.using()
second = job.using()


@stage
def whole(evening: int, first: None, second: None) -> None: ...
