"""Repositories to release, made by git and setuptools alone, and what their releases need."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from gflow import Context
from recipes.shipping import performance
from recipes.shipping.artifacts import Wheel, build_wheel
from recipes.shipping.candidate import Candidate, make_candidate
from recipes.shipping.changelog import write_changelog
from recipes.shipping.dependencies import SERVICE_VARIABLE
from recipes.shipping.git import Checkout, Clone
from recipes.shipping.index import CREDENTIALS, DESTINATIONS, serving
from recipes.shipping.sample import make_sample
from recipes.shipping.versions import Part, raise_version

NOBODY = "http://127.0.0.1:9"
"""A port that is closed everywhere: discard (RFC 863)."""

WORKERS = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")
"""What tells a pytest that it is one of several: a candidate's own tests are not, and measure."""

AUTHOR = ("-c", "user.name=Calc Author", "-c", "user.email=calc@localhost")


@pytest.fixture(scope="session", autouse=True)
def _surroundings() -> Iterator[None]:
    """Keep the configuration of git, the credentials and the network of this machine out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv(SERVICE_VARIABLE, NOBODY)
        for name in (*CREDENTIALS, *DESTINATIONS, *WORKERS):
            patch.delenv(name, raising=False)
        patch.setattr(performance, "ROUNDS", 1)
        yield


@dataclass(frozen=True)
class Repo:
    """A repository of somebody else: a checkout, and the bare remote that it pushes to."""

    path: Path
    remote: Path

    def git(self, *argv: str | Path) -> str:
        """Run git in the checkout, as its author."""
        return run(self.path, *AUTHOR, *argv)

    def on_remote(self, *argv: str) -> str:
        """Run git in the remote."""
        return run(self.remote, *argv)

    def write(self, name: str, text: str) -> None:
        """Write a file of the checkout."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")

    def commit(self, message: str, files: Mapping[str, str]) -> None:
        """Write files and commit them; nothing is pushed."""
        for name, text in files.items():
            self.write(name, text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def push(self) -> None:
        """Push the branch and the tags."""
        self.git("push", "--quiet", "--set-upstream", "origin", "main", "--tags")

    def state(self) -> Mapping[str, object]:
        """Return what a release may not change: files, index, HEAD, refs, settings, and the remote's refs."""
        files = {
            path.relative_to(self.path).as_posix(): path.read_bytes()
            for path in self.path.rglob("*")
            if path.is_file() and ".gflow" not in path.parts and "objects" not in path.parts
        }
        return {"files": files, "remote": self.on_remote("for-each-ref")}


def run(folder: Path, *argv: str | Path) -> str:
    """Run git in a folder and return what it printed."""
    done = subprocess.run(["git", *argv], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


CALC = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools>=68"]
        build-backend = "setuptools.build_meta"

        [project]
        name = "calc"
        version = "1.0.0"
        requires-python = ">=3.11"
        dependencies = ["packaging>=22"]
        """,
    "calc/__init__.py": '''
        """Add and double."""

        from packaging.version import Version

        __version__ = "1.0.0"


        def add(a: int, b: int) -> int:
            """Return the sum."""
            return a + b + 0


        def double(a: int) -> int:
            """Return twice the number."""
            return add(a, a)


        def newer(a: str, b: str) -> bool:
            """Compare versions."""
            return Version(a) > Version(b)
        ''',
    "tests/test_calc.py": """
        import calc


        def test_add() -> None:
            assert calc.add(1, 2) == 3
        """,
    ".gitignore": "__pycache__/\n*.egg-info/\nbuild/\n",
}

FIXED = {
    "calc/__init__.py": dedent(CALC["calc/__init__.py"]).replace(" + 0", ""),
    "tests/test_calc.py": dedent(CALC["tests/test_calc.py"])
    + dedent("""

        def test_add_negative() -> None:
            assert calc.add(-1, 1) == 0
        """),
}

BROKEN = {"calc/__init__.py": dedent(FIXED["calc/__init__.py"]).replace("def double", "def _double")}


@pytest.fixture(scope="session")
def _calc(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """What every foreign repository is a copy of."""
    repo = make_repo(tmp_path_factory.mktemp("foreign"))
    repo.commit("feat: add, double and compare", CALC)
    repo.git("tag", "--annotate", "--message", "Release 1.0.0", "v1.0.0")
    repo.commit("fix: add no zero", FIXED)
    repo.push()
    return repo


@pytest.fixture
def foreign_repo(_calc: Repo, tmp_path: Path) -> Repo:
    """A pushed repository with setuptools, no src folder, one dependency, tag v1.0.0 and a fix since."""
    repo = Repo(tmp_path / "foreign" / "calc", tmp_path / "foreign" / "calc.git")
    shutil.copytree(_calc.path, repo.path)
    shutil.copytree(_calc.remote, repo.remote)
    repo.git("remote", "set-url", "origin", repo.remote)
    return repo


@pytest.fixture
def breaking_repo(foreign_repo: Repo) -> Repo:
    """The foreign repository with one more fix, which removes a public function."""
    repo = foreign_repo
    repo.commit("fix: tidy up", BROKEN)
    repo.push()
    return repo


def make_repo(folder: Path) -> Repo:
    """Make an empty checkout with a bare remote."""
    repo = Repo(folder / "calc", folder / "calc.git")
    repo.path.mkdir(parents=True)
    run(folder, "init", "--quiet", "--bare", "--initial-branch", "main", repo.remote)
    run(repo.path, "init", "--quiet", "--initial-branch", "main")
    repo.git("remote", "add", "origin", repo.remote)
    return repo


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    """What a step is told of a run k3f9 in an empty project."""
    workspace = tmp_path / "project" / ".gflow" / "work" / "k3f9"
    workspace.mkdir(parents=True)
    return Context(run_id="k3f9", workspace=workspace)


def prepare(path: Path, workspace: Path, part: Part = "auto") -> Candidate:
    """Do what preparation does, without its checks."""
    bump = raise_version(Clone.of(Checkout.at(path), workspace / "clone"), part)
    return make_candidate(bump, write_changelog(bump))


Prepare = Callable[..., Candidate]


@pytest.fixture
def prepared(ctx: Context) -> Prepare:
    """Make the candidate of a repository in the run's workspace."""
    return lambda repo, part="auto": prepare(repo.path, ctx.workspace, part)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout of a sample that nobody changes."""
    return make_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def sample_repo(tmp_path: Path) -> Repo:
    """A sample of one's own; nothing builds faster."""
    path = make_sample(tmp_path / "demo")
    return Repo(path, tmp_path / "demo" / "remote.git")


@pytest.fixture(scope="session")
def sample_candidate(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """The sample's release, which nobody changes either."""
    return prepare(sample, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="session")
def sample_wheel(sample_candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """The sample's wheel, built and tested."""
    return build_wheel(sample_candidate, tmp_path_factory.mktemp("build"))


@pytest.fixture
def index_url(tmp_path: Path) -> Iterator[str]:
    """A package index of somebody else, at a URL; its folder is `served` in tmp_path."""
    with serving(str(tmp_path / "served")) as endpoint:
        yield endpoint.upload


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which no tool of the recipe is installed, but git."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git") or "git")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
