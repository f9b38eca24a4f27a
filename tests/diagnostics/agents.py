"""Agents without a role, agents and tasks without a body, a group whose body only raises."""

from gflow import agent, stage, task


@agent
def review() -> str:
    return ""


@agent(" ")
def audit() -> str:
    return ""


@agent("technical-writer")
def changelog(review: str) -> str:
    """Generate the changelog."""
    raise NotImplementedError


@task
def publish(changelog: str) -> None: ...


@task
def nothing_on_purpose() -> None:
    return


@stage
def ship(review: str, audit: str, changelog: str, publish: None, nothing_on_purpose: None) -> str:
    raise NotImplementedError("later")
