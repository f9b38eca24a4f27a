"""The gate: every report in one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gflow import Refused
from recipes.shipping.wording import count


class Report(Protocol):
    """What a check found: a release with blockers is refused, remarks are passed on.

    `gap` says what the check could not do, so that its result is degraded; "" if it did all.
    """

    @property
    def blockers(self) -> tuple[str, ...]: ...

    @property
    def remarks(self) -> tuple[str, ...]: ...

    @property
    def gap(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """A candidate that may be released. `gaps` are what could not be checked in full."""

    remarks: tuple[str, ...]
    gaps: tuple[str, ...] = ()

    @classmethod
    def of(cls, *reports: Report) -> Verdict:
        """Join reports.

        Raises:
            Refused: one of them has a blocker.
        """
        blockers = [blocker for report in reports for blocker in report.blockers]
        if blockers:
            raise Refused("not fit to be released", blockers)
        remarks = tuple(remark for report in reports for remark in report.remarks)
        return cls(remarks, tuple(report.gap for report in reports if report.gap))

    def __str__(self) -> str:
        gaps = f", but not checked in full: {'; '.join(self.gaps)}" if self.gaps else ""
        return f"fit to be released, {count(len(self.remarks), 'remark')}{gaps}"
