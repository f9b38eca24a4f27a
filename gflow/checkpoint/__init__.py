"""Values on their way to and from the disk: pickled, signed, verified before they are unpickled.

Whoever can write a pickle decides what unpickling executes. So every stored value carries a keyed
blake2b (RFC 7693) over its place and its bytes, made with a key that lies outside the project, and
nothing is unpickled before that fits. There is no format without a signature.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import pickle
from contextlib import suppress
from typing import Any, Final, NamedTuple

from gflow.checkpoint.culprit import PROTOCOL, Unpicklable, explain
from gflow.checkpoint.keys import OTHER_KEY, Keys
from gflow.checkpoint.previews import preview
from gflow.errors import CheckpointTampered, StoreError

__all__ = [
    "Keys", "Place", "Unloadable", "Unpicklable",
    "dumps", "fits", "loads", "preview", "sign", "tag", "unpickle", "verify",
]  # fmt: skip

TAG_SIZE: Final = 16


class Unloadable(StoreError):
    """A genuine value cannot be read back: its class has moved, or no longer takes what it holds."""


class Place(NamedTuple):
    """Where a value belongs: whoever moves it elsewhere breaks its signature."""

    run: str
    path: str
    generation: int
    attempt: int

    def encode(self) -> bytes:
        """Return bytes that no other place has: each text is preceded by its length."""
        run, path, generation, attempt = self
        text = f"{len(run)}:{run}{len(path)}:{path}{generation}:{attempt}"
        return text.encode("utf-8", "surrogatepass")


# ---------------------------------------------------------------- value <-> bytes


def dumps(value: object, name: str = "result") -> bytes:
    """Return `value` as a pickle; `name` is what an error calls it.

    Raises Unpicklable, which names the part that is to blame.
    """
    try:
        return pickle.dumps(value, PROTOCOL)
    except Exception as error:
        raise explain(value, name, error) from error


def loads(keys: Keys, place: Place, tag: str, payload: bytes) -> object:
    """Return the value that `payload` holds, if its signature fits.

    Raises CheckpointTampered before anything is unpickled, and Unloadable.
    """
    verify(keys, place, tag, payload)
    return unpickle(place, payload)


def unpickle(place: Place, payload: bytes) -> object:
    """Return the value of a payload that this process has pickled or verified itself.

    Raises Unloadable, which names the class that is missing.
    """
    try:
        return pickle.loads(payload)  # noqa: S301  (`verify` came first, or `dumps`)
    except Exception as error:
        raise _unloadable(place, payload, error) from error


def _unloadable(place: Place, payload: bytes, error: Exception) -> Unloadable:
    name = _last_class(payload)
    return Unloadable(
        f"run {place.run}: the value of {place.path} cannot be read back: "
        f"{name}: {type(error).__name__}: {error}",
        f"put {name} back where it was, or let {place.path} run again: "
        f"gflow resume {place.run} --rerun {place.path}",
    )


def _last_class(payload: bytes) -> str:
    """Return the class at which unpickling fails, by failing once more."""
    reader = _Naming(io.BytesIO(payload))
    with suppress(Exception):
        reader.load()
    return reader.last


class _Naming(pickle.Unpickler):
    """An unpickler that can tell which class it looked up last."""

    last = "its class"

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        self.last = f"{module_name}.{global_name}"
        return super().find_class(module_name, global_name)


# ---------------------------------------------------------------- signatures


def sign(keys: Keys, *parts: bytes, size: int = TAG_SIZE) -> bytes:
    """Return the signature of `parts`, `size` bytes long.

    Each part is preceded by its length, so parts that are cut differently never sign alike. The first
    one says what is signed (`b"value"`), so that one kind of thing never passes for another.
    """
    return _mac(keys.ring[0], parts, size)


def fits(keys: Keys, mac: bytes, *parts: bytes, size: int = TAG_SIZE) -> bool:
    """Tell, in constant time, whether one of the keys signed exactly these `parts` with `mac`."""
    return any(hmac.compare_digest(mac, _mac(key, parts, size)) for key in keys.ring)


def tag(keys: Keys, place: Place, payload: bytes) -> str:
    """Return the signature of a value at its place, as hexadecimal digits."""
    return sign(keys, b"value", place.encode(), payload).hex()


def verify(keys: Keys, place: Place, tag: str, payload: bytes) -> None:
    """Raise CheckpointTampered unless a holder of one of the keys stored `payload` at `place`."""
    if fits(keys, _from_hex(tag), b"value", place.encode(), payload):
        return
    raise CheckpointTampered(
        f"run {place.run}: the stored value of {place.path} (generation {place.generation}, "
        f"attempt {place.attempt}) does not fit its signature; it was not unpickled",
        OTHER_KEY,
    )


def _from_hex(tag: str) -> bytes:
    try:
        return bytes.fromhex(tag)
    except ValueError:
        return b""


def _mac(key: bytes, parts: tuple[bytes, ...], size: int) -> bytes:
    digest = hashlib.blake2b(key=key, digest_size=size)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
