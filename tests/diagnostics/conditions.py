"""Who is skipped, and who cannot be."""

from typing import Annotated

from gflow import Each, FirstOf, stage, task


@task
def is_public() -> bool:
    return True


@task
def branch() -> str:
    return "main"


def is_main(branch: str) -> str:
    return branch


@task(when=branch)
def lint() -> None:
    print("lint")


@task(when=is_main)
def tests() -> None:
    print("tests")


@task(when="always")
def docs() -> None:
    print("docs")


@task(when=is_public)
def publish() -> str:
    return "https://index.example"


@task
def announce(publish: str) -> str:
    return publish


@task
def archive(publish: str | None, announce: str = "") -> str:
    return publish or announce


@task(after=[announce])
def celebrate() -> None:
    print("done")


@task
def mirror(url: Annotated[str, FirstOf(branch, publish)], other: Annotated[str, FirstOf(publish, announce)]) -> str:
    return url


@stage
def whole(
    is_public: bool,
    branch: str,
    lint: None,
    tests: None,
    docs: None,
    publish: str,
    announce: str | None,
    archive: str,
    celebrate: None,
    mirror: str | None,
) -> None: ...
