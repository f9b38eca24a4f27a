from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from recipes.shipping.api import Api
from recipes.shipping.candidate import Candidate
from recipes.shipping.review import Review, is_test, review

if TYPE_CHECKING:
    from tests.recipes.conftest import Prepare, Repo


def test_sample(sample_candidate: Candidate) -> None:
    """The sample's release adds a function, has a test for it, and is a minor one."""
    report = review(sample_candidate)
    assert str(report) == 'public API since v0.1.0: 1 added, 0 removed; fits "minor"'
    assert (report.blockers, report.remarks) == ((), ())


def test_removed_function(breaking_repo: Repo, prepared: Prepare) -> None:
    """A patch release that removes a public function is blocked."""
    report = review(prepared(breaking_repo, "patch"))
    assert report.blockers == ('calc.double: public object was removed; that needs "major", not "patch"',)
    assert str(report).startswith('public API since v1.0.0: 0 added, 1 removed; needs "major"')


def test_removed_function_in_a_major_release(breaking_repo: Repo, prepared: Prepare) -> None:
    """A major release may remove what it likes."""
    assert review(prepared(breaking_repo, "major")).blockers == ()


def test_undersold() -> None:
    """An addition in a patch release is a remark."""
    report = Review("patch", Api("v1", added=("calc.f",)), "minor")
    assert report.blockers == ()
    assert report.remarks == ('the public API has additions: rather "minor" than "patch"',)
    assert str(report) == 'public API since v1: 1 added, 0 removed; needs "minor", 1 remark'


def test_untested(foreign_repo: Repo, prepared: Prepare) -> None:
    """A changed module that no changed test names is a remark."""
    foreign_repo.commit("feat: share", {"calc/shared.py": "LIMIT = 1\n", "setup.py": "# nothing\n"})
    remark = "calc/shared.py changed, and no changed test names it"
    assert review(prepared(foreign_repo)).remarks == (remark,)
    foreign_repo.commit("test: share", {"tests/test_shared.py": "def test_nothing(): pass\n"})
    assert review(prepared(foreign_repo)).remarks == ()


def test_version_alone(foreign_repo: Repo, prepared: Prepare) -> None:
    """A module in which the release only raises the version needs no test."""
    foreign_repo.git("tag", "v1.0.1")
    foreign_repo.commit("docs: news", {"README.md": "calc\n"})
    assert review(prepared(foreign_repo, "major")).remarks == ()


def test_lint(foreign_repo: Repo, prepared: Prepare) -> None:
    """In changed files an undefined name blocks, and an unused import is a remark."""
    foreign_repo.commit("fix: tests", {"tests/test_calc.py": "import os\nimport calc\ncalc.add(1, x)\n"})
    report = review(prepared(foreign_repo))
    assert report.blockers == ("tests/test_calc.py:3: F821 Undefined name `x`",)
    assert report.remarks == ("tests/test_calc.py:1: F401 `os` imported but unused",)


def test_first_release(foreign_repo: Repo, prepared: Prepare) -> None:
    """Without an earlier tag there is no API to compare with, and every file is linted."""
    foreign_repo.git("push", "--quiet", "origin", ":v1.0.0")
    foreign_repo.git("tag", "--delete", "v1.0.0")
    report = review(prepared(foreign_repo))
    assert report.api is None
    assert (report.blockers, report.remarks) == ((), ())
    assert str(report) == "no public API to compare with"


@pytest.mark.parametrize(
    ("file", "answer"),
    [
        ("tests/helper.py", True),
        ("calc/tests/x.py", True),
        ("test_x.py", True),
        ("calc/x_test.py", True),
        ("calc/testing.py", False),
        ("calc/contest.py", False),
        ("tests.py", False),
    ],
)
def test_is_test(file: str, answer: bool) -> None:
    """A test is what pytest would collect, and what lies beside it."""
    assert is_test(file) is answer
