"""Microseconds per step: a chain and a fan of trivial steps, in memory and in SQLite.

    python tests/benchmarks/steps.py [STEPS] [ROUNDS]

Beside each figure stands what it must be held against, measured in the same run: one bare commit of a
300-byte row at the same durability. The machine decides the microseconds; the ratio is gflow's.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Final

import anyio

from gflow import runner, session
from gflow.model import Durability, Graph

SHAPES: Final = ("chain", "fan", "layers")
LEVELS: Final[tuple[Durability, ...]] = ("process", "full")


def source(shape: str, steps: int) -> str:
    """Return the text of a workflow: n steps one after another, side by side, or in layers of ten."""
    head = "from gflow import task\n"
    lines: list[str] = []
    for i in range(steps):
        match shape:
            case "chain":
                needs = [f"s{i - 1}"] if i else []
            case "fan":
                needs = ["s0"] if i else []
            case _:
                above = (i // 10 - 1) * 10
                needs = [f"s{above + i % 10}", f"s{above + (i + 1) % 10}"] if i >= 10 else []
        lines.append(f"@task\ndef s{i}({', '.join(f'{name}: int' for name in needs)}) -> int: return {i}\n")
    return head + "".join(lines)


def compiled(shape: str, steps: int) -> tuple[Graph, float, float]:
    """Return the graph, and the milliseconds that Python and gflow need to compile it."""
    text = source(shape, steps)
    began = time.perf_counter()
    code = compile(text, f"{shape}.py", "exec")
    by_python = time.perf_counter() - began
    module = ModuleType(shape)
    exec(code, module.__dict__)
    began = time.perf_counter()
    graph = runner.compile(module)
    return graph, by_python * 1e3, (time.perf_counter() - began) * 1e3


def per_step(graph: Graph, level: Durability | None) -> float:
    """Return the microseconds that one step of a run takes."""
    with tempfile.TemporaryDirectory() as folder:
        settings = session.Settings(folder=Path(folder) if level else None, durability=level)
        began = time.perf_counter()
        run = anyio.run(lambda: runner.start(graph, {}, settings))
        assert run.status == "completed"
        return (time.perf_counter() - began) / len(graph.nodes) * 1e6


def bare_commit(level: Durability, commits: int = 1000) -> float:
    """Return the microseconds of one INSERT of 300 bytes in WAL mode: what a durable step costs at least."""
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={'FULL' if level == 'full' else 'NORMAL'}")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, b BLOB)")
        began = time.perf_counter()
        for n in range(commits):
            db.execute("INSERT INTO t VALUES (?, ?)", (n, b"x" * 300))
        taken = time.perf_counter() - began
        db.close()
    return taken / commits * 1e6


def row(shape: str, steps: int, rounds: int) -> str:
    """Return one line of the table; each figure is the median of several rounds."""
    graph, by_python, by_gflow = compiled(shape, steps)
    cells = [
        f"{shape:8} {by_gflow:10.1f} {by_python:10.1f}",
        f"{_median(rounds, per_step, graph, None):8.1f}",
    ]
    for level in LEVELS:
        cost = _median(rounds, per_step, graph, level)
        cells.append(f"{cost:8.1f} {cost / _median(rounds, bare_commit, level):7.2f}")
    return "  ".join(cells)


def _median(rounds: int, measure: Callable[..., float], *arguments: object) -> float:
    return median(measure(*arguments) for _ in range(rounds))


def main(steps: int = 2000, rounds: int = 3) -> None:
    """Print the table."""
    print(f"{steps} steps, medians of {rounds} rounds, microseconds per step\n")
    print(f"{'shape':8} {'compile ms':>10} {'python ms':>10}  {'memory':>8}", end="")
    print("".join(f"  {level:>8} {'× bare':>7}" for level in LEVELS))
    for shape in SHAPES:
        print(row(shape, steps, rounds), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
