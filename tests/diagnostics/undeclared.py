"""Parameters that nobody declared: no step is near, the class Inputs is there, the context is not annotated."""

from dataclasses import dataclass

from gflow import task


@dataclass
class Inputs:
    part: str = "patch"


@task
def version(part: str) -> str:
    return part


@task
def publish(version: str, url: str, ctx) -> None:
    print(version, url, ctx)
