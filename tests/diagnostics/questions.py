"""Questions that nobody can ask."""

from typing import Annotated

from gflow import Approval, Ask, Each, From, stage, task


@task
def build() -> str:
    return "1.0"


@task
def regions() -> list[str]:
    return ["eu"]


@task
def tag(
    region: Annotated[str, Each(regions)],
    wheel: Annotated[str, From(build)],
    ok: Annotated[Approval, Ask("Tag {biuld} {wheel.versoin} {region.name} {wheel} {region} {ok}?")],
) -> str:
    return region


@task
def publish(one: Approval, other: Annotated[Approval, Ask("Publish?", timeout=0)]) -> str:
    return one.who


@task
def announce(ok: Annotated[str, Ask("Tell them?")], sure: Annotated[Approval, From(build)]) -> str:
    return ok


@stage
def ship(build: str, regions: list[str], tag: list[str], publish: str, announce: str, ok: Approval) -> None:
    print(ok)
