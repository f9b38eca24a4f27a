"""Inputs of a pydantic model."""

from pydantic import BaseModel, Field

from gflow import stage, task


class Inputs(BaseModel):
    """What this workflow takes."""

    host: str = "localhost"
    port: int = Field(default=80, alias="PORT")


@task
def serve(host: str, port: int) -> str:
    return f"{host}:{port}"


@stage
def flow(serve: str) -> str:
    return serve
