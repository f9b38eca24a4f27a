from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gflow import Refused
from recipes.shipping import git as module
from recipes.shipping.git import Checkout, Clone, git

if TYPE_CHECKING:
    from tests.recipes.conftest import Repo


def clone_of(repo: Repo, into: Path) -> Clone:
    """Clone a repository into a folder."""
    return Clone.of(Checkout.at(repo.path), into / "clone")


def test_checkout(foreign_repo: Repo) -> None:
    """A checkout knows its branch and the remote that the branch follows."""
    checkout = Checkout.at(foreign_repo.path)
    assert (checkout.path, checkout.remote, checkout.branch) == (foreign_repo.path, "origin", "main")


def test_only_remote(foreign_repo: Repo) -> None:
    """A remote of another name is taken if there is no other."""
    foreign_repo.git("remote", "rename", "origin", "upstream")
    assert Checkout.at(foreign_repo.path).remote == "upstream"


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        (["checkout --detach"], r"has no branch checked out: run git switch BRANCH there$"),
        (["remote remove origin"], r"has no remote to push to: run git remote add origin URL there$"),
        (["checkout --orphan new"], r"has no commit yet: commit something there$"),
    ],
)
def test_unfit_checkout(foreign_repo: Repo, commands: list[str], message: str) -> None:
    """A checkout without branch, commit or remote is refused with what to type."""
    for command in commands:
        foreign_repo.git(*command.split())
    with pytest.raises(ValueError, match=message):
        Checkout.at(foreign_repo.path)


def test_no_checkout(tmp_path: Path, foreign_repo: Repo) -> None:
    """A missing folder, a plain one and one inside a work tree are refused as what they are."""
    with pytest.raises(ValueError, match="is no folder"):
        Checkout.at(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"is not a git work tree .*not a git repository"):
        Checkout.at(tmp_path)
    with pytest.raises(ValueError, match=f"lies inside the git work tree {foreign_repo.path}: give that one"):
        Checkout.at(foreign_repo.path / "calc")


def test_clean(foreign_repo: Repo) -> None:
    """Uncommitted files make a checkout unclean, gflow's own folder does not."""
    checkout = Checkout.at(foreign_repo.path)
    foreign_repo.write(".gflow/journal.db", "")
    checkout.require_clean()
    foreign_repo.write("calc/new.py", "")
    foreign_repo.write("calc/__init__.py", "")
    with pytest.raises(ValueError, match=r"is not clean \(calc/__init__.py, calc/new.py\): commit or stash"):
        checkout.require_clean()


def test_index_untouched(foreign_repo: Repo) -> None:
    """Asking whether a checkout is clean does not refresh its index."""
    checkout = Checkout.at(foreign_repo.path)
    (foreign_repo.path / "calc" / "__init__.py").touch()
    before = foreign_repo.state()
    checkout.require_clean()
    assert foreign_repo.state() == before


def test_remote_gone(foreign_repo: Repo) -> None:
    """A remote that does not answer is refused with its cause and the command to try."""
    foreign_repo.git("remote", "set-url", "origin", "/nowhere/calc.git")
    with pytest.raises(
        ValueError, match=r"the remote origin of .* cannot be reached \(.*nowhere.*git ls-remote"
    ):
        Checkout.at(foreign_repo.path).require_remote()


def test_remote_silent(foreign_repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote that accepts the connection and says nothing is given up soon."""
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    foreign_repo.git("remote", "set-url", "origin", "ext::sleep 60")
    foreign_repo.git("config", "protocol.ext.allow", "always")
    with pytest.raises(ValueError, match=r"cannot be reached \(no answer within 0.2 s\)"):
        Checkout.at(foreign_repo.path).require_remote()


def test_remote_credentials(foreign_repo: Repo) -> None:
    """A password in a remote's URL is in no message, and not in what is shown of the remote."""
    foreign_repo.git("remote", "set-url", "origin", "http://user:sesame@127.0.0.1:9/calc.git")
    checkout = Checkout.at(foreign_repo.path)
    with pytest.raises(ValueError, match="cannot be reached") as caught:
        checkout.require_remote()
    assert "sesame" not in str(caught.value)
    assert checkout.remote_shown == "origin"


def test_asking_beside_an_event_loop(foreign_repo: Repo) -> None:
    """A checkout can be looked at where an event loop runs."""

    async def look() -> Checkout:
        return Checkout.at(foreign_repo.path)

    assert asyncio.run(look()).branch == "main"


def test_clone(foreign_repo: Repo, tmp_path: Path) -> None:
    """A clone has the branch and the remote's tags, and leaves the checkout as it was."""
    before = foreign_repo.state()
    clone = clone_of(foreign_repo, tmp_path)
    assert clone.last_tag() == "v1.0.0"
    assert clone.messages_since("v1.0.0") == ("fix: add no zero",)
    assert clone.resolve("HEAD") == foreign_repo.git("rev-parse", "HEAD")
    assert foreign_repo.state() == before


def test_clone_of_an_old_checkout(foreign_repo: Repo, tmp_path: Path) -> None:
    """A checkout that lacks commits of the remote is refused before anything is prepared."""
    foreign_repo.git("reset", "--quiet", "--hard", "HEAD~1")
    with pytest.raises(Refused, match=r"origin/main has commits that .* lacks: run git pull there"):
        clone_of(foreign_repo, tmp_path)


def test_tag_of_the_remote(foreign_repo: Repo, tmp_path: Path) -> None:
    """A tag that only the remote has counts as the last one."""
    foreign_repo.on_remote("tag", "v1.0.1", "main")
    assert clone_of(foreign_repo, tmp_path).last_tag() == "v1.0.1"


def test_relative_remote(foreign_repo: Repo, tmp_path: Path) -> None:
    """A remote given relative to the checkout is the same one in a clone."""
    foreign_repo.git("remote", "set-url", "origin", "../calc.git")
    clone = clone_of(foreign_repo, tmp_path / "elsewhere")
    assert clone.remote_ref("refs/heads/main") == foreign_repo.git("rev-parse", "HEAD")
    assert clone.source.remote_shown == str(foreign_repo.remote)


def test_identity(foreign_repo: Repo, tmp_path: Path) -> None:
    """A release commit has the identity of the checkout, and a plain one where none is configured."""
    clone = clone_of(foreign_repo, tmp_path)
    (clone.path / "one").touch()
    clone.commit_all("chore: one")
    assert clone.git("log", "-1", "--format=%an <%ae>") == "Release <release@localhost>"
    foreign_repo.git("config", "user.name", "Ada")
    foreign_repo.git("config", "user.email", "ada@localhost")
    (clone.path / "two").touch()
    clone.commit_all("chore: two")
    assert clone.git("log", "-1", "--format=%an <%ae>") == "Ada <ada@localhost>"


def test_settings_are_not_written_down(foreign_repo: Repo, tmp_path: Path) -> None:
    """A clone uses the checkout's access to the remote without a copy of it on the disk."""
    foreign_repo.git("config", "http.extraHeader", "Authorization: sesame")
    clone = clone_of(foreign_repo, tmp_path)
    assert clone.act("config", "http.extraHeader") == "Authorization: sesame"
    assert "sesame" not in (clone.path / ".git" / "config").read_text(encoding="utf-8")


def test_command_settings_stay(foreign_repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment already tells git goes on to hold beside the checkout's settings."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Somebody")
    settings = Checkout.at(foreign_repo.path).settings()
    assert "GIT_CONFIG_KEY_0" not in settings
    assert settings["GIT_CONFIG_KEY_1"] == "core.hooksPath"


def test_inside_a_hook(foreign_repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by a git hook of another repository, git still works on the folder that it is given."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other.index"))
    assert Checkout.at(foreign_repo.path).branch == "main"
    assert str(git(foreign_repo.path, "rev-parse", "--git-dir")) == ".git"


def test_commit_all(foreign_repo: Repo, tmp_path: Path) -> None:
    """Committing twice makes one commit."""
    clone = clone_of(foreign_repo, tmp_path)
    (clone.path / "new").touch()
    assert clone.commit_all("chore: new") == clone.commit_all("chore: new")
    assert clone.messages_since("v1.0.0") == ("chore: new", "fix: add no zero")


def test_changed(foreign_repo: Repo, tmp_path: Path) -> None:
    """The changed files of a span are those that are still there; without a tag they are all files."""
    foreign_repo.git("rm", "--quiet", ".gitignore")
    foreign_repo.commit("chore: tidy", {"README.md": "calc\n"})
    clone = clone_of(foreign_repo, tmp_path)
    changed = ("README.md", "calc/__init__.py", "tests/test_calc.py")
    assert clone.changed("v1.0.0", "HEAD") == changed
    assert clone.changed(None, "HEAD") == (*changed[:2], "pyproject.toml", *changed[2:])


def test_export(foreign_repo: Repo, tmp_path: Path) -> None:
    """An exported tree has the files of its tag and nothing of an earlier export."""
    clone = clone_of(foreign_repo, tmp_path)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "rest").touch()
    tree = clone.export("v1.0.0", tmp_path / "tree")
    assert " + 0" in (tree / "calc" / "__init__.py").read_text(encoding="utf-8")
    assert not (tree / "rest").exists()


def test_no_version_tag(foreign_repo: Repo, tmp_path: Path) -> None:
    """A tag that names no version is not the last release."""
    foreign_repo.git("tag", "nightly")
    foreign_repo.git("push", "--quiet", "origin", "nightly", ":v1.0.0")
    foreign_repo.git("tag", "--delete", "v1.0.0")
    clone = clone_of(foreign_repo, tmp_path)
    assert clone.last_tag() is None
    assert len(clone.messages_since(None)) == 2


def test_no_git_configuration(tmp_path: Path) -> None:
    """The tests themselves run without any configuration of git."""
    listed = subprocess.run(["git", "config", "--list"], cwd=tmp_path, capture_output=True, check=True)
    assert listed.stdout == b""
