"""A stage runs its members in the order of its signature; two of them contradict their data."""

from gflow import parallel, stage, task


@task
def build() -> str:
    return "wheel"


@task
def upload(build: str) -> str:
    return build


@task
def sign(build: str) -> str:
    return build


@parallel
def checks(sign: str) -> None: ...


@stage
def ship(upload: str, checks: None, build: str) -> str:
    return upload
