"""Benchmarks of the candidate against the last release, in alternating rounds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gflow import CommandFailed
from recipes.shipping.candidate import Candidate
from recipes.shipping.environments import Environment, bare_tree, testing_environment
from recipes.shipping.wording import count

ROUNDS = 5
TOLERATED = 1.5
"""How many times slower a benchmark may become; generous, as the machine may have other things to do."""

Times = Mapping[str, float]
"""The shortest time of each benchmark, in seconds: what else ran can only have lengthened the others."""

FOLDERS = ("benchmarks", "bench", "tests", "test")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Times of the candidate as multiples of the last release's; empty if there is nothing to compare."""

    since: str | None
    ratios: Mapping[str, float]
    missing: str = ""

    @property
    def worst(self) -> float:
        """The ratio of the benchmark that fares worst."""
        return max(self.ratios.values(), default=1.0)

    @property
    def blockers(self) -> tuple[str, ...]:
        """Benchmarks that became much slower."""
        slow = {name: ratio for name, ratio in self.ratios.items() if ratio > TOLERATED}
        return tuple(
            f"{name} takes {ratio:.2f} times as long as in {self.since}" for name, ratio in slow.items()
        )

    @property
    def gap(self) -> str:
        """Why nothing was compared, if so."""
        return self.missing

    @property
    def remarks(self) -> tuple[str, ...]:
        """That nothing was compared, if so."""
        return (self.missing,) if self.missing else ()

    def __str__(self) -> str:
        if not self.ratios:
            return "nothing compared"
        which = f", the worst of {len(self.ratios)} benchmarks" if len(self.ratios) > 1 else ""
        rounds = count(ROUNDS, "alternating round")
        return f"{self.worst:.2f} × {self.since}{which} ({rounds})"


def compare_speed(candidate: Candidate, workspace: Path) -> Comparison:
    """Run the candidate's benchmarks with the last release installed and with the candidate, in turns."""
    since = candidate.bump.since
    if since is None:
        return Comparison(None, {}, "no earlier tag: no speed to compare with")
    tree = bare_tree(candidate.clone, workspace / "tree")
    files = benchmark_files(tree)
    if not files:
        return Comparison(since, {}, "no benchmarks: nothing to compare")
    last = candidate.clone.export(since, workspace / "last")
    this = candidate.clone.export(candidate.clone.source.branch, workspace / "this")
    before = testing_environment(workspace / "before", last, candidate.project)
    after = testing_environment(workspace / "after", this, candidate.project)
    rounds = [(measure(before, tree, files), measure(after, tree, files)) for _ in range(ROUNDS)]
    ratios = compare_times([old for old, _ in rounds], [new for _, new in rounds])
    return Comparison(since, ratios, "" if ratios else f"no benchmark runs with {since}: nothing to compare")


def benchmark_files(tree: Path) -> list[Path]:
    """Return the files with benchmarks: those in a folder of that name, else tests that use the fixture."""
    for name in FOLDERS:
        files = [path for path in sorted((tree / name).rglob("*.py")) if path.name != "conftest.py"]
        found = [path for path in files if "benchmark" in path.read_text("utf-8", "replace")]
        if found:
            return found
    return []


def measure(environment: Environment, tree: Path, files: Iterable[Path]) -> Times:
    """Run benchmarks once; those that fail, because the release lacks what they measure, are left out."""
    report = environment.path.with_suffix(".json")
    report.unlink(missing_ok=True)
    output = environment.run(
        "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-W", "ignore", "-o", "addopts=",
        "--continue-on-collection-errors", "--benchmark-only", "--benchmark-max-time=0.1",
        "--benchmark-disable-gc", f"--benchmark-json={report}", *files,
        cwd=tree, check=False,
    )  # fmt: skip
    if not report.is_file() and output.code not in (0, 1, 5):
        raise CommandFailed(output.argv, output.code, output.stdout.strip()[-1000:])
    return read_times(report.read_text(encoding="utf-8")) if report.is_file() else {}


def read_times(report: str) -> Times:
    """Return the shortest time of each benchmark in a report of pytest-benchmark."""
    benchmarks = json.loads(report)["benchmarks"] if report else []
    return {item["fullname"].rpartition("/")[2]: item["stats"]["min"] for item in benchmarks}


def compare_times(before: Iterable[Times], after: Iterable[Times]) -> dict[str, float]:
    """Return the ratio of each benchmark that both have, from the shortest times of all rounds."""
    old, new = _shortest(before), _shortest(after)
    return {name: new[name] / old[name] for name in new if old.get(name)}


def _shortest(rounds: Iterable[Times]) -> Times:
    shortest: dict[str, float] = {}
    for times in rounds:
        for name, seconds in times.items():
            shortest[name] = min(seconds, shortest.get(name, seconds))
    return shortest
