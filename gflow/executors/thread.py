"""Bodies in the thread that calls: nothing is copied, and nothing can be ended from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gflow.executors import Watched
from gflow.shell import watcher


class ThreadExecutor:
    """Calls a body where it is; it ends early only if it asks `ctx.check_cancelled()`."""

    def call(self, step: str, fn: Callable[..., Any], arguments: Mapping[str, Any], attempt: Watched) -> Any:
        token = watcher.set(attempt)
        try:
            return fn(**arguments)
        finally:
            watcher.reset(token)
