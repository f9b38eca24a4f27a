"""A disk that loses what was not synced: replays recorded operations, and shows what a power loss leaves."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct("=iiiiqq")
"""As in recorder.c: kind, length of the path, of the other one, padding, offset, length of the data."""
SECTOR: Final = 512
"""Bytes that a disk writes wholly or not at all."""


class Operation(NamedTuple):
    """One thing that a process did to a file.

    `kind` is the first letter of create, mkdir, rename, unlink, write, truncate or sync.
    """

    kind: str
    path: str
    other: str
    offset: int
    data: bytes


def recorded(log: Path) -> Iterator[Operation]:
    """Yield what recorder.c has written down."""
    content = log.read_bytes()
    at = 0
    while at < len(content):
        kind, path, other, _, offset, length = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        pieces = []
        for size in (path, other, length if chr(kind) == "w" else 0):
            pieces.append(content[at : at + size])
            at += size
        yield Operation(chr(kind), pieces[0].decode(), pieces[1].decode(), offset, pieces[2])


@dataclass
class Contents:
    """The bytes of a file: those that are safe, and the writes since."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)

    def sync(self) -> None:
        for operation in self.pending:
            _apply(self.safe, operation)
        self.pending.clear()

    def after_power_loss(self, dice: random.Random | None) -> bytes:
        """Return what is left: what is safe, and with `dice`, some sectors of what was written since."""
        left = bytearray(self.safe)
        for operation in self.pending if dice else ():
            for piece in _sectors(operation):
                if dice and dice.random() < 0.5:
                    _apply(left, piece)
        return bytes(left)


def _apply(content: bytearray, operation: Operation) -> None:
    if operation.kind == "t":
        del content[operation.offset :]
        return
    missing = operation.offset - len(content)
    content.extend(bytes(max(0, missing)))
    content[operation.offset : operation.offset + len(operation.data)] = operation.data


def _sectors(operation: Operation) -> Iterator[Operation]:
    if operation.kind == "t":
        yield operation
    for start in range(0, len(operation.data), SECTOR):
        piece = operation.data[start : start + SECTOR]
        yield operation._replace(offset=operation.offset + start, data=piece)


class Disk:
    """Everything below `root`. A name is safe when its folder was synced after it was made (fsync(2))."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._names: dict[str, Contents | None] = {}  # None: a folder
        self._safe: dict[str, Contents | None] = {}

    def do(self, operation: Operation) -> None:
        """Let an operation happen."""
        kind, path, other, _, _ = operation
        match kind:
            case "c":
                self._names[path] = Contents()
            case "m":
                self._names[path] = None
            case "u":
                self._names.pop(path, None)
            case "r":
                self._names[other] = self._names.pop(path)
            case "s":
                self._sync(path)
            case _:
                contents = self._names.get(path)
                assert contents is not None, f"{path} was never made"
                contents.pending.append(operation)

    def _sync(self, path: str) -> None:
        contents = self._names.get(path)
        if contents is not None:
            contents.sync()
            return
        here = {name for name in (*self._names, *self._safe) if str(PurePosixPath(name).parent) == path}
        for name in here:
            if name in self._names:
                self._safe[name] = self._names[name]
            else:
                self._safe.pop(name)

    def write(self, folder: Path, dice: random.Random | None = None) -> None:
        """Make what a power loss leaves now; with `dice`, some of what was not synced is there as well."""
        names = dict(self._safe)
        if dice:
            names |= {name: each for name, each in self._names.items() if dice.random() < 0.5}
        for name in sorted(names):  # a folder comes before what is in it
            path = folder / PurePosixPath(name).relative_to(self._root)
            contents = names[name]
            if not path.parent.is_dir():
                continue  # the name of its folder is lost
            if contents is None:
                path.mkdir(mode=0o700)
            else:
                path.write_bytes(contents.after_power_loss(dice))
