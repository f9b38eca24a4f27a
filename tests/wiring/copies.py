"""Copies of steps and of groups, with constants and with other steps."""

from typing import Annotated, Literal

from gflow import From, stage, task


@task
def api() -> list[str]:
    return ["a"]


@task
def web() -> list[str]:
    return ["b"]


@task
def app() -> list[str]:
    return ["c"]


@task
def lint(package: str, api: list[str], depth: float, config: dict[str, int]) -> int:
    return len([package, api, depth, config])


lint_api = lint.using(package="api", depth=1, config={"a": 1})
lint_web = lint.using(package="web", api=web, depth=float("inf"), config={})


@task
def build(api: list[str], target: Literal["test", "live"]) -> bytes:
    return f"{api} {target}".encode()


@stage
def delivery(build: bytes) -> bytes:
    return build


canary = delivery.using(target="test", api=From(app))


@task
def compare(one: Annotated[bytes, From(canary.build)], canary: bytes) -> bool:
    return one == canary


@stage
def flow(
    api: list[str], web: object, app: object, lint_api: int, lint_web: int, canary: bytes, compare: bool
) -> None: ...
