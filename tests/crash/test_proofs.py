"""The fault tests in short; `nox -s crash` runs them at length, and prints what they have examined."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.__main__ import PROOFS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [proof.name for proof in PROOFS])
def test_a_promise_holds_and_its_mutations_are_noticed(name: str) -> None:
    """What a fault test promises holds in every case, and does not where gflow is broken on purpose."""
    command = [sys.executable, "-m", "tests.crash", "--tiny", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if "skipped" in done.stdout:
        pytest.skip(done.stdout)
