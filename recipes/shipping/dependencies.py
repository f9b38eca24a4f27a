"""What the release depends on, and what is known against it."""

from __future__ import annotations

import json
import os
import re
import threading
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError

from gflow import CommandFailed
from recipes.shipping.project import Project
from recipes.shipping.tools import run
from recipes.shipping.wording import count

SERVICE = "https://api.osv.dev/v1/querybatch"
"""The open source vulnerability database: https://google.github.io/osv.dev/post-v1-querybatch/"""
SERVICE_VARIABLE = "GFLOW_OSV_URL"
PATIENCE = 5.0
"""Seconds that the service may take to answer."""

T = TypeVar("T")

Pin = tuple[str, str]
"""The name and the version of a package."""

PINNED = re.compile(r"^(?P<name>[\w.-]+)(\[.*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Audit:
    """What is known against the dependencies; `unknown` says why nothing is, if nothing is."""

    packages: int
    vulnerabilities: tuple[str, ...] = ()
    stale_lock: bool = False
    unknown: str = ""

    @property
    def blockers(self) -> tuple[str, ...]:
        """A lock that does not fit, and every known vulnerability."""
        lock = ("uv.lock does not fit pyproject.toml: run uv lock",) if self.stale_lock else ()
        return lock + self.vulnerabilities

    @property
    def gap(self) -> str:
        """Why nothing was scanned, if so."""
        return self.unknown

    @property
    def remarks(self) -> tuple[str, ...]:
        """That nothing was scanned, if so."""
        return (self.unknown,) if self.unknown else ()

    def __str__(self) -> str:
        if not self.packages and not self.unknown:
            return "no dependencies"
        found = "nothing known" if self.unknown else count(len(self.vulnerabilities), "known vulnerability")
        return f"{found} of {count(self.packages, 'package')}"


def audit(folder: Path) -> Audit:
    """Check the lock, if there is one, and ask the vulnerability service about what would be installed.

    Only what users get is asked about: no development dependencies.
    """
    locked = (folder / "uv.lock").is_file()
    if not locked and not Project.at(folder).dependencies:
        return Audit(packages=0)
    try:
        stale = locked and is_stale(folder)
        pins = parse_pins(_pinned(folder, locked))
    except CommandFailed:
        return Audit(0, unknown="dependencies not resolved, nothing was scanned")
    if not pins:
        return Audit(0, stale_lock=stale)
    try:
        return Audit(len(pins), ask_service(pins), stale)
    except (OSError, ValueError):  # no connection, no answer in time, or none that can be understood
        return Audit(len(pins), (), stale, "vulnerability service not reached, nothing was scanned")


def is_stale(folder: Path) -> bool:
    """Say whether uv.lock does not fit pyproject.toml.

    Raises:
        CommandFailed: uv cannot tell, for example because no index answers.
    """
    output = run("uv", "lock", "--check", cwd=folder, check=False)
    if output.code != 0 and "needs to be updated" not in output.stderr:
        raise CommandFailed(output.argv, output.code, output.stderr.strip())
    return output.code != 0


def _pinned(folder: Path, locked: bool) -> str:
    """Return what would be installed: from the lock, else resolved now."""
    lock = ("export", "--frozen", "--no-dev", "--no-hashes", "--no-emit-project")
    words = lock if locked else ("pip", "compile", "pyproject.toml")
    return run("uv", *words, "--quiet", "--no-header", "--no-annotate", cwd=folder).stdout


def parse_pins(requirements: str) -> tuple[Pin, ...]:
    """Return the pinned packages of a requirements file."""
    return tuple((match["name"], match["version"]) for match in PINNED.finditer(requirements))


def ask_service(pins: Sequence[Pin]) -> tuple[str, ...]:
    """Return what the service knows against these packages, one line per package.

    Raises:
        OSError: the service was not reached.
        ValueError: its answer is not what its documentation says.
    """
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in pins]
    url = os.environ.get(SERVICE_VARIABLE) or SERVICE
    answer = within(PATIENCE, partial(_post, url, {"queries": queries}))
    results: list[dict[str, Any]] = answer.get("results", [])
    if len(results) != len(pins):
        raise ValueError(f"the vulnerability service answered {len(results)} of {len(pins)} questions")
    known = zip(pins, (result.get("vulns", []) for result in results), strict=True)
    return tuple(
        f"{name} {version}: {', '.join(sorted(v['id'] for v in vs))}" for (name, version), vs in known if vs
    )


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns; TimeoutError if that takes longer.

    A look-up of a name knows no timeout, and a connection has one for each address of a name.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001  (raised below)
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future.result(seconds)


def _post(url: str, document: object) -> dict[str, Any]:
    if not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise URLError(f"{SERVICE_VARIABLE} is no https URL")
    body = json.dumps(document).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  (checked above)
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
    return answer
