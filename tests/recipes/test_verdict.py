from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest

from gflow import Refused
from recipes.shipping.verdict import Verdict


@dataclass
class Report:
    blockers: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    gap: str = ""


def test_passes() -> None:
    """Reports without blockers pass, and their remarks are kept in order."""
    verdict = Verdict.of(Report(remarks=("a",)), Report(), Report(remarks=("b", "c")))
    assert verdict.remarks == ("a", "b", "c")
    assert str(verdict) == "fit to be released, 3 remarks"


def test_gaps() -> None:
    """What could not be checked in full is part of what the verdict says."""
    verdict = Verdict.of(Report(gap="no network"), Report(), Report(gap="no benchmarks"))
    assert str(verdict) == (
        "fit to be released, 0 remarks, but not checked in full: no network; no benchmarks"
    )


def test_refused() -> None:
    """One blocker refuses the candidate, and every one is named."""
    with pytest.raises(Refused, match=r"^not fit to be released: a; b; c$") as caught:
        Verdict.of(Report(("a", "b"), ("x",)), Report(), Report(("c",)))
    assert caught.value.blockers == ("a", "b", "c")
    assert pickle.loads(pickle.dumps(caught.value)).blockers == ("a", "b", "c")
