"""The release recipe as a user runs it: from the command line, through the engine, with a store."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gflow import cli, runner
from gflow.model import Graph, Node
from recipes import release as recipe
from recipes.shipping import performance, tags
from recipes.shipping.candidate import Candidate
from recipes.shipping.tags import Tag

from .conftest import NOBODY, Repo, run

Captured = pytest.CaptureFixture[str]

LEAVES = [
    "version_bump", "changelog", "dependency_check", "code_review", "security_scan", "performance_test",
    "build", "tag", "deploy", "announce",
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("GFLOW_STORE", raising=False)
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").touch()
    monkeypatch.chdir(folder)
    return folder


def shown(capsys: Captured, run: str = "last") -> dict[str, Any]:
    """Return what `gflow show` says of a run."""
    capsys.readouterr()
    assert cli.main(["show", run, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def noting(ledger: Path) -> Callable[[Any], Graph]:
    """Return a `compile` whose steps write their names into a file when they begin, and sync it."""
    compile_workflow = runner.compile

    def noted(node: Node) -> Node:
        @functools.wraps(node.fn)
        def body(**values: Any) -> Any:
            with ledger.open("a") as file:
                file.write(f"{node.name}\n")
                file.flush()
                os.fsync(file.fileno())
            return node.fn(**values)

        return node if node.is_empty else replace(node, fn=body)

    def compiled(workflow: Any) -> Graph:
        graph = compile_workflow(workflow)
        return replace(graph, nodes={name: noted(node) for name, node in graph.nodes.items()})

    return compiled


def test_foreign_repository_is_released_from_the_command_line(
    project: Path, foreign_repo: Repo, index_url: str, tmp_path: Path, capsys: Captured
) -> None:
    """A repository with setuptools, no src folder and one dependency is released; its files stay."""
    before = foreign_repo.state()
    code = cli.main(["recipes.release", "--repo", str(foreign_repo.path), "--index", index_url])
    assert code == 0, capsys.readouterr().err
    assert foreign_repo.state()["files"] == before["files"]
    assert foreign_repo.on_remote("cat-file", "-t", "v1.0.1") == "tag"
    assert [path.name for path in (tmp_path / "served").iterdir()] == ["calc-1.0.1-py3-none-any.whl"]
    assert (project / ".gflow" / "releases" / "calc" / "RELEASE-1.0.1.md").is_file()
    steps = shown(capsys)["steps"]
    assert all(steps[name]["status"] == "completed" for name in LEAVES)


def test_foreign_patch_that_removes_a_function_is_refused(
    project: Path, breaking_repo: Repo, index_url: str, capsys: Captured
) -> None:
    """A patch release without a public function that was there exits 1, and changes nothing outside."""
    before = breaking_repo.state()
    words = ["recipes.release", "--repo", str(breaking_repo.path), "--part", "patch", "--index", index_url]
    assert cli.main(words) == 1
    assert "calc.double" in capsys.readouterr().err
    assert breaking_repo.state() == before
    run = shown(capsys)
    assert run["errors"][0]["type"] == "gflow.errors.Refused"
    assert run["steps"]["tag"]["status"] == "pending"


def test_resume_after_failed_deploy(  # fixtures
    project: Path,
    foreign_repo: Repo,
    index_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    """The index is down, the run fails and is resumed with another: no completed step runs again."""
    ledger = tmp_path / "ledger"
    monkeypatch.setattr(runner, "compile", noting(ledger))
    assert cli.main(["recipes.release", "--repo", str(foreign_repo.path), "--index", NOBODY]) == 1
    assert "refused the connection" in capsys.readouterr().err
    first = ledger.read_text().split()
    assert first.count("deploy") == 3
    ledger.write_text("")
    assert cli.main(["resume", "last", "--set", "index=https://upload.example.org/legacy/"]) == 2
    assert "`ask` cannot be changed: `tag` completed with it" in capsys.readouterr().err
    assert cli.main(["resume", "last", "--set", f"index={index_url}"]) == 0
    assert ledger.read_text().split() == ["deploy", "announce", "ship", "release"]
    assert sorted(name for name in first if name in LEAVES) == sorted([*LEAVES[:-2], *["deploy"] * 3])
    assert [path.name for path in (tmp_path / "served").iterdir()] == ["calc-1.0.1-py3-none-any.whl"]
    assert shown(capsys)["steps"]["deploy"]["attempts"] == 4


def test_a_release_that_others_see_is_asked_about(
    project: Path, foreign_repo: Repo, index_url: str, capsys: Captured
) -> None:
    """Nothing leaves the machine before somebody agrees, who is told of every result that is degraded."""
    before = foreign_repo.state()
    words = ["recipes.release", "--repo", str(foreign_repo.path)]
    assert cli.main([*words, "--index", "https://upload.example.org/legacy/"]) == 3
    steps = shown(capsys)["steps"]
    question = steps["tag"]["preview"]
    assert question.startswith("Push calc 1.0.1 as commit ")
    assert " to origin/main and publish it? It is fit to be released, 2 remarks, but not " in question
    reasons = [step["degraded"] for step in steps.values() if step["degraded"]]
    assert len(reasons) == 2
    assert all(reason in question for reason in reasons)

    assert cli.main(["reject", "last", "tag", "--comment", "wrong index", "--resume"]) == 6
    assert foreign_repo.state() == before
    assert cli.main(["resume", "last", "--set", f"index={index_url}"]) == 3
    assert cli.main(["approve", "last", "tag", "--resume"]) == 0
    assert foreign_repo.on_remote("tag", "--list").split() == ["v1.0.0", "v1.0.1"]


KILLER = """
import os
from recipes import release
release.scan = lambda candidate: os.kill(os.getpid(), 9)
from gflow import cli
cli.main(["recipes.release"])
"""


def test_a_killed_release_is_finished_by_resume(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Killed while its checks run, a release of the sample goes on where it was, and tags once."""
    monkeypatch.setattr(performance, "TOLERATED", 100.0)  # one round on a busy machine proves nothing
    killed = subprocess.run([sys.executable, "-c", KILLER], cwd=project, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    capsys.readouterr()
    assert cli.main(["runs"]) == 0
    assert "is gone" in capsys.readouterr().out
    assert cli.main(["resume", "last"]) == 0
    run = shown(capsys)
    assert run["steps"]["version_bump"]["attempts"] == 1
    remote = project / ".gflow" / "demo" / run["id"] / "remote.git"
    listed = subprocess.run(["git", "tag", "--list"], cwd=remote, capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["v0.1.0", "v0.2.0"]


KILLED_IN_AN_UNDO = """
import os, sys
from recipes import release
name, acts = sys.argv[1:]
undo = getattr(release, name)
def dies(*arguments):
    if acts == "acts":
        undo(*arguments)
    os.kill(os.getpid(), 9)
setattr(release, name, dies)
from gflow import cli
cli.main(["rollback", "last", "--to", "quality_assurance", "--yes"])
"""


def published(demo: Path) -> dict[str, object]:
    """Return what others see of the sample: refs, what is on the branch, the index, the notes."""
    remote = demo / "remote.git"
    return {
        "refs": run(remote, "for-each-ref", "--format=%(refname)").split(),
        "tags": run(remote, "for-each-ref", "refs/tags"),
        "branch": run(remote, "ls-tree", "-r", "main"),
        "index": sorted(path.name for path in (demo / "index").rglob("*")),
        "notes": [path.name for path in demo.glob("RELEASE*")],
    }


def test_release_rolled_back(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """A rollback that is killed twice and resumed leaves remote, index and notes as before the release.

    A branch that others may have is not rewritten: the release and its revert stay in its history.
    """
    monkeypatch.setattr(performance, "TOLERATED", 100.0)  # one round on a busy machine proves nothing
    before: list[dict[str, object]] = []

    def push_release(candidate: Candidate) -> Tag:
        before.append(published(project / ".gflow" / "demo" / candidate.clone.path.parent.name))
        return tags.push_release(candidate)

    monkeypatch.setattr(recipe, "push_release", push_release)
    assert cli.main(["recipes.release"]) == 0, capsys.readouterr().err
    demo = project / ".gflow" / "demo" / shown(capsys)["id"]
    released = published(demo)
    assert [key for key in released if released[key] == before[0][key]] == []

    states = [released]
    for undo in (("withdraw_wheel", "dies"), ("withdraw_release", "acts")):
        words = [sys.executable, "-c", KILLED_IN_AN_UNDO, *undo]
        killed = subprocess.run(words, cwd=project, capture_output=True, check=False)
        assert killed.returncode == -9, killed.stderr
        states.append(published(demo))
    assert states[1] == {**released, "notes": []}  # the undo of the notes ended, that of the wheel had begun
    assert states[2] == before[0]  # nobody has written down that the tag is gone
    assert cli.main(["resume", "last"]) == 4
    assert published(demo) == before[0]
    history = run(demo / "remote.git", "log", "--format=%s", "-3", "main").splitlines()
    assert history[:2] == ['Revert "chore(release): 0.2.0"', "chore(release): 0.2.0"]
    steps = shown(capsys)["steps"]
    assert steps["quality_assurance"]["status"] == "completed"
    assert {steps[name]["status"] for name in ("build", "tag", "deploy", "announce", "ship")} == {"pending"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--repo", "."], "--index"),
        (["--part", "huge"], "major"),
        (["--repo", "gone", "--index", "http://127.0.0.1:9"], "gone"),
    ],
)
def test_bad_inputs_exit_2_and_write_nothing(
    project: Path, words: list[str], message: str, capsys: Captured
) -> None:
    """What cannot be released is refused when the run would be created."""
    assert cli.main(["recipes.release", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (project / ".gflow").exists()
