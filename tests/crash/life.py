"""One process of the simulation: gflow's own engine, driven in one thread. And what others say to it."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from gflow import approval, inbox, runner, salvage
from gflow.agenda import Agenda
from gflow.bodies import Bodies, Job
from gflow.checkpoint import Place
from gflow.context import StepCancelled
from gflow.errors import UsageError
from gflow.events import Answered, Claimed, Created, Event, Ref, StatusChanged, coordinates, step_of
from gflow.inbox import Inbox
from gflow.journal import Journal
from gflow.model import Graph
from gflow.progress import outline
from gflow.scheduler import Opening, Scheduler
from gflow.state import State
from gflow.stores import RunRow
from gflow.values import Values
from tests.crash.proof import Violation
from tests.crash.world import KEYS, RUN, World

SECONDS = (0.0001, 0.001, 0.1)
"""How long bodies seem to take."""


class Process:
    """One life of a process that owns the run: what `runner` and the scheduler's threads do, in one thread.

    The scheduler's insides are touched here and nowhere else.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = Journal(world.store, RUN, KEYS)
        self.state = State().fold(self.journal.load())
        self.session = self.state.session + 1
        self.heard = Inbox(world.store, KEYS, RUN, session=self.session, after=self.state.heard)
        self.bodies = bodies_of(world, self.journal, self.state)
        opening = self._opening()
        for event in opening.events:
            self.state.apply(opening.at, event)
        self.scheduler = Scheduler(
            Agenda(world.graph, self.state), self.journal, self.bodies, world.clock,
            opening=opening, on_status=self.row, threads=world.threads, hear=self.heard.hear,
        )  # fmt: skip

    def _opening(self) -> Opening:
        claim, running = Claimed("simulated", 1), StatusChanged("running")
        graph, now = self.world.graph, self.world.clock.now()
        if self.state.created is not None:
            return Opening(now, [claim, *salvage.begun_anew(graph, self.state), running], [])
        ref, payload = runner._sealed_inputs(self.journal, {})
        created = Created(
            graph.name, "1", "simulated", outline(graph), list(graph.results), ref, {}, "0", "3"
        )
        return Opening(now, [created, claim, running, *self._approved()], [payload])

    def _approved(self) -> list[Event]:
        """Return the yeses that a run is started with."""
        world = self.world
        wanted = [step for step in world.asking if not world.takes_no(step)]
        if world.calm:
            return []
        return [Answered(s, "approved", "early", "", "", 0) for s in wanted if world.dice.random() < 0.3]

    def row(self) -> RunRow:
        return RunRow(RUN, self.world.graph.name, "simulated", self.state.status, 0.0)

    # ------------------------------------------------------------ what threads do

    def turn(self) -> None:
        """Take the baton."""
        self.scheduler._heard_at = -inf
        self.world.maybe_die("before commit")
        self.scheduler._turn()
        if self.scheduler._cancelling:
            self.scheduler._cancelling = False
            self.scheduler.cancel_attempts()
        self._check_limits()
        if not self.is_over():
            self.world.maybe_die("before bodies")

    def owes_a_turn(self) -> bool:
        return bool(self.scheduler._outcomes or self.scheduler._poked)

    def is_over(self) -> bool:
        return self.scheduler._over

    def runnable(self) -> bool:
        return bool(self.scheduler._jobs or self.scheduler._loop_jobs)

    def let_time_pass(self) -> None:
        """Nothing runs: the next thing that happens is that somebody answers, or that a time comes."""
        if self.world.disturbs(self.world.danger):
            self.world.die("before commit")
        timers = self.scheduler.agenda.places.timers
        if timers and (self.world.disturbs(0.3) or not self.decide(patient=False)):
            self.world.clock.moment = max(self.world.clock.moment, timers[0][0])

    def run_one(self) -> None:
        """Run one of the bodies that are queued, and post its outcome."""
        scheduler = self.scheduler
        queue = self.world.dice.choice([q for q in (scheduler._jobs, scheduler._loop_jobs) if q])
        job = self.world.job = queue[self.world.dice.randrange(len(queue))]
        queue.remove(job)
        if queue is scheduler._loop_jobs:
            self._on_loop(job)
        outcome = scheduler._advance(job)
        job.seconds = self.world.dice.choice(SECONDS)  # it decides how many are admitted ahead
        if outcome is not None:
            scheduler._outcomes.append(outcome)

    def _on_loop(self, job: Job) -> None:
        if job.cancelled:
            job.called = True
            return
        try:
            self.bodies.acall(job).send(None)
        except StopIteration:
            return
        except StepCancelled as error:
            job.error = error

    def interrupt(self, *, ask: bool) -> None:
        """Let a signal arrive; `ask` the running bodies to end, too."""
        self.world.story.append(f"interrupted, {'asking' if ask else 'waiting'}")
        self.world.witness.interrupted = True
        self.scheduler.stop("interrupted", "SIGINT")
        if ask:
            self.scheduler.cancel_attempts()

    # ------------------------------------------------------------ what others say

    def cancel(self) -> None:
        """Let somebody cancel the run."""
        self.world.story.append("somebody cancels it")
        self.world.witness.interrupted = True
        self.world.happened.add("cancel")
        inbox.say(self.world.store, KEYS, RUN, "cancel", self.session)
        self.scheduler.poke()

    def decide(self, *, patient: bool = True) -> bool:
        """Let somebody answer a question that is open, or say what is for nobody; tell whether one was."""
        world = self.world
        said = answers(world)
        if not said:
            return False
        answer = world.dice.choice(said)
        if world.disturbs(0.2):
            later = answer._replace(generation=answer.generation + 1)
            self._say(world.dice.choice([later, answer._replace(digest="beef")]))
        elif patient and world.dice.random() < 0.5:
            return False
        self._say(answer)
        if world.disturbs(0.2):
            self._say(answer)
        return True

    def _say(self, answer: Answered) -> None:
        kind: inbox.Kind = "approve" if answer.verdict == "approved" else "reject"
        inbox.say(
            self.world.store, KEYS, RUN, kind, self.session,
            path=answer.path, generation=answer.generation, digest=answer.digest,
        )  # fmt: skip
        self.world.story.append(f"somebody says {answer}")
        self.scheduler.poke()

    # ------------------------------------------------------------ limits

    def _check_limits(self) -> None:
        """At most as many attempts run in a group, and items of a fan-out, as it says."""
        inside: dict[tuple[str, int], set[str]] = {}
        for path in self.state.open:
            for place, limit, counted in _limits(self.world.graph, path):
                inside.setdefault((place, limit), set()).add(counted)
        for (place, limit), found in inside.items():
            if len(found) > limit:
                raise Violation(f"{place} has a limit of {limit}, but {sorted(found)} run at once")


def _limits(graph: Graph, path: str) -> Iterator[tuple[str, int, str]]:
    """Yield the limits on an attempt: where, how many, and what counts there: attempts, or items."""
    name: str | None = step_of(path)
    places = coordinates(path)
    while name is not None:
        node = graph.nodes[name]
        depth = len(node.scope)
        if node.limit is not None:
            instance = name + "".join(places[: depth + node.is_scope])
            yield f"limit of {instance}", node.limit, path
        if node.each is not None and node.each.limit is not None and len(places) > depth:
            whole = name + "".join(places[:depth])
            yield f"items of {whole}", node.each.limit, whole + places[depth]
        name = node.group


def answers(world: World) -> list[Answered]:
    """Return what people say to the questions that are written, in the way that `gflow approve` does."""
    found: list[Answered] = []
    for path, slot in [*world.written.slots.items()]:
        word = world.says(path) if slot.status == "waiting" else ""
        if (
            word == "approve"
            and not (world.takes_no(path) or world.is_forgiven(path))
            and world.disturbs(0.2)
        ):
            word = "reject"
        if word:
            found += decision(world, path, yes=word == "approve")
    return found


def decision(world: World, path: str, *, yes: bool) -> list[Answered]:
    """Return a decision as an event; none if it is refused."""
    is_known = path in world.written.slots
    try:
        return [approval._answer(world.written, RUN, path, world.clock.now(), yes=yes, comment="")]
    except UsageError:
        return []
    finally:
        if not is_known:  # who asks reads a state of his own
            world.written.slots.pop(path, None)


def bodies_of(world: World, journal: Journal, state: State) -> Bodies:
    """Return what calls bodies for one process."""

    def ref_of(path: str) -> tuple[Ref | None, Place]:
        slot = state.slot(path)
        return slot.ref, Place(RUN, path, slot.generation, slot.attempt)

    values = Values(world.graph, journal, {}, ref_of, state.slots.get)
    return Bodies(RUN, journal, values, folder=world.folder)
