from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from recipes.shipping.git import Checkout
from recipes.shipping.inputs import check_repo
from recipes.shipping.sample import make_sample


def git(folder: Path, *argv: str) -> str:
    """Run git in a folder and return what it printed."""
    return subprocess.run(["git", *argv], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_sample(sample: Path) -> None:
    """The sample is a repository that could be anybody's: clean, with a version, a tag and a remote."""
    check_repo(sample)
    assert git(sample, "log", "--format=%s", "v0.1.0..").splitlines() == [
        "docs: show the oldest version",
        "feat: find the oldest version",
    ]
    assert git(sample.parent / "remote.git", "rev-parse", "main") == git(sample, "rev-parse", "HEAD")
    assert git(sample, "cat-file", "-t", "v0.1.0") == "tag\n"


def test_again(tmp_path: Path) -> None:
    """A sample that an attempt left half made is made anew."""
    make_sample(tmp_path / "demo")
    (tmp_path / "demo" / "remote.git" / "HEAD").unlink()
    assert Checkout.at(make_sample(tmp_path / "demo")).branch == "main"


def test_hostile_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks, signatures and branch names that the user configured globally do not reach the sample."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "commit-msg").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (hooks / "commit-msg").chmod(0o755)
    settings = f"[core]\nhooksPath = {hooks}\n[commit]\ngpgsign = true\n[init]\ndefaultBranch = trunk\n"
    (tmp_path / "gitconfig").write_text(settings, encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    checkout = make_sample(tmp_path / "demo")
    assert git(checkout, "log", "-1", "--format=%an").strip() == "Sample Author"
    assert (tmp_path / "gitconfig").read_text(encoding="utf-8") == settings


def test_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without any configuration stays empty."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    make_sample(tmp_path / "demo")
    assert list(home.iterdir()) == []
