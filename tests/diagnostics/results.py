"""Results that cannot be stored, and milestones that promise one."""

from dataclasses import dataclass

from gflow import stage, task


def make():
    @dataclass
    class Local:
        size: int

    return Local


Local = make()


@task
def build() -> "list[Local] | None":
    return None


@stage
def ship(build: object) -> str:
    """Ship it."""
