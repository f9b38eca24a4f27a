"""Notifiers that could tell nobody."""

from gflow import Workflow, task
from gflow.notify import Post


@task
def announce() -> None:
    print()


async def tell_later(notice: object) -> None:
    print(notice)


def tell_nothing() -> None:
    print()


workflow = Workflow(notify=["https://chat.example.org", Post, announce, tell_later, tell_nothing, print])
