"""Settings of the whole suite; what pytest itself is told stands in pyproject.toml."""

import os

from hypothesis import settings

EXAMPLES = int(os.environ.get("GFLOW_EXAMPLES", "15"))
"""Examples for each law: few while one works, many where there is time."""

settings.register_profile("gflow", deadline=None, max_examples=EXAMPLES)  # no test fails for being slow
settings.load_profile("gflow")
