"""Inputs of a dataclass."""

from dataclasses import dataclass, field
from pathlib import Path

from gflow import stage, task


@dataclass
class Base:
    """What all workflows take."""

    repo: Path = Path()


@dataclass
class Inputs(Base):
    """What this one takes."""

    part: str = "auto"
    checks: list[str] = field(default_factory=list[str])


@task
def bump(part: str, repo: Path) -> str:
    return f"{part} {repo}"


@task
async def check(bump: str, checks: list[str]) -> None:
    print(bump, checks)


@stage
def flow(bump: str, check: None) -> str:
    return bump
