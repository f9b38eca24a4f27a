"""Groups that wait for their own members, name each other, or hold a step that reads them."""

from typing import Annotated

from gflow import From, parallel, stage, task


@task
def one() -> int:
    return 1


@stage
def early(first: Annotated[int, From(one)], one: int) -> int:
    return first + one


@task
def inner(outer: int) -> int:
    return outer


@stage
def outer(inner: int) -> int:
    return inner


@parallel
def left(right: int) -> int:
    return right


@parallel
def right(left: int) -> int:
    return left


@task
def tag() -> str:
    return "v1"


@tag.undo
def delete(tag: str, deploy: str) -> None:
    print(tag, deploy)


@task
def deploy(tag: str) -> str:
    return tag


@stage
def release(early: int, outer: int, left: int, tag: str, deploy: str) -> None: ...
