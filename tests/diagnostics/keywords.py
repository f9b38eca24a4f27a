"""Keywords that cannot be used."""

from gflow import Policy, Workflow, parallel, task


@task(attempts=0, effects="irreversable")
def build() -> None:
    print()


@task(attempts="3", policy=Policy(severity={ConnectionError: "hgih"}))
def upload() -> None:
    print()


@task(policy={ConnectionError: "low"}, after="build", timeout=-5)
def notify() -> None:
    print()


@parallel(limit=0)
def ship(build: None, upload: None, notify: None) -> None: ...


workflow = Workflow(durability="ful", on_exhausted="abbort")
