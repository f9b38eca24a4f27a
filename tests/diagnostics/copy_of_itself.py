"""A copied group that holds its copy, in a module of nothing else."""

from gflow import stage


@stage
def job(again: int) -> int:
    return again


again = job.using()
