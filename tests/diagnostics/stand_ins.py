"""What cannot stand in for a step, or beside it."""

from typing import Annotated

from gflow import Approval, Each, Failed, task


@task
def sizes() -> list[int]:
    return [1]


@task
def guess() -> int:
    return 0


def by_hand(why: Failed, sizes: list[str]) -> str:
    return str(why)


@task(fallback=[guess, by_hand, " ", "code-reviewer"], degraded=3)
def measure(sizes: list[int]) -> int:
    return len(sizes)


def at_night(ok: Approval) -> bool:
    return ok.asked


@task(when=at_night)
def deploy(size: Annotated[int, Each(sizes)]) -> int:
    return size


@deploy.undo
def withdraw(deploy: int, size: Annotated[int, Each(sizes)]) -> None:
    print(deploy, size)
