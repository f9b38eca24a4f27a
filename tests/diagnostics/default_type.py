"""Defaults that are not of the type of their input."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gflow import Input, task


@dataclass
class Inputs:
    part: Literal["major", "minor"] = "patch"


@task
def build(part: str, out: Input[Path] = "dist", token: Input[str] = None, count: Input[float] = 3) -> None:
    print(part, out, token, count)
