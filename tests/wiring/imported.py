"""Steps and groups of other modules."""

from pathlib import Path
from typing import Annotated

from gflow import From, Workflow, stage, task

from .fields import Deployment, deploy
from .names import preparation, wheel

workflow = Workflow(uses=[preparation])
_deploy = deploy


@task
def reader(where: Annotated[Deployment, From(_deploy)], file: Annotated[Path, From(wheel)]) -> int:
    return len(where.url) + len(file.name)


@stage
def flow(preparation: None, deploy: Deployment, reader: float) -> None: ...
