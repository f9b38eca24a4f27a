"""Inputs on whose type or default those who take them do not agree."""

from dataclasses import dataclass
from pathlib import Path

from gflow import Input, task


@dataclass
class Inputs:
    part: str = "patch"
    size: int = 3


@task
def fetch(url: Input[str] = "https://a.example", out: Input[Path] = Path("dist"), part: str = "minor") -> None:
    print(url, out, part)


@task
def publish(url: Input[str] = "https://b.example", out: Input[str] = "dist", size: str = "3") -> None:
    print(url, out, size)
