from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recipes.release import Inputs
from recipes.shipping.inputs import check_index

if TYPE_CHECKING:
    from tests.recipes.conftest import Repo


def test_no_inputs() -> None:
    """Without inputs the sample is released, by what its commits say."""
    assert Inputs() == Inputs(repo=None, part="auto", index=None)


def test_repo(foreign_repo: Repo, tmp_path: Path) -> None:
    """A clean repository with a static version and a remote that answers is fit, and stays as it is."""
    before = foreign_repo.state()
    Inputs(repo=foreign_repo.path, index="http://127.0.0.1:9")
    Inputs(repo=foreign_repo.path, index=str(tmp_path))
    assert foreign_repo.state() == before


def test_ask(foreign_repo: Repo, tmp_path: Path) -> None:
    """Somebody has to agree to what leaves this machine, by the index or by any URL that is pushed to."""
    here = "http://127.0.0.1:9"
    assert not Inputs().ask
    assert not Inputs(repo=foreign_repo.path, index=here).ask
    assert not Inputs(repo=foreign_repo.path, index=str(tmp_path)).ask
    assert Inputs(repo=foreign_repo.path, index=here, ask=True).ask
    assert Inputs(repo=foreign_repo.path, index="https://upload.example.org/legacy/").ask
    foreign_repo.git("remote", "set-url", "--add", "--push", "origin", foreign_repo.remote)
    assert not Inputs(repo=foreign_repo.path, index=here).ask
    foreign_repo.git("remote", "set-url", "--add", "--push", "origin", "git@example.org:calc.git")
    assert Inputs(repo=foreign_repo.path, index=here).ask


def test_both_or_neither(foreign_repo: Repo) -> None:
    """Nothing is published by default, and the sample never to a real index."""
    with pytest.raises(ValueError, match="--repo without --index: there is no default"):
        Inputs(repo=foreign_repo.path)
    with pytest.raises(ValueError, match="--index without --repo: the sample has an index of its own"):
        Inputs(index="https://example.org")


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("https://user:sesame@example.org/x", r"leave them out \(https://example.org…\) and set UV_"),
        ("https://sesame@example.org/x", "holds credentials"),
        ("ftp://example.org", "is no http URL"),
        ("https:///path", "is no http URL"),
        ("no/such/folder", "is no URL and no folder"),
    ],
)  # fmt: skip
def test_unfit_index(index: str, message: str) -> None:
    """An index is an http URL without credentials, or a folder; credentials are not repeated."""
    with pytest.raises(ValueError, match=message) as caught:
        check_index(index)
    assert "sesame" not in str(caught.value)


def test_unclean(foreign_repo: Repo) -> None:
    """A repository with uncommitted changes is refused."""
    foreign_repo.write("calc/new.py", "")
    with pytest.raises(ValueError, match=r"is not clean \(calc/new\.py\)"):
        Inputs(repo=foreign_repo.path, index="http://127.0.0.1:9")


def test_dynamic_version(foreign_repo: Repo) -> None:
    """A version that is made at build time is refused."""
    foreign_repo.commit("fix: x", {"pyproject.toml": '[project]\nname = "calc"\ndynamic = ["version"]\n'})
    with pytest.raises(ValueError, match=r"no static project\.version"):
        Inputs(repo=foreign_repo.path, index="http://127.0.0.1:9")


def test_unreachable_remote(foreign_repo: Repo) -> None:
    """A remote that does not answer is refused."""
    foreign_repo.git("remote", "set-url", "origin", "http://127.0.0.1:9/calc.git")
    with pytest.raises(ValueError, match=r"the remote origin .* cannot be reached \(.*onnect"):
        Inputs(repo=foreign_repo.path, index="http://127.0.0.1:9")


def test_no_repository(tmp_path: Path) -> None:
    """A folder without a repository is refused."""
    with pytest.raises(ValueError, match="is not a git work tree"):
        Inputs(repo=tmp_path, index="http://127.0.0.1:9")


@pytest.mark.usefixtures("no_tools")
def test_no_tools() -> None:
    """Without the recipe's tools nothing begins, and the message says what to install."""
    with pytest.raises(
        ValueError, match=r"git-cliff, ruff, uv.*; run pip install 'gflow-workflows\[recipes\]'$"
    ):
        Inputs()


def test_no_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without git nothing can be released, the sample included."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="git is not on PATH: install git"):
        Inputs()
