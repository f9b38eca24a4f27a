"""The final look at a candidate: its public API against the last release, its tests, its lint."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from recipes.shipping.api import Api, compare
from recipes.shipping.candidate import Candidate
from recipes.shipping.lint import lint
from recipes.shipping.versions import Raised
from recipes.shipping.wording import count

ERRORS = "E9,F63,F7,F82"
"""ruff's rules for what fails at run time: it cannot be parsed, or a name is not defined."""
DOUBTS = "F"
"""The rest of these are remarks: a release is not the moment to refuse an unused import."""

PARTS: tuple[Raised, ...] = ("patch", "minor", "major")


@dataclass(frozen=True, slots=True)
class Review:
    """What a reviewer says: `api` is None without anything to compare with, `needed` the smallest raise."""

    part: Raised
    api: Api | None
    needed: Raised
    errors: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the version was raised by enough."""
        return PARTS.index(self.part) >= PARTS.index(self.needed)

    @property
    def blockers(self) -> tuple[str, ...]:
        """Breakages that the version was raised too little for, and what fails at run time."""
        breakages = () if self.api is None or self.fits else self.api.breakages
        return (
            *(f'{text}; that needs "{self.needed}", not "{self.part}"' for text in breakages),
            *self.errors,
        )

    @property
    def gap(self) -> str:
        """Why the public API was not compared, if so."""
        return "no earlier tag: there is no public API to compare with" if self.api is None else ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a maintainer should know and may release all the same."""
        if self.api is None:
            return self.doubts
        undersold = not self.fits and not self.api.breakages
        additions = (
            (f'the public API has additions: rather "{self.needed}" than "{self.part}"',) if undersold else ()
        )
        return (*additions, *self.api.remarks, *self.doubts)

    def __str__(self) -> str:
        remarks = f", {count(len(self.remarks), 'remark')}" if self.remarks else ""
        if self.api is None:
            return f"no public API to compare with{remarks}"
        verdict = f'fits "{self.part}"' if self.fits else f'needs "{self.needed}"'
        return f"{self.api}; {verdict}{remarks}"


def review(candidate: Candidate) -> Review:
    """Review what changed since the last tag; everything, if there is none."""
    bump, clone = candidate.bump, candidate.clone
    api = None
    if bump.since and candidate.baseline:
        api = compare(bump.since, candidate.baseline, clone.path, candidate.name)
    prepared = f"{candidate.commit}~1"  # the release commit itself only raises numbers
    changed = [file for file in clone.changed(bump.since, prepared) if file.endswith(".py")]
    errors = lint(clone.path, changed, ERRORS)
    doubts = [finding for finding in lint(clone.path, changed, DOUBTS) if finding not in errors]
    return Review(
        part=bump.part,
        api=api,
        needed=api.needs(bump.old) if api else "patch",
        errors=tuple(map(str, errors)),
        doubts=(*(untested(candidate, changed) if bump.since else ()), *map(str, doubts)),
    )


def untested(candidate: Candidate, changed: Sequence[str]) -> Iterator[str]:
    """Yield a remark for each module of the package that changed while no test that names it did."""
    folder = candidate.clone.path
    tests = [file for file in changed if is_test(file)]
    package = candidate.project.package.relative_to(folder).as_posix()
    for file in changed:
        inside = file == package or file.startswith(f"{package}/")
        if inside and not is_test(file):
            name = re.compile(rf"(\b|_){re.escape(module_name(file))}(\b|_)")
            if not any(name.search(test + (folder / test).read_text("utf-8", "replace")) for test in tests):
                yield f"{file} changed, and no changed test names it"


def is_test(file: str) -> bool:
    """Say whether a file is a test, by the names that pytest looks for."""
    path = PurePosixPath(file)
    return (
        "tests" in path.parts[:-1]
        or "test" in path.parts[:-1]
        or bool(re.match(r"test_|.*_test$", path.stem))
    )


def module_name(file: str) -> str:
    """Return the last name under which a module is imported.

    >>> module_name("src/calc/__init__.py"), module_name("calc/sums.py")
    ('calc', 'sums')
    """
    path = PurePosixPath(file)
    return path.parent.name if path.stem == "__init__" else path.stem
