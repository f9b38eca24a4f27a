"""ruff, asked for certain rules."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gflow import CommandFailed
from recipes.shipping.tools import run


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a linter."""

    code: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.code} {self.message}"


def lint(folder: Path, files: Iterable[str | Path], rules: str) -> tuple[Finding, ...]:
    """Check files or folders against ruff rules, such as "E9,F"; the project's own exceptions hold.

    Its `noqa` comments, per-file ignores and excluded paths, that is; its choice of rules is not asked.

    Raises:
        CommandFailed: ruff could not run, for example because of the project's configuration.
    """
    paths = list(files)
    if not paths:
        return ()
    options = ("--select", rules, "--output-format", "json", "--no-cache", "--force-exclude")
    output = run("ruff", "check", *options, *configuration(folder), *paths, cwd=folder, check=False)
    if output.code not in (0, 1):
        raise CommandFailed(output.argv, output.code, output.stderr.strip())
    return tuple(
        Finding(
            code=entry["code"] or "syntax",  # ruff has no code for what cannot be parsed
            place=f"{Path(entry['filename']).relative_to(folder)}:{entry['location']['row']}",
            message=entry["message"],
        )
        for entry in json.loads(output.stdout)
    )


def configuration(folder: Path) -> tuple[str, ...]:
    """Return options that keep ruff from a configuration of a folder above, if there is none of its own."""
    pyproject = folder / "pyproject.toml"
    own = any((folder / name).is_file() for name in ("ruff.toml", ".ruff.toml"))
    if own or (pyproject.is_file() and "[tool.ruff" in pyproject.read_text(encoding="utf-8")):
        return ()
    return ("--isolated", "--target-version", f"py3{sys.version_info.minor}")
