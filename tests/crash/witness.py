"""What the journal of a simulated run may say next: an oracle that follows it, event by event.

It knows the rules, and nothing of how the engine keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gflow.events import (
    Answered,
    Asked,
    Claimed,
    Decided,
    Done,
    Event,
    Opened,
    Reset,
    Reverted,
    Skipped,
    Started,
    StatusChanged,
    Stopped,
    Tripped,
    Undone,
    coordinate,
    coordinates,
    step_of,
)
from gflow.frames import seen_from
from gflow.model import EachSource, FirstOfSource, Graph, Node, StepSource
from tests.crash.ledger import scopes_of
from tests.crash.proof import Violation


class Known:
    """What is known of one instance in its generation."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.status = ""
        self.has_begun = False
        self.rung = 0
        self.tries = 0
        self.decided: dict[str, bool] = {}
        self.opened: list[str] | None = None
        self.may_open = False
        self.asked: str | None = None
        self.answer: Answered | None = None
        self.questions = 0

    @property
    def has_ended(self) -> bool:
        return self.status in ("done", "skipped", "handled")


class Witness:
    """Everything that is written of a run; `see` raises Violation where that cannot be.

    `generation` is that of the run, `anew` those in which steps that were taken back begin anew. `open` are
    the attempts that run. `burning` says that an abort is on, `interrupted` that a signal came.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.known: dict[str, Known] = {}
        self.open: set[str] = set()
        self.generation = 0
        self.anew: dict[str, int] = {}
        self.taken_back: set[str] | None = None
        self.burning = False
        self.interrupted = False

    def of(self, path: str) -> Known:
        return self.known.setdefault(path, Known(self.anew.get(step_of(path), 0)))

    def status(self, path: str) -> str:
        return self.known[path].status if path in self.known else ""

    def has_ended(self, path: str) -> bool:
        return path in self.known and self.known[path].has_ended

    def see(self, event: Event) -> None:  # noqa: C901, PLR0912  # one case for each event
        """Judge one event, and take note of it."""
        match event:
            case Claimed():
                self.open.clear()
                self.burning = self.interrupted = False
            case Started(path, _, rung):
                self._started(path, rung)
            case Done(path):
                self._done(path)
            case Tripped(path):
                self._tripped(event)
            case Stopped(path, status):
                self._stopped(path, status)
            case Skipped(path):
                self._skipped(path)
            case Decided(path, question, answer):
                self._decided(path, question, answer)
            case Opened(path, n, keys):
                self._opened(path, n, keys)
            case Asked(path, _, digest):
                self._asked(path, digest)
            case Answered():
                self._answered(event)
            case Reset():
                self._reset(event)
            case Undone(path, None):
                self._begin_anew([path])
            case Reverted(paths, generation):
                self.generation = self.generation if generation is None else generation
                self._begin_anew(paths)
            case StatusChanged("running"):
                self.taken_back = None
                self._goes_on()
            case _:
                pass

    # ------------------------------------------------------------ attempts

    def _started(self, path: str, rung: int) -> None:
        known, node = self.of(path), self.graph.nodes[step_of(path)]
        if known.has_ended:
            raise Violation(f"{path} began again though it is {known.status}")
        if rung != known.rung:
            raise Violation(f"{path} began on rung {rung}, and was on rung {known.rung}")
        self._check_place(path)
        self._check_begin(path)
        if node.when is not None and not self._is_wanted(path, node):
            raise Violation(f"{path} began, and its condition has not said yes")
        if node.ask is not None:
            verdict = known.answer.verdict if known.answer else ""
            good = ("approved", "not asked", *(("rejected", "expired") if node.ask.admits_rejected else ()))
            if verdict not in good:
                raise Violation(f"{path} began, and what it asked was answered with {verdict or 'nothing'}")
        known.has_begun = True
        self.open.add(path)

    def _is_wanted(self, path: str, node: Node) -> bool:
        """The condition of a fan-out is asked once for the whole, or for each item."""
        whole = node.name + "".join(coordinates(path)[: len(node.scope)])
        return any(self.of(each).decided.get("when") is True for each in (path, whole))

    def _check_begin(self, path: str) -> None:
        """What a step comes after has ended, and so has what the groups around it come after."""
        name = step_of(path)
        places = coordinates(path)
        salvages = any(param.admits_failed for param in self.graph.nodes[name].params)
        for node in self._with_groups(name):
            if salvages and node.name == name:
                continue
            for earlier in node.after:
                at = earlier + "".join(places[: len(self.graph.nodes[earlier].scope)])
                if not (self.has_ended(at) or self.graph.nodes[earlier].handled):
                    raise Violation(f"{path} began before {at} had ended")

    def _with_groups(self, name: str) -> Iterator[Node]:
        node: Node | None = self.graph.nodes[name]
        while node is not None:
            yield node
            node = self.graph.nodes[node.group] if node.group else None

    def _done(self, path: str) -> None:
        known, node = self.of(path), self.graph.nodes[step_of(path)]
        if known.has_ended:
            raise Violation(f"{path} completed though it is {known.status}")
        self._check_place(path)
        whole = len(coordinates(path)) == len(node.scope)
        if whole and node.each is not None:
            self._check_items(path, node)
        if whole and node.repeat is not None:
            self._check_rounds(path, node)
        known.status = "done"
        self.open.discard(path)

    def _check_items(self, path: str, node: Node) -> None:
        items = self.of(path).opened
        if items is None:
            raise Violation(f"{path} completed, and its items are not known")
        missing = [each for each in items if not self.has_ended(path + each)]
        if missing:
            raise Violation(f"{path} completed without its items {missing}")

    def _check_rounds(self, path: str, node: Node) -> None:
        assert node.repeat is not None
        if not any(self.of(f"{path}~{k}").decided.get("until") for k in range(1, node.repeat.max + 1)):
            raise Violation(f"{path} completed, and no round was said to be the last")

    def _tripped(self, event: Tripped) -> None:
        known, node = self.of(event.path), self.graph.nodes[step_of(event.path)]
        if known.has_ended:
            raise Violation(f"{event.path} failed though it is {known.status}")
        self._check_place(event.path)
        self.open.discard(event.path)
        if event.decision == "next":
            known.rung, known.tries = known.rung + 1, 0
        elif event.decision == "retry":
            known.tries += 1
            if node.retry is not None and known.tries >= node.retry.attempts:
                raise Violation(f"{event.path} is tried for the {known.tries + 1}th time on one rung")
        else:
            known.status = "handled" if event.decision == "handled" else "failed"
            self.burning = self.burning or event.decision == "abort"
        if event.decision == "handled":
            self._check_tolerance(event.path, node)

    def _check_tolerance(self, path: str, node: Node) -> None:
        """No more items fail as values than the fan-out tolerates."""
        places = coordinates(path)
        if node.each is None or len(places) <= len(node.scope):
            return
        whole = node.name + "".join(places[:-1])
        failed = [each for each in self.of(whole).opened or () if self.status(whole + each) == "handled"]
        if len(failed) > node.each.tolerate:
            raise Violation(f"{whole} tolerates {node.each.tolerate} failures, and has {failed}")

    def _stopped(self, path: str, status: str) -> None:
        if self.burning and not self.interrupted and status != "cancelled":
            raise Violation(f"an abort has ended {path}, which is {status}")
        self.open.discard(path)
        self.of(path).status = "stopped"

    def _goes_on(self) -> None:
        for known in self.known.values():
            if known.status in ("failed", "stopped"):
                known.status = ""
                known.rung = known.tries = 0
                if known.answer and known.answer.verdict in ("rejected", "expired"):
                    known.asked = known.answer = None

    # ------------------------------------------------------------ conditions, items, rounds

    def _skipped(self, path: str) -> None:
        known, node = self.of(path), self.graph.nodes[step_of(path)]
        if known.has_ended or path in self.open:
            raise Violation(f"{path} was skipped though it is {known.status or 'running'}")
        before = {*node.after, *([node.group] if node.group else []), *self._read(node)}
        if known.decided.get("when") is not False and not any(
            self._is_skipped(path, each) for each in before
        ):
            raise Violation(f"{path} was skipped, and nobody had said no")
        known.status = "skipped"

    def _read(self, node: Node) -> Iterator[str]:
        """Yield the steps whose values a step takes when it begins."""
        for param in (*node.params, *(node.when.params if node.when else ())):
            match param.source:
                case StepSource(step) | EachSource(step):
                    yield step
                case FirstOfSource(steps):
                    yield from steps
                case _:
                    pass

    def _is_skipped(self, path: str, step: str) -> bool:
        """Tell whether an instance that can be seen of a step was skipped: of several rounds, any."""
        seen = seen_from(self.graph, self.graph.nodes[step_of(path)].scope, step)
        around = "".join(coordinates(path)[: len(self.graph.nodes[seen].scope)])
        places = [
            seen + around,
            *(p for p in self.known if step_of(p) == step and p.startswith(step + around)),
        ]
        return "skipped" in map(self.status, places)

    def _decided(self, path: str, question: str, answer: bool) -> None:
        known = self.of(path)
        if question in known.decided and not known.may_open:
            raise Violation(f"the condition `{question}` of {path} was decided twice")
        known.decided[question] = answer

    def _opened(self, path: str, n: int, keys: Sequence[str] | None) -> None:
        known = self.of(path)
        if known.opened is not None and not known.may_open:
            raise Violation(f"the items of {path} were listed twice")
        known.opened = [coordinate(key) for key in keys] if keys is not None else [f"[{i}]" for i in range(n)]

    def _check_place(self, path: str) -> None:
        """An instance is in items of lists that are known, and in rounds that have been reached."""
        name = step_of(path)
        places = coordinates(path)
        for depth, (scope, own) in enumerate(zip(scopes_of(self.graph, name), places, strict=False)):
            whole = scope + "".join(places[:depth])
            if self.graph.nodes[scope].each is not None:
                if own not in (self.of(whole).opened or ()):
                    raise Violation(f"{path} is in no open item of {whole}")
            elif own != "~1" and self.of(f"{whole}~{int(own[1:]) - 1}").decided.get("until") is not False:
                raise Violation(f"{path} is in a round that nobody has asked for")

    # ------------------------------------------------------------ people

    def _asked(self, path: str, digest: str) -> None:
        known = self.of(path)
        if known.asked is not None or known.answer is not None:
            raise Violation(f"{path} asked twice")
        known.asked = digest
        known.questions += 1

    def _answered(self, event: Answered) -> None:
        known = self.of(event.path)
        if event.verdict == "not asked":
            known.answer = event
        elif known.asked is not None:
            if known.answer is not None:
                raise Violation(f"{event.path} was answered twice")
            if event.generation != known.generation:
                raise Violation(f"{event.path} got an answer of generation {event.generation}")
            is_early = not event.digest and event.verdict == "approved" and known.questions == 1
            if event.digest != known.asked and not is_early:
                raise Violation(f"{event.path} got the answer to another question")
            known.answer = event
        elif event.digest or event.verdict != "approved":
            raise Violation(f"{event.path} was answered with {event.verdict} before it asked")

    # ------------------------------------------------------------ going back

    def _begin_anew(self, paths: Iterable[str]) -> None:
        """What was decided as a group began stays, if something in it is kept and only its end is not."""
        for path in paths:
            before, anew = self.of(path), Known(self.generation)
            if self._keeps_something(step_of(path)):
                anew.opened, anew.may_open = before.opened, True
                anew.decided = {k: v for k, v in before.decided.items() if k == "when"}
            self.known[path] = anew

    def _keeps_something(self, group: str) -> bool:
        inside = {node.name for node in self.graph.nodes.values() if group in self._groups_of(node.name)}
        return self.taken_back is not None and not self.taken_back.issuperset(inside)

    def _groups_of(self, name: str) -> set[str]:
        return {node.name for node in self._with_groups(name)} - {name}

    def _reset(self, event: Reset) -> None:
        if self.open:
            raise Violation(f"a rollback begins while {', '.join(self.open)} is at work")
        self.generation = event.generation
        self.taken_back = set(event.steps)
        self.anew |= dict.fromkeys(event.steps, event.generation)
        for path, known in self.known.items():
            if not (known.has_begun or known.status) and step_of(path) in event.steps:
                known.generation = event.generation
