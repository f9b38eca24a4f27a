"""What a decorator makes of a function."""

from __future__ import annotations

import inspect
import pickle
from unittest import mock

import pytest

from gflow import From, Retry, agent, parallel, stage, task
from gflow.decorators import Copy, Member


@task
def plain(x: int, *, y: int = 2) -> int:
    """Add."""
    return x + y


@task(attempts=3, after=[plain])
async def later(x: int) -> int:
    return x


@agent("code-reviewer")
def review(plain: int) -> str:
    """Review."""
    return str(plain)


@stage
def group(plain: int, review: str) -> str:
    return review


@parallel(limit=2)
def both(plain: int) -> int:
    return plain


def test_a_step_is_called_like_its_function() -> None:
    """Positional and keyword arguments, and the default, work as before."""
    assert (plain(1), plain(1, y=5), review(3), group(1, "ok")) == (3, 6, "3", "ok")


def test_an_async_step_returns_a_coroutine() -> None:
    """An async step is awaited as before."""
    coroutine = later(1)
    assert inspect.iscoroutine(coroutine)
    coroutine.close()


def test_a_step_keeps_name_docstring_and_signature() -> None:
    """What inspect and help() show is the function's own."""
    assert (plain.__name__, plain.__doc__) == ("plain", "Add.")
    assert list(inspect.signature(plain).parameters) == ["x", "y"]


def test_a_step_holds_what_its_decorator_was_told() -> None:
    """Kind, role and keywords are there for the compiler."""
    assert (plain.kind, review.kind, group.kind, both.kind) == ("task", "agent", "stage", "parallel")
    assert review.role == "code-reviewer"
    assert later.options.attempts == 3
    assert later.options.after == (plain,)
    assert both.options.limit == 2


def test_a_step_pickles_by_its_name() -> None:
    """A step can be sent to another process, which finds it in its module."""
    assert pickle.loads(pickle.dumps(plain)) is plain


def test_a_step_can_be_mocked() -> None:
    """`create_autospec` works on a step."""
    double = mock.create_autospec(plain, return_value=9)
    assert double(1) == 9


def test_a_copy_binds_and_leaves_the_original_alone() -> None:
    """`using()` returns a new step with the bindings of both calls."""
    copy = plain.using(x=1).using(y=3)
    assert isinstance(copy, Copy)
    assert copy.bindings == {"x": 1, "y": 3}
    assert copy.origin is plain
    assert plain.bindings == {}


def test_the_members_of_a_copied_group_are_its_attributes() -> None:
    """`From(copy.member)` names a member through its copy; other names do not exist."""
    copy = group.using(plain=1)
    assert From(copy.review).step == Member(copy, "review")
    with pytest.raises(AttributeError):
        _ = copy.reveiw


def test_an_undo_is_registered_and_stays_a_function() -> None:
    """`@step.undo` leaves the function as it is."""

    @task
    def make() -> int:
        return 1

    @make.undo
    def unmake(make: int) -> None: ...

    assert make.undo_fn is unmake
    assert inspect.isfunction(unmake)


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"base": -1.0}])
def test_a_retry_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    """A step is called at least once, and waits are not negative."""
    with pytest.raises(ValueError, match=r"attempts|negative"):
        Retry(**wrong)  # type: ignore[arg-type]
