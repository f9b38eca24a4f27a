"""Forged checkpoints: whoever can write files in the project makes gflow execute nothing through them.

Every forgery is done to a copy of a genuine store. The run is looked at and resumed; the forgery must be
found and named, or have no effect, and the canary, a pickle that makes a file, must never be unpickled.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gflow.checkpoint import Keys, Place, unpickle
from gflow.errors import GflowError
from gflow.journal import Journal
from gflow.state import State
from tests.crash import mutations, scene
from tests.crash.children import Child
from tests.crash.forgeries import FORGERIES, Forgery
from tests.crash.proof import Proof, Violation
from tests.crash.scene import KEY, Scene

LOOKING: Final = (
    ["runs"], ["show", "last"], ["show", "last", "--json"], ["show", "last", "--timeline"], ["logs", "last"],
    ["doctor"],
)  # fmt: skip
REFUSED: Final = 74
"""The exit code where what is read was forged."""


def check(count: int) -> int:
    """Try every forgery once, and flip `count` single bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        genuine = _made(folder / "genuine", contextlib.nullcontext)
        _let_it_pass(genuine.copy(_new(folder / "untouched")))
        for number, forged in enumerate(FORGERIES):
            place = _new(folder / str(number))
            plain = forged.prepared is contextlib.nullcontext
            _examine(forged, genuine.copy(place) if plain else _made(place, forged.prepared))
        flips = genuine.copy(_new(folder / "flips"))
        Child(lambda: _flip(flips, random.Random(count), count)).exit_code()
    return len(FORGERIES) + count


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _made(folder: Path, prepared: Callable[[], contextlib.AbstractContextManager[object]]) -> Scene:
    folder.mkdir(exist_ok=True)
    return scene.built(folder, prepared)


def _let_it_pass(untouched: Scene) -> None:
    code, said = untouched.victim(["resume", untouched.run], gate=True)
    if code != 0:
        raise Violation(f"a genuine store is refused: {said}")


def _examine(forged: Forgery, forged_scene: Scene) -> None:
    named = forged.forge(forged_scene)
    said_before = _said(forged_scene)
    forged_scene.victim(*LOOKING)  # a view of rubbish may fail, but it unpickles nothing
    code, said = forged_scene.victim(["resume", forged_scene.run], gate=True)
    said = said.removeprefix(said_before)
    if forged_scene.canary.exists():
        raise Violation(f"{forged.name}: the canary was unpickled\n{said}")
    if not named and code != 0:
        raise Violation(f"{forged.name}: it has no effect, but the resume exits {code}\n{said}")
    if named and (code != REFUSED or named not in said):
        raise Violation(f"{forged.name}: the resume exits {code}, and does not name {named!r}\n{said}")


def _said(forged_scene: Scene) -> str:
    path = forged_scene.folder / "said"
    return path.read_text(errors="replace") if path.exists() else ""


# ---------------------------------------------------------------- single bytes


def _flip(genuine: Scene, dice: random.Random, count: int) -> None:
    """Flip single bytes of rounds, values and files, one at a time; each is found by whoever reads."""
    _read_all(genuine)
    rounds = genuine.execute("SELECT n, records, mac, vals FROM round WHERE run = ?", genuine.run)
    for _ in range(count):
        if dice.random() < 0.2:
            _flip_file(genuine, dice)
        else:
            n, *cells = dice.choice(rounds)
            column = dice.choice([name for name, cell in zip(COLUMNS, cells, strict=True) if cell])
            _flip_cell(genuine, dice, n, column, cells[COLUMNS.index(column)])


COLUMNS: Final = ("records", "mac", "vals")


def _flip_cell(genuine: Scene, dice: random.Random, n: int, column: str, cell: bytes) -> None:
    sql = f"UPDATE round SET {column} = ? WHERE run = ? AND n = ?"
    at, flipped = _flipped(dice, cell)
    genuine.execute(sql, flipped, genuine.run, n)
    _must_be_found(genuine, f"byte {at} of {column} of round {n}")
    genuine.execute(sql, cell, genuine.run, n)


def _flip_file(genuine: Scene, dice: random.Random) -> None:
    path = genuine.blob()
    content = path.read_bytes()
    at, flipped = _flipped(dice, content)
    path.write_bytes(flipped)
    _must_be_found(genuine, f"byte {at} of {path.name}")
    path.write_bytes(content)


def _flipped(dice: random.Random, content: bytes) -> tuple[int, bytes]:
    at = dice.randrange(len(content))
    return at, content[:at] + bytes([content[at] ^ dice.randrange(1, 256)]) + content[at + 1 :]


def _must_be_found(genuine: Scene, what: str) -> None:
    try:
        _read_all(genuine)
    except GflowError as error:
        if genuine.run not in str(error):
            raise Violation(f"{what} is flipped, and the error names no run: {error}") from error
        return
    raise Violation(f"{what} is flipped, and nobody has noticed")


def _read_all(genuine: Scene) -> None:
    """Read the whole journal and every value, as a resume that needs them all does."""
    with genuine.opened() as store:
        journal = Journal(store, genuine.run, Keys((KEY,)))
        state = State().fold(journal.load())
        assert state.inputs is not None
        refs = [(Place(genuine.run, "@inputs", 0, state.inputs.round), state.inputs)]
        for path, slot in state.slots.items():
            if slot.ref is not None:
                refs.append((Place(genuine.run, path, slot.generation, slot.attempt), slot.ref))
        for place, ref in refs:
            unpickle(place, journal.read(ref, place))


PROOF = Proof(
    "forgery", "forgeries and flips", check, tiny=60, short=1000,
    mutations=(
        mutations.unsigned_accepted, mutations.signature_ignored, mutations.unpickled_before_verified,
        mutations.rounds_unchained, mutations.place_unsigned, mutations.loose_key_accepted,
    ),
)  # fmt: skip
