"""Children of a warm parent: forked, so that a round costs no imports; watched, so that none hangs."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Final

from gflow.errors import GflowError
from tests.crash.proof import Violation

BROKEN: Final = 70
"""The exit code of a child that raised what gflow does not explain (EX_SOFTWARE of sysexits.h)."""
PATIENCE: Final = 120.0
"""Seconds after which a child hangs: far more than any takes on a busy machine."""
MOST_SAID: Final = 8000

Body = Callable[[], int | None]


class Child:
    """A forked process that runs `body` and exits with what it returns.

    A GflowError becomes its exit code, as the command line does it. The caller has one thread.
    """

    def __init__(self, body: Body) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._said, said = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_exit_code(body, said))
        os.close(said)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ended(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def exit_code(self, patience: float = PATIENCE) -> int:
        """Wait for the end and return the exit code; a Violation in the child is raised here.

        One that hangs is a Violation, too.
        """
        until = time.monotonic() + patience
        code = self.ended()
        while code is None and time.monotonic() < until:
            time.sleep(0.001)
            code = self.ended()
        if code is None:
            self.send(signal.SIGKILL)
            os.waitpid(self.pid, 0)
        said = os.read(self._said, MOST_SAID).decode() if code == BROKEN else ""
        os.close(self._said)
        if code is None:
            raise Violation(f"process {self.pid} hung for {patience:.0f} s")
        if code == BROKEN:
            raise Violation(said)
        return code


def call(body: Body) -> int:
    """Run `body` in a child to its end and return its exit code."""
    return Child(body).exit_code()


def _exit_code(body: Body, said: int) -> int:
    try:
        return body() or 0
    except GflowError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Violation as error:
        os.write(said, str(error).encode()[:MOST_SAID])
        return BROKEN
    except BaseException:  # noqa: BLE001  # a child never returns into its parent's code
        os.write(said, traceback.format_exc().encode()[-MOST_SAID:])
        return BROKEN
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
