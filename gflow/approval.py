"""Deciding a question of a run from outside: durably, once, for what was shown.

If a process has the run, it is told through the inbox; if not, the decision is written into the journal. A
decision names the generation and the digest of its question; an early one, given before the question, names
no digest and covers the first question of its generation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio

from gflow import inbox
from gflow.checkpoint import Keys
from gflow.errors import RunOwned, UsageError
from gflow.events import Answered, Outline, coordinates, step_of
from gflow.frames import Scope
from gflow.journal import Journal
from gflow.session import Settings, claimed, find, opened
from gflow.state import Slot, State
from gflow.stores import Store
from gflow.suggest import did_you_mean

PATIENCE: Final = 30.0
"""Seconds to wait for the process that has the run to hear of a decision."""
PAUSE: Final = 0.1
"""Seconds between two looks whether it has."""
OVER: Final = ("completed", "rolling_back", "rolled_back", "rollback_incomplete", "cancelled")


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided: for which instance of a step, on which question ("" if it has not asked yet).

    `heard` says that a process has the run, was told, and goes on with it.
    """

    run: str
    path: str
    question: str
    verdict: str
    heard: bool = False


def approve(run_id: str, step: str, /, *, comment: str = "") -> Decision:
    """Say yes to what a step of a run asks, and return what was decided; the run itself is not resumed.

    `step` may be one of several instances, `tag[eu]`. Raises UsageError, with the reason, where there is
    nothing to decide.
    """
    return _decide_now(run_id, step, yes=True, comment=comment)


def reject(run_id: str, step: str, /, *, comment: str = "") -> Decision:
    """Say no to what a step of a run asks, as `approve` says yes: the run is rejected when it goes on."""
    return _decide_now(run_id, step, yes=False, comment=comment)


def _decide_now(run_id: str, step: str, *, yes: bool, comment: str) -> Decision:
    try:
        anyio.get_current_task()
    except RuntimeError:
        return anyio.run(lambda: decide(run_id, step, Settings(), yes=yes, comment=comment))
    raise RuntimeError("a loop is running here: write `await anyio.to_thread.run_sync(gflow.approve, …)`")


async def decide(run_id: str, path: str, settings: Settings, *, yes: bool, comment: str = "") -> Decision:
    """Approve or reject what a step of a run asks, and return what was decided.

    Raises UsageError, with the reason, where there is nothing to decide: an unknown step, one that does not
    ask, a question that is decided already, a rejection before the question, a run that has ended.
    """
    with opened(settings, "resume") as (store, keys):
        row = find(store, run_id)
        journal = Journal(store, row.id, keys)
        state = State().fold(journal.follow())
        now = settings.clock.now
        answer = _answer(state, row.id, path, now(), yes=yes, comment=comment)
        told: int | None = None
        with anyio.move_on_after(PATIENCE):
            while True:
                try:
                    with claimed(settings, row.id):
                        state.fold(journal.follow())
                        if told is not None and _is_heard(state, answer):
                            return _decision(state, row.id, answer, heard=True)
                        _write(state, journal, answer, now())
                        return _decision(state, row.id, answer)
                except RunOwned:
                    if told != state.session:  # a message is for one owner
                        told = state.session
                        _tell(store, keys, journal.run, told, answer)
                await anyio.sleep(PAUSE)
                if _is_heard(state.fold(journal.follow()), answer):
                    return _decision(state, row.id, answer, heard=True)
                _check(state, row.id, answer, now())
        raise UsageError(
            f"the process that has run {row.id} has not heard of the decision in {PATIENCE:g} s",
            f"gflow show {row.id}",
        )


# ---------------------------------------------------------------- what is decided


def _answer(state: State, run: str, path: str, now: float, *, yes: bool, comment: str) -> Answered:
    """Return the decision as an event, bound to what it is about."""
    _asking(state, run, path)
    slot = state.slot(path)
    if state.status in OVER:
        raise UsageError(f"run {run} is {state.status}: nothing of it is to be decided", f"gflow show {run}")
    if said := slot.answer or (None if slot.asked else state.early_answer(path)):
        raise UsageError(*_decided(run, path, said))
    verdict = "approved" if yes else "rejected"
    if slot.status == "waiting" and slot.asked is not None:
        if slot.asked.expires is not None and slot.asked.expires <= now:
            raise UsageError(
                f"the time of the question of `{path}` of run {run} is over: that is a no",
                f"gflow resume {run} ends the run as rejected; resumed once more, it asks anew",
            )
        return Answered(path, verdict, inbox.sender(), comment, slot.asked.digest, slot.generation)
    if slot.has_ended or slot.status == "running":
        raise UsageError(f"`{path}` of run {run} is {slot.status}: it does not ask any more", "")
    if not yes:
        raise UsageError(f"`{path}` of run {run} has not asked yet", "only a yes can be given early")
    return Answered(path, verdict, inbox.sender(), comment, "", slot.generation)


def _decided(run: str, path: str, said: Answered) -> tuple[str, str]:
    """Return why a question cannot be decided once more, and what can be done."""
    if said.verdict == "not asked":
        return f"`{path}` of run {run}: nobody has to be asked", "its question says so"
    if said.verdict == "approved":
        return f"`{path}` of run {run} was approved by {said.who} already", "a question is decided once"
    no = "expired" if said.verdict == "expired" else f"was rejected by {said.who}"
    return f"`{path}` of run {run} {no} already", f"gflow resume {run} asks anew when the run has ended"


# ---------------------------------------------------------------- for whom


def _asking(state: State, run: str, path: str) -> None:
    """Raise UsageError for what is not one instance of a step that asks, or may be one to come."""
    name = step_of(path)
    step = next((step for step in state.outline if step.name == name), None)
    if step is None or not step.asks:
        asking = [each.name for each in state.outline if each.asks]
        known = (
            f"steps that ask: {', '.join(asking)}"
            if asking
            else "a step asks by a parameter of type Approval"
        )
        raise UsageError(f"no step `{path}` of run {run} asks anything", did_you_mean(name, asking) or known)
    waiting = [p for p, slot in state.slots.items() if slot.status == "waiting" and step_of(p) == name]
    if path == name and waiting and waiting != [name]:
        raise UsageError(
            f"`{name}` of run {run} asks more than once: {_some(waiting)}",
            f"say which: gflow approve {run} '{waiting[0]}'",
        )
    if path != name:
        _refuse_no_instance(state, run, path, step, waiting)


def _refuse_no_instance(state: State, run: str, path: str, step: Outline, waiting: list[str]) -> None:
    """Raise UsageError for an instance that there is not and never will be."""
    at = coordinates(path)
    scopes = step.scope or []
    if path != step.name + "".join(at) or len(at) != len(scopes):
        near = f"{_some(waiting)} asks" if waiting else ""
        near = near if scopes else f"`{step.name}` has no items"
        raise UsageError(f"`{path}` is no instance of `{step.name}` in run {run}", near)
    for depth, scope in enumerate(scopes):
        slot: Slot | None = state.slots.get(scope + "".join(at[:depth]))
        if slot is None or slot.items is None:
            continue
        places = [Scope.place(index, slot.keys) for index in range(slot.items)]
        if at[depth] not in places:
            near = did_you_mean(at[depth], places) or f"its items: {_some(places)}"
            raise UsageError(f"`{path}`: `{scope}` of run {run} has no item {at[depth]}", near)


def _some(words: list[str], most: int = 5) -> str:
    return ", ".join(words[:most]) + (", …" if len(words) > most else "")


# ---------------------------------------------------------------- making it true


def _write(state: State, journal: Journal, answer: Answered, now: float) -> None:
    """Write a decision while no process has the run."""
    _check(state, journal.run, answer, now)
    state.apply(now, answer)
    journal.append(now, [answer])


def _check(state: State, run: str, answer: Answered, now: float) -> None:
    """Raise UsageError if a decision is not about what is asked any more."""
    yes = answer.verdict == "approved"
    again = _answer(state, run, answer.path, now, yes=yes, comment=answer.comment)
    is_the_same = (again.digest, again.generation) == (answer.digest, answer.generation)
    if not is_the_same and (answer.digest or again.generation != answer.generation):
        raise UsageError(
            f"`{answer.path}` of run {run} asks anew, and maybe something else", f"gflow show {run}"
        )


def _tell(store: Store, keys: Keys, run: str, session: int, answer: Answered) -> None:
    """Tell the process that took the run over as number `session`."""
    kind: inbox.Kind = "approve" if answer.verdict == "approved" else "reject"
    inbox.say(
        store, keys, run, kind, session,
        path=answer.path, generation=answer.generation, digest=answer.digest, comment=answer.comment,
    )  # fmt: skip


def _is_heard(state: State, answer: Answered) -> bool:
    return answer in (state.slot(answer.path).answer, state.early.get(answer.path))


def _decision(state: State, run: str, answer: Answered, *, heard: bool = False) -> Decision:
    asked = state.slot(answer.path).asked
    return Decision(run, answer.path, asked.text if asked else "", answer.verdict, heard)
