"""The engine under random crashes, and the mutations of it that the simulation must catch."""

from __future__ import annotations

import pytest

from tests.crash.mutations import Mutation
from tests.crash.proof import Violation
from tests.crash.simulation import PROOF


def test_the_promises_hold_for_every_seed() -> None:
    """Whatever crashes when: nothing completed runs again, and the state is the fold of the journal."""
    assert PROOF.check(PROOF.tiny) == PROOF.tiny


@pytest.mark.parametrize("mutation", PROOF.mutations, ids=lambda mutation: mutation.name)
def test_a_broken_engine_is_caught(mutation: Mutation) -> None:
    """Every mutation breaks a promise that the simulation sees."""
    with mutation.applied(), pytest.raises(Violation):
        PROOF.check(2 * PROOF.tiny)
