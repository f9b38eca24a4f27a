"""What can happen in a run: one tuple per event, the alphabet of the journal.

Events are written first and told second; every view of a run is a fold over them. They are named
tuples because thousands a second are made, written as JSON arrays and read back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from gflow.model import Kind

START: Final = "start"
"""Where a rollback of everything goes to."""
LONGEST_KEY: Final = 64
COORDINATES: Final = re.compile(r"\[[^\]]*\]|~\d+")
PLAIN: Final = " !#$&'()*+,-./:;<=>?@^_|{}"
"""Characters of a key that stand for themselves in a path; brackets, `~`, `%` and others are escaped."""


class Ref(NamedTuple):
    """Where a checkpoint lies: in the values of round `round`, or in the file `blob`; `tag` signs it."""

    round: int
    offset: int
    length: int
    tag: str
    blob: str | None = None


class Outline(NamedTuple):
    """What the journal keeps of a step, so that a run can be shown without its module.

    `after` and `joins` are those of `model.Node`. `undo` is the first line of the undo's docstring (None:
    there is no undo), and `takes_none` says that it also takes back what did not complete. `body` and
    `signature` are those of `fingerprint.Fingerprint`; None where nothing is known of them. `asks` says
    that a person is asked before it begins. `scope` are the fan-outs and repeat groups for whose items and
    rounds it has instances, outermost first, itself included; None if there are none. `repeats` says that it
    is a repeat group. `rungs` are the labels of what stands in for it, None if nothing does.
    """

    name: str
    kind: Kind
    role: str | None
    group: str | None
    after: list[str]
    joins: list[str]
    undo: str | None
    effects: str | None
    takes_none: bool = False
    body: str | None = None
    signature: str | None = None
    asks: bool = False
    scope: list[str] | None = None
    repeats: bool = False
    rungs: list[str] | None = None


class Created(NamedTuple):
    """A run begins: what it runs, and the inputs it was given (`previews` are for people)."""

    workflow: str
    version: str
    module: str
    steps: list[Outline]
    results: list[str]
    inputs: Ref
    previews: dict[str, str]
    gflow: str
    python: str


class Claimed(NamedTuple):
    """A process takes the run over; attempts that were open when the last one died are lost.

    `steps` is the outline of the workflow if it has changed since, `inputs` the inputs if they have.
    """

    host: str
    pid: int
    steps: list[Outline] | None = None
    inputs: Ref | None = None
    previews: dict[str, str] | None = None


class Started(NamedTuple):
    """An attempt was admitted: its body begins after this is written."""

    path: str
    attempt: int
    rung: int = 0


class Done(NamedTuple):
    """A step completed. `value` is None for an empty group body; `degraded` says why, if it is."""

    path: str
    value: Ref | None
    preview: str
    seconds: float
    degraded: str | None = None


class Tripped(NamedTuple):
    """An attempt failed, and what was decided.

    "retry" at `retry_at` (Unix seconds); "next", the rung that follows; "stop"; "handled", a failure that
    all who read the step take as a value, so that it is an outcome; "abort".
    """

    path: str
    type: str
    message: str
    frames: list[list[Any]]
    severity: str
    decision: str
    retry_at: float | None
    seconds: float


class Stopped(NamedTuple):
    """An attempt was ended from outside before it had an outcome: "interrupted" or "cancelled"."""

    path: str
    status: str = "interrupted"


class Told(NamedTuple):
    """A message of another process was heard: `id` is its place in the inbox, `who` sent it."""

    id: int
    kind: str
    who: str


class StatusChanged(NamedTuple):
    """The run as a whole changed its status."""

    status: str
    reason: str = ""


class Decided(NamedTuple):
    """A condition was asked: whether a step runs (`when=`), or whether a round was the last (`repeat=`)."""

    path: str
    question: str
    answer: bool


class Skipped(NamedTuple):
    """A step is left out, because of its own condition or of a step that it needs."""

    path: str
    why: str


class Opened(NamedTuple):
    """A fan-out begins: it has `n` items, by these keys (None: by their index)."""

    path: str
    n: int
    keys: list[str] | None = None


class Asked(NamedTuple):
    """A person is asked before a step begins; after `expires` (Unix seconds) the answer is no."""

    path: str
    text: str
    digest: str
    expires: float | None = None


class Answered(NamedTuple):
    """A question is decided: "approved", "rejected", "expired", or "not asked".

    `digest` is that of what was shown; an early answer has none, and is for the first question of its
    generation.
    """

    path: str
    verdict: str
    who: str
    comment: str
    digest: str
    generation: int


class Reset(NamedTuple):
    """A rollback begins: these steps, all that the graph orders after `to`, are to be taken back.

    `why` is "rollback" or "rerun"; what is taken back begins anew in `generation`.
    """

    why: str
    to: str
    generation: int
    steps: list[str]

    @property
    def goal(self) -> str:
        """Where the rollback leads, in words: `to STEP`, or `before STEP` if that is taken back as well."""
        return f"{'before' if self.why == 'rerun' else 'to'} {self.to}"


class Undone(NamedTuple):
    """The undo of a step ended; `error` says why it stays failed, None that the step begins anew.

    `deadly` says that it never ended: each time its process died with it.
    """

    path: str
    error: str | None = None
    deadly: bool = False


class Reverted(NamedTuple):
    """These steps begin anew without an undo: they have none, or it was passed over.

    `generation` is the one that they begin in, None for that of the rollback; it is raised where a run goes
    on and what had run on a failure begins anew with what failed.
    """

    paths: list[str]
    generation: int | None = None


class Forked(NamedTuple):
    """This run is a fork of `run`: it shares what is before the step `at`."""

    run: str
    at: str


class Adopted(NamedTuple):
    """A step is completed here because it completed in `run`, where its value lies and stays.

    `generation` and `attempt` are those in which it completed there: the value is signed with them. `outline`
    is what the step was like then, None if it is still the same.
    """

    path: str
    value: Ref | None
    preview: str
    seconds: float
    degraded: str | None
    run: str
    generation: int
    attempt: int
    outline: Outline | None = None


Event = (
    Created | Claimed | Started | Done | Tripped | Stopped | Told | StatusChanged | Decided | Skipped | Opened
    | Asked | Answered | Reset | Undone | Reverted | Forked | Adopted
)  # fmt: skip

_KINDS: dict[str, type[Any]] = {
    "created": Created, "claimed": Claimed, "start": Started, "done": Done, "trip": Tripped,
    "stop": Stopped, "told": Told, "decided": Decided, "skip": Skipped, "open": Opened,
    "asked": Asked, "answer": Answered,
    "status": StatusChanged, "reset": Reset, "undone": Undone, "reverted": Reverted,
    "forked": Forked, "adopted": Adopted,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def encode(events: Iterable[Event]) -> bytes:
    """Return the events of one round as a JSON array of arrays, `[["start", "build", 1, 0], …]`."""
    text = _dump([[_NAMES[type(event)], *event] for event in events])
    return text.encode("utf-8", "backslashreplace")  # a message may quote a file name that is not UTF-8


def decode(records: bytes) -> list[Event]:
    """Return the events of one round.

    Fields that a later version appended are dropped, so that an older one can still show the run.
    """
    return [_read(record) for record in json.loads(records)]


def _read(record: list[Any]) -> Event:
    kind = _KINDS[record[0]]
    fields: list[Any] = record[1 : 1 + len(kind._fields)]
    if kind in (Done, Adopted) and fields[1] is not None:
        fields[1] = Ref(*fields[1])
    if kind is Adopted and fields[-1] is not None:
        fields[-1] = _outline(fields[-1])
    if kind is Created:
        fields[3] = [_outline(step) for step in fields[3]]
        fields[5] = Ref(*fields[5])
    if kind is Claimed:
        steps, inputs = fields[2:4]
        fields[2:4] = [steps and [_outline(step) for step in steps], inputs and Ref(*inputs)]
    event: Event = kind(*fields)
    return event


def _outline(fields: list[Any]) -> Outline:
    return Outline(*fields[: len(Outline._fields)])


# ---------------------------------------------------------------- paths


def step_of(path: str) -> str:
    """Return the name of the step that a path is an instance of: `check` of `check[eu]~2`."""
    return path.partition("[")[0].partition("~")[0]


def coordinates(path: str) -> list[str]:
    """Return the items and rounds that a path names, outermost first: `[eu]` and `~2` of `check[eu]~2`."""
    place = path[len(step_of(path)) :]
    if depth(place) < 2:  # nearly always
        return [place] if place else []
    found: list[str] = COORDINATES.findall(place)
    return found


def depth(path: str) -> int:
    """Return how many items and rounds a path names."""
    return path.count("[") + path.count("~")


def coordinate(key: str) -> str:
    """Return the part of a path that names an item: its key, in characters that a path can hold.

    A long key is cut and told from others by its hash.
    """
    if len(key) > LONGEST_KEY:
        key = f"{key[:40]}-{blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
    return f"[{quote(key, safe=PLAIN)}]"
