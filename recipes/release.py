"""Release a Python package: prepare it, assure its quality, ship it.

Without --repo a sample package is made and released on this machine alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gflow import Approval, Ask, Context, From, Workflow, agent, parallel, stage
from recipes.shipping.artifacts import Wheel, build_wheel
from recipes.shipping.candidate import Candidate, make_candidate
from recipes.shipping.changelog import Changelog, write_changelog
from recipes.shipping.dependencies import Audit, audit
from recipes.shipping.deployment import Deployment, deploy_wheel, withdraw_wheel
from recipes.shipping.git import Checkout, Clone
from recipes.shipping.inputs import check_inputs, reaches_others
from recipes.shipping.notes import Notes, compose, write_notes
from recipes.shipping.performance import Comparison, compare_speed
from recipes.shipping.review import Review, review
from recipes.shipping.sample import INDEX, make_sample
from recipes.shipping.security import Scan, scan
from recipes.shipping.tags import Tag, push_release, withdraw_release
from recipes.shipping.verdict import Verdict
from recipes.shipping.versions import Bump, Part, raise_version

workflow = Workflow(name="release-workflow", version="1.0.0")


@dataclass
class Inputs:
    """What to release, and where to."""

    repo: Path | None = None
    """The git repository to release; without it, a sample package is made and released."""

    part: Part = "auto"
    """Which number of the version to raise; auto reads the conventional commits since the last tag."""

    index: str | None = None
    """Where to publish: the URL of a package index, or a folder. --repo demands it."""

    ask: bool = False
    """Ask before anything is published; asked anyway unless remote and index are on this machine."""

    def __post_init__(self) -> None:
        check_inputs(self.repo, self.index)
        self.ask = self.ask or reaches_others(self.repo, self.index)


# ---------------------------------------------------------------- preparation: in a clone, unseen


@agent("fullstack-developer")
def version_bump(repo: Path | None, part: Part, ctx: Context) -> Bump:
    """Update version numbers"""
    checkout = Checkout.at(repo or make_sample(demo(ctx)))
    return raise_version(Clone.of(checkout, ctx.workspace / "clone"), part)


@agent("technical-writer")
def changelog(version_bump: Bump) -> Changelog:
    """Generate changelog"""
    return write_changelog(version_bump)


@agent("security-auditor")
def dependency_check(version_bump: Bump, ctx: Context) -> Audit:
    """Scan dependencies"""
    report = audit(version_bump.clone.path)
    if report.gap:
        ctx.degrade(report.gap)
    return report


@stage
def preparation(version_bump: Bump, changelog: Changelog, dependency_check: Audit) -> Candidate:
    """Make the candidate: everything that is to be released, as one commit."""
    return make_candidate(version_bump, changelog)


# ---------------------------------------------------------------- quality_assurance: three looks, one gate


@agent("code-reviewer")
def code_review(preparation: Candidate, ctx: Context) -> Review:
    """Final code review"""
    report = review(preparation)
    if report.gap:
        ctx.degrade(report.gap)
    return report


@agent("security-auditor")
def security_scan(preparation: Candidate) -> Scan:
    """Security audit"""
    return scan(preparation)


@agent("test-automator")
def performance_test(preparation: Candidate, ctx: Context) -> Comparison:
    """Run performance tests"""
    report = compare_speed(preparation, ctx.workspace / "performance")
    if report.gap:
        ctx.degrade(report.gap)
    return report


@parallel
def quality_assurance(
    code_review: Review,
    security_scan: Scan,
    performance_test: Comparison,
    dependencies: Annotated[Audit, From(dependency_check)],
) -> Verdict:
    """Let the candidate pass, or refuse it with every blocker that was found."""
    return Verdict.of(code_review, security_scan, performance_test, dependencies)


# ---------------------------------------------------------------- ship: seen by all, with a way back

QUESTION = "Push {preparation} to {preparation.destination} and publish it? It is {quality_assurance}."


def is_to_be_asked(ask: bool) -> bool:
    """Say whether somebody has to agree before others see the release."""
    return ask


@agent("devops-engineer")
def build(preparation: Candidate, ctx: Context) -> Wheel:
    """Build release artifacts"""
    return build_wheel(preparation, ctx.workspace / "build")


@agent("devops-engineer")
def tag(preparation: Candidate, approval: Annotated[Approval, Ask(QUESTION, when=is_to_be_asked)]) -> Tag:
    """Create git tag"""
    return push_release(preparation)


@tag.undo
def delete_tag(tag: Tag | None, preparation: Candidate) -> None:
    """Delete the tag and revert the release commit, here and on the remote."""
    withdraw_release(preparation, tag)


@agent("devops-engineer", attempts=3)
def deploy(build: Wheel, preparation: Candidate, index: str | None, ctx: Context) -> Deployment:
    """Deploy to production"""
    return deploy_wheel(build, index or sample_index(ctx), ctx.workspace / "deploy", preparation.clone.path)


@deploy.undo
def remove_upload(deploy: Deployment | None, build: Wheel, index: str | None, ctx: Context) -> None:
    """Remove the upload from the index."""
    withdraw_wheel(build, deploy.index if deploy else index or sample_index(ctx))


@agent("technical-writer")
def announce(
    preparation: Candidate,
    quality_assurance: Verdict,
    build: Wheel,
    tag: Tag,
    deploy: Deployment,
    repo: Path | None,
    ctx: Context,
) -> Notes:
    """Publish release notes"""
    text = compose(preparation, quality_assurance, build, tag, deploy)
    return write_notes(notes_path(repo, preparation, ctx), text)


@announce.undo
def remove_notes(announce: Notes | None, preparation: Candidate, repo: Path | None, ctx: Context) -> None:
    """Remove the release notes."""
    notes_path(repo, preparation, ctx).unlink(missing_ok=True)


@stage
def ship(build: Wheel, tag: Tag, deploy: Deployment, announce: Notes) -> Deployment:
    """One wheel, one tag, one upload, and the news of it."""
    return deploy


@stage
def release(preparation: Candidate, quality_assurance: Verdict, ship: Deployment) -> Deployment:
    """Prepare, assure, ship."""
    return ship


# ---------------------------------------------------------------- where things are


def state(ctx: Context) -> Path:
    """Return `.gflow`: a run's workspace is `.gflow/work/<run>`."""
    return ctx.workspace.absolute().parents[1]


def demo(ctx: Context) -> Path:
    """Return the folder of the sample, its remote and its index."""
    return state(ctx) / "demo" / ctx.run_id


def sample_index(ctx: Context) -> str:
    """Return the folder that is the sample's index."""
    return str(demo(ctx) / INDEX)


def notes_path(repo: Path | None, candidate: Candidate, ctx: Context) -> Path:
    """Return the file of the release notes."""
    folder = state(ctx) / "releases" / candidate.name if repo else demo(ctx)
    return folder / f"RELEASE-{candidate.version}.md"
