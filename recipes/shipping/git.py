"""git: the user's checkout, which is only read, and the clone in which a release is prepared."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gflow import CommandTimeout, Output, Refused, sh
from recipes.shipping.places import is_here
from recipes.shipping.tools import hiding

PATIENCE = 10.0
"""Seconds that a remote may take to answer before it counts as unreachable."""

CALM = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",  # `git status` would refresh the user's index
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1",  # bytes per second: a remote that has stopped talking ...
    "GIT_HTTP_LOW_SPEED_TIME": "30",  # ... is given up after so many seconds
    "LC_ALL": "C",
}

INHERITED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""What a git hook leaves in the environment: it would bend every command towards the hook's repository."""

PERSONAL = ("user.", "gpg.", "commit.gpgsign", "tag.gpgsign", "core.sshcommand")
"""Settings that hold wherever the checkout has them from, `includeIf` included."""
LOCAL = ("credential.", "http.", "url.")
"""Settings that may have many values: only the checkout's own are passed on, git finds the others itself."""

FALLBACK_IDENTITY = (("user.name", "Release"), ("user.email", "release@localhost"))


def git(folder: Path, *argv: str | Path, env: Mapping[str, str] | None = None, check: bool = True) -> Output:
    """Run git in a folder: no prompts, no locks, no repository but the folder's."""
    return sh(*hiding(INHERITED), "git", *argv, cwd=folder, env={**CALM, **(env or {})}, check=check)


def _ask(folder: Path, *argv: str | Path) -> Output:
    """Ask git about the user's checkout, on a thread of its own.

    There nothing reaches the log of a run (settings may hold credentials), and an event loop is no obstacle:
    inputs are checked before there is a run.
    """
    command = (*hiding(INHERITED), "git", *argv)
    ask = partial(sh, *command, cwd=folder, env=CALM, check=False, timeout=PATIENCE)
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(ask).result()


@dataclass(frozen=True, slots=True)
class Checkout:
    """The user's work tree: it is read, never changed. `remote` is a name, such as origin."""

    path: Path
    remote: str
    branch: str

    @classmethod
    def at(cls, path: Path) -> Checkout:
        """Look at a work tree.

        Raises:
            ValueError: it is none, has no commit or no branch checked out, or no remote.
        """
        path = path.resolve()
        _require_work_tree(path)
        branch = str(_ask(path, "symbolic-ref", "--quiet", "--short", "HEAD"))
        if not branch:
            raise ValueError(f"{path} has no branch checked out: run git switch BRANCH there")
        if _ask(path, "rev-parse", "--quiet", "--verify", "HEAD").code != 0:
            raise ValueError(f"{path} has no commit yet: commit something there")
        return cls(path, _remote_of(path, branch), branch)

    def require_clean(self) -> None:
        """Raise ValueError if files were changed or added and not committed; `.gflow/` does not count."""
        changed = _ask(self.path, "status", "--porcelain", "--", ".", ":(exclude).gflow").lines
        if changed:
            names = ", ".join(line[3:] for line in changed[:3]) + (", …" if len(changed) > 3 else "")
            raise ValueError(f"{self.path} is not clean ({names}): commit or stash the changes there")

    def require_remote(self) -> None:
        """Raise ValueError if the remote does not answer, without a prompt and soon."""
        try:
            answer = _ask(self.path, "ls-remote", self.remote, "HEAD")
            cause = "" if answer.code == 0 else (answer.stderr.strip().splitlines() or ["no answer"])[0]
        except CommandTimeout:
            cause = f"no answer within {PATIENCE:g} s"
        if cause:
            raise ValueError(
                f"the remote {self.remote} of {self.path} cannot be reached ({cause}):"
                f" try git ls-remote {self.remote} there"
            )

    def settings(self) -> dict[str, str]:
        """Return the checkout's settings as environment, for git commands in a clone of it.

        The clone thereby has the remote, the identity and the access of the checkout, and nothing of it is
        written down: https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT
        """
        pairs = [("core.hooksPath", os.devnull), *FALLBACK_IDENTITY, *self._inherited()]
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        settings = {"GIT_CONFIG_COUNT": str(first + len(pairs))}
        for number, (key, value) in enumerate(pairs, first):
            settings |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return settings

    @property
    def is_shared(self) -> bool:
        """Whether what is pushed leaves this machine."""
        urls = _ask(self.path, "remote", "get-url", "--push", "--all", self.remote).lines
        return not urls or not all(map(is_here, urls))

    @property
    def remote_shown(self) -> str:
        """The remote as people may see it: a folder, else its name; a URL can hold credentials."""
        url = self._absolute(str(_ask(self.path, "remote", "get-url", "--push", self.remote)))
        return url if Path(url).is_dir() else self.remote

    def _inherited(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that a clone needs; a later one wins, as in git itself."""
        addresses = (f"remote.{self.remote}.url", f"remote.{self.remote}.pushurl")
        listed = _ask(self.path, "config", "--list", "--null", "--show-scope", "--includes").stdout
        words = listed.split("\0")
        for scope, entry in zip(words[::2], words[1::2], strict=False):
            key, _, value = entry.partition("\n")
            prefixes = (*PERSONAL, *LOCAL) if scope in ("local", "worktree") else PERSONAL
            if key in addresses:
                yield key, self._absolute(value)
            elif scope != "command" and key.startswith(prefixes):
                yield key, value

    def _absolute(self, url: str) -> str:
        """Return a remote's URL such that it holds in other folders too."""
        is_path = "://" not in url and ":" not in url.partition("/")[0]
        return str((self.path / url).resolve()) if is_path else url


def _require_work_tree(path: Path) -> None:
    if not path.is_dir():
        raise ValueError(f"{path} is no folder: give the folder of a git repository")
    top = _ask(path, "rev-parse", "--show-toplevel")
    if top.code != 0:
        cause = top.stderr.strip()
        raise ValueError(f"{path} is not a git work tree ({cause}): give a folder with a repository")
    if Path(str(top)).resolve() != path:
        raise ValueError(f"{path} lies inside the git work tree {top}: give that one")


def _remote_of(path: Path, branch: str) -> str:
    """Return the branch's own remote, else origin, else the only one."""
    remotes = _ask(path, "remote").lines
    wanted = str(_ask(path, "config", f"branch.{branch}.remote"))
    for name in (wanted, "origin", *remotes[:1]):
        if name in remotes:
            return name
    raise ValueError(f"{path} has no remote to push to: run git remote add origin URL there")


@dataclass(frozen=True, slots=True)
class Clone:
    """A clone of the user's checkout; what a release changes is changed here first."""

    path: Path
    source: Checkout

    @classmethod
    def of(cls, checkout: Checkout, into: Path) -> Clone:
        """Clone the branch that is checked out, with the remote's tags; a folder in the way is replaced.

        Raises:
            Refused: the remote's branch has commits that the checkout lacks.
        """
        shutil.rmtree(into, ignore_errors=True)
        into.parent.mkdir(parents=True, exist_ok=True)
        options = ("--quiet", "--origin", "checkout", "--branch", checkout.branch)
        git(into.parent, "clone", *options, checkout.path, into)
        clone = cls(into, checkout)
        clone.act("fetch", "--quiet", "--no-tags", checkout.remote, "+refs/tags/*:refs/tags/*")
        head = clone.fetch_branch()
        if head and not clone.contains("HEAD", head):
            raise Refused(
                f"{checkout.remote}/{checkout.branch} has commits that {checkout.path} lacks:"
                " run git pull there and start again"
            )
        return clone

    def git(self, *argv: str | Path) -> str:
        """Run git in the clone; return what it printed."""
        return str(git(self.path, *argv))

    def act(self, *argv: str | Path, folder: Path | None = None) -> str:
        """Run git with the checkout's identity and access, in the clone or in a work tree of it."""
        return str(git(folder or self.path, *argv, env=self.source.settings()))

    def remote_ref(self, ref: str) -> str:
        """Return what a ref of the remote points to, "" if there is none."""
        return self.act("ls-remote", self.source.remote, ref).partition("\t")[0]

    def fetch_branch(self) -> str:
        """Fetch the branch from the remote and return its head, "" if the remote has none."""
        ref = f"refs/heads/{self.source.branch}"
        head = self.remote_ref(ref)
        if head:
            self.act("fetch", "--quiet", "--no-tags", self.source.remote, ref)
        return head

    def resolve(self, revision: str) -> str:
        """Return the id of a revision in the clone, "" if there is none."""
        return str(git(self.path, "rev-parse", "--quiet", "--verify", revision, check=False))

    def contains(self, descendant: str, ancestor: str) -> bool:
        """Say whether a commit has another one in its history."""
        return git(self.path, "merge-base", "--is-ancestor", ancestor, descendant, check=False).code == 0

    def last_tag(self) -> str | None:
        """Return the nearest tag that names a version, v1.2.0 or 1.2.0."""
        patterns = ("--match", "v[0-9]*", "--match", "[0-9]*")
        return str(git(self.path, "describe", "--tags", "--abbrev=0", *patterns, check=False)) or None

    def messages_since(self, tag: str | None) -> tuple[str, ...]:
        """Return the messages of the commits since a tag, merges left out, newest first."""
        span = f"{tag}..HEAD" if tag else "HEAD"
        log = self.git("log", "--no-merges", "--format=%B%x00", span)
        return tuple(message.strip() for message in log.split("\0") if message.strip())

    def files(self) -> tuple[str, ...]:
        """Return the tracked files, relative to the clone."""
        return tuple(filter(None, self.git("ls-files", "-z").split("\0")))

    def changed(self, since: str | None, until: str) -> tuple[str, ...]:
        """Return the files that a commit has otherwise than a tag, deleted ones left out; all without one."""
        if since is None:
            return self.files()
        listed = self.git("diff", "-z", "--name-only", "--diff-filter=d", since, until)
        return tuple(filter(None, listed.split("\0")))

    def read(self, file: str) -> str:
        """Return the committed text of a file, "" if it is not committed."""
        return git(self.path, "show", f"HEAD:{file}", check=False).stdout

    def commit_all(self, message: str) -> str:
        """Commit every change in the clone, if there is any, and return the commit."""
        self.git("add", "--all")
        if git(self.path, "diff", "--cached", "--quiet", check=False).code != 0:
            self.act("commit", "--quiet", "--message", message)
        return self.resolve("HEAD")

    def export(self, ref: str, into: Path) -> Path:
        """Make a fresh tree of a branch or tag; a folder in the way is replaced."""
        shutil.rmtree(into, ignore_errors=True)
        into.parent.mkdir(parents=True, exist_ok=True)
        options = ("--quiet", "--shared", "--branch", ref)
        self.git("-c", "advice.detachedHead=false", "clone", *options, ".", into)
        return into
