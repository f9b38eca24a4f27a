"""Rollout: build, ask, deploy region by region.

The golden files practice_*.txt are drawn from it.
"""

from dataclasses import dataclass
from typing import Annotated

from gflow import (
    Approval,
    Ask,
    Each,
    Failed,
    FirstOf,
    From,
    Previous,
    Rejected,
    Until,
    Workflow,
    agent,
    parallel,
    stage,
    task,
)

workflow = Workflow(name="rollout", version="2.0", on_exhausted="abort")


@dataclass
class Inputs:
    part: str = "minor"
    """Which number to raise."""


@dataclass
class Wheel:
    """What was built."""

    version: str


@dataclass
class Review:
    """What a reviewer said."""

    ok: bool


@agent("fullstack-developer")
def fix(part: str, review: Annotated[Review | None, Previous()]) -> str:
    """Change the code."""
    return part


@agent("code-reviewer", fallback="security-auditor")
def review(fix: str) -> Review:
    """Read the change."""
    return Review(ok=bool(fix))


def is_fine(review: Review) -> bool:
    """Say whether the reviewer is content."""
    return review.ok


@stage(repeat=Until(is_fine, max=3))
def rework(fix: str, review: Review) -> str:
    """Change until the reviewer is content."""
    return fix


@task
def is_changed() -> bool:
    """Say whether there is something to build."""
    return True


def by_hand(rework: str, why: Failed) -> Wheel:
    """Build without the build server."""
    return Wheel(f"{rework} {why}")


def last_one(rework: str) -> Wheel:
    """Take the wheel of the day before."""
    return Wheel(rework)


@task(when=is_changed, attempts=3, fallback=by_hand, degraded=last_one)
def build(rework: str) -> Wheel:
    """Build the wheel."""
    return Wheel(rework)


@task
def download() -> Wheel:
    """Take the wheel that is there."""
    return Wheel("1")


@task
def regions() -> list[str]:
    """Return where to deploy."""
    return ["eu", "us"]


def is_far(region: str) -> bool:
    """Say whether a region is on another continent."""
    return region != "eu"


@task
def deploy(
    region: str,
    wheel: Annotated[Wheel, FirstOf(build, download)],
    ok: Annotated[Approval | Rejected, Ask("Deploy {wheel} to {region}?", when=is_far, timeout=3600)],
) -> str:
    """Deploy to one region."""
    return f"{region} {wheel} {ok}"


@deploy.undo
def withdraw(deploy: str, region: str) -> None:
    """Take the deployment of a region back."""
    print(deploy, region)


@task(when=is_far)
def warm(deploy: str, region: str) -> int:
    """Fill the caches of a region that is far away."""
    return len(deploy + region)


@stage
def area(
    region: Annotated[str, Each(regions, limit=1, key=str, tolerate="10%")],
    deploy: str,
    warm: int | None,
) -> str:
    """Do one region."""
    return f"{region} {deploy} {warm}"


@task(after=[area])
def announce(warmed: Annotated[list[int | Failed | None], From(warm)]) -> None:
    """Tell the team."""
    print(warmed)


@parallel
def wheels(build: Wheel | None, download: Wheel) -> None: ...


@stage
def whole(
    rework: str,
    is_changed: bool,
    wheels: None,
    regions: list[str],
    area: list[str | Failed],
    announce: None,
) -> None: ...
