"""What is kept of runs that have ended, and for how long; `gflow gc` removes the rest.

Rows go first, in one transaction for each run, then its files. So a kill leaves only files that no run
names: rubbish, which is found and removed later.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gflow import orphans, ownership, session
from gflow.errors import RunOwned, StoreError
from gflow.events import Adopted, decode
from gflow.stores import Blob, RunRow, Store

ENDED: Final = ("completed", "failed", "rejected", "cancelled", "rolled_back")
"""What may go. A run that waits, was interrupted or is half rolled back still has something to do."""
DAY: Final = 86_400.0
"""Seconds after which a file that no run names is rubbish: until then somebody may be about to name it."""
_NAMES: Final = re.compile(rb"\b[0-9a-f]{32}\b")


@dataclass(frozen=True, slots=True)
class Old:
    """A run that ended long ago.

    `size` is what it takes in bytes, `blobs` are those that no run names which stays, and `origins` the runs
    whose values it shares.
    """

    row: RunRow
    size: int
    blobs: frozenset[str]
    origins: frozenset[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A run that ended as long ago and is kept; `why` says what needs it."""

    run: str
    why: str


@dataclass(frozen=True, slots=True)
class Rubbish:
    """What crashes have left and no run names: blobs and files."""

    size: int = 0
    blobs: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.blobs) + len(self.files)


@dataclass(frozen=True, slots=True)
class Clearance:
    """What goes: runs, the newest first, and rubbish; and what is as old and stays."""

    runs: tuple[Old, ...]
    kept: tuple[Kept, ...]
    rubbish: Rubbish

    @property
    def size(self) -> int:
        """Bytes of all that goes."""
        return sum(old.size for old in self.runs) + self.rubbish.size


# ---------------------------------------------------------------- what would go


def plan(store: Store, folder: Path, keep: float, now: float) -> Clearance:
    """Return what has ended more than `keep` seconds before `now` and nothing needs; nothing is touched.

    Raises StoreError if the journal of a run cannot be read: it may need any other run.
    """
    rows = store.runs()
    blobs = {blob.name: blob for blob in store.blobs()}
    named, origins = _references(store, rows, blobs)
    old = {row.id: row for row in rows if _is_old(row, keep, now)}
    reasons = {run: why for run in old if (why := _in_use(folder, run))}
    _add_origins(reasons, old, origins)
    needed = _union(names for run, names in named.items() if run not in old or run in reasons)
    runs: list[Old] = []
    counted: set[str] = set()
    for row in [row for run, row in old.items() if run not in reasons]:
        mine = named[row.id] - needed
        blob_size = sum(blobs[name].size for name in mine - counted)
        counted |= mine
        size = store.weight(row.id) + blob_size + _size_of_files(folder, row.id)
        runs.append(Old(row, size, frozenset(mine), frozenset(origins[row.id])))
    return Clearance(
        tuple(runs),
        tuple(Kept(run, why) for run, why in reasons.items()),
        _rubbish(folder, {row.id for row in rows}, blobs, _union(named.values()), now),
    )


def _union(sets: Iterable[set[str]]) -> set[str]:
    return set[str]().union(*sets)


def _is_old(row: RunRow, keep: float, now: float) -> bool:
    ended_long_ago = row.status in ENDED and row.ended is not None and now - row.ended > keep
    return ended_long_ago and _is_id(row.id)


def _is_id(name: str) -> bool:
    """Tell whether a name is that of a run. A row is not signed: it may name any file."""
    return re.fullmatch(r"[\w-]+", name) is not None


def _in_use(folder: Path, run: str) -> str:
    owner = ownership.owner(folder, run)
    if owner is not None and owner.alive:
        return f"process {owner.pid} has it" if owner.pid else "a process has it"
    return "a command of it still runs" if orphans.living(folder, run) else ""


def _references(
    store: Store, rows: Iterable[RunRow], blobs: Collection[str]
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return, for each run, which of the blobs its journal names, and the runs whose values it shares.

    Everything that looks like the name of a blob counts as one: a blob is rather kept in vain.
    """
    named: dict[str, set[str]] = {}
    origins: dict[str, set[str]] = {}
    for row in rows:
        rounds = store.rounds(row.id)
        found = {name.decode() for each in rounds for name in _NAMES.findall(each.records)}
        named[row.id] = found.intersection(blobs)
        origins[row.id] = _origins(row.id, rounds[0].records) if rounds else set()
    return named, origins


def _origins(run: str, records: bytes) -> set[str]:
    """Return the runs whose values a run shares: a fork says so in its first round."""
    try:
        return {event.run for event in decode(records) if isinstance(event, Adopted)}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise StoreError(
            f"run {run} cannot be read, and may share the values of any other",
            "upgrade gflow, if a newer one wrote it",
        ) from error


def _add_origins(
    reasons: dict[str, str], old: Mapping[str, RunRow], origins: Mapping[str, AbstractSet[str]]
) -> None:
    """Keep the runs whose values a kept run shares; and, as those are kept then, theirs."""
    front = [run for run in origins if run not in old or run in reasons]
    while front:
        fork = front.pop()
        for run in sorted(origins.get(fork, ())):
            if run in old and run not in reasons:
                reasons[run] = f"run {fork} shares its values"
                front.append(run)


def _files(folder: Path, run: str) -> list[Path]:
    """Return where the files of a run lie; its lock comes last, since it guards the others."""
    lock = ownership.lock_file(folder, run)
    return [session.log_path(folder, run), folder / "work" / run, lock.with_suffix(""), lock]


def _size_of_files(folder: Path, run: str) -> int:
    return sum(_size(path) for path in _files(folder, run) if os.path.lexists(path))


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum((Path(top) / name).lstat().st_size for top, _, names in os.walk(path) for name in names)


# ---------------------------------------------------------------- rubbish


def rubbish(store: Store, folder: Path, now: float) -> Rubbish:
    """Return what no run names and is more than a day old. Raises StoreError as `plan` does."""
    return plan(store, folder, float("inf"), now).rubbish


def _rubbish(
    folder: Path, runs: AbstractSet[str], blobs: Mapping[str, Blob], named: AbstractSet[str], now: float
) -> Rubbish:
    """Return what is unnamed for a day, and older than any process that could be about to name it."""
    before = min([now - DAY, *_claims(folder)])
    stray = [blob for blob in blobs.values() if blob.name not in named and blob.at < before]
    files = [path for run, path in _found(folder) if run not in runs and path.lstat().st_mtime < before]
    size = sum(blob.size for blob in stray) + sum(map(_size, files))
    return Rubbish(size, tuple(blob.name for blob in stray), tuple(files))


def _claims(folder: Path) -> Iterator[float]:
    """Yield when each run that is alive was claimed (Unix seconds); 0 if that cannot be read."""
    for lock in (folder / "locks").glob("*.lock"):
        if not _is_id(lock.stem):
            continue
        owner = ownership.owner(folder, lock.stem)
        if owner is not None and owner.alive:
            yield owner.at


def _found(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of runs, whether there is such a run or not, with its id; a lock comes last."""
    for log in (folder / "logs").glob("*.jsonl"):
        yield log.stem, log
    for work in (folder / "work").glob("*"):
        yield work.name, work
    for lock in sorted((folder / "locks").glob("*"), key=lambda path: path.suffix):
        yield lock.stem, lock


# ---------------------------------------------------------------- removing it


def clear(store: Store, folder: Path, keep: float, now: float) -> Clearance:
    """Remove what `plan` returns, and return what was removed. A fork that begins meanwhile waits."""
    with _locked(folder, fcntl.LOCK_EX):
        planned = plan(store, folder, keep, now)
        removed, blobs = _remove_all(store, folder, planned.runs)
        store.drop_blobs([*blobs, *planned.rubbish.blobs])
        for path in planned.rubbish.files:
            _delete(path)
        if removed and not any(_claims(folder)):  # nobody has to wait for it
            store.compact()
    return replace(planned, runs=tuple(removed))


def _remove_all(store: Store, folder: Path, runs: Iterable[Old]) -> tuple[list[Old], set[str]]:
    """Remove runs, forks first; return those that were, and the blobs that no run names any more."""
    removed: list[Old] = []
    staying: set[str] = set()
    needed: set[str] = set()
    for old in runs:
        if old.row.id not in needed and _remove(store, folder, old):
            removed.append(old)
        else:
            needed |= old.origins
            staying |= old.blobs
    return removed, _union(set(old.blobs) for old in removed) - staying


def _remove(store: Store, folder: Path, old: Old) -> bool:
    """Remove one run under its lock; False if somebody has taken it up since it was planned."""
    run = old.row.id
    try:
        claim = ownership.claim(folder, run)
    except RunOwned:
        return False
    try:
        if old.row not in store.find(run):
            return False
        store.forget(run)
        for path in _files(folder, run):
            _delete(path)
    finally:
        claim.release()
    return True


def _delete(path: Path) -> None:
    """Delete a file, or a folder with all that is in it; what a link points to stays."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{error.filename or path}: {error.strerror}", "remove it by hand") from error


# ---------------------------------------------------------------- who wants to use a run


@contextmanager
def put_off(folder: Path | None) -> Generator[None]:
    """Let nothing be removed while a fork comes to be; nothing is, in memory."""
    if folder is None:
        yield
        return
    with _locked(folder, fcntl.LOCK_SH):
        yield


def ensure_kept(store: Store, runs: Iterable[str]) -> None:
    """Raise StoreError if a run has been removed since it was found; ask when nothing can be removed."""
    for run in runs:
        store.value(run, 1, 0, 0)


@contextmanager
def _locked(folder: Path, kind: int) -> Generator[None]:
    path = folder / "gc.lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", "give a folder that can be written: --store") from error
    try:
        fcntl.flock(fd, kind)
        yield
    finally:
        os.close(fd)
