"""The world of the simulation: store, ledger, chance, and what steps, conditions and people do in it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gflow import Approval, Context, Failed, Rejected, WorkflowError
from gflow.checkpoint import Keys
from gflow.clock import VirtualClock
from gflow.errors import CompileError
from gflow.events import Answered, Event, Reset, Reverted, Tripped, coordinates, decode, step_of
from gflow.model import Node
from gflow.state import State
from gflow.stores import Round, RunRow
from gflow.stores.memory import MemoryStore
from tests.crash import coverage, ledger
from tests.crash.authors import Author, written
from tests.crash.ledger import Line, Made
from tests.crash.proof import Violation
from tests.crash.witness import Witness

if TYPE_CHECKING:
    from gflow.bodies import Job
    from tests.crash.life import Process

RUN: Final = "k3f9"
KEYS: Final = Keys((bytes(32),))
BALLASTS: Final = (0, 0, 0, 0, 5_000, 70_000)
"""Bytes: small values stay in memory, others are read from their round, or from a file of their own."""

EXPECTED: Final = (
    "Burning", "ConnectionError", "ValueError", "LookupError", "Rejected", "RoundsUsedUp", "NotStarted",
)  # fmt: skip
"""What steps fail with here; anything else is a fault."""

NOTHING: Final = Made("nothing", "", {})
"""What a parameter has by default."""


class Crash(BaseException):
    """The process is gone."""


class Burning(WorkflowError):
    """What aborts a run."""

    severity = "high"


class Maybe:
    """An argument that may be None."""

    def __init__(self, value: object) -> None:
        self.value = value


class Before(Maybe):
    """An argument from the round before."""


class SimulatedClock(VirtualClock):
    """Time that passes, like the wall's: nobody can skip it, unless nothing else happens."""

    skips = False

    def skip_to(self, moment: float) -> bool:
        return self.skips and super().skip_to(moment)


class SimulatedStore(MemoryStore):
    """A store in which the process may die, before or after a round is written."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def append(self, run: str, added: Round, values: bytes, row: RunRow | None = None) -> None:
        self.world.meanwhile()
        self.world.maybe_die("commit lost")
        super().append(run, added, values, row)
        self.world.acknowledge(added.at, decode(added.records))
        self.world.meanwhile()
        self.world.maybe_die("commit kept")


class World:
    """Everything outside of the process: store, ledger, chance.

    `written` is the state that the journal has; `witness` judges it. `job` is what runs. `happened` are the
    features that were used on the run.
    """

    def __init__(self, seed: int, folder: Path, *, calm: bool = False) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        random.seed(seed)  # the jitter of retries is drawn from here
        self.folder = folder
        self.story: list[str] = []
        self._make_up()
        self.written = State()
        self.witness = Witness(self.graph)
        self.store = SimulatedStore(self)
        self.clock = SimulatedClock()
        self.lines: list[Line] = []
        self.process: Process | None = None
        self.job: Job | None = None
        self.dying = False
        self.broken = ""
        self.happened: set[str] = set()
        self.deaths: coverage.Table = coverage.Table()
        self.calm = calm
        self.rollbacks = 0 if calm else self.dice.choice([0, 1, 1, 3])
        self.taken_back: set[str] = set()
        self.forced = False
        self.patience = 0 if calm else self.dice.choice([0, 10, 30, 60])
        self.danger = self.dice.choice([0.01, 0.05, 0.15])
        self.failing = self.dice.choice([0.0, 0.1, 0.3])
        self.burning = self.dice.choice([0.0, 0.0, 0.03])
        self.undo_failing = self.dice.choice([0.0, 0.1, 0.9])
        self.threads = self.dice.choice([1, 2, 4, 64])
        self.asking = [node.name for node in self.graph.nodes.values() if node.ask]

    def _make_up(self) -> None:
        """Make a workflow up, and another one if it cannot be: its groups wait for each other, say."""
        while True:
            self.author = Author(self.dice)
            self.text = self.author.text()
            with suppress(CompileError):
                self.graph = written(self.text, **self._names())
                return

    def _names(self) -> dict[str, Any]:
        """Return what the workflow's text finds in its module."""
        return {
            "act": self.act, "aact": self.aact, "undo": self.undo, "aundo": self.aundo, "listed": self.listed,
            "choose": self.choose, "yes": self.yes, "enough": self.enough, "maybe": Maybe, "before": Before,
            "key_of": _key_of, "Made": Made, "NOTHING": NOTHING,
        }  # fmt: skip

    def disturbs(self, probability: float) -> bool:
        """Tell whether something goes wrong now; after a while nothing does, so that runs end."""
        if self.patience <= 0 or self.dice.random() >= probability:
            return False
        self.patience -= 1
        return True

    def fixed(self, *about: object) -> random.Random:
        """Return dice that fall the same way whenever they are thrown about the same."""
        return random.Random(f"{self.seed} {about}")

    def maybe_die(self, site: str) -> None:
        if self.dying or self.disturbs(self.danger):
            self.die("in a body" if self.dying else site)

    def die(self, site: str) -> None:
        """End the process, and note what was going on."""
        self.story.append(f"dies: {site}")
        self.dying = False
        is_undoing = self.written.status == "rolling_back" and self.written.reset is not None
        points = {site, *coverage.moments(self.graph, self.written), *(["undos"] if is_undoing else [])}
        used = coverage.used(self, self.written)
        self.deaths.update((feature, point) for feature in used for point in points)
        raise Crash

    def meanwhile(self) -> None:
        """While the disk is busy, some of the bodies that were admitted before run."""
        while self.process and self.process.runnable() and self.dice.random() < 0.3:
            self.process.run_one()

    def acknowledge(self, at: float, events: Iterable[Event]) -> None:
        """A round is written: from now on what it says stays so."""
        for event in events:
            self.story.append(f"  {event!r:.150}")
            self.witness.see(event)
            self.written.apply(at, event)
            self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case Tripped(path, kind, message) if kind.rpartition(".")[2] not in EXPECTED:
                raise Violation(f"{path} failed with {kind}: {message}")
            case Tripped(decision="abort"):
                self.happened.add("abort")
            case Answered(path, "rejected" | "expired" as verdict) if not self.takes_no(path):
                self.happened.add(verdict)
            case Answered(path, "approved", digest="") if self.witness.of(path).asked is not None:
                self.happened.add("approved early")
            case Reset(why, to, _, steps):
                self.taken_back = set(steps)
                self.happened |= {why} if why != "abort" else set()
                if to in self.graph.nodes and ledger.scopes_of(self.graph, to):
                    self.happened.add("rollback in a scope")
            case Reverted(paths, int(generation)):
                self.happened.add("teardown")  # what it has done for a failure is not undone any more
                self.lines += [Line(path, generation, 0, "", "", {}, [], "forget") for path in paths]
            case _:
                pass

    def standing(self) -> set[str]:
        """Judge the undos; return the instances with an undo that stand."""
        undoable = {name for name, node in self.graph.nodes.items() if node.undo}
        return ledger.audit_undos(self.lines, self.graph, undoable)

    # ------------------------------------------------------------ bodies

    async def aact(self, ctx: Context, *given: object) -> Made:
        return self.act(ctx, *given)

    def act(self, ctx: Context, *given: object) -> Made:
        """Be the body of any step."""
        if self.witness.has_ended(ctx.path):
            self.broken = f"{ctx.path} began again after its end was written"
        made = self._made(ctx, given)
        if self.disturbs(self.danger):
            self.dying = True  # it cannot die here: a body's exception is its failure
        ctx.check_cancelled()
        self._fail_by_chance(ctx.path)
        self._fail_by_design(ctx)
        return made

    def _made(self, ctx: Context, given: Iterable[object]) -> Made:
        values: list[Made] = []
        words: dict[str, str] = {}
        for each in given:
            self._take(ctx.path, each, values, words)
        return ledger.perform(ctx, *values, words=words, ballast=self.dice.choice(BALLASTS))

    def _take(  # noqa: C901  # one case for each kind of argument
        self, step: str, given: object, values: list[Made], words: dict[str, str]
    ) -> None:
        """Look at one argument of a body."""
        match given:
            case Before(value=value):
                self._check_previous(step, value)
                self._take(step, Maybe(value), values, words)
            case Maybe(value=None):
                pass
            case Maybe(value=value):
                self._take(step, value, values, words)
            case list():
                self._check_order(step, given)
                for each in given:
                    self._take(step, Maybe(each), values, words)
            case Failed(failed):
                words[failed] = "failed"
            case Approval(asked=asked):
                words[f"answer of {step}"] = "approved" if asked else "not asked"
            case Rejected():
                words[f"answer of {step}"] = "rejected" if given.who else "expired"
            case Made(step="nothing"):
                pass
            case Made():
                self._check_place(step, given)
                values.append(given)
            case _:
                self.broken = f"{step} got {given!r}"

    def _check_previous(self, step: str, value: object) -> None:
        """In the first round there is no other before it, later on it is the one before."""
        number = int(step.rpartition("~")[2].partition("[")[0])
        came = isinstance(value, Made) and int(value.step.rpartition("~")[2].partition("[")[0])
        if came != (number > 1 and number - 1):
            self.broken = f"{step} got {value} from the round before"

    def _check_order(self, step: str, values: list[Any]) -> None:
        """A list has the results of the items in their order, each in its place."""
        places = [value.step for value in values if isinstance(value, Made)]
        numbers = [[_number(each) for each in coordinates(p)] for p in places]
        if numbers != sorted(numbers):
            self.broken = f"{step} got a list in another order: {places}"

    def _check_place(self, step: str, value: Made) -> None:
        """A value comes from the same items as the step is in."""
        name, other = step_of(step), step_of(value.step)
        here, there = coordinates(step), coordinates(value.step)
        if value.index is not None:  # an item of a list
            if value.index not in map(_number, here):
                self.broken = f"{step} got the item {value.index}"
            return
        scopes = zip(
            ledger.scopes_of(self.graph, name), ledger.scopes_of(self.graph, other), here, there, strict=False
        )
        for mine, its, one, two in scopes:
            if mine != its:
                return
            if one != two and self.graph.nodes[mine].each:
                self.broken = f"{step} got a value of {value.step}"

    def listed(self, ctx: Context) -> list[Made]:
        """Be a step that returns the items of a fan-out: always as many, and made anew each time."""
        made = self.act(ctx)
        number = self.fixed(ctx.path, "items").choice([0, 1, 2, 3, 3])
        return [Made(made.step, made.token, made.seen, index=index) for index in range(number)]

    def choose(self, ctx: Context) -> bool:
        """Be a step that is a condition."""
        self.act(ctx)
        return self.fixed(ctx.path).random() < 0.6

    def yes(self) -> bool:
        """Be a condition: it always says the same, but is to be asked once."""
        job = self.job
        assert job is not None
        self._fail_by_chance(job.path)
        return self.fixed(job.path, job.purpose).random() < 0.6

    def enough(self) -> bool:
        """Say whether a round was the last."""
        job = self.job
        assert job is not None
        self._fail_by_chance(job.path)
        return int(job.at.coordinates[-1][1:]) >= self.fixed(job.path, "rounds").randint(1, 3)

    # ------------------------------------------------------------ failures

    def _fail_by_design(self, ctx: Context) -> None:
        """Fail where that leads to the same end each time: something stands in, or takes it as a value."""
        name = step_of(ctx.path)
        chances = self.author.faulty.get(name, ())
        if ctx.rung < len(chances) and self.fixed(ctx.path, ctx.rung).random() < chances[ctx.rung]:
            raise LookupError("by design")
        items = [c for c in coordinates(ctx.path) if c.startswith("[")]
        if name in self.author.faulty_items and _number(items[-1]) == self.author.faulty_items[name]:
            raise LookupError("by design")

    def _fail_by_chance(self, path: str) -> None:
        """Fail in a way that is gone when the run has gone on for long enough."""
        name = step_of(path)
        if self.disturbs(self.burning):
            raise Burning("chance")
        chance = max(self.failing, 0.3) if name in self.author.fragile else self.failing
        if self.is_forgiven(path) and not self._may_try_again(path):
            return
        if self.disturbs(chance):
            raise self.dice.choice([ConnectionError, ConnectionError, ValueError])("chance")

    def _may_try_again(self, path: str) -> bool:
        slot, retry = self.written.slots.get(path), self.graph.nodes[step_of(path)].retry
        return retry is not None and (slot.failures if slot else 0) + 1 < retry.attempts

    def is_forgiven(self, path: str) -> bool:
        """Tell whether a failure would change how the run ends: something stands in for it, or takes it."""
        node = self.graph.nodes[step_of(path)]
        return bool(node.rungs) or any(
            each.handled or (each.each is not None and each.each.tolerate) for each in self.with_groups(node)
        )

    def with_groups(self, node: Node) -> Iterator[Node]:
        """Yield a step and the groups around it."""
        yield node
        while node.group is not None:
            node = self.graph.nodes[node.group]
            yield node

    # ------------------------------------------------------------ people

    def takes_no(self, path: str) -> bool:
        ask = self.graph.nodes[step_of(path)].ask
        return ask is not None and ask.admits_rejected

    def says(self, path: str) -> str:
        """Return what becomes of a question in the end: it is told "approve", "reject" or nothing."""
        ask = self.graph.nodes[step_of(path)].ask
        assert ask is not None
        if not ask.admits_rejected:
            return "approve"
        return "" if ask.timeout else self.fixed(path, "says").choice(["approve", "reject"])

    # ------------------------------------------------------------ undos

    async def aundo(self, ctx: Context, value: Made | None) -> None:
        self.undo(ctx, value)

    def undo(self, ctx: Context, value: Made | None) -> None:
        """Be the undo of any step."""
        if self.disturbs(self.undo_failing):
            raise ConnectionError("chance")
        ledger.take_back(ctx, value)
        if self.disturbs(max(self.danger, 0.1)):
            self.dying = True

    def write(self, line: Line) -> None:
        self.story.append(
            f"{line.act} {line.step}, attempt {line.attempt}, made {line.token} from {line.seen}"
        )
        self.lines.append(line)


def _number(coordinate: str) -> int:
    """Return the number of an item or a round."""
    return int(coordinate.strip("[]~k"))


def _key_of(item: Made) -> str:
    return f"k{item.index}"
