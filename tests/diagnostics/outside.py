"""Steps that take part and are in no group."""

from gflow import parallel, stage, task


@task
def fetch() -> str:
    return ""


@task
def clean(fetch: str) -> str:
    return fetch


@task
def lint(fetch: str) -> int:
    return 0


@parallel
def checks(lint: int) -> int:
    return lint


@stage
def ship(clean: str, checks: int) -> str:
    return clean


@task
def notify(clean: str) -> None:
    print(clean)


@task
def celebrate(ship: str) -> None:
    print(ship)
