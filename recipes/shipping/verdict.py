"""The gate: every report in one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gflow import Refused
from recipes.shipping.wording import count


class Report(Protocol):
    """What a check found: a release with blockers is refused, remarks are passed on."""

    @property
    def blockers(self) -> tuple[str, ...]: ...

    @property
    def remarks(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """A candidate that may be released."""

    remarks: tuple[str, ...]

    @classmethod
    def of(cls, *reports: Report) -> Verdict:
        """Join reports.

        Raises:
            Refused: one of them has a blocker.
        """
        blockers = [blocker for report in reports for blocker in report.blockers]
        if blockers:
            raise Refused("not fit to be released", blockers)
        return cls(tuple(remark for report in reports for remark in report.remarks))

    def __str__(self) -> str:
        return f"fit to be released, {count(len(self.remarks), 'remark')}"
