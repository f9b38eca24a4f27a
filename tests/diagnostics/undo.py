"""Undos that do not take the result, and one that is a step as well."""

from gflow import Context, Input, task


@task
def build() -> str:
    return ""


@task
def tag(build: str) -> str:
    return build


@tag.undo
def delete_tag(build: str, tag: str) -> None:
    print(build, tag)


@task
def deploy(tag: str, remote: Input[str] = "origin") -> int:
    return len(tag + remote)


@deploy.undo
def stop() -> None:
    print()


@task
def announce(deploy: int) -> str:
    return str(deploy)


@task
@announce.undo
def retract(announce: str) -> None:
    print(announce)


@task
def clean() -> str:
    return ""


@clean.undo
def restore(ctx: Context) -> None:
    print(ctx)


@task
def push() -> str:
    return ""


@push.undo
def pull(remote: str) -> None:
    print(remote)
