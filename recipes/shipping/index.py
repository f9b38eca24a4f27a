"""A package index: a URL, or a folder that is served only while it is needed."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit

from recipes.shipping.places import is_here
from recipes.shipping.project import normal
from recipes.shipping.tools import missing, run
from recipes.shipping.wording import short

PATIENCE = 10.0
"""Seconds that an index may take to answer."""

CREDENTIALS = ("UV_PUBLISH_TOKEN", "UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD", "UV_KEYRING_PROVIDER")
"""Where uv looks for credentials: https://docs.astral.sh/uv/guides/package/#publishing-your-package"""
DESTINATIONS = ("UV_PUBLISH_INDEX", "UV_PUBLISH_URL", "UV_PUBLISH_CHECK_URL")
"""Where uv would publish if it were not told."""
ANYBODY = {"UV_PUBLISH_USERNAME": "anybody", "UV_PUBLISH_PASSWORD": "anybody"}
"""uv insists on credentials even where an index asks for none."""


def is_url(index: str) -> bool:
    """Say whether an index is a URL; otherwise it is a folder."""
    return "://" in index


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An index that answers: where to upload to, where to install from; `ours` is a folder that we serve."""

    upload: str
    simple: str
    ours: bool = False

    @classmethod
    def of(cls, url: str, ours: bool = False) -> Endpoint:
        """Derive both addresses from either: most indexes have the second below the first, as `simple/`.

        >>> Endpoint.of("https://upload.example.org/legacy/").simple
        'https://example.org/simple/'
        >>> Endpoint.of("http://127.0.0.1:8080").simple
        'http://127.0.0.1:8080/simple/'
        """
        base = url.rstrip("/")
        if base.endswith("/simple"):
            return cls(f"{base.removesuffix('/simple')}/", f"{base}/", ours)
        if base.endswith("/legacy"):
            simple = re.sub(r"//upload\.", "//", base.removesuffix("/legacy")) + "/simple/"
            return cls(f"{base}/", simple, ours)
        return cls(f"{base}/", f"{base}/simple/", ours)

    def add(self, wheel: Path) -> None:
        """Upload a wheel with uv, which finds its own credentials; a file that is there is not sent again."""
        there = ("--publish-url", self.upload, "--check-url", self.simple)
        env, hide = self._access()
        run("uv", "publish", *there, wheel, cwd=wheel.parent, env=env, hide=(*DESTINATIONS, *hide))

    def lists(self, wheel: Path) -> bool:
        """Say whether the index offers a wheel."""
        same_host = urlsplit(self.simple).netloc == urlsplit(self.upload).netloc
        try:
            headers = self._authorization() if same_host else {}
            with _open(f"{self.simple}{normal(_project(wheel))}/", headers=headers) as page:
                return wheel.name in page.read().decode(errors="replace")
        except HTTPError as error:
            if error.code == 404:
                return False
            raise

    def remove(self, wheel: Path, version: str) -> None:
        """Remove a version, in the way of pypiserver, which knows a project as its file spells it.

        Raises:
            RuntimeError: the index still has it, as public ones do.
        """
        form = {":action": "remove_pkg", "name": _project(wheel), "version": version}
        answer = ""
        try:
            _open(self.upload, urlencode(form).encode(), self._authorization()).close()
        except HTTPError as error:
            answer = f" ({error})"
        if self.lists(wheel):
            raise RuntimeError(f"{self.upload} does not remove {wheel.name}{answer}: yank it there by hand")

    def _access(self) -> tuple[Mapping[str, str], tuple[str, ...]]:
        """Return what to add to uv's environment, and what to hide from it.

        What we serve never sees a credential; another index on this machine gets some if none is configured.
        """
        if self.ours:
            return ANYBODY, CREDENTIALS
        is_given = any(map(os.environ.get, CREDENTIALS))
        return (ANYBODY, ()) if is_here(self.upload) and not is_given else ({}, ())

    def _authorization(self) -> Mapping[str, str]:
        """Return the header that uv would send: a token is the password of the user `__token__`."""
        env, hide = self._access()
        source = {name: value for name, value in os.environ.items() if name not in hide} | dict(env)
        user = source.get("UV_PUBLISH_USERNAME", "__token__")
        password = source.get("UV_PUBLISH_PASSWORD") or source.get("UV_PUBLISH_TOKEN")
        if not password:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@contextmanager
def serving(index: str) -> Iterator[Endpoint]:
    """Make sure that an index answers; a folder is served for as long as the block lasts.

    Raises:
        ConnectionError: nothing answers at the URL.
    """
    if is_url(index):
        endpoint = Endpoint.of(index)
        require_answer(index, endpoint)
        yield endpoint
        return
    with _served(Path(index)) as url:
        yield Endpoint.of(url, ours=True)


def require_answer(index: str, endpoint: Endpoint) -> None:
    """Raise ConnectionError, with the cause, unless something answers; what it answers does not matter."""
    try:
        _open(endpoint.simple).close()
    except HTTPError:
        return
    except OSError as error:
        cause = getattr(error, "reason", error)
        refused = isinstance(cause, ConnectionRefusedError)
        message = "refused the connection" if refused else f"cannot be reached: {cause}"
        raise ConnectionError(f"{index} {message}") from None


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free loopback port, in a process that ends when the block closes its input."""
    if find_spec("pypiserver") is None:
        raise missing("pypiserver")
    folder.mkdir(parents=True, exist_ok=True)
    # -P: the names of the files beside the program are no modules; -W: its libraries are old.
    command = [sys.executable, "-P", "-W", "ignore", str(Path(__file__).with_name("server.py")), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        port = server.stdout.readline().strip() if server.stdout else ""
        if not port:
            raise ConnectionError(f"the server of {short(folder)} does not start")
        yield f"http://127.0.0.1:{port}"


def _project(wheel: Path) -> str:
    return wheel.name.partition("-")[0]


def _open(url: str, form: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
    if not url.startswith(("https://", "http://")):
        raise URLError(f"{url} is no http URL")
    request = urllib.request.Request(url, form, dict(headers or {}))  # noqa: S310  (checked above)
    return urllib.request.urlopen(request, timeout=PATIENCE)  # noqa: S310
