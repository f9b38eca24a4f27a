"""Fields of results: of a dataclass, a NamedTuple, a TypedDict and a pydantic model."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypedDict

from pydantic import BaseModel

from gflow import From, stage, task


@dataclass
class Candidate:
    """What is going to be released."""

    version: str


class Size(NamedTuple):
    """What a wheel weighs."""

    bytes: int


class Entry(TypedDict):
    """A line of the changelog."""

    text: str


class Deployment(BaseModel):
    """Where a candidate runs."""

    url: str

    @property
    def host(self) -> str:
        return self.url


@task
def candidate() -> Candidate:
    return Candidate("1.0")


@task
async def size() -> Size:
    return Size(1)


@task
def entry() -> Entry:
    return {"text": "new"}


@task
async def deploy() -> Deployment:
    return Deployment(url="https://example.org")


@task
def tag(version: Annotated[str, From(candidate, "version")]) -> None:
    print(version)


@task
def weigh(weight: Annotated[float, From(size, "bytes")]) -> None:
    print(weight)


@task
def note(text: Annotated[str, From(entry, "text")]) -> None:
    print(text)


@task
def visit(url: Annotated[str, From(deploy, "url")], host: Annotated[str, From(deploy, "host")]) -> None:
    print(url, host)


@stage
def flow(
    candidate: Candidate,
    size: Size,
    entry: Entry,
    deploy: Deployment,
    tag: None,
    weigh: None,
    note: None,
    visit: None,
) -> None: ...
