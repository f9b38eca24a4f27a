from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gflow import CommandFailed, Refused
from recipes.shipping.tags import Tag, push_release, withdraw_release

if TYPE_CHECKING:
    from tests.recipes.conftest import Prepare, Repo


def history(repo: Repo) -> list[str]:
    """The subjects of the remote's branch, newest first."""
    return repo.on_remote("log", "--format=%s", "main").splitlines()


def content(repo: Repo, revision: str) -> str:
    """Return the id of what a revision of the remote contains."""
    return repo.on_remote("rev-parse", f"{revision}^{{tree}}")


def test_push(foreign_repo: Repo, prepared: Prepare) -> None:
    """Commit and annotated tag arrive on the remote, and the checkout stays as it was."""
    files = foreign_repo.state()["files"]
    candidate = prepared(foreign_repo)
    tag = push_release(candidate)
    assert tag == Tag("v1.0.1", candidate.commit, str(foreign_repo.remote))
    assert foreign_repo.on_remote("cat-file", "-t", "v1.0.1") == "tag"
    assert foreign_repo.on_remote("rev-parse", "main", "v1.0.1^{commit}").split() == [candidate.commit] * 2
    assert foreign_repo.state()["files"] == files
    where = f"pushed to {foreign_repo.remote} (git pull --tags takes it over)"
    assert str(tag) == f"v1.0.1 ({tag.commit[:7]}) {where}"


def test_take_over(foreign_repo: Repo, prepared: Prepare) -> None:
    """The command that the tag's line shows brings the release into the checkout."""
    tag = push_release(prepared(foreign_repo))
    foreign_repo.git("pull", "--quiet", "--tags")
    assert foreign_repo.git("rev-parse", "HEAD", "v1.0.1^{commit}").split() == [tag.commit] * 2


def test_push_again(foreign_repo: Repo, prepared: Prepare) -> None:
    """An attempt that follows a lost one finds its tag on the remote and pushes nothing."""
    candidate = prepared(foreign_repo)
    tag = push_release(candidate)
    before = foreign_repo.state()
    assert push_release(candidate) == tag
    assert foreign_repo.state() == before


def test_push_is_atomic(foreign_repo: Repo, prepared: Prepare) -> None:
    """A remote that refuses the tag does not get the commit either."""
    candidate = prepared(foreign_repo)
    hook = foreign_repo.remote / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/*) exit 1;; esac\n', encoding="utf-8")
    hook.chmod(0o755)
    before = foreign_repo.state()
    with pytest.raises(CommandFailed):
        push_release(candidate)
    assert foreign_repo.state() == before


def test_moved_on(foreign_repo: Repo, prepared: Prepare) -> None:
    """A remote that got other commits since the checks is not released onto."""
    candidate = prepared(foreign_repo)
    foreign_repo.commit("fix: more", {"more.txt": "more\n"})
    foreign_repo.push()
    before = foreign_repo.state()
    with pytest.raises(Refused, match="origin/main has moved on since the checks: run git pull"):
        push_release(candidate)
    assert foreign_repo.state() == before


def test_foreign_tag(foreign_repo: Repo, prepared: Prepare) -> None:
    """A tag of that name that somebody else pushed is neither taken for ours nor deleted by the undo."""
    candidate = prepared(foreign_repo)
    foreign_repo.on_remote("tag", "v1.0.1", "main")
    before = foreign_repo.state()
    with pytest.raises(Refused, match=r"origin has a tag v1\.0\.1 that is not of this run"):
        push_release(candidate)
    withdraw_release(candidate, None)
    candidate.clone.act("tag", "--annotate", "--message", "x", "v1.0.1")
    withdraw_release(candidate, None)
    assert foreign_repo.state() == before


def test_withdraw(foreign_repo: Repo, prepared: Prepare) -> None:
    """The undo deletes the tag and reverts the commit on the remote, once, however often it runs."""
    candidate = prepared(foreign_repo)
    tag = push_release(candidate)
    for _ in range(2):
        withdraw_release(candidate, tag)
        assert history(foreign_repo)[:2] == ['Revert "chore(release): 1.0.1"', "chore(release): 1.0.1"]
        assert foreign_repo.on_remote("tag", "--list") == "v1.0.0"
        assert candidate.clone.resolve("refs/tags/v1.0.1") == ""
    assert content(foreign_repo, "main") == content(foreign_repo, "main~2")


def test_withdraw_after_a_crash(foreign_repo: Repo, prepared: Prepare) -> None:
    """A push whose step never came back is undone by what the clone knows."""
    candidate = prepared(foreign_repo)
    push_release(candidate)
    withdraw_release(candidate, None)
    assert foreign_repo.on_remote("tag", "--list") == "v1.0.0"
    assert history(foreign_repo)[0] == 'Revert "chore(release): 1.0.1"'


def test_withdraw_nothing(foreign_repo: Repo, prepared: Prepare) -> None:
    """Where nothing was pushed nothing is undone, with or without a tag in the clone."""
    candidate = prepared(foreign_repo)
    before = foreign_repo.state()
    withdraw_release(candidate, None)
    candidate.clone.act("tag", "--annotate", "--message", "x", "v1.0.1")
    withdraw_release(candidate, None)
    assert foreign_repo.state() == before
    assert candidate.clone.resolve("refs/tags/v1.0.1") == ""


def test_withdraw_half(foreign_repo: Repo, prepared: Prepare) -> None:
    """Where somebody deleted the tag by hand, the commit is still reverted."""
    candidate = prepared(foreign_repo)
    tag = push_release(candidate)
    foreign_repo.on_remote("tag", "--delete", "v1.0.1")
    withdraw_release(candidate, tag)
    assert history(foreign_repo)[0] == 'Revert "chore(release): 1.0.1"'


def test_withdraw_under_later_commits(foreign_repo: Repo, prepared: Prepare) -> None:
    """Commits that others put on top stay; only the release is taken back."""
    candidate = prepared(foreign_repo)
    tag = push_release(candidate)
    foreign_repo.git("pull", "--quiet")
    foreign_repo.commit("feat: more", {"more.txt": "more\n"})
    foreign_repo.push()
    withdraw_release(candidate, tag)
    assert history(foreign_repo)[:2] == ['Revert "chore(release): 1.0.1"', "feat: more"]
    assert foreign_repo.on_remote("show", "main:more.txt") == "more"


def test_withdraw_in_conflict(foreign_repo: Repo, prepared: Prepare) -> None:
    """A revert that later commits stand in the way of fails with what to do, and changes nothing."""
    candidate = prepared(foreign_repo)
    tag = push_release(candidate)
    foreign_repo.git("pull", "--quiet")
    foreign_repo.commit("docs: news", {"CHANGELOG.md": "rewritten\n"})
    foreign_repo.push()
    before = foreign_repo.state()
    for _ in range(2):
        with pytest.raises(CommandFailed) as caught:
            withdraw_release(candidate, tag)
        assert caught.value.__notes__ == [f"revert {tag.commit[:7]} on origin/main by hand, then go on"]
    assert foreign_repo.state() == before


def test_release_after_a_rollback(foreign_repo: Repo, prepared: Prepare) -> None:
    """After a rollback the same candidate can be released again, and that can be undone again."""
    candidate = prepared(foreign_repo)
    for _ in range(2):
        tag = push_release(candidate)
        assert content(foreign_repo, "v1.0.1") == candidate.clone.resolve("HEAD^{tree}")
        withdraw_release(candidate, tag)
        assert foreign_repo.on_remote("tag", "--list") == "v1.0.0"
    assert (
        history(foreign_repo)[:4]
        == [
            'Revert "chore(release): 1.0.1"',
            "chore(release): 1.0.1",
        ]
        * 2
    )
