"""How notices get out: each in a daemon thread, beside the run, which neither waits for one nor fails by it.

A notice is sent when what it says has been written. There is no memory of it in the journal: a process that
is killed at this moment tells nobody, and the one that resumes the run tells what changes from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, sleep
from typing import Final, NamedTuple

from anyio import to_thread

from gflow import failure
from gflow.events import Event, Reset, StatusChanged
from gflow.journal import Listener
from gflow.model import StepError
from gflow.notice import Notice, chosen, events_of, notice_of
from gflow.notify import Notifier, as_notifier
from gflow.session import Session

PAUSE: Final = 1.0
"""Seconds between the first try and the second."""
TRIES: Final = 2
LAG: Final = 0.5
"""Seconds beyond its timeout after which a notifier is left behind: a command is killed meanwhile."""


class Sending(NamedTuple):
    """A notice on its way; `until` is when its time is up (monotonic seconds)."""

    notifier: Notifier
    notice: Notice
    until: float
    thread: threading.Thread


class Outbox:
    """Tells notifiers what becomes of one run.

    Give `listener` to `session.Settings`, and await `settle` before the run's log is closed.
    """

    def __init__(self, notifiers: Iterable[Callable[[Notice], object]]) -> None:
        self._notifiers = [as_notifier(each) for each in notifiers]
        self._sent: list[Sending] = []
        self._log: Callable[[str], None] = lambda _text: None
        self._why: str | None = None
        self._errors: Sequence[StepError] = ()

    def listener(self, session: Session) -> Listener:
        """Return what the journal of this session tells after it was written."""
        reset, log = session.state.reset, session.bodies.log
        self._why = reset.why if reset else None
        self._errors = session.snapshot().errors if reset else ()
        if log is not None:
            self._log = lambda text: log.write(None, None, "WARNING", text)

        def listen(at: float, events: Sequence[Event]) -> None:
            for event in events:
                if isinstance(event, Reset):
                    self._why = event.why
            if any(isinstance(event, StatusChanged) and event.status != "running" for event in events):
                self._changed(session, at)

        return listen

    async def settle(self) -> None:
        """Wait for what is on its way, at most until its time is up; what is left behind is logged."""
        if self._sent:
            await to_thread.run_sync(self._wait, abandon_on_cancel=True)

    def _changed(self, session: Session, at: float) -> None:
        run = session.snapshot()
        if run.status == "rolling_back":
            self._errors = run.errors
        ended_by = self._errors if run.status in ("rolled_back", "rollback_incomplete") else ()
        happened = events_of(run, self._why)
        for notifier in self._notifiers:
            event = chosen(happened, notifier.events)
            if event is not None:
                self._send(notifier, notice_of(run, event, at, ended_by))

    def _send(self, notifier: Notifier, notice: Notice) -> None:
        until = monotonic() + notifier.timeout
        thread = threading.Thread(
            target=self._deliver, args=(notifier, notice, until), name="gflow-notify", daemon=True
        )
        thread.start()
        self._sent.append(Sending(notifier, notice, until, thread))

    def _deliver(self, notifier: Notifier, notice: Notice, until: float) -> None:
        for left in reversed(range(TRIES)):
            try:
                notifier.send(notice, max(until - monotonic(), 0.0))
            except BaseException as error:  # noqa: BLE001  # also SystemExit: nothing ends the run from here
                if left and monotonic() + PAUSE < until:
                    sleep(PAUSE)
                    continue
                self._warn(notifier, notice, f"{failure.type_name(error)}: {failure.message(error)}")
            return

    def _wait(self) -> None:
        for each in self._sent:
            each.thread.join(max(0.0, each.until + LAG - monotonic()))
            if each.thread.is_alive():
                self._warn(each.notifier, each.notice, f"it had not ended after {each.notifier.timeout:g} s")
        self._sent.clear()

    def _warn(self, notifier: Notifier, notice: Notice, problem: str) -> None:
        self._log(f"{notifier} was not told that run {notice.run} is {notice.event}: {problem}")
