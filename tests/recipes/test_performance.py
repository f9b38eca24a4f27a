from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recipes.shipping import performance
from recipes.shipping.candidate import Candidate
from recipes.shipping.performance import (
    Comparison,
    benchmark_files,
    compare_speed,
    compare_times,
    read_times,
)

if TYPE_CHECKING:
    from tests.recipes.conftest import Prepare, Repo


def test_slower(sample_repo: Repo, prepared: Prepare, tmp_path: Path) -> None:
    """A function that became much slower blocks, a benchmark that the last release cannot run does not."""
    package = "src/sample_pkg/__init__.py"
    text = (sample_repo.path / package).read_text(encoding="utf-8")
    slow = text.replace("    return max(", "    sum(range(1_000_000))\n    return max(")
    new = "from sample_pkg import oldest\n\ndef test_oldest(benchmark): benchmark(oldest, ['1'])\n"
    sample_repo.commit("perf: be thorough", {package: slow, "benchmarks/bench_oldest.py": new})
    report = compare_speed(prepared(sample_repo), tmp_path)
    assert list(report.ratios) == ["bench_newest.py::test_newest_of_many"]
    (blocker,) = report.blockers
    assert blocker.startswith("bench_newest.py::test_newest_of_many takes ")
    assert blocker.endswith(" times as long as in v0.1.0")


def test_no_benchmarks(foreign_repo: Repo, prepared: Prepare, tmp_path: Path) -> None:
    """Without benchmarks there is nothing to compare, and the report says so."""
    report = compare_speed(prepared(foreign_repo), tmp_path)
    assert (str(report), report.missing) == ("nothing compared", "no benchmarks: nothing to compare")
    assert report.remarks == (report.missing,)
    assert report.blockers == ()


def test_first_release(foreign_repo: Repo, prepared: Prepare, tmp_path: Path) -> None:
    """Without an earlier tag there is nothing to compare with."""
    foreign_repo.git("push", "--quiet", "origin", ":v1.0.0")
    foreign_repo.git("tag", "--delete", "v1.0.0")
    report = compare_speed(prepared(foreign_repo), tmp_path)
    assert report.missing == "no earlier tag: no speed to compare with"


def test_nothing_in_common(
    sample_candidate: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Benchmarks that do not run with the last release leave nothing to compare."""
    monkeypatch.setattr(performance, "measure", lambda environment, *_: {environment.path.name: 1.0})
    report = compare_speed(sample_candidate, tmp_path)
    assert report.missing == "no benchmark runs with v0.1.0: nothing to compare"


@pytest.mark.parametrize(
    ("before", "after", "ratios"),
    [
        ([{"a": 2.0}], [{"a": 1.0}], {"a": 0.5}),
        ([{"a": 2.0}, {"a": 1.0}], [{"a": 1.0}, {"a": 9.0}], {"a": 1.0}),
        ([{"a": 1.0}], [{"a": 1.0, "b": 1.0}], {"a": 1.0}),
        ([{"a": 0.0}], [{"a": 1.0}], {}),
        ([{}], [{"a": 1.0}], {}),
    ],
)
def test_ratios(
    before: list[dict[str, float]], after: list[dict[str, float]], ratios: dict[str, float]
) -> None:
    """The shortest times of all rounds are compared, of the benchmarks that both have."""
    assert compare_times(before, after) == ratios


def test_worst() -> None:
    """Of several benchmarks the worst is shown, and those beyond the tolerance block."""
    report = Comparison("v1", {"a": 0.5, "b": 1.6, "c": 1.5})
    assert str(report).startswith("1.60 × v1, the worst of 3 benchmarks (")
    assert report.blockers == ("b takes 1.60 times as long as in v1",)


def test_times() -> None:
    """A report of pytest-benchmark is read by the file and name of each benchmark."""
    benchmarks = [{"fullname": "benchmarks/bench_a.py::test_b", "stats": {"min": 0.5, "max": 2}}]
    assert read_times(json.dumps({"benchmarks": benchmarks})) == {"bench_a.py::test_b": 0.5}
    assert read_times("") == {}


def test_files(tmp_path: Path) -> None:
    """Benchmarks are the files of their own folder, else the tests that use the fixture."""
    for name in ("tests/test_a.py", "tests/speed/test_b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("def test_x(benchmark): ...\n", encoding="utf-8")
    (tmp_path / "tests" / "test_c.py").touch()
    assert benchmark_files(tmp_path) == [
        tmp_path / "tests" / "speed" / "test_b.py",
        tmp_path / "tests" / "test_a.py",
    ]
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "bench_d.py").write_text("def test_x(benchmark): ...\n", encoding="utf-8")
    assert benchmark_files(tmp_path) == [tmp_path / "benchmarks" / "bench_d.py"]
