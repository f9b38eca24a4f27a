"""Put a release on one server of a fleet; then on all of them if somebody agrees, else on none.

A server is a link to the release that it serves. Where there is no fleet, one of three servers is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from gflow import Approval, Ask, Input, Rejected, WorkflowError, stage, task

FLEET = Path("fleet")


@task
def before(fleet: Input[Path] = FLEET) -> dict[str, Path]:
    """Look at what each server serves: a way back leads there."""
    if not fleet.exists():
        point(fleet, dict.fromkeys("abc", write(fleet, "1.0")))
    return {link.name: link.readlink() for link in sorted(fleet.iterdir()) if link.is_symlink()}


@task
def release(before: dict[str, Path], version: Input[str] = "1.1", fleet: Input[Path] = FLEET) -> Path:
    """Write the release into the fleet's folder; nobody serves it yet."""
    return write(fleet, version)


@task
def canary(before: dict[str, Path], release: Path, fleet: Input[Path] = FLEET) -> str:
    """Let the first server serve the release."""
    return point(fleet, {min(before): release})


@canary.undo
def withdraw(canary: str | None, before: dict[str, Path], fleet: Input[Path] = FLEET) -> None:
    """let the first server serve what it did before"""
    point(fleet, {min(before): before[min(before)]})


@task
def promote(
    answer: Annotated[Approval | Rejected, Ask("{canary}. Promote it to all servers?")],
    before: dict[str, Path],
    release: Path,
    fleet: Input[Path] = FLEET,
) -> str:
    """Let all servers serve the release; a no is so severe that the run is rolled back."""
    if isinstance(answer, Rejected):
        raise WorkflowError(f"not promoted: {answer}", severity="high")
    return point(fleet, dict.fromkeys(before, release))


@promote.undo
def demote(promote: str | None, before: dict[str, Path], fleet: Input[Path] = FLEET) -> None:
    """let the other servers serve what they did before"""
    point(fleet, {name: link for name, link in before.items() if name != min(before)})


@stage
def rollout(before: dict[str, Path], release: Path, canary: str, promote: str) -> str:
    """First one server, then all."""
    return promote


def point(fleet: Path, links: dict[str, Path]) -> str:
    """Let servers serve releases, each from one moment to the next."""
    for name, release in links.items():
        (fleet / f".{name}").unlink(missing_ok=True)
        (fleet / f".{name}").symlink_to(release)
        (fleet / f".{name}").replace(fleet / name)
    return ", ".join(f"{name} serves {release.name}" for name, release in links.items())


def write(fleet: Path, version: str) -> Path:
    """Write a release; return it as the link of a server names it."""
    (fleet / "releases" / version).mkdir(parents=True, exist_ok=True)
    (fleet / "releases" / version / "index.html").write_text(f"version {version}\n", "utf-8")
    return Path("releases", version)
