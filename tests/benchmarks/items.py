"""Microseconds per item of a fan-out: a thousand items against a hundred thousand.

    python tests/benchmarks/items.py [ITEMS] [ROUNDS]

A step, and a group of two steps, run once per item of a list, and another step takes the results. The
figure that counts is the ratio: what an item costs must not depend on how many there are. Of a group there
are a tenth as many items.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Final

import anyio

from gflow import runner, session
from gflow.model import Durability, Graph

FEW: Final = 1000
LEVELS: Final[tuple[Durability | None, ...]] = (None, "process")
HEAD: Final = """
from typing import Annotated
from gflow import Each, stage, task

@task
def numbers() -> list[int]: return list(range(ITEMS))
"""
SHAPES: Final = {
    "step": """
@task
def double(n: Annotated[int, Each(numbers)]) -> int: return 2 * n
@task
def total(double: list[int]) -> int: return sum(double)
""",
    "group": """
@task
def double(n: int) -> int: return 2 * n
@task
def again(double: int) -> int: return 2 * double
@stage
def item(n: Annotated[int, Each(numbers)], double: int, again: int) -> int: return again
@task
def total(item: list[int]) -> int: return sum(item)
@stage
def flow(numbers: list[int], item: list[int], total: int) -> int: return total
""",
}


def compiled(shape: str, items: int) -> Graph:
    """Return the graph of a fan-out over so many items."""
    module = ModuleType(shape)
    module.__dict__["ITEMS"] = items
    exec(compile(HEAD + SHAPES[shape], f"{shape}.py", "exec"), module.__dict__)
    return runner.compile(module)


def per_item(shape: str, items: int, level: Durability | None) -> float:
    """Return the microseconds that one item takes, in a run of its own."""
    graph = compiled(shape, items)
    with tempfile.TemporaryDirectory() as folder:
        settings = session.Settings(folder=Path(folder) if level else None, durability=level)
        began = time.perf_counter()
        run = anyio.run(lambda: runner.start(graph, {}, settings))
        assert run.status == "completed"
        return (time.perf_counter() - began) / items * 1e6


def row(shape: str, many: int, rounds: int) -> str:
    """Return one line of the table; each figure is the median of several rounds."""
    cells = [f"{shape:8}"]
    for level in LEVELS:
        few, all_of_them = (
            median(per_item(shape, items, level) for _ in range(rounds)) for items in (FEW, many)
        )
        cells.append(f"{few:8.1f} {all_of_them:8.1f} {all_of_them / few:6.2f}")
    return "  ".join(cells)


def main(items: int = 100_000, rounds: int = 3) -> None:
    """Print the table."""
    print(f"{FEW} items and {items} (a tenth of a group), medians of {rounds} rounds, us per item\n")
    print("shape   " + "".join(f"  {level or 'memory':>8} {'many':>8} {'ratio':>6}" for level in LEVELS))
    for shape, share in (("step", 1), ("group", 10)):
        print(row(shape, items // share, rounds), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
