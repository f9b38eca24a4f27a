"""A short workflow that can be held in its middle: its second step goes on when a pipe says so."""

from __future__ import annotations

import os

from gflow import Context, stage, task
from tests.crash.ledger import Made, perform

_pipe: int | None = None


def hold_on(pipe: int | None) -> None:
    """Let the step `held` of this process wait until `pipe` can be read; None: it does not wait."""
    global _pipe  # noqa: PLW0603  # bodies find it from wherever they run
    _pipe = pipe


@task
def before(ctx: Context) -> Made:
    return perform(ctx)


@task
def held(ctx: Context, before: Made) -> Made:
    made = perform(ctx, before)
    if _pipe is not None:
        os.read(_pipe, 1)
    return made


@task
def after(ctx: Context, held: Made) -> Made:
    return perform(ctx, held)


@stage
def whole(before: Made, held: Made, after: Made, ctx: Context) -> Made:
    return perform(ctx, after)
