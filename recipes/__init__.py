"""Workflows to run as they are, or to start from: `gflow new NAME --from RECIPE`."""
