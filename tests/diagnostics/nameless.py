"""A copy without a name, and a copy that runs beside what it is a copy of."""

from typing import Annotated

from gflow import From, Input, stage, task


@task
def lint(package: Input[str]) -> int:
    return len(package)


@stage
def checks(lint: int) -> int:
    return lint


api = checks.using(package="api")


@task
def report(web: Annotated[int, From(lint.using(package="web"))], lint: int) -> int:
    return web + lint


@stage
def ship(api: int, report: int) -> int:
    return api + report
