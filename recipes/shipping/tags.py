"""The release on the remote: commit and tag in one push, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

from gflow import CommandFailed, Refused
from recipes.shipping.candidate import Candidate
from recipes.shipping.git import Clone, git
from recipes.shipping.wording import short


@dataclass(frozen=True, slots=True)
class Tag:
    """An annotated tag on the remote, and the release commit that it names."""

    name: str
    commit: str
    remote: str

    def __str__(self) -> str:
        name = f"{self.name} ({self.commit[:7]})"
        return f"{name} pushed to {short(self.remote)} (git pull --tags takes it over)"


def push_release(candidate: Candidate) -> Tag:
    """Push the release commit and an annotated tag, both or none; what is there already stays.

    Raises:
        Refused: the remote has a tag of that name, or its branch has moved on.
    """
    clone, name = candidate.clone, candidate.tag
    ref = f"refs/tags/{name}"
    there, here = clone.remote_ref(ref), clone.resolve(ref)
    if there and there != here:
        raise Refused(
            f"{clone.source.remote} has a tag {name} that is not of this run: delete it there first"
        )
    if not there:
        commit = place(candidate)
        clone.act("tag", "--force", "--annotate", "--message", f"Release {candidate.version}", name, commit)
        push(clone, f"{commit}:refs/heads/{clone.source.branch}", ref)
    return Tag(name, clone.resolve(f"{ref}^{{commit}}"), clone.source.remote_shown)


def push(clone: Clone, *changes: str) -> None:
    """Push refs to the remote, all or none."""
    clone.act("push", "--quiet", "--atomic", clone.source.remote, *changes)


def place(candidate: Candidate) -> str:
    """Return the commit to push: the candidate's, or one with its content on top of the remote's branch.

    The latter is needed after a rollback: there the branch ends in the release and its revert, with the
    content that the candidate began with. Anything else up there was not checked.
    """
    clone, commit = candidate.clone, candidate.commit
    head = clone.fetch_branch()
    if not head or clone.contains(commit, head):
        return commit
    if clone.resolve(f"{head}^{{tree}}") != clone.resolve(f"{commit}~1^{{tree}}"):
        raise Refused(
            f"{clone.source.remote}/{clone.source.branch} has moved on since the checks: run git pull in"
            f" {clone.source.path} and start again"
        )
    message = clone.git("log", "-1", "--format=%B", commit)
    return clone.act("commit-tree", f"{commit}^{{tree}}", "-p", head, "-m", message)


def withdraw_release(candidate: Candidate, tag: Tag | None) -> None:
    """Delete the tag and revert the release commit on the remote, in one push; then the clone's tag.

    Without a `tag` the step may have pushed and not come back: the clone's own tag tells. A tag of that
    name that somebody else made is left alone, and what has been undone is not undone again.

    Raises:
        CommandFailed: later commits on the branch change the same lines.
    """
    clone = candidate.clone
    ref = f"refs/tags/{candidate.tag}"
    here = clone.resolve(ref)
    commit = tag.commit if tag else clone.resolve(f"{ref}^{{commit}}")
    if not here and not commit:
        return
    changes = [f":{ref}"] if here and clone.remote_ref(ref) == here else []
    head = clone.fetch_branch()
    if commit and head and clone.contains(head, commit) and not is_reverted(clone, commit, head):
        changes.append(f"{revert(clone, commit, head)}:refs/heads/{clone.source.branch}")
    if changes:
        push(clone, *changes)
    if here:
        clone.git("tag", "--delete", candidate.tag)


def is_reverted(clone: Clone, commit: str, head: str) -> bool:
    """Say whether a branch has a revert of a commit, by the sentence that git writes into it."""
    sentence = ("--fixed-strings", f"--grep=This reverts commit {commit}")
    return bool(clone.git("log", "-1", "--format=%H", *sentence, f"{commit}..{head}"))


def revert(clone: Clone, commit: str, head: str) -> str:
    """Return a commit on top of `head` that takes `commit` back; the clone's branch stays where it is."""
    tree = clone.path.with_name("revert")
    git(clone.path, "worktree", "remove", "--force", tree, check=False)
    clone.git("worktree", "add", "--quiet", "--force", "--detach", tree, head)
    try:
        clone.act("revert", "--no-edit", commit, folder=tree)
        return str(git(tree, "rev-parse", "HEAD"))
    except CommandFailed as error:
        branch = f"{clone.source.remote}/{clone.source.branch}"
        error.add_note(f"revert {commit[:7]} on {branch} by hand, then go on")
        raise
    finally:
        git(clone.path, "worktree", "remove", "--force", tree, check=False)
