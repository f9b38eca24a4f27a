"""Where an address leads: to this machine, or to where others are."""

from __future__ import annotations

from urllib.parse import urlsplit

OURS = ("", "localhost", "127.0.0.1", "::1")


def is_here(address: str) -> bool:
    """Say whether a path, a URL, or git's HOST:PATH leads to this machine.

    >>> is_here("../calc.git"), is_here("http://localhost:8080"), is_here("file:///srv/calc.git")
    (True, True, True)
    >>> is_here("git@example.org:calc.git"), is_here("https://upload.example.org/legacy/")
    (False, False)
    """
    return _host(address) in OURS


def _host(address: str) -> str:
    if "://" in address:
        return urlsplit(address).hostname or ""
    host, colon, _ = address.partition("/")[0].partition(":")
    return host.rpartition("@")[2] if colon else ""
