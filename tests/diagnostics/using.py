"""Copies that bind what nobody takes, or a value of another type."""

from typing import Annotated

from gflow import From, Input, stage, task


@task
def compile_(arch: Input[str]) -> str:
    return arch


@task
def link(compile_: str, arch: Input[str]) -> str:
    return compile_ + arch


@stage
def image(compile_: str, link: str, label: Input[str] = "") -> str:
    return link


arm = image.using(arhc="arm64")
x86 = image.using(arch=86)


@task
def publish(
    arm: str,
    object_: Annotated[str, From(arm.link)],
    wrong: Annotated[str, From(arm.label)],
) -> None:
    print(arm, object_, wrong)


@stage
def ship(arm: str, x86: str, publish: None) -> None: ...
