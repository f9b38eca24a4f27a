"""Where a body runs: the contract of an executor. Each executor is a file or a folder beside this one.

`tests/contracts/test_executor.py` holds the contract for every executor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gflow.context import Attempt
from gflow.errors import WorkflowError
from gflow.shell import Watcher


class Watched(Attempt, Watcher, Protocol):
    """The attempt that a body is called for: it hears what the body says, and has what it starts ended."""


class Executor(Protocol):
    """Calls the bodies of sync steps.

    What holds for every executor:

    - A body is called once, with these arguments and no others; what it returns is returned, and what it
      raises is raised.
    - While it runs, its commands and those of the executor are told to `attempt`. What a `Context` among
      the arguments is told reaches `attempt` too, before `call` returns.
    - When `call` returns or raises, the body has ended.
    """

    def call(self, step: str, fn: Callable[..., Any], arguments: Mapping[str, Any], attempt: Watched) -> Any:
        """Call a body in the name of a step, and block until it has ended."""
        ...


class CannotIsolate(WorkflowError):
    """A body cannot be called in another process, for the reason given; never tried again."""


class ChildDied(Exception):
    """The process of a body ended before the body did: `code` is its exit code, or minus a signal's number.

    `tail` is what it wrote last.
    """

    def __init__(self, step: str, code: int, ending: str, tail: str = "") -> None:
        super().__init__(step, code, ending, tail)  # exactly the parameters, as unpickling an exception needs
        self.step, self.code, self.ending, self.tail = step, code, ending, tail

    def __str__(self) -> str:
        text = f"the child process of `{self.step}` {self.ending}, before its body had returned or raised"
        return f"{text}\n{self.tail}" if self.tail else text


class BodyFailed(Exception):
    """Stands in for an exception of a body that could not be sent on: its type's name and its message."""

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name, self.message = type_name, message

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name
