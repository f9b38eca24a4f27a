"""What can be released: checked once, before a run begins, without changing anything."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from recipes.shipping.git import Checkout
from recipes.shipping.index import is_url
from recipes.shipping.places import is_here
from recipes.shipping.project import Project
from recipes.shipping.tools import MissingTool, require_all


def check_inputs(repo: Path | None, index: str | None) -> None:
    """Raise ValueError, with the remedy, if a release of `repo` to `index` cannot begin."""
    check_tools()
    if repo is None and index is None:
        return
    if repo is None:
        raise ValueError("--index without --repo: the sample has an index of its own; give both or neither")
    if index is None:
        raise ValueError("--repo without --index: there is no default; give --index URL or a folder")
    check_index(index)
    check_repo(repo)


def reaches_others(repo: Path | None, index: str | None) -> bool:
    """Say whether a release leaves this machine: by the remote of `repo`, or by the index."""
    if repo is None or index is None:
        return False
    return Checkout.at(repo).is_shared or not is_here(index)


def check_tools() -> None:
    """Raise ValueError unless everything that the steps call is installed."""
    if shutil.which("git") is None:
        raise ValueError("git is not on PATH: install git")
    try:
        require_all()
    except MissingTool as error:
        raise ValueError(str(error)) from None


def check_index(index: str) -> None:
    """Raise ValueError unless an index is an http(s) URL without credentials, or a folder."""
    if not is_url(index):
        if not Path(index).is_dir():
            raise ValueError(f"--index {index} is no URL and no folder: give http(s)://… or make the folder")
        return
    url = urlsplit(index)
    if url.username is not None or url.password is not None:
        raise ValueError(
            f"--index holds credentials: leave them out ({url.scheme}://{url.hostname}…) and set"
            " UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD, or use uv's keyring"
        )
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"--index {index} is no http URL: give http(s)://HOST/…")


def check_repo(repo: Path) -> None:
    """Raise ValueError unless a repository is clean, has a static version, and its remote answers."""
    checkout = Checkout.at(repo)
    checkout.require_clean()
    _ = Project.at(checkout.path).package
    checkout.require_remote()
