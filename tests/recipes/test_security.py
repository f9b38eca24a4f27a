from __future__ import annotations

from typing import TYPE_CHECKING

from recipes.shipping.candidate import Candidate
from recipes.shipping.security import scan
from recipes.shipping.tools import run

if TYPE_CHECKING:
    from tests.recipes.conftest import Prepare, Repo

KEY = "AKIA" + "IOSFODNN7" + "EXAMPLX"  # taken apart, so that it is none of this repository's
SECRET = f'key = "{KEY}"\n'


def test_sample(sample_candidate: Candidate) -> None:
    """The sample is clean."""
    report = scan(sample_candidate)
    assert str(report) == "0 findings, 0 secrets in 9 files"
    assert (report.blockers, report.remarks) == ((), ())


def test_secret(foreign_repo: Repo, prepared: Prepare) -> None:
    """A secret in any tracked file blocks, with its place and without itself."""
    foreign_repo.commit("fix: settings", {"settings.cfg": "\n" + "x = 1\n" + SECRET})
    report = scan(prepared(foreign_repo))
    (blocker,) = report.blockers
    assert blocker.startswith("settings.cfg:2: aws access key; if it is none, write")
    assert KEY not in str(report.blockers)
    assert str(report) == "0 findings, 1 secret in 6 files"


def test_secret_that_is_none(foreign_repo: Repo, prepared: Prepare) -> None:
    """A line that says so is no secret; nor is a hash in a lock file."""
    foreign_repo.commit("fix: a", {"a.cfg": f'key = "{KEY}"  # pragma: allowlist secret\n', "x.lock": SECRET})
    assert scan(prepared(foreign_repo)).secrets == ()


def test_known_secret(foreign_repo: Repo, prepared: Prepare) -> None:
    """What the repository's own baseline knows is not reported again."""
    foreign_repo.commit("fix: a", {"a.cfg": SECRET})
    report = run("detect-secrets", "scan", "--no-verify", cwd=foreign_repo.path).stdout
    foreign_repo.commit("chore: audit", {".secrets.baseline": report})
    assert scan(prepared(foreign_repo)).secrets == ()
    foreign_repo.commit("fix: b", {"b.cfg": SECRET})
    assert len(scan(prepared(foreign_repo)).secrets) == 1


def test_findings(foreign_repo: Repo, prepared: Prepare) -> None:
    """A shell in the package blocks, an assert is a remark, and tests may do as they like."""
    text = 'import subprocess\n\n\ndef f(x):\n    assert x\n    subprocess.run(f"ls {x}", shell=True)\n'
    foreign_repo.commit("fix: files", {"calc/files.py": text, "tests/test_files.py": text})
    report = scan(prepared(foreign_repo))
    assert [line.partition(" ")[0] for line in report.blockers] == ["calc/files.py:6:"]
    assert any(line.startswith("calc/files.py:5: S101") for line in report.remarks)
    assert not any("tests/" in line for line in report.remarks)
