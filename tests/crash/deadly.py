"""A short workflow in which a step, or an undo, takes the process along, for as long as it is told to."""

from __future__ import annotations

import os

from gflow import Context, stage, task
from tests.crash.ledger import Made, perform, take_back

DIES: int = 9
_deadly: set[str] = set()


def die_in(*names: str) -> None:
    """Let these steps of this process, or undos, named `-STEP`, be the end of it."""
    _deadly.clear()
    _deadly.update(names)


def _live_through(name: str) -> None:
    if name in _deadly:
        os._exit(DIES)


@task
def early(ctx: Context) -> Made:
    made = perform(ctx)
    _live_through("early")
    return made


@early.undo
def not_early(early: Made, ctx: Context) -> None:
    """Take it back."""
    _live_through("-early")
    take_back(ctx, early)


@task
def late(ctx: Context, early: Made) -> Made:
    made = perform(ctx, early)
    _live_through("late")
    return made


@late.undo
def not_late(late: Made, ctx: Context) -> None:
    """Take it back."""
    _live_through("-late")
    take_back(ctx, late)


@stage
def whole(early: Made, late: Made, ctx: Context) -> Made:
    return perform(ctx, late)
