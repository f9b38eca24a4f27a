"""The pytest plugin: the fixture `gflow_run`. gflow itself is loaded when a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gflow.testing import GflowRun


@pytest.fixture
def gflow_run() -> GflowRun:
    """Run a workflow in memory and in virtual time: `gflow_run(workflow, inputs={…}, overrides={…})`.

    It returns the `gflow.Run`. `overrides` maps steps to a value, a function or an exception.
    """
    from gflow.testing import run_in_memory  # noqa: PLC0415  # every test run of a user imports this file

    return run_in_memory
