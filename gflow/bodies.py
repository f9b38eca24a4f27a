"""Calling a step's body: arguments in, a sealed outcome out. This runs in workers, never in the loop.

What else is asked for a step goes the same way: its condition, its list of items, its question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from inspect import iscoroutine, iscoroutinefunction
from pathlib import Path
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gflow import attempt, failure, secret
from gflow.agenda import Answer, Ended, Listed, Raised, Worded
from gflow.checkpoint import Place, dumps, preview
from gflow.context import Context, StepCancelled
from gflow.errors import StepStuck, StepTimeout, StoreError
from gflow.executors import Executor
from gflow.executors.process import ProcessExecutor
from gflow.executors.thread import ThreadExecutor
from gflow.frames import Purpose, Unit
from gflow.model import MISSING, Call, Isolation, Node, Undo
from gflow.orphans import UNDO, Hold
from gflow.shell import CommandKilled, watcher
from gflow.values import Values, Where, where

if TYPE_CHECKING:
    from gflow.journal import Journal, Sealed
    from gflow.logs import RunLog
    from gflow.shell import Process
    from gflow.state import Slot

EXECUTORS: Final[Mapping[Isolation, Executor]] = {"thread": ThreadExecutor(), "process": ProcessExecutor()}
PROGRESS_LOGGED: Final = 1.0
"""Seconds between two lines of the log that say how far a body is."""
PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")


class Job:
    """One attempt of one step on its way: it is a step's `Attempt` and watches its commands.

    `call` is what is called: the step itself, what stands in for it, a condition. An async body passes
    through a worker twice: to load its arguments, and to seal its value.
    """

    called = False
    closed = False
    timed_out = False
    cancelled = False
    hold: Hold | None = None
    degraded: str | None = None
    processes: list[Process] | None = None
    cancel_scope: Any = None
    arguments: dict[str, Any] | None = None
    value: object = MISSING
    error: BaseException | None = None
    seconds = 0.0
    reached = ""
    said_at = float("-inf")

    def __init__(
        self, node: Node, at: Where, call: Call | Node, number: int, generation: int, *, rung: int = 0,
        purpose: Purpose = "body", log_to: RunLog | None = None,
    ) -> None:  # fmt: skip
        self.node = node
        self.at = at
        self.path = at.path
        self.call = call
        self.is_async = call.is_async and purpose == "body"
        self.purpose: Purpose = purpose
        self.attempt = number
        self.generation = generation
        self.rung = rung
        self.log_to = log_to
        self.key = f"g{generation}"

    def cancel(self) -> None:
        """Ask the body to end, on the loop: an async one is cancelled, commands are killed.

        Other code learns of it by `ctx.check_cancelled()`, which raises from now on.
        """
        self.cancelled = True
        if self.cancel_scope is not None:
            self.cancel_scope.cancel()
        for process in self.processes or ():
            process.kill()

    def log(self, level: str, message: str) -> None:
        if self.log_to is not None:
            self.log_to.write(self.path, self.attempt, level, message)

    def progress(self, fraction: float, message: str) -> None:
        """Remember how far the body is, for who draws the run; now and then the log hears of it."""
        self.reached = secret.mask(f"{fraction:.0%} {message}".rstrip())
        if (now := monotonic()) - self.said_at >= PROGRESS_LOGGED or fraction >= 1:
            self.said_at = now
            self.log("INFO", self.reached)

    def line(self, stream: Any, text: str) -> None:
        if self.log_to is not None:
            self.log_to.line(self.path, self.attempt, stream, text)

    def descriptor(self) -> int | None:
        """Return the lock that the attempt's commands inherit; there is none for a run in memory."""
        return None if self.hold is None else self.hold.descriptor()

    def started(self, process: Process) -> None:
        if self.hold is not None:
            self.hold.started(process.pid, process.argv)
        self.processes = [*(self.processes or ()), process]
        if self.cancelled:
            process.kill()

    def ended(self, process: Process) -> None:
        if self.hold is not None:
            self.hold.ended(process.pid)
        self.processes = [other for other in self.processes or () if other is not process]


class Returned(NamedTuple):
    """An attempt returned: its value is sealed, and waits for its place in a round."""

    path: str
    value: Sealed
    preview: str
    seconds: float
    degraded: str | None


class Bodies:
    """Calls bodies for one run. It reads checkpoints of earlier steps, and knows nothing of what is next.

    `values` are what parameters get; `folder` is what `ctx.workspace` names; `store` is the folder in which
    attempts have their locks, None for a run in memory. `running` are the jobs that are in their bodies.
    """

    def __init__(
        self,
        run: str,
        journal: Journal,
        values: Values,
        *,
        folder: Path,
        store: Path | None = None,
        log: RunLog | None = None,
    ) -> None:
        self.run = run
        self.journal = journal
        self.values = values
        self.folder = folder
        self.store = store
        self.log = log
        self.exceptions: dict[str, BaseException] = {}
        self.running: dict[str, Job] = {}

    def job(self, unit: Unit, slot: Slot) -> Job:
        """Return the job of a unit that was admitted: its body, what stands in for it, or a question."""
        node, purpose = unit.node, unit.purpose
        at = where(node, unit.path)
        call: Call | Node | None
        match purpose:
            case "body":
                call = node.rungs[slot.rung - 1].call if slot.rung else node
            case "when":
                call = node.when
            case "until":
                assert unit.scope is not None
                assert node.repeat is not None
                call = node.repeat.until
                inner = where(node, node.name + unit.scope.suffix(unit.index))
                at = inner._replace(path=unit.path)
            case "open" | "ask" | "expiry":  # no worker is given an expiry
                call = Call(_nothing)
        assert call is not None
        job = Job(
            node, at, call, slot.attempt, slot.generation, rung=slot.rung, purpose=purpose, log_to=self.log
        )
        if purpose == "body" and slot.rung:
            job.key = f"g{slot.generation}:{'d' if node.rungs[slot.rung - 1].degraded else f'f{slot.rung}'}"
            job.degraded = _degraded(node, slot)
        return job

    # ------------------------------------------------------------ the three parts of an attempt

    def prepare(self, job: Job) -> bool:
        """Load the arguments into the job; False if that failed, which is then the job's error."""
        try:
            job.arguments = self._arguments(job)
        except StoreError:
            raise  # a checkpoint that cannot be read, or is not genuine, is no failure of the step
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is this step's failure
            job.error = error
            return False
        return True

    def call(self, job: Job) -> None:
        """Call a sync body in this thread; the job then holds its value or its error."""
        self._open(job)
        executor = EXECUTORS[job.node.policy.isolation if job.purpose == "body" else "thread"]
        began = perf_counter()
        try:
            if job.log_to is not None:
                with job.log_to.bound(job.path, job.attempt):
                    job.value = self._called(executor, job)
            else:
                job.value = self._called(executor, job)
        except BaseException as error:  # noqa: BLE001  # SystemExit in a body is a failure too
            job.error = error
        finally:
            job.seconds = perf_counter() - began
            self._close(job)

    def _called(self, executor: Executor, job: Job) -> object:
        arguments = job.arguments or {}
        match job.purpose:
            case "open":
                return _listed(job, self.values)
            case "ask":
                return self._worded(job)
            case _:
                return executor.call(job.path, job.call.fn, arguments, job)

    async def acall(self, job: Job) -> None:
        """Call an async body in this task. The cancellation of the whole loop passes through."""
        token = watcher.set(job)
        self._open(job)
        began = perf_counter()
        try:
            if job.log_to is not None:
                with job.log_to.bound(job.path, job.attempt):
                    job.value = await job.call.fn(**job.arguments or {})
            else:
                job.value = await job.call.fn(**job.arguments or {})
        except (Exception, SystemExit) as error:  # noqa: BLE001  # cancellation passes
            job.error = failure.unwrapped(error)
        finally:
            job.seconds = perf_counter() - began
            self._close(job)
            watcher.reset(token)

    def _open(self, job: Job) -> None:
        job.called = True
        self.running[job.path] = job
        job.hold = job.hold or self._hold(job.path)

    def _close(self, job: Job) -> None:
        self.running.pop(job.path, None)
        if job.hold is not None:
            job.hold.release()

    def _hold(self, path: str) -> Hold | None:
        return None if self.store is None else Hold(self.store, self.run, path)

    def seal(self, job: Job) -> Returned | Raised | Ended | Answer | Listed | Worded:
        """Make the outcome of a job: its value as a signed pickle, or its failure as data."""
        if job.timed_out and job.value is MISSING:
            job.error = _timeout(job)
        elif job.error is None and job.value is MISSING:
            return Ended(job.path)  # its scope was cancelled
        if job.error is None:
            try:
                return self._returned(job) if job.purpose == "body" else _said(job)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001  # a value that cannot be pickled fails its step
                job.error = error
        if job.cancelled and isinstance(job.error, StepCancelled | CommandKilled):
            return Ended(job.path)
        return self._raised(job, job.error)

    # ------------------------------------------------------------ values

    def undo_job(self, node: Node, undo: Undo, path: str, slot: Slot, number: int) -> Job:
        """Return the job that takes a step back: its undo gets the step's result, if it has one."""
        result, *others = undo.params
        call = Call(undo.fn, tuple(others), iscoroutinefunction(undo.fn))
        job = Job(node, where(node, path), call, number, slot.generation, log_to=self.log)
        job.key = f"g{slot.generation}:undo"
        job.hold = self._hold(UNDO + path)
        if self.prepare(job) and job.arguments is not None:
            try:
                is_own = slot.done is not None and not slot.rung
                job.arguments[result.name] = self.values.value(path) if is_own else None
            except Exception as error:  # noqa: BLE001  # an undo that cannot have its result has failed
                job.error = error
        return job

    def _arguments(self, job: Job) -> dict[str, Any]:
        return self.values.arguments(job.call.params, job.at, lambda: self._context(job))

    def _context(self, job: Job) -> Context:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = f"{self.run}:{job.path}:{job.key}"
        return Context(self.run, job.path, job.attempt, job.generation, job.rung, key, self.folder, job)

    def _worded(self, job: Job) -> Worded:
        """Word the question of a step: the parts that it shows, and whether anybody has to be asked."""
        ask = job.node.ask
        assert ask is not None
        needed = True
        if ask.when is not None:
            needed = bool(_answered(ask.when.fn(**self.values.arguments(ask.when.params, job.at))))
        shown = {name: _shown(value) for name, value in self.values.arguments(ask.values, job.at).items()}
        text = secret.mask(PLACEHOLDER.sub(lambda found: shown.get(found[1], found[0]), ask.text))
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return Worded(job.path, text, digest, needed)

    def _returned(self, job: Job) -> Returned:
        path = job.path
        payload = dumps(job.value, path)
        sealed = self.journal.seal(Place(self.run, path, job.generation, job.attempt), payload)
        degraded = job.degraded and secret.mask(job.degraded)
        if len(job.at.coordinates) > len(job.node.scope):  # an item: one of many, read together
            return Returned(path, sealed, "", job.seconds, degraded)
        self.values.keep(path, payload)
        return Returned(path, sealed, preview(job.value), job.seconds, degraded)

    def _raised(self, job: Job, error: BaseException | None) -> Raised:
        assert error is not None
        self.exceptions[job.path] = error
        return Raised(
            job.path,
            failure.type_name(error),
            failure.message(error),
            failure.frames(error),
            attempt.severity_of(error, job.node),
            job.seconds,
            attempt.jitter(),
            attempt.retry_after(error),
            attempt.kind_of(error),
        )


def _nothing() -> None:
    """Stand where a question has nothing to call."""


def _degraded(node: Node, slot: Slot) -> str | None:
    """Return why a result of this rung is degraded, if it is."""
    rung = node.rungs[slot.rung - 1]
    if not rung.degraded:
        return None
    return f"{rung.label} stands in after {slot.error}" if slot.error else f"{rung.label} stands in"


def _listed(job: Job, values: Values) -> Listed:
    """Count the items of a fan-out, and name them by their keys."""
    each = job.node.each
    assert each is not None
    items = values.list_of(job.node, job.at)
    if each.key is None:
        return Listed(job.path, len(items), None)
    keys = [str(each.key(item)) for item in items]
    if len(set(keys)) < len(keys):
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"two items of {job.path} have the key {double!r}; a key names one item")
    return Listed(job.path, len(items), keys)


def _said(job: Job) -> Answer | Listed | Worded:
    if isinstance(job.value, Listed | Worded):
        return job.value
    return Answer(job.path, _answered(job.value))


def _answered(value: object) -> bool:
    """Return what a condition answered. Raises TypeError if that is no bool."""
    if isinstance(value, bool):
        return value
    if iscoroutine(value):
        value.close()
    raise TypeError(f"a condition returns True or False, not {type(value).__name__}")


def _shown(value: object) -> str:
    return value if isinstance(value, str) else preview(value)


def _timeout(job: Job) -> StepTimeout:
    error = StepTimeout(f"{job.path} had not ended after {job.node.timeout:g} s")
    error.__cause__ = job.error
    if job.error is not None:
        failure.carrying(error, failure.frames(job.error)).with_traceback(job.error.__traceback__)
    return error


def stuck(job: Job, grace: float) -> Raised:
    """Return the failure of a job whose thread goes on `grace` seconds after it was asked to end."""
    path, timeout = job.path, job.node.timeout or 0.0
    said = f"{path} was asked to end after {timeout:g} s and goes on {grace:g} s later"
    error = StepStuck(f"{said}: nothing is tried beside it")
    return Raised(path, failure.type_name(error), str(error), [], error.severity, timeout, 0.0, None, "stuck")
