"""Right and wrong uses of the public language, for mypy and pyright; never run.

Every wrong use carries what each checker calls it. An ignore that ignores nothing is an error itself (of
pyright: with the configuration beside this file), so each of them is proven to be caught. What only one
checker catches carries only its ignore.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, assert_type

from gflow import (
    Approval,
    Ask,
    Context,
    Each,
    Failed,
    FirstOf,
    From,
    Input,
    Policy,
    Previous,
    Refused,
    Rejected,
    Retry,
    Secret,
    Step,
    Until,
    Workflow,
    WorkflowError,
    agent,
    parallel,
    stage,
    task,
)
from gflow.notify import Call, Command, Post


@dataclass
class Wheel:
    path: Path
    size: int


class Tag: ...


# ---------------------------------------------------------------- right


@task
def build(out: Input[Path] = Path("dist")) -> Wheel:
    return Wheel(out, 1)


@task()
def lint() -> int:
    return 0


@task(attempts=3, effects="none", after=[lint], policy=Policy(severity={ConnectionError: "low"}))
async def fetch(url: Input[str]) -> bytes:
    return url.encode()


@agent("code-reviewer", attempts=Retry(3, base=0.5), effects="irreversible")
def review(
    build: Wheel,
    path: Annotated[Path, From(build, "path")],
    data: Annotated[bytes, From(fetch)],
    ctx: Context,
) -> str:
    """Review the change."""
    ctx.log("reviewing")
    if not data:
        raise Refused("nothing to review", blockers=[str(path)])
    return str(build)


@agent("technical-writer")
def changelog(review: str) -> str:
    """Write the changelog."""
    raise NotImplementedError


@parallel(limit=2, after=(build,))
def checks(review: str, lint: int) -> None: ...


@task
def tag(build: Wheel) -> Tag:
    return Tag()


@tag.undo
def delete_tag(tag: Tag | None, build: Wheel, ctx: Context) -> None:
    print(tag, build, ctx)


@fetch.undo
async def forget(fetched: bytes) -> None:
    print(fetched)


@stage
def ship(build: Wheel, checks: None, tag: Tag) -> Tag:
    return tag


lint_again = lint.using()
build_there = build.using(out=Path("there"))
ship_there = ship.using(build=build_there, checks=From(checks))
workflow = Workflow(name="ship", version="1.0", uses=[lint_again, ship_there], durability="process")


@task(after=[ship_there.tag])
def announce(there: Annotated[Tag, From(ship_there.tag)], wheel: Annotated[Wheel, From(build_there)]) -> None:
    print(there, wheel)


def is_small(build: Wheel) -> bool:
    return build.size < 10


def cached(url: str, failure: Failed) -> bytes:
    return f"{url} {failure.type}".encode()


def nothing() -> bytes:
    return b""


def is_published(publish: str) -> bool:
    return bool(publish)


@task(when=is_small, fallback=["code-reviewer", cached], degraded=nothing, attempts=2)
async def download(url: Input[str]) -> bytes:
    return url.encode()


@task
def regions() -> list[str]:
    return ["eu", "us"]


@task
def check(region: Annotated[str, Each(regions, limit=2, key=str.lower, tolerate="10%")]) -> int:
    return len(region)


@task
def publish(
    check: list[int | Failed | None],
    wheel: Annotated[Wheel, FirstOf(build_there, build)],
    answer: Annotated[Approval | Rejected, Ask("Publish {build.size}?", when=is_small, timeout=3600)],
) -> str:
    if isinstance(answer, Rejected):
        raise WorkflowError("no", severity="high")
    failed = [each for each in check if isinstance(each, Failed)]
    if failed:
        failed[0].reraise()
    return f"{wheel.size} {answer.who} {answer.at} {answer.comment} {answer.asked}"


@stage(repeat=Until(is_published, max=3), when=is_small)
def rounds(publish: str, again: Annotated[str | None, Previous()] = None) -> str:
    return publish + (again or "")


Workflow(on_exhausted="abort")


def notifiers_are_typed() -> None:
    """A notifier is made of words that checkers know, or is a function of a notice."""
    post = Post(Secret("env:HOOK"), headers={"X-Key": ("Bearer ", Secret("env:TOKEN"))}, on=["failed"])
    Workflow(notify=[post, Command("true", on="waiting"), Call(print), lambda notice: print(notice.event)])


def steps_are_typed_functions() -> None:
    """A step is called as the function that it is made of."""
    assert_type(build(Path("dist")), Wheel)
    assert_type(build(), Wheel)
    assert_type(build(out=Path("dist")), Wheel)
    assert_type(review(build(), Path(), b"", Context()), str)
    assert_type(ship(build(), None, Tag()), Tag)
    assert_type(build_there(), Wheel)
    assert_type(delete_tag(None, build(), Context()), None)
    any_step: Step[..., Any] = build
    print(any_step)


async def async_steps_are_awaited() -> None:
    """An async step gives what it returns once it is awaited."""
    assert_type(await fetch("url"), bytes)
    await forget(await fetch("url"))


# ---------------------------------------------------------------- wrong: decorators


@agent  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def without_role() -> str:
    return ""


@task(retries=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
def unknown_keyword() -> str:
    return ""


@task(attempts="3")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def attempts_as_text() -> str:
    return ""


@task(effects="irreversable")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def misspelt_effects() -> str:
    return ""


@task(after=["lint"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
def after_a_name() -> str:
    return ""


@task(limit=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
def limited_leaf() -> str:
    return ""


@agent("tester", after=lint)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def after_no_list() -> str:
    return ""


@task(repeat=Until(is_small))  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
def repeated_leaf() -> str:
    return ""


@task(when="is_small")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def condition_as_text() -> str:
    return ""


@task(fallback=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def fallback_as_number() -> str:
    return ""


@task
def each_of_a_name(region: Annotated[str, Each("regions")]) -> str:  # pyright: ignore[reportArgumentType]
    return region


Ask("Publish?", timeout="1 h")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Until(is_small, max="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Workflow(on_exhausted="abrot")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Policy(severity={ConnectionError: "hgih"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
Policy(severity={"ConnectionError": "low"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
Workflow(durability="ful")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Command("true", on=["fialed"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
Workflow(notify=["mail"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
Workflow(uses=["lint"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


# ---------------------------------------------------------------- wrong: marks, undo, calls


@task
def from_a_name(wheel: Annotated[Wheel, From("build")]) -> int:  # pyright: ignore[reportArgumentType]
    return wheel.size


@tag.undo  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def undo_of_another(tag: Wheel) -> None:
    print(tag)


@tag.undo  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def undo_of_nothing() -> None: ...


@fetch.undo  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
async def undo_of_a_coroutine(fetched: str) -> None:
    print(fetched)


def wrong_calls() -> None:
    """A step is called with what its function takes."""
    build("dist")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    build(into=Path())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    build(Path()) + 1  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
    lint.limit  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def wrong_awaits() -> None:
    """A sync step gives its result at once, an async one a coroutine."""
    await lint()  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    fetch("url")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


@task
def shadowing(lint: int) -> int:
    return lint()  # type: ignore[operator, no-any-return]  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
