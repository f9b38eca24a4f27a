from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import pytest

from gflow import CommandFailed
from recipes.shipping import deployment
from recipes.shipping.artifacts import Wheel
from recipes.shipping.deployment import deploy_wheel, prove, withdraw_wheel
from recipes.shipping.environments import Environment


def names(folder: Path) -> list[str]:
    """Return what is in a folder, nothing if there is none."""
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_folder(sample_wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel is uploaded to a folder and installed from it; the result holds the folder and no port."""
    monkeypatch.chdir(tmp_path)
    found = deploy_wheel(sample_wheel, "index", tmp_path / "work", tmp_path)
    assert names(tmp_path / "index") == [sample_wheel.path.name]
    assert found.index == str(tmp_path / "index")
    assert str(found) == "sample-pkg 0.2.0 on index; a fresh environment installed and imported it"
    assert "127.0.0.1" not in repr(found)


def test_url(sample_wheel: Wheel, index_url: str, tmp_path: Path) -> None:
    """A wheel is uploaded to a URL once, however often it is deployed, and removed from it once."""
    for _ in range(2):
        found = deploy_wheel(sample_wheel, index_url, tmp_path / "work", tmp_path)
        assert names(tmp_path / "served") == [sample_wheel.path.name]
    assert found.index == index_url
    for _ in range(2):
        withdraw_wheel(sample_wheel, index_url)
        assert names(tmp_path / "served") == []


def test_other_settings(
    sample_wheel: Wheel, index_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version comes from the index that it was published to, whatever other index is configured."""
    monkeypatch.setattr(deployment, "Environment", Recorder)
    deploy_wheel(sample_wheel, index_url, tmp_path / "work", tmp_path)
    (dependencies, _, _), (version, _, text) = Recorder.installed
    assert dependencies == ("packaging>=22",)
    simple = f"{index_url}simple/"
    assert version[:6] == ("--no-config", "--no-cache", "--index", simple, "--default-index", simple)
    assert "--no-deps" in version
    assert text == f"sample-pkg==0.2.0 --hash=sha256:{sample_wheel.sha256}\n"


class Recorder(Environment):
    """An environment that remembers what it installs."""

    installed: ClassVar[list[tuple[tuple[str | Path, ...], Path, str | None]]] = []

    def install(self, *arguments: str | Path, cwd: Path, input: str | None = None) -> None:
        self.installed.append((arguments, cwd, input))
        super().install(*arguments, cwd=cwd, input=input)


def test_another_file(sample_wheel: Wheel, index_url: str, tmp_path: Path) -> None:
    """A file of that name with other content on the index is not taken for the wheel that was tested."""
    other = dataclasses.replace(sample_wheel, sha256="0" * 64)
    with pytest.raises(CommandFailed, match=r"(?i)hash"):
        deploy_wheel(other, index_url, tmp_path / "work", tmp_path)


def test_wrong_version(sample_wheel: Wheel, tmp_path: Path) -> None:
    """What is imported must be what was uploaded."""
    environment = Environment.make(tmp_path / "environment")
    environment.install(sample_wheel.path, cwd=tmp_path)
    prove(sample_wheel, environment)
    with pytest.raises(RuntimeError, match=r"has sample-pkg 0\.2\.0, not 0\.3\.0"):
        prove(dataclasses.replace(sample_wheel, version="0.3.0"), environment)
    with pytest.raises(CommandFailed, match="No module named 'other'"):
        prove(dataclasses.replace(sample_wheel, modules=("other",)), environment)


def test_index_down(sample_wheel: Wheel, tmp_path: Path) -> None:
    """An index that is down is a ConnectionError with its address, for the deployment and for its undo."""
    with pytest.raises(ConnectionError, match=r"^http://127\.0\.0\.1:9 refused the connection$"):
        deploy_wheel(sample_wheel, "http://127.0.0.1:9", tmp_path / "work", tmp_path)
    with pytest.raises(ConnectionError, match="refused the connection"):
        withdraw_wheel(sample_wheel, "http://127.0.0.1:9")


def test_withdraw_from_a_folder(sample_wheel: Wheel, tmp_path: Path) -> None:
    """The undo removes the wheel from the folder, if it is there, and nothing else."""
    (tmp_path / "other.whl").touch()
    (tmp_path / sample_wheel.path.name).touch()
    for _ in range(2):
        withdraw_wheel(sample_wheel, str(tmp_path))
        assert names(tmp_path) == ["other.whl"]
    withdraw_wheel(sample_wheel, str(tmp_path / "missing"))
