"""Calling a step's body: arguments in, a sealed outcome out. This runs in workers, never in the loop."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from inspect import iscoroutinefunction
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gflow import attempt, failure, secret
from gflow.agenda import Ended, Raised
from gflow.checkpoint import Place, dumps, preview, unpickle
from gflow.context import Context, StepCancelled
from gflow.errors import StepStuck, StepTimeout, StoreError
from gflow.events import Ref
from gflow.executors import Executor
from gflow.executors.process import ProcessExecutor
from gflow.executors.thread import ThreadExecutor
from gflow.model import MISSING, ConstantSource, ContextSource, InputSource, Isolation, Node, StepSource, Undo
from gflow.orphans import UNDO, Hold
from gflow.shell import CommandKilled, watcher

if TYPE_CHECKING:
    from gflow.journal import Journal, Sealed
    from gflow.logs import RunLog
    from gflow.shell import Process
    from gflow.state import Slot

EXECUTORS: Final[Mapping[Isolation, Executor]] = {"thread": ThreadExecutor(), "process": ProcessExecutor()}
SMALL: Final = 4096
"""Pickles up to this size (bytes) are kept in memory; larger ones are read again when needed."""


class Job:
    """One attempt of one step on its way: it is a step's `Attempt` and watches its commands.

    An async body passes through a worker twice: to load its arguments, and to seal its value.
    """

    __slots__ = (
        "arguments", "attempt", "called", "cancel_scope", "cancelled", "closed", "degraded", "error",
        "generation", "hold", "key", "log_to", "node", "processes", "rung", "seconds", "timed_out",
        "value",
    )  # fmt: skip

    def __init__(self, node: Node, number: int, generation: int, rung: int, log_to: RunLog | None) -> None:
        self.node = node
        self.attempt = number
        self.generation = generation
        self.rung = rung
        self.log_to = log_to
        self.key = f"g{generation}"
        self.hold: Hold | None = None
        self.called = False
        self.closed = False
        self.timed_out = False
        self.cancelled = False
        self.degraded: str | None = None
        self.processes: list[Process] | None = None
        self.cancel_scope: Any = None
        self.arguments: dict[str, Any] | None = None
        self.value: object = MISSING
        self.error: BaseException | None = None
        self.seconds = 0.0

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
            self.log_to.write(self.node.name, self.attempt, level, message)

    def line(self, stream: Any, text: str) -> None:
        if self.log_to is not None:
            self.log_to.line(self.node.name, self.attempt, stream, text)

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

    `refs` finds a step's checkpoint; `inputs` are the run's; `folder` is what `ctx.workspace` names;
    `store` is the folder in which attempts have their locks, None for a run in memory.
    """

    def __init__(
        self,
        run: str,
        journal: Journal,
        inputs: Mapping[str, object],
        refs: Callable[[str], tuple[Ref | None, Place]],
        *,
        folder: Path,
        store: Path | None = None,
        log: RunLog | None = None,
    ) -> None:
        self.run = run
        self.journal = journal
        self.inputs = inputs
        self.refs = refs
        self.folder = folder
        self.store = store
        self.log = log
        self.small: dict[str, bytes] = {}
        self.exceptions: dict[str, BaseException] = {}

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
        executor = EXECUTORS[job.node.policy.isolation]
        name, fn, arguments = job.node.name, job.node.fn, job.arguments or {}
        began = perf_counter()
        try:
            if job.log_to is not None:
                with job.log_to.bound(name, job.attempt):
                    job.value = executor.call(name, fn, arguments, job)
            else:
                job.value = executor.call(name, fn, arguments, job)
        except BaseException as error:  # noqa: BLE001  # SystemExit in a body is a failure too
            job.error = error
        finally:
            job.seconds = perf_counter() - began
            self._close(job)

    async def acall(self, job: Job) -> None:
        """Call an async body in this task. The cancellation of the whole loop passes through."""
        token = watcher.set(job)
        self._open(job)
        began = perf_counter()
        try:
            if job.log_to is not None:
                with job.log_to.bound(job.node.name, job.attempt):
                    job.value = await job.node.fn(**job.arguments or {})
            else:
                job.value = await job.node.fn(**job.arguments or {})
        except (Exception, SystemExit) as error:  # noqa: BLE001  # cancellation passes
            job.error = failure.unwrapped(error)
        finally:
            job.seconds = perf_counter() - began
            self._close(job)
            watcher.reset(token)

    def _open(self, job: Job) -> None:
        job.called = True
        job.hold = job.hold or self._hold(job.node.name)

    def _close(self, job: Job) -> None:
        if job.hold is not None:
            job.hold.release()

    def _hold(self, path: str) -> Hold | None:
        return None if self.store is None else Hold(self.store, self.run, path)

    def seal(self, job: Job) -> Returned | Raised | Ended:
        """Make the outcome of a job: its value as a signed pickle, or its failure as data."""
        if job.timed_out and job.value is MISSING:
            job.error = _timeout(job)
        elif job.error is None and job.value is MISSING:
            return Ended(job.node.name)  # its scope was cancelled
        if job.error is None:
            try:
                return self._returned(job)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001  # a value that cannot be pickled fails its step
                job.error = error
        if job.cancelled and isinstance(job.error, StepCancelled | CommandKilled):
            return Ended(job.node.name)
        return self._raised(job, job.error)

    # ------------------------------------------------------------ values

    def value(self, path: str, journal: Journal | None = None) -> Any:
        """Return a copy of its own of a completed step's result; `journal` stands in for a closed one."""
        payload = self.small.get(path)
        if payload is not None:
            return pickle.loads(payload)  # noqa: S301  # made by this process, or verified below
        ref, place = self.refs(path)
        if ref is None:  # the empty body of a group
            return None
        payload = (journal or self.journal).read(ref, place)
        if ref.length <= SMALL:
            self.small[path] = payload
        return unpickle(place, payload)

    def forget(self, paths: Iterable[str]) -> None:
        """Steps begin anew: what is in memory of them is no longer their value."""
        for path in paths:
            self.small.pop(path, None)

    def undo_job(self, node: Node, undo: Undo, slot: Slot, number: int) -> Job:
        """Return the job that takes a step back: its undo gets the step's result, if it has one."""
        result, *others = undo.params
        stand_in = replace(node, fn=undo.fn, params=tuple(others), is_async=iscoroutinefunction(undo.fn))
        job = Job(stand_in, number, slot.generation, 0, self.log)
        job.key = f"g{slot.generation}:undo"
        job.hold = self._hold(UNDO + node.name)
        if self.prepare(job) and job.arguments is not None:
            try:
                job.arguments[result.name] = self.value(node.name) if slot.done else None
            except Exception as error:  # noqa: BLE001  # an undo that cannot have its result has failed
                job.error = error
        return job

    def _arguments(self, job: Job) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for param in job.node.params:
            source = param.source
            match source:
                case StepSource(step, None):
                    arguments[param.name] = self.value(step)
                case StepSource(step, field):
                    arguments[param.name] = field_of(self.value(step), field)
                case InputSource(name):
                    arguments[param.name] = self.inputs[name]
                case ConstantSource(value):
                    arguments[param.name] = value
                case ContextSource():
                    arguments[param.name] = self._context(job)
                case _:
                    raise AssertionError(f"{job.node.name}: {param.name} has no source")
        return arguments

    def _context(self, job: Job) -> Context:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = job.node.name
        key = f"{self.run}:{path}:{job.key}"
        return Context(self.run, path, job.attempt, job.generation, job.rung, key, self.folder, job)

    def _returned(self, job: Job) -> Returned:
        path = job.node.name
        payload = dumps(job.value, path)
        sealed = self.journal.seal(Place(self.run, path, job.generation, job.attempt), payload)
        if sealed.length <= SMALL:
            self.small[path] = payload
        degraded = job.degraded and secret.mask(job.degraded)
        return Returned(path, sealed, preview(job.value), job.seconds, degraded)

    def _raised(self, job: Job, error: BaseException | None) -> Raised:
        assert error is not None
        path = job.node.name
        self.exceptions[path] = error
        return Raised(
            path,
            failure.type_name(error),
            failure.message(error),
            failure.frames(error),
            attempt.severity_of(error, job.node),
            job.seconds,
            attempt.jitter(),
            attempt.retry_after(error),
        )


def _timeout(job: Job) -> StepTimeout:
    error = StepTimeout(f"{job.node.name} had not ended after {job.node.timeout:g} s")
    error.__cause__ = job.error
    if job.error is not None:
        failure.carrying(error, failure.frames(job.error)).with_traceback(job.error.__traceback__)
    return error


def stuck(job: Job, grace: float) -> Raised:
    """Return the failure of a job whose thread goes on `grace` seconds after it was asked to end."""
    path, timeout = job.node.name, job.node.timeout or 0.0
    said = f"{path} was asked to end after {timeout:g} s and goes on {grace:g} s later"
    error = StepStuck(f"{said}: nothing is tried beside it")
    return Raised(path, failure.type_name(error), str(error), [], error.severity, timeout, 0.0, None)


def field_of(value: Any, field: str | None) -> Any:
    """Return one field of a result: a key of a mapping (TypedDict), an attribute of anything else."""
    assert field is not None
    return value[field] if issubclass(type(value), Mapping) else getattr(value, field)
