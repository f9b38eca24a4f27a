"""The recipe as a whole: its steps are called one after another, as a run does."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gflow
from gflow import Context, Refused
from recipes import release as recipe
from recipes.shipping.artifacts import Wheel
from recipes.shipping.candidate import Candidate
from recipes.shipping.deployment import Deployment
from recipes.shipping.notes import Notes
from recipes.shipping.tags import Tag
from recipes.shipping.verdict import Verdict
from recipes.shipping.versions import Part

if TYPE_CHECKING:
    from tests.recipes.conftest import Repo


@dataclass
class Release:
    """A run of the recipe; `results` are kept as a run keeps them."""

    ctx: Context
    repo: Path | None = None
    part: Part = "auto"
    index: str | None = None
    results: dict[str, object] = field(default_factory=dict)
    degraded: dict[str, str] = field(default_factory=dict)

    def context(self) -> Context:
        """Return a step's own context."""
        return Context(run_id=self.ctx.run_id, workspace=self.ctx.workspace)

    def keep[T](self, name: str, value: T, ctx: Context | None = None) -> T:
        """Keep a result and return the copy that its consumers get."""
        copy: T = pickle.loads(pickle.dumps(value))
        self.results[name] = copy
        if ctx and ctx.degraded:
            self.degraded[name] = ctx.degraded
        return copy
