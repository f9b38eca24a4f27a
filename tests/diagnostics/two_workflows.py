"""A module is one workflow."""

from gflow import Workflow, task

first = Workflow(name="first")
second = Workflow(name="second")


@task
def build() -> None:
    print()
