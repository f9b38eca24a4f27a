"""Values are signed where they are stored, and verified before they are unpickled."""

import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow.checkpoint import Keys, Place, Unloadable, dumps, fits, loads, sign, tag, unpickle, verify
from gflow.errors import CheckpointTampered

KEYS = Keys((b"k" * 32,))
OTHER = Keys((b"o" * 32,))
PLACE = Place("k3f9", "build", 0, 1)

texts = st.text(st.characters(exclude_categories=()), max_size=8)
places = st.builds(Place, texts, texts, st.integers(0, 200), st.integers(0, 200))
parts = st.lists(st.binary(max_size=4), max_size=4)


@dataclass
class Wheel:
    name: str
    size: int = 0


class Canary:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


def test_round_trip() -> None:
    """What was stored at a place comes back from there, equal and not the same."""
    wheel = Wheel("calc-1.0", 7)
    payload = dumps(wheel)
    copy = loads(KEYS, PLACE, tag(KEYS, PLACE, payload), payload)
    assert copy == wheel
    assert copy is not wheel


def test_pickle_protocol() -> None:
    """A value is stored with pickle protocol 5."""
    assert dumps(Wheel("a"))[:2] == b"\x80\x05"


@given(places, places)
def test_places_are_told_apart(one: Place, other: Place) -> None:
    """Two places have the same bytes only if they are the same place."""
    assert (one.encode() == other.encode()) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Place("r", "fix~1", 12, 3), Place("r", "fix~11", 2, 3)),
        (Place("r", "fix", 1, 23), Place("r", "fix", 12, 3)),
        (Place("a:b", "c", 0, 1), Place("a", "b:c", 0, 1)),
        (Place("ab", "c", 0, 1), Place("a", "bc", 0, 1)),
        (Place("r", "fix:1", 1, 1), Place("r", "fix", 1, 11)),
    ],
)
def test_places_are_told_apart_where_parts_meet(one: Place, other: Place) -> None:
    """No part of a place runs into the next one."""
    assert one.encode() != other.encode()


@given(parts, parts)
def test_parts_are_told_apart(one: list[bytes], other: list[bytes]) -> None:
    """Parts have the same signature only if they are cut in the same way."""
    assert (sign(KEYS, *one) == sign(KEYS, *other)) == (one == other)


@pytest.mark.parametrize("size", [16, 32])
def test_size_of_signature(size: int) -> None:
    """A signature has the size that was asked for, and only that size fits."""
    mac = sign(KEYS, b"value", b"x", size=size)
    assert len(mac) == size
    assert fits(KEYS, mac, b"value", b"x", size=size)
    assert not fits(KEYS, mac[:-1], b"value", b"x", size=size)
    assert not fits(KEYS, b"", b"value", b"x", size=size)


def test_signature_is_keyed() -> None:
    """Another key signs otherwise."""
    assert sign(KEYS, b"value") != sign(OTHER, b"value")


def test_several_keys() -> None:
    """The first key signs, and every key verifies, so that a key can be replaced."""
    payload = dumps(1)
    old = tag(KEYS, PLACE, payload)
    both = Keys((*OTHER.ring, *KEYS.ring))
    verify(both, PLACE, old, payload)
    assert tag(both, PLACE, payload) == tag(OTHER, PLACE, payload) != old


FORGERIES = {
    "no signature": (KEYS, PLACE, ""),
    "no digits": (KEYS, PLACE, "not hexadecimal"),
    "no text of this world": (KEYS, PLACE, "\udcff"),
    "half a signature": (KEYS, PLACE, None),
    "another key": (OTHER, PLACE, None),
    "another run": (KEYS, PLACE._replace(run="zzzz"), None),
    "another path": (KEYS, PLACE._replace(path="deploy"), None),
    "another generation": (KEYS, PLACE._replace(generation=1), None),
    "another attempt": (KEYS, PLACE._replace(attempt=2), None),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_values_are_not_unpickled(name: str, tmp_path: Path) -> None:
    """What a holder of the key did not store at this place is refused before it is unpickled."""
    keys, place, given_tag = FORGERIES[name]
    payload = pickle.dumps(Canary(tmp_path / "mark"))
    forged = tag(keys, place, payload) if given_tag is None else given_tag
    if name == "half a signature":
        forged = forged[:16]
    with pytest.raises(CheckpointTampered, match=r"run k3f9: the stored value of build .* was not unpickled"):
        loads(KEYS, PLACE, forged, payload)
    assert not (tmp_path / "mark").exists()


def test_the_canary_sings(tmp_path: Path) -> None:
    """The forgeries above would leave a mark if they were unpickled."""
    payload = pickle.dumps(Canary(tmp_path / "mark"))
    loads(KEYS, PLACE, tag(KEYS, PLACE, payload), payload)
    assert (tmp_path / "mark").exists()


@given(st.binary(min_size=1, max_size=40), st.integers(0), st.integers(1, 255))
def test_one_changed_byte(payload: bytes, where: int, change: int) -> None:
    """A single changed byte is found."""
    changed = bytearray(payload)
    changed[where % len(payload)] ^= change
    with pytest.raises(CheckpointTampered):
        verify(KEYS, PLACE, tag(KEYS, PLACE, payload), bytes(changed))


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module with a class `Order`."""
    module = ModuleType("shop")
    exec("class Order:\n    def __setstate__(self, state): raise ValueError('too old')", vars(module))
    monkeypatch.setitem(sys.modules, "shop", module)
    return module


def test_class_is_gone(shop: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value whose class is gone names the class, and says how to go on."""
    payload = dumps([shop.Order(), 1])
    monkeypatch.delattr(shop, "Order")
    with pytest.raises(Unloadable) as caught:
        unpickle(PLACE, payload)
    assert "run k3f9: the value of build cannot be read back: shop.Order: AttributeError" in str(caught.value)
    assert "gflow resume k3f9 --rerun build" in caught.value.remedy


def test_module_is_gone(shop: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value whose module is gone names the class in it."""
    payload = dumps(shop.Order())
    monkeypatch.delitem(sys.modules, "shop")
    with pytest.raises(Unloadable, match=r"shop\.Order: ModuleNotFoundError"):
        unpickle(PLACE, payload)


def test_class_takes_the_value_no_more(shop: ModuleType) -> None:
    """A value that its class does not take any more names the class and the reason."""
    order = shop.Order()
    order.number = 1
    with pytest.raises(Unloadable, match=r"shop\.Order: ValueError: too old"):
        unpickle(PLACE, dumps(order))


def test_unloadable_when_genuine_only(shop: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is forged and unloadable is called forged."""
    payload = dumps(shop.Order())
    monkeypatch.delattr(shop, "Order")
    with pytest.raises(CheckpointTampered):
        loads(KEYS, PLACE, tag(OTHER, PLACE, payload), payload)
