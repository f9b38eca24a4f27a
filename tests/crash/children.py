"""Children of a warm parent: forked, so that a round costs no imports; watched, so that none hangs."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

from gflow.errors import GflowError
from tests.crash.proof import Violation

BROKEN = 70
"""The exit code of a child that raised what gflow does not explain (EX_SOFTWARE of sysexits.h)."""
PATIENCE = 120.0
"""Seconds after which a child hangs: far more than any takes on a busy machine."""


def fork(body: Callable[[], int | None]) -> int:
    """Run `body` in a child and return its process id; the child exits with what `body` returns.

    A GflowError becomes its exit code, as the command line does it. The caller has one thread.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os._exit(_exit_code(body))
    return pid


def _exit_code(body: Callable[[], int | None]) -> int:
    try:
        return body() or 0
    except GflowError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except BaseException:  # noqa: BLE001  # a child never returns into its parent's code
        traceback.print_exc()
        return BROKEN
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def exit_of(pid: int, patience: float = PATIENCE) -> int:
    """Wait for a child and return its exit code, negative for a signal; one that hangs is a Violation."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise Violation(f"process {pid} hung for {patience:.0f} s")


def call(body: Callable[[], int | None]) -> int:
    """Run `body` in a child to its end and return its exit code."""
    return exit_of(fork(body))
