"""Release workflow: prepare, assure quality, ship.

A graph made by hand, as the compiler would make it; the golden files beside it are drawn from it.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gflow.context import Context
from gflow.model import (
    ConstantSource,
    ContextSource,
    Effects,
    Graph,
    InputSource,
    InputSpec,
    Kind,
    Node,
    Param,
    Retry,
    Source,
    StepSource,
    Undo,
)

Part = Literal["auto", "major", "minor", "patch"]


@dataclass
class Inputs:
    """The inputs."""

    index: str
    """Where to publish."""
    part: Part = "auto"
    """Which number to raise; auto reads the commits."""
    repo: Path | None = None
    """The repository to release; without it, a sample is made.

    Its work tree has to be clean."""


class Version:
    """A version."""


class Changelog:
    """A changelog."""


class Report:
    """What a check found."""


@dataclass
class Wheel:
    """What was built."""

    path: Path


class Tag:
    """A git tag."""


class Deployment:
    """What was deployed."""


def version_bump(part: Part, repo: Path | None) -> Version:
    """Update version numbers."""
    raise AssertionError("a drawing calls nothing")


def changelog(version_bump: Version) -> Changelog:
    """Generate changelog."""
    raise AssertionError("a drawing calls nothing")


def dependency_check(version_bump: Version) -> Report:
    """Scan dependencies."""
    raise AssertionError("a drawing calls nothing")


def preparation(version_bump: Version, changelog: Changelog, dependency_check: Report) -> Version:
    """Members run one after another; then this body joins them."""
    raise AssertionError("a drawing calls nothing")


def code_review(preparation: Version, strict: bool) -> Report:
    """Final code review."""
    raise AssertionError("a drawing calls nothing")


def security_scan(preparation: Version) -> Report:
    """Security audit."""
    raise AssertionError("a drawing calls nothing")


def performance_test(preparation: Version, ctx: Context) -> Report:
    """Run performance tests."""
    raise AssertionError("a drawing calls nothing")


def quality_assurance(
    code_review: Report, security_scan: Report, performance_test: Report, changelog: Changelog
) -> Report:
    """Members run at the same time. The body decides."""
    raise AssertionError("a drawing calls nothing")


async def build(preparation: Version) -> Wheel:
    """Build release artifacts."""
    raise AssertionError("a drawing calls nothing")


def tag(build: Wheel, preparation: Version) -> Tag:
    """Create git tag."""
    raise AssertionError("a drawing calls nothing")


def delete_tag(tag: Tag | None, repo: Path | None) -> None:
    """Delete tag and release commit here and on the remote.

    It does nothing where there is none.
    """
    raise AssertionError("a drawing calls nothing")


def deploy(wheel: Path, tag: Tag, index: str) -> Deployment:
    """Deploy to production."""
    raise AssertionError("a drawing calls nothing")


def announce(changelog: Changelog) -> None:
    """Publish release notes."""
    raise AssertionError("a drawing calls nothing")


def ship(build: Wheel, tag: Tag, deploy: Deployment, announce: None) -> Deployment:
    raise AssertionError("a drawing calls nothing")


def release(preparation: Version, quality_assurance: Report, ship: Deployment) -> Deployment:
    """The outermost group is the workflow; its result is the run's."""
    raise AssertionError("a drawing calls nothing")


def node(
    kind: Kind,
    fn: Callable[..., Any],
    *,
    role: str | None = None,
    sources: Mapping[str, Source] | None = None,
    after: Iterable[str] = (),
    joins: Iterable[str] = (),
    undo: Undo | None = None,
    attempts: int | None = None,
    effects: Effects | None = None,
    members: tuple[str, ...] = (),
    limit: int | None = None,
) -> Node:
    """Return a node; a parameter is fed by the step of its name if `sources` does not say otherwise."""
    return Node(
        fn.__name__, kind, fn, params(fn, sources or {}), role=role, doc=fn.__doc__ or "",
        after=frozenset(after), joins=frozenset(joins), members=members, limit=limit, undo=undo,
        retry=Retry(attempts) if attempts else None, effects=effects,
        is_async=inspect.iscoroutinefunction(fn), is_empty=fn.__doc__ is None,
    )  # fmt: skip


def params(fn: Callable[..., Any], sources: Mapping[str, Source]) -> tuple[Param, ...]:
    """Return the parameters of a function."""
    found = {name: each for name, each in fn.__annotations__.items() if name != "return"}
    return tuple(Param(name, sources.get(name, StepSource(name)), each) for name, each in found.items())


def owned(nodes: Iterable[Node]) -> dict[str, Node]:
    """Return nodes by name, each with the group that owns it."""
    by_name = {each.name: each for each in nodes}
    groups = {member: each.name for each in by_name.values() for member in each.members}
    return {name: replace(each, group=groups.get(name)) for name, each in by_name.items()}


PART, REPO, INDEX = InputSource("part"), InputSource("repo"), InputSource("index")
UNDO_OF_TAG = Undo(delete_tag, params(delete_tag, {"repo": REPO}), delete_tag.__doc__ or "")

NODES = owned([
    node("stage", release, members=("preparation", "quality_assurance", "ship"),
         joins=("preparation", "quality_assurance", "ship")),
    node("stage", preparation, members=("version_bump", "changelog", "dependency_check"),
         joins=("version_bump", "changelog", "dependency_check")),
    node("agent", version_bump, role="fullstack-developer", sources={"part": PART, "repo": REPO}),
    node("agent", changelog, role="technical-writer", after=("version_bump",)),
    node("agent", dependency_check, role="security-auditor", after=("version_bump", "changelog"),
         effects="none"),
    node("parallel", quality_assurance, members=("code_review", "security_scan", "performance_test"), limit=2,
         joins=("code_review", "security_scan", "performance_test", "changelog"), after=("preparation",)),
    node("agent", code_review, role="code-reviewer", sources={"strict": ConstantSource(True)},
         after=("preparation",)),
    node("agent", security_scan, role="security-auditor", after=("preparation",)),
    node("agent", performance_test, role="test-automator", sources={"ctx": ContextSource()},
         after=("preparation", "code_review")),
    node("stage", ship, members=("build", "tag", "deploy", "announce"),
         joins=("build", "tag", "deploy", "announce"), after=("quality_assurance",)),
    node("task", build, after=("preparation",)),
    node("agent", tag, role="devops-engineer", undo=UNDO_OF_TAG, attempts=3, after=("build", "preparation")),
    node("agent", deploy, role="devops-engineer", effects="irreversible", after=("build", "tag"),
         sources={"wheel": StepSource("build", "path"), "index": INDEX}),
    node("agent", announce, role="technical-writer", after=("changelog", "deploy")),
])  # fmt: skip

GRAPH = Graph(
    name="release-workflow",
    version="1.0.0",
    doc=__doc__,
    module="recipes.release",
    nodes=NODES,
    inputs={
        "index": InputSpec("index", str, consumers=("deploy",)),
        "part": InputSpec("part", Part, "auto", consumers=("version_bump",)),
        "repo": InputSpec("repo", Path | None, None, consumers=("version_bump",)),
    },
    outermost="release",
    results=("release",),
    inputs_type=Inputs,
)
