"""Undos: sync and async, of sync and async steps, with further parameters."""

from collections.abc import Awaitable
from typing import Annotated

from gflow import Context, From, Input, stage, task


class Tag(str):
    """A tag in a repository."""

    __slots__ = ()


class Upload(int):
    """A file on an index."""

    __slots__ = ()


@task
def tag(remote: Input[str] = "origin") -> Tag:
    return Tag(remote)


@tag.undo
def delete_tag(tag: Tag | None, remote: str, ctx: Context) -> None:
    print(tag, remote, ctx)


@task
async def upload(tag: str) -> Upload:
    return Upload(len(tag))


@upload.undo
async def remove(uploaded: Upload, name: Annotated[str, From(tag)]) -> None:
    print(uploaded, name)


@task
def announce(upload: int) -> bytes:
    return bytes(upload)


@announce.undo
def retract(announce: bytes) -> Awaitable[None]:
    return remove(Upload(), Tag(announce.decode()))


@stage
def flow(tag: Tag, upload: Upload, announce: bytes) -> None: ...


@flow.undo
def leave(flow: None) -> None:
    print(flow)
