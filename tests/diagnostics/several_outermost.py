"""Two groups that nobody joins, the second of which reads the first."""

from gflow import stage, task


@task
def upload(prepare: str) -> None:
    print(prepare)


@stage
def ship(upload: None) -> None: ...


@task
def build() -> str:
    return ""


@stage
def prepare(build: str) -> str:
    return build
