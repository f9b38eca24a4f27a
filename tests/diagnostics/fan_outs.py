"""What cannot be done once per item."""

from typing import Annotated

from gflow import Each, Failed, Until, parallel, stage, task


def is_far(region: str) -> bool:
    return region == "us"


@task
def regions() -> set[str]:
    return {"eu", "us"}


@task
def zones() -> list[str]:
    return ["a", "b"]


@task
def sizes() -> list[int]:
    return [1, 2]


@task
def pair(zone: Annotated[str, Each(zones)], size: Annotated[int, Each(sizes)]) -> str:
    return zone


@task
def deploy(region: Annotated[str, Each(regions, limit=0, key="name", tolerate="many")]) -> str:
    return region


@task
def label(sizes: Annotated[str, Each(sizes)]) -> str:
    return sizes


@task(when=is_far)
def ping(region: Annotated[str, Each(zones, tolerate="10%")]) -> int:
    return 1


@task
def latency(ping: list[int], pings: list[int | Failed | None]) -> int:
    return len(ping)


@task
def check(zone: str) -> int:
    return len(zone)


@task
def wide(zone: int) -> int:
    return zone


@task
def deep(check: str) -> int:
    return len(check)


@parallel(repeat=Until(is_far, max=0))
def area(zone: Annotated[str, Each(zones)], check: int, wide: int, deep: int) -> int:
    return check


@task
def report(zone: str, area: int) -> None:
    print(zone)


@stage
def whole(
    regions: set[str],
    zones: list[str],
    sizes: list[int],
    pair: list[str],
    deploy: list[str],
    label: list[str],
    ping: list[int | Failed | None],
    latency: int,
    area: list[int],
    report: None,
) -> None: ...
