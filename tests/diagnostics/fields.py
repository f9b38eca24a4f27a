"""Fields by From: misspelt, of another type, of something without fields."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypedDict

from gflow import From, task


@dataclass
class Deployment:
    address: str
    version: int


class Pair(NamedTuple):
    left: int
    right: int


class Facts(TypedDict):
    lines: int


@task
def deploy() -> Deployment:
    return Deployment("", 1)


@task
def pair() -> Pair:
    return Pair(1, 2)


@task
def facts() -> Facts:
    return {"lines": 1}


@task
def announce(
    url: Annotated[str, From(deploy, "adress")],
    version: Annotated[str, From(deploy, "version")],
    top: Annotated[int, From(pair, "top")],
    lines: Annotated[int, From(facts, "line")],
) -> None:
    print(url, version, top, lines)
