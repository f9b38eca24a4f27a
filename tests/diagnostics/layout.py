"""Tabs, wide characters and long signatures: the carets stand where they should."""

from gflow import task


@task
def größe() -> int:
	return 1


@task
def   länge(größe: int, 名前: str, mehr: str = "日本",
	größer: int = 3) -> int:
	return größe


@task
def both(
    größe: dict[
        str,
        int,
    ],
    länge: str,
) -> None:
    print(größe, länge)
