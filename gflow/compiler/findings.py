"""The codes of the findings, and the report that collects them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pkgutil import get_data
from typing import Final, Literal

from gflow.diagnostics import Finding, Place
from gflow.errors import UsageError
from gflow.suggest import did_you_mean

CODES: Final = {
    # what a step is
    "GF001": "No steps",
    "GF002": "Not a function",
    "GF003": "A generator as a step",
    "GF004": "A method as a step",
    "GF005": "An agent without a role",
    "GF006": "A step without a body",
    "GF007": "A parameter that no step can fill",
    "GF008": "A keyword that cannot be used",
    "GF009": "More than one Workflow",
    # names
    "GF010": "A step's name given twice",
    "GF011": "Not a step",
    "GF012": "Neither a step nor an input",
    "GF013": "A step and an input of one name",
    "GF014": "Two marks on one parameter",
    "GF015": "A binding without a parameter",
    "GF016": "A copy without a name",
    "GF017": "A decorator above a step's",
    # types
    "GF020": "An annotation that cannot be evaluated",
    "GF021": "Types that do not fit",
    "GF022": "No such field",
    "GF023": "A default of another type",
    "GF024": "Types that cannot be compared",
    "GF025": "No annotation",
    "GF026": "A result that cannot be stored",
    "GF027": "A milestone with a result",
    "GF028": "A default that is never used",
    "GF029": "Rejected by the type checker",
    # order and containment
    "GF030": "A cycle",
    "GF031": "A stage in an order that its data contradict",
    "GF032": "A step of two groups",
    "GF033": "A step outside the workflow",
    "GF034": "Several outermost groups",
    # undo
    "GF040": "An undo that does not take the result",
    "GF041": "An undo that is a step as well",
    # inputs
    "GF050": "An input named like an option",
    "GF051": "Inputs that disagree on the type",
    "GF052": "Inputs that disagree on the default",
    "GF053": "An Inputs class of another kind",
    "GF054": "An input that no step takes",
    # fan-out and rounds
    "GF060": "Two fan-outs on one step",
    "GF061": "Each of no sequence",
    "GF062": "An item outside its group",
    "GF063": "An item named like a step or an input",
    "GF064": "A list that does not admit what can occur",
    "GF065": "No round before",
    # conditions
    "GF070": "A condition that cannot decide",
    "GF071": "A member that may be skipped",
    "GF072": "Steps that are skipped together",
    "GF073": "A choice that is none",
    # stand-ins and questions
    "GF080": "A stand-in that is none",
    "GF081": "A question that cannot be asked",
    "GF082": "A placeholder that stands for nothing",
    "GF083": "A mark that only a step can have",
    # time
    "GF090": "A timeout that cannot act",
}
"""Every code with its title; `gflow/docs/findings.md` has a section for each. A code never changes."""

Mark = Place | tuple[Place, str]


class Report:
    """Collects findings; one that was made before is not made again."""

    def __init__(self) -> None:
        self._findings: dict[Finding, None] = {}

    def error(self, code: str, message: str, *places: Mark, hints: Sequence[str] = ()) -> None:
        """Add something to change before the workflow can run."""
        self._add(code, "error", message, places, hints)

    def note(self, code: str, message: str, *places: Mark, hints: Sequence[str] = ()) -> None:
        """Add something to know; the workflow can run."""
        self._add(code, "note", message, places, hints)

    def _add(
        self,
        code: str,
        severity: Literal["error", "note"],
        message: str,
        places: Iterable[Mark],
        hints: Sequence[str],
    ) -> None:
        marks = tuple((place, "") if isinstance(place, Place) else place for place in places)
        finding = Finding(code, severity, message, marks, tuple(hint for hint in hints if hint))
        self._findings.setdefault(finding)

    def findings(self) -> tuple[Finding, ...]:
        """Return everything found, by file and line."""
        return tuple(sorted(self._findings, key=lambda finding: (finding.where, finding.code)))

    @property
    def has_errors(self) -> bool:
        return any(finding.severity == "error" for finding in self._findings)


def explain(code: str) -> str:
    """Return what a code means, with a wrong and a right example, from the documentation.

    `GF012`, `gf12` and `12` are the same code. Raises UsageError for an unknown one.
    """
    digits = re.fullmatch(r"(?:GF)?0*(\d{1,3})", code.strip(), re.IGNORECASE)
    name = f"GF{int(digits[1]):03}" if digits else code.strip().upper()
    if name not in CODES:
        raise UsageError(
            f"there is no finding `{code}`", did_you_mean(name, CODES) or f"codes: {', '.join(CODES)}"
        )
    text = (get_data("gflow", "docs/findings.md") or b"").decode()
    section = text.partition(f"\n## {name} ")[2].partition("\n## ")[0]
    return f"{name} {section.strip()}\n"
