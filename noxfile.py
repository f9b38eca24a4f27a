"""Every check of the repository.

`nox` runs all but bench; `nox -t ci` leaves out what `pytest` alone has run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
OLDEST = 11  # of Python 3, as requires-python says

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "types", "tests", "docs", "crash", "wheel"]

WORKFLOW = '''\
"""Two steps, to see an installed gflow run."""
from gflow import task

@task
def greeting() -> str:
    return "hello"

@task
def answer(greeting: str) -> str:
    return greeting.upper()
'''


def version_of(interpreter: Path) -> int | None:
    """Return the minor version of a Python that starts and can make environments, else None."""
    probe = [str(interpreter), "-c", "import sys, venv, ensurepip; print(sys.version_info.minor)"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else None


def interpreters() -> dict[str, Path]:
    """Return each Python from 3.11 on that is found on PATH or among pyenv's, oldest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [*map(Path, os.get_exec_path()), *pyenv.glob("versions/*/bin")]
    found: dict[int, Path] = {sys.version_info.minor: Path(sys.executable)}
    for path in (path for folder in folders for path in folder.glob("python3.*")):
        name = re.fullmatch(r"python3\.(\d+)", path.name)
        if name and int(name[1]) >= OLDEST and int(name[1]) not in found and version_of(path) == int(name[1]):
            found[int(name[1])] = path
    return {f"3.{minor}": found[minor] for minor in sorted(found)}


PYTHONS = interpreters()
HERE = f"3.{sys.version_info.minor}"
# pyenv's inactive versions are not on PATH, and its shims, which are, fail for them.
os.environ["PATH"] = os.pathsep.join([*(str(path.parent) for path in PYTHONS.values()), os.environ["PATH"]])


def install(session: nox.Session) -> None:
    """Install gflow as a contributor does."""
    session.install("-e", ".[recipes,test]")


@nox.session(tags=["ci"])
def lint(session: nox.Session) -> None:
    """Check style, format and the import contract."""
    install(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session(tags=["ci"])
def types(session: nox.Session) -> None:
    """Check types with mypy and pyright."""
    install(session)
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--project", "tests/typing")


@nox.session
@nox.parametrize(
    "python", [nox.param(each, id=each, tags=[] if each == HERE else ["ci"]) for each in PYTHONS]
)
def tests(session: nox.Session) -> None:
    """Run the tests on every Python found."""
    install(session)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Run every code block of README and gflow/docs, and compare the output shown."""
    install(session)
    session.run("python", "-m", "pytest", "tests/test_docs.py", *session.posargs)


@nox.session(tags=["ci"])
def crash(session: nox.Session) -> None:
    """Break runs in every way, then gflow itself, and print what was noticed; --long: ten times as often."""
    install(session)
    session.run("python", "-m", "tests.crash", *session.posargs)


@nox.session(tags=["ci"], venv_backend="venv", reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Install the built wheel without extras in a fresh environment, and run a workflow away from here."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)  # not below the repository, whose gflow would come first
        session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
        session.install(*map(str, folder.glob("*.whl")))
        (folder / "hello.py").write_text(WORKFLOW, encoding="utf-8")
        session.chdir(folder)
        session.run("python", "-m", "gflow", "hello.py", env={"HOME": name})
        session.run("gflow", "explain", "GF012", env={"HOME": name})


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks; they print, and assert nothing."""
    install(session)
    for script in sorted((ROOT / "tests" / "benchmarks").glob("*.py")):
        session.run("python", "-m", f"tests.benchmarks.{script.stem}", *session.posargs)
