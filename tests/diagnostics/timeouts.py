"""A timeout that cannot act is a note; one that can is none."""

import time

import gflow
from gflow import Context, Policy, ash, parallel, sh, task


@task(timeout=5)
def deaf() -> None:
    time.sleep(60)


@task(timeout=5)
def listens(ctx: Context) -> None:
    ctx.check_cancelled()


@task(timeout=5)
def waits_for_commands() -> list[str]:
    return [gflow.sh("sleep", each).out for each in ("1", "2")]


@task(timeout=5)
def calls_later() -> str:
    return (lambda: sh("sleep", "60").out)()


@task(timeout=5)
async def is_cancelled() -> None:
    await ash("sleep", "60")


@task(timeout=5, policy=Policy(isolation="process"))
def is_killed() -> None:
    time.sleep(60)


@parallel(policy=Policy(), timeout=5)
def everything(
    deaf: None,
    listens: None,
    waits_for_commands: list[str],
    calls_later: str,
    is_cancelled: None,
    is_killed: None,
) -> None:
    time.sleep(60)
