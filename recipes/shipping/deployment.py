"""The wheel on an index, proven by installing it from there; and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recipes.shipping.artifacts import Wheel
from recipes.shipping.environments import Environment
from recipes.shipping.index import Endpoint, is_url, serving
from recipes.shipping.wording import short


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version that is on an index and was installed from it; `index` is a folder or a URL."""

    project: str
    version: str
    index: str

    def __str__(self) -> str:
        where = self.index if is_url(self.index) else short(self.index)
        return f"{self.project} {self.version} on {where}; a fresh environment installed and imported it"


def deploy_wheel(wheel: Wheel, index: str, workspace: Path, configuration: Path) -> Deployment:
    """Upload a wheel, then prove it: a fresh environment installs and imports it.

    `configuration` is the folder whose configuration of uv says where dependencies come from.

    Raises:
        ConnectionError: the index does not answer.
        RuntimeError: what was imported is not what was uploaded.
    """
    index = index if is_url(index) else str(Path(index).resolve())
    with serving(index) as endpoint:
        endpoint.add(wheel.path)
        environment = Environment.make(workspace / "environment")
        install(wheel, endpoint, environment, configuration)
    prove(wheel, environment)
    return Deployment(wheel.project, wheel.version, index)


def install(wheel: Wheel, endpoint: Endpoint, environment: Environment, configuration: Path) -> None:
    """Install a wheel from an index and from nowhere else, by its hash; its dependencies as configured."""
    if wheel.dependencies:
        environment.install(*wheel.dependencies, cwd=configuration)
    only_there = ("--no-config", "--no-cache", "--index", endpoint.simple, "--default-index", endpoint.simple)
    environment.install(
        *only_there, "--no-deps", "--require-hashes", "--requirements", "-",
        cwd=environment.path, input=f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n",
    )  # fmt: skip


def prove(wheel: Wheel, environment: Environment) -> None:
    """Import what a wheel brings, and compare the version that is installed."""
    imports = "\n".join(f"import {module}" for module in wheel.modules)
    question = f"{imports}\nfrom importlib.metadata import version\nprint(version({wheel.project!r}))"
    found = environment.run("-I", "-c", question, cwd=environment.path).lines[-1]
    if found != wheel.version:
        raise RuntimeError(f"the fresh environment has {wheel.project} {found}, not {wheel.version}")


def withdraw_wheel(wheel: Wheel, index: str) -> None:
    """Remove a wheel from an index, if it is there.

    Raises:
        ConnectionError: the index does not answer.
        RuntimeError: the index removes nothing, as public ones do.
    """
    if not is_url(index):
        (Path(index) / wheel.path.name).unlink(missing_ok=True)
        return
    with serving(index) as endpoint:
        if endpoint.lists(wheel.path):
            endpoint.remove(wheel.path, wheel.version)
