"""The secrets that sign what is stored: where they come from, and when they are refused.

The default key lies outside the project, because whoever works in the project (a step, a model with a
shell) can write there.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gflow.errors import StoreError

KEY_SIZE: Final = 32
OTHER_KEY: Final = (
    "if it was written on another machine, give that machine's key by GFLOW_KEY or GFLOW_KEY_FILE"
)


@dataclass(frozen=True, slots=True)
class Keys:
    """One or several keys of 32 bytes: the first one signs, each of them verifies."""

    ring: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.ring or any(len(key) != KEY_SIZE for key in self.ring):
            raise ValueError(f"a key has {KEY_SIZE} bytes, and at least one is needed")

    @classmethod
    def load(cls, environ: Mapping[str, str], home: Path, *, create: bool = True) -> Keys:
        """Return the keys of this user; the first of these that is set decides.

        1. `GFLOW_KEY`: one or more keys, hexadecimal or base64, separated by commas.
        2. `GFLOW_KEY_FILE`: a file that holds the same, or one key on each line.
        3. `gflow/keys/default.key` in `$XDG_CONFIG_HOME`, else in `.config` of `home`. It is made when
           it is missing, unless `create` is False (for commands that only read).

        Raises StoreError where there is no key, and where others could have read or replaced it.
        """
        if text := environ.get("GFLOW_KEY"):
            return _parsed(text, "GFLOW_KEY")
        if named := environ.get("GFLOW_KEY_FILE"):
            return _parsed(_read(Path(named)), named)
        path = _default_file(environ, home)
        if create and not path.exists():
            _create(path)
        return _parsed(_read(path), str(path))


def _parsed(text: str, origin: str) -> Keys:
    keys = [_decode(word) for word in text.replace(",", " ").split()]
    if not keys:
        raise _no_key(origin, "it is empty")
    for number, key in enumerate(keys, 1):
        if len(key) != KEY_SIZE:
            raise _no_key(origin, f"number {number} of {len(keys)} is not one")
    return Keys(tuple(keys))


def _decode(word: str) -> bytes:
    """Return the bytes that a word stands for; none if it is neither hexadecimal nor base64."""
    try:
        if len(word) == 2 * KEY_SIZE:
            return bytes.fromhex(word)
        bare = word.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (ValueError, binascii.Error):
        return b""


def _no_key(origin: str, why: str) -> StoreError:
    return StoreError(
        f"{origin} holds no key: {why} (a key is {KEY_SIZE} bytes, as hexadecimal digits or base64)",
        "make one: python3 -c 'import secrets; print(secrets.token_hex(32))'",
    )


def _default_file(environ: Mapping[str, str], home: Path) -> Path:
    configured = Path(environ.get("XDG_CONFIG_HOME", ""))
    # A relative path is to be ignored (XDG Base Directory Specification 0.8).
    base = configured if configured.is_absolute() else home / ".config"
    return base / "gflow" / "keys" / "default.key"


# ---------------------------------------------------------------- making a key file


def _create(path: Path) -> None:
    """Make a key file: it gets its name when it is complete and on the disk.

    So neither a crash nor a second process at the same moment leaves an empty key, or two keys.
    """
    temp = path.with_name(f".{os.urandom(8).hex()}.tmp")
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(temp, os.urandom(KEY_SIZE).hex() + "\n")
        _link_once(temp, path)
    except OSError as error:
        raise StoreError(
            f"the key that signs checkpoints cannot be made: {path}: {error.strerror}",
            "give one by GFLOW_KEY or GFLOW_KEY_FILE",
        ) from error


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)


def _link_once(temp: Path, path: Path) -> None:
    try:
        os.link(temp, path)
    except FileExistsError:
        pass  # another process was first: its key is the key
    finally:
        temp.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# ---------------------------------------------------------------- reading a key file


def _read(path: Path) -> str:
    try:
        # O_NONBLOCK: a named pipe in the place of the file is refused, not waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused(path, "it is a symbolic link", "name the file itself") from error
        raise StoreError(f"no key can be read: {path}: {error.strerror}", OTHER_KEY) from error
    with os.fdopen(fd, "rb") as file:
        _check(path, os.fstat(fd))
        return file.read(64 * 1024).decode("ascii", "replace")


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, "it is not a file", "name a file")
    if found.st_uid != os.geteuid():
        raise _refused(path, f"it belongs to user {found.st_uid}", "use a copy of your own, with mode 600")
    if found.st_mode & 0o077:
        raise _refused(
            path, f"others have access to it (mode {found.st_mode & 0o777:o})", f"chmod 600 {path}"
        )


def _refused(path: Path, why: str, remedy: str) -> StoreError:
    return StoreError(f"the key file {path} is refused: {why}", remedy)
