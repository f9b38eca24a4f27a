"""Parameters that nobody declared: no step is near, the class Inputs is there, a mark is hidden, the context is not annotated."""

from dataclasses import dataclass
from typing import Annotated

from gflow import From, Input, task


@dataclass
class Inputs:
    part: str = "patch"


@task
def version(part: str) -> str:
    return part


@task
def notify(to: Input[str] | None = None, text: list[Annotated[str, From(version)]] | None = None) -> None:
    print(to, text)


@task
def publish(version: str, url: str, ctx) -> None:
    print(version, url, ctx)
