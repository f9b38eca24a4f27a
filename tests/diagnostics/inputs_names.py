"""Inputs that cannot be given or are not taken, and names that are two things."""

from dataclasses import dataclass

from gflow import Input, task


@dataclass
class Inputs:
    plan: str = ""
    version: str = "1.0"
    colour: str = "red"


@task
def version() -> str:
    return "1"


@task
def show(plan: str, version: str, json: Input[bool] = False) -> None:
    print(plan, version, json)
