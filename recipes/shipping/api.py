"""The public API of two trees, compared by griffe, which reads code and runs none of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.shipping.project import find_package
from recipes.shipping.tools import missing
from recipes.shipping.versions import Raised, is_initial

if TYPE_CHECKING:
    import griffe

    Item = griffe.Object | griffe.Alias

COMPATIBLE = frozenset(
    ("PARAMETER_CHANGED_DEFAULT", "RETURN_CHANGED_TYPE", "ATTRIBUTE_CHANGED_TYPE", "ATTRIBUTE_CHANGED_VALUE")
)
"""Kinds of griffe's breakages after which callers' code still runs: remarks, not blockers."""


@dataclass(frozen=True, slots=True)
class Api:
    """What happened to a public API since a tag; a breakage is a sentence about what callers will notice."""

    since: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    breakages: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def needs(self, version: str) -> Raised:
        """Return the smallest raise of a version that tells users about this (https://semver.org)."""
        if self.breakages:
            return "minor" if is_initial(version) else "major"
        return "minor" if self.added else "patch"

    def __str__(self) -> str:
        return f"public API since {self.since}: {len(self.added)} added, {len(self.removed)} removed"


def compare(since: str, baseline: Path, folder: Path, name: str) -> Api | None:
    """Compare the package `name` in two trees; None if there is no such package in the earlier one.

    What counts as a breakage: https://mkdocstrings.github.io/griffe/guide/users/checking/
    """
    try:
        before = _load(find_package(baseline, name))
    except ValueError:
        return None
    after = _load(find_package(folder, name))
    old, new = set(_public(before)), set(_public(after))
    found = list(_breakages(before, after))
    return Api(
        since=since,
        added=tuple(sorted(new - old)),
        removed=tuple(sorted(old - new)),
        breakages=tuple(text for kind, text in found if kind not in COMPATIBLE),
        remarks=tuple(text for kind, text in found if kind in COMPATIBLE and "__version__" not in text),
    )


def _load(package: Path) -> Item:
    try:
        import griffe  # noqa: PLC0415  (an extra: loaded where it is needed)
    except ImportError:
        raise missing("griffe") from None
    return griffe.load(
        package.stem,
        try_relative_path=False,
        search_paths=[package.parent],
        allow_inspection=False,
        resolve_aliases=True,
    )


def _public(item: Item) -> Iterator[str]:
    """Yield the paths of what users may call: no private names, and imported ones only if exported."""
    for member in item.members.values():
        if member.is_public:
            yield member.path
            if not member.is_alias and (member.is_module or member.is_class):
                yield from _public(member)


def _breakages(before: Item, after: Item) -> Iterator[tuple[str, str]]:
    """Yield the kind of each breakage, and a sentence about it."""
    import griffe  # noqa: PLC0415

    for breakage in griffe.find_breaking_changes(before, after):
        kind = breakage.kind
        where = breakage.obj.path
        if kind.name.startswith("PARAMETER"):
            where += f"({(breakage.old_value or breakage.new_value).name})"
        yield kind.name, f"{where}: {kind.value.lower()}"
