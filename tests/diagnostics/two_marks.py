"""Two sources for one parameter."""

from typing import Annotated

from gflow import From, Input, task


@task
def build() -> str:
    return ""


@task
def upload(wheel: Annotated[Input[str], From(build)]) -> None:
    print(wheel)
