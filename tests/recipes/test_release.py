"""The recipe as a whole: its steps are called one after another, as a run does."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import gflow
from gflow import Approval, Context, Refused
from gflow.inputs import helps
from recipes import release as recipe
from recipes.shipping import performance
from recipes.shipping.artifacts import Wheel
from recipes.shipping.candidate import Candidate
from recipes.shipping.verdict import Verdict
from recipes.shipping.versions import Part

if TYPE_CHECKING:
    from tests.recipes.conftest import Repo

PREPARATION = ("version_bump", "changelog", "dependency_check", "preparation")
ASSURANCE = ("code_review", "security_scan", "performance_test", "quality_assurance")
SHIPPING = ("build", "tag", "deploy", "announce", "ship", "release")
UNDOS = ("remove_notes", "remove_upload", "delete_tag")


@dataclass
class Run:
    """A run: `values` are what its steps can name, `degraded` says why some of them are not in full."""

    ctx: Context
    values: dict[str, Any]
    degraded: dict[str, str] = field(default_factory=dict)

    def do(self, *names: str) -> Run:
        """Call steps with what they name; keep what a consumer would get."""
        for name in names:
            ctx = Context(run_id=self.ctx.run_id, workspace=self.ctx.workspace)
            result = self.call(getattr(recipe, name).fn, ctx)
            self.values[name] = pickle.loads(pickle.dumps(result))
            if ctx.degraded:
                self.degraded[name] = ctx.degraded
        return self

    def undo(self, *, known: bool) -> None:
        """Call the undos, newest first, with the steps' results or without them."""
        results = self.values if known else self.values | dict.fromkeys(("announce", "deploy", "tag"))
        for name in UNDOS:
            Run(self.ctx, results).call(getattr(recipe, name), self.ctx)

    def call(self, fn: Callable[..., Any], ctx: Context) -> Any:
        """Call a function with the values that its parameters name."""
        values = self.values | {"ctx": ctx, "dependencies": self.values.get("dependency_check")}
        values |= {"approval": Approval(asked=False)}
        names = fn.__code__.co_varnames[: fn.__code__.co_argcount]
        return fn(**{name: values[name] for name in names})


@pytest.fixture
def start(ctx: Context) -> Callable[..., Run]:
    """Begin a run with its inputs, which are checked as those of a run are."""

    def begin(repo: Path | None = None, part: Part = "auto", index: str | None = None) -> Run:
        inputs = recipe.Inputs(repo, part, index)
        return Run(ctx, {"repo": inputs.repo, "part": inputs.part, "index": inputs.index})

    return begin


Start = Callable[..., Run]


def state(run: Run) -> Path:
    """Return the folder `.gflow` of the run's project."""
    return run.ctx.workspace.parents[1]


def git(folder: Path, *argv: str) -> str:
    """Run git in a folder and return what it printed."""
    done = subprocess.run(["git", *argv], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_sample(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a repository a sample is released: to its remote and its index, with notes."""
    monkeypatch.setattr(performance, "TOLERATED", 100.0)  # one round on a busy machine proves nothing
    run = start().do(*PREPARATION, *ASSURANCE, *SHIPPING)
    demo = state(run) / "demo" / "k3f9"
    assert git(demo / "remote.git", "cat-file", "-t", "v0.2.0") == "tag"
    assert git(demo / "remote.git", "log", "-1", "--format=%s", "main") == "chore(release): 0.2.0"
    assert [path.name for path in (demo / "index").iterdir()] == ["sample_pkg-0.2.0-py3-none-any.whl"]
    assert (demo / "RELEASE-0.2.0.md").read_text(encoding="utf-8").startswith("# sample-pkg 0.2.0\n")
    assert [path.name for path in state(run).parent.iterdir()] == [".gflow"]
    assert {path.name for path in state(run).iterdir()} == {"demo", "work"}
    assert run.degraded == {"dependency_check": "vulnerability service not reached, nothing was scanned"}
    assert str(run.values["performance_test"]).endswith(" × v0.1.0 (1 alternating round)")
    assert not [name for name, value in run.values.items() if "127.0.0.1" in repr(value)]


def test_sample_taken_back(start: Start) -> None:
    """A release is taken back, newest step first, as often as one likes; and can then be made again."""
    run = start().do(*PREPARATION)
    run.values["quality_assurance"] = Verdict(())
    run.do(*SHIPPING)
    demo = state(run) / "demo" / "k3f9"
    for known in (True, True, False):
        run.undo(known=known)
        assert git(demo / "remote.git", "tag", "--list") == "v0.1.0"
        assert git(demo / "remote.git", "diff", "--stat", "main", "main~2") == ""
        assert list((demo / "index").iterdir()) == []
        assert not (demo / "RELEASE-0.2.0.md").exists()
    run.do(*SHIPPING)
    assert git(demo / "remote.git", "tag", "--list").split() == ["v0.1.0", "v0.2.0"]


def test_foreign_repository(start: Start, foreign_repo: Repo, index_url: str, tmp_path: Path) -> None:
    """A repository of somebody else is not touched before its quality is assured; then it is released."""
    before = foreign_repo.state()
    run = start(foreign_repo.path, "auto", index_url).do(*PREPARATION, *ASSURANCE)
    assert foreign_repo.state() == before
    assert run.degraded["performance_test"] == "no benchmarks: nothing to compare"
    run.do(*SHIPPING)
    assert foreign_repo.state()["files"] == before["files"]
    assert foreign_repo.on_remote("tag", "--list").split() == ["v1.0.0", "v1.0.1"]
    assert [path.name for path in (tmp_path / "served").iterdir()] == ["calc-1.0.1-py3-none-any.whl"]
    assert (state(run) / "releases" / "calc" / "RELEASE-1.0.1.md").is_file()
    assert not (state(run) / "demo").exists()
    run.undo(known=True)
    assert foreign_repo.on_remote("tag", "--list") == "v1.0.0"
    assert list((tmp_path / "served").iterdir()) == []
    assert not (state(run) / "releases" / "calc" / "RELEASE-1.0.1.md").exists()


def test_refused(start: Start, breaking_repo: Repo, index_url: str) -> None:
    """A patch release that removes a public function is refused, and nothing has changed outside."""
    before = breaking_repo.state()
    run = start(breaking_repo.path, "patch", index_url).do(*PREPARATION)
    with pytest.raises(Refused, match=r"calc\.double: public object was removed; that needs \"major\""):
        run.do(*ASSURANCE)
    assert breaking_repo.state() == before


def test_first_release(start: Start, foreign_repo: Repo, index_url: str) -> None:
    """Without an earlier tag the checks that compare say that they had nothing to compare with."""
    foreign_repo.git("push", "--quiet", "origin", ":v1.0.0")
    foreign_repo.git("tag", "--delete", "v1.0.0")
    run = start(foreign_repo.path, "auto", index_url).do(*PREPARATION, *ASSURANCE)
    assert run.degraded["code_review"] == "no earlier tag: there is no public API to compare with"
    assert run.degraded["performance_test"] == "no earlier tag: no speed to compare with"
    verdict = str(run.values["quality_assurance"])
    assert verdict.startswith("fit to be released, 2 remarks, but not checked in full: no earlier tag: ")
    assert all(reason in verdict for reason in run.degraded.values())


def test_index_down(start: Start, sample_candidate: Candidate, sample_wheel: Wheel) -> None:
    """An index that is down fails `deploy` with a ConnectionError, which is tried again."""
    run = start()
    run.values |= {"index": "http://127.0.0.1:9", "preparation": sample_candidate, "build": sample_wheel}
    with pytest.raises(ConnectionError, match=r"^http://127\.0\.0\.1:9 refused the connection$"):
        run.do("deploy")


PLAN = """
preparation       stage     -                    -
version_bump      agent     fullstack-developer  Update version numbers
changelog         agent     technical-writer     Generate changelog
dependency_check  agent     security-auditor     Scan dependencies
quality_assurance parallel  -                    -
code_review       agent     code-reviewer        Final code review
security_scan     agent     security-auditor     Security audit
performance_test  agent     test-automator       Run performance tests
build             agent     devops-engineer      Build release artifacts
tag               agent     devops-engineer      Create git tag
deploy            agent     devops-engineer      Deploy to production
announce          agent     technical-writer     Publish release notes
"""


@pytest.mark.parametrize("line", PLAN.strip().splitlines())
def test_plan(line: str) -> None:
    """Each step has its kind, is played by its role, and has its task as docstring, word for word."""
    name, kind, role, *words = line.split()
    node = gflow.compile(recipe).nodes[name]
    assert (node.kind, node.role or "-") == (kind, role)
    assert words == ["-"] or node.doc == " ".join(words)


def test_order() -> None:
    """The groups hold their steps in the order of a release."""
    graph = gflow.compile(recipe)
    assert (graph.name, graph.version, graph.outermost) == ("release-workflow", "1.0.0", "release")
    assert {name: node.members for name, node in graph.nodes.items() if node.is_group} == {
        "preparation": ("version_bump", "changelog", "dependency_check"),
        "quality_assurance": ("code_review", "security_scan", "performance_test"),
        "ship": ("build", "tag", "deploy", "announce"),
        "release": ("preparation", "quality_assurance", "ship"),
    }


def test_ways_back() -> None:
    """Exactly the outward acts can be undone, and each undo says in its first line what it does."""
    undos = {name: node.undo.doc for name, node in gflow.compile(recipe).nodes.items() if node.undo}
    assert undos == {
        "tag": "Delete the tag and revert the release commit, here and on the remote.",
        "deploy": "Remove the upload from the index.",
        "announce": "Remove the release notes.",
    }


def test_inputs_explained() -> None:
    """Every input has a default and a help text, and no public index is among the defaults."""
    graph = gflow.compile(recipe)
    defaults = {name: spec.default for name, spec in graph.inputs.items()}
    assert defaults == {"repo": None, "part": "auto", "index": None, "ask": False}
    assert all(helps(graph).values())
