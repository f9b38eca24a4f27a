"""A class Inputs that declares nothing."""

from gflow import task


class Inputs:
    part: str = "patch"


@task
def bump() -> None:
    print()
