"""Decorators above those of gflow."""

from functools import lru_cache

from gflow import agent, task


@lru_cache
@task
def build() -> int:
    return 1


@agent("tester")
@task
def tests() -> int:
    return 1


@task
@lru_cache
def lint() -> int:
    return 1
