"""Items, rounds, conditions, stand-ins, questions."""

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
    parallel,
    stage,
    task,
)


@dataclass
class Review:
    ok: bool


@dataclass
class Pack:
    version: str


@task
def regions() -> list[str]:
    return ["eu"]


def is_far(region: str) -> bool:
    return region == "us"


@task(when=is_far)
def build(region: str) -> bytes:
    return region.encode()


def guess(build: bytes, why: Failed) -> int:
    return len([build, why])


async def roughly(build: bytes) -> int:
    return len(build)


@task(fallback=guess, degraded=roughly)
def check(build: bytes) -> int:
    return len(build)


@task
def cleanup(region: str, check: int | Failed | None) -> None:
    print(region, check)


@parallel
def area(
    region: Annotated[str, Each(regions, limit=2, tolerate="10%")],
    build: bytes | None,
    check: int | None,
    cleanup: None,
) -> complex:
    return len([region, build, check, cleanup])


@task
def total(
    sizes: Annotated[list[int | Failed | None], From(check)],
    areas: Annotated[object, From(area)],
) -> int:
    return len([sizes, areas])


@task
def sizes() -> tuple[int, ...]:
    return (1, 2)


@task
async def double(size: Annotated[int, Each(sizes)]) -> float:
    return 2 * size


@task
def doubles(double: list[float]) -> float:
    return sum(double)


@task
def draft(verdict: Annotated[Review | None, Previous()]) -> str:
    return str(verdict)


@task
async def verdict(draft: str) -> Review:
    return Review(ok=bool(draft))


def done(verdict: Review) -> bool:
    return verdict.ok


@stage(repeat=Until(done, max=3))
def rework(draft: str, verdict: Review) -> str:
    return f"{draft} {verdict}"


@task
def is_public() -> bool:
    return True


@task
def is_cheap() -> bool:
    return True


@task(when=is_cheap)
def fast() -> bytes:
    return b""


@task
async def slow() -> str:
    return ""


@task
def pack() -> Pack:
    return Pack("1")


@task
def tag(
    wheel: Annotated[bytes | str, FirstOf(fast, slow)],
    ok: Annotated[Approval | Rejected, Ask("Tag {pack.version}?", when=is_public)],
) -> str:
    return f"{wheel!r} {ok}"


@task
def push(tag: str, sure: Approval) -> str:
    return f"{tag} {sure.who}"


@stage
def flow(
    regions: list[str],
    area: list[complex | Failed],
    total: int,
    sizes: object,
    double: object,
    doubles: float,
    rework: str,
    is_public: bool,
    is_cheap: object,
    fast: bytes | None,
    slow: str,
    pack: object,
    tag: str,
    push: str,
) -> None: ...
