"""All that is known about those who take part, for whoever looks for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gflow.compiler.cast import Cast, Instance
from gflow.compiler.findings import Report
from gflow.compiler.resolve import Wiring
from gflow.compiler.scopes import Place, Scopes
from gflow.compiler.seen import seen
from gflow.compiler.skips import Skips, may_lack
from gflow.compiler.words import plain


@dataclass(frozen=True, slots=True)
class View:
    """Who takes part, as what, and where findings go; `outspoken` are the steps that say more than most."""

    cast: Cast
    names: Mapping[Instance, str]
    scopes: Scopes
    skips: Skips[Instance]
    wiring: Wiring
    report: Report
    outspoken: Sequence[Instance]

    def name(self, step: Instance) -> str:
        """Return the name of a step, as a signature says it."""
        return plain(self.names[step])

    def may_lack(self, reader: Instance, step: Instance, *, inside: bool = False) -> bool:
        """Whether a step may be skipped while another one, or its body, that reads it is not."""
        return may_lack(self.skips, self.scopes, reader, step, inside=inside)

    def seen(self, reader: Instance, step: Instance, *, inside: bool = False) -> object:
        """Return the type of a step's value as another one reads it, or, `inside`, as its body does."""
        place: Place = self.scopes.inside(reader) if inside else self.scopes.around(reader)
        return seen(self.scopes, self.skips, place, step)
