"""Settings of the whole suite; what pytest itself is told stands in pyproject.toml."""

from hypothesis import settings

settings.register_profile("gflow", deadline=None)  # no test fails for being slow
settings.load_profile("gflow")
