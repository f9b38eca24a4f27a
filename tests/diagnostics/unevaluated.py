"""Annotations that cannot be evaluated: notes, unless a mark may be hidden in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from gflow import From, task

if TYPE_CHECKING:
    from no_such_library import Frame


@task
def load() -> Frame:
    return 1


@task
def show(load: Frame) -> None:
    print(load)


@task
def store(frame: Annotated[Frame, From(load)]) -> None:
    print(frame)
