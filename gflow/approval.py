"""Deciding a question of a run from outside: durably, once, for what was shown.

If a process has the run, it is told through the inbox; if not, the decision is written into the journal. A
decision names the generation and the digest of its question; an early one, given before the question, names
no digest and covers the first question of its generation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import anyio

from gflow import inbox
from gflow.checkpoint import Keys
from gflow.errors import RunOwned, UsageError
from gflow.events import Answered, Outline, step_of
from gflow.journal import Journal
from gflow.session import Settings, claimed, find, opened
from gflow.state import State
from gflow.stores import Store
from gflow.suggest import did_you_mean

PATIENCE: Final = 30.0
"""Seconds to wait for the process that has the run to hear of a decision."""
OVER: Final = ("completed", "rolling_back", "rolled_back", "rollback_incomplete", "cancelled")


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided: for which instance of a step, on which question ("" if it has not asked yet)."""

    run: str
    path: str
    question: str
    verdict: str


async def decide(run_id: str, path: str, settings: Settings, *, yes: bool, comment: str = "") -> Decision:
    """Approve or reject what a step of a run asks, and return what was decided.

    Raises UsageError, with the reason, where there is nothing to decide: an unknown step, one that does not
    ask, a question that is decided already, a rejection before the question, a run that has ended.
    """
    with opened(settings, "resume") as (store, keys):
        row = find(store, run_id)
        journal = Journal(store, row.id, keys)
        state = State().fold(journal.load())
        answer = _answer(state, row.id, path, yes=yes, comment=comment)
        try:
            with claimed(settings, row.id):
                state.fold(journal.load())
                answer = _answer(state, row.id, path, yes=yes, comment=comment)
                now = time.time()
                state.apply(now, answer)
                journal.append(now, [answer])
        except RunOwned:
            await _tell_owner(store, keys, journal, state, answer)
        return _decision(state, row.id, answer)


def _answer(state: State, run: str, path: str, *, yes: bool, comment: str) -> Answered:
    """Return the decision as an event, bound to what it is about."""
    step = _step(state, path)
    if state.status in OVER:
        raise UsageError(f"run {run} is {state.status}: nothing of it is to be decided", f"gflow show {run}")
    if step is None or not step.asks:
        asking = [each.name for each in state.outline if each.asks]
        near = did_you_mean(path, asking) or (f"steps that ask: {', '.join(asking)}" if asking else "")
        raise UsageError(f"no step `{path}` of run {run} asks anything", near)
    slot = state.slot(path)
    if slot.answer is not None:
        said = slot.answer
        who = f" by {said.who}" if said.who else ""
        raise UsageError(
            f"`{path}` of run {run} was {said.verdict}{who} already", "a question is decided once"
        )
    verdict = "approved" if yes else "rejected"
    if slot.status == "waiting" and slot.asked is not None:
        return Answered(path, verdict, inbox.sender(), comment, slot.asked.digest, slot.generation)
    if slot.has_ended or slot.status == "running":
        raise UsageError(f"`{path}` of run {run} is {slot.status}: it does not ask any more", "")
    if not yes:
        raise UsageError(f"`{path}` of run {run} has not asked yet", "only a yes can be given early")
    return Answered(path, verdict, inbox.sender(), comment, "", slot.generation)


def _step(state: State, path: str) -> Outline | None:
    name = step_of(path)
    return next((step for step in state.outline if step.name == name), None)


async def _tell_owner(store: Store, keys: Keys, journal: Journal, state: State, answer: Answered) -> None:
    """Tell the process that has the run, and wait until it has heard."""
    kind: inbox.Kind = "approve" if answer.verdict == "approved" else "reject"
    inbox.say(
        store, keys, journal.run, kind, state.session,
        path=answer.path, generation=answer.generation, digest=answer.digest, comment=answer.comment,
    )  # fmt: skip
    with anyio.move_on_after(PATIENCE) as patience:
        while not _is_heard(state.fold(journal.load()), answer):  # noqa: ASYNC110  # another process
            await anyio.sleep(0.1)
    if patience.cancelled_caught:
        raise UsageError(
            f"the process that has run {journal.run} has not heard of the decision in {PATIENCE:g} s",
            f"gflow show {journal.run}",
        )


def _is_heard(state: State, answer: Answered) -> bool:
    slot = state.slot(answer.path)
    return slot.answer is not None or answer.path in state.early or state.status != "running"


def _decision(state: State, run: str, answer: Answered) -> Decision:
    slot = state.slot(answer.path)
    said = slot.answer or state.early.get(answer.path)
    if said is None or said.verdict != answer.verdict:
        raise UsageError(
            f"`{answer.path}` of run {run} was decided by another, or asks anew", f"gflow show {run}"
        )
    return Decision(run, answer.path, slot.asked.text if slot.asked else "", said.verdict)
