"""mypy and pyright agree with gflow about correct workflows, and each wrong edge leads to both of its ends.

`tests/wiring/` holds correct workflows with every kind of edge. A mutant is a copy of one in which one edge
is broken. Each checker reads all of them at once, in one graph: it is the start that takes time.
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from pkgutil import get_data
from typing import Any, NamedTuple

import pytest

from gflow import cli, compiler, wiring
from gflow.diagnostics import Finding
from gflow.errors import UsageError
from gflow.model import (
    EachSource,
    FanOut,
    FirstOfSource,
    Graph,
    InputSpec,
    ItemSource,
    Node,
    PreviousSource,
    StepSource,
)
from gflow.wiring import checkers
from gflow.wiring.checkers import Checker

FLOWS = Path(__file__).parent / "wiring"
THEMES = sorted(path.stem for path in FLOWS.glob("*.py"))
CHECKERS: Sequence[Checker] = ("mypy", "pyright")
TEAM = """
[project]
name = "team"
version = "1"

[tool.mypy]
strict = true
disallow_any_decorated = true
disallow_any_explicit = true
disallow_any_expr = true
disallow_any_unimported = true
follow_imports = "normal"
pretty = true
show_error_code_links = true
warn_unreachable = true
warn_unused_configs = true
enable_error_code = ["deprecated", "possibly-undefined", "redundant-expr", "truthy-bool", "unused-awaitable"]
exclude = [".*"]
files = ["nothing.py"]

[tool.pyright]
typeCheckingMode = "strict"
include = ["nothing.py"]
exclude = ["**"]
reportUnusedCallResult = "error"
"""
"""Settings of a team that is strict about its own code; of the wiring they must say nothing."""


class Mutation(NamedTuple):
    """One broken edge: a replacement in a workflow, and what stands on the lines of its two ends."""

    name: str
    old: str
    new: str
    ends: list[str]


class Mutant(NamedTuple):
    """A workflow with broken edges that have nothing to do with each other."""

    flow: str
    mutations: list[Mutation]


def read(table: str) -> Iterator[Mutant]:
    """Read a table: below each workflow what is broken in a copy, as `name · old → new · taker · giver`."""
    for block in table.strip().split("\n\n"):
        flow, *lines = block.splitlines()
        yield Mutant(flow, [mutation(*line.strip().split(" · ")) for line in lines])


def mutation(name: str, replacement: str, *ends: str) -> Mutation:
    old, new = replacement.split(" → ")
    return Mutation(name, old, new, [*ends])


MUTANTS = {
    f"m{number:02}_{mutant.flow}": mutant
    for number, mutant in enumerate(
        read("""
names
  another type · version(level: Level, → version(level: int, · def version · def level
  async provider · tests(wheel: Readable) → tests(wheel: str) · def tests · async def wheel
  awaitable of a sync provider · size(later: float) → size(later: str) · def size · def later
  no longer None · size: int | None, names → size: int, names · size: int, · def size
  no longer a subclass · class Audit(Report): → class Audit: · audit: Report · def audit
  group to group · checks: tuple[int, Report], → checks: tuple[str, Report], · def flow · def checks
  member to group · preparation(level: Level → preparation(level: bytes · def preparation · def level
  milestone · flow(preparation: None → flow(preparation: int · def flow · def preparation
  result of a task without one · publish: None) → publish: int) · def flow · ) -> None:
  context · ctx: Context) → ctx: str) · def version
  another name · whl: Annotated[Path → whl: Annotated[str · whl: · async def wheel
  another item type · Sequence[int], From → Sequence[str], From · counts: · def tests
  another callable · Callable[[Path], object] → Callable[[int], object] · names: Annotated · def namer

names
  another literal · version(level: Level, → version(level: Literal["major"], · def version · def level
  another protocol · read_text(self) -> str → read_text(self) -> bytes · def tests · async def wheel

fields
  field of a dataclass · version: str → version: int · def tag · def candidate
  field of a NamedTuple · bytes: int → bytes: str · def weigh · async def size
  field of a TypedDict · text: str → text: int · def note · def entry
  field of a model · url: str → url: int · def visit · async def deploy
  property · host(self) -> str → host(self) -> int · def visit · async def deploy
  whole result · deploy: Deployment, → deploy: str, · deploy: str · async def deploy

fields
  no such field · version: str → release: str · def tag · def candidate
  no such key · text: str → line: str · def note · def entry

inputs_dataclass
  input of a dataclass · part: str = "auto" → part: int = 1 · def bump · part: int = 1
  inherited input · repo: Path = Path() → repo: str = "" · def bump · class Inputs
  list of inputs · checks: list[str]) → checks: list[int]) · async def check · checks: list[str] =

inputs_typed_dict
  input of a TypedDict · draft(title: str → draft(title: bytes · def draft · title: str
  input that may be absent · reviewer: str | None → reviewer: str · def review · reviewer: NotRequired

inputs_pydantic
  input of a model · port: int = Field → port: str = Field · def serve · port: str = Field

copies
  constant · depth: float → depth: str · def lint
  constant of a copied group · Literal["test", "live"] → Literal["live"] · def build
  rewired step · def web() -> list[str] → def web() -> list[int] · def lint · def web
  rewired group · def app() -> list[str] → def app() -> list[bytes] · def build · def app
  member of a copy · one: Annotated[bytes → one: Annotated[str · def compare · def build
  copied group · canary: bytes) -> bool → canary: str) -> bool · def compare · def delivery

undos
  undo · delete_tag(tag: Tag → delete_tag(tag: Upload · def delete_tag · def tag
  async undo · remove(uploaded: Upload → remove(uploaded: bytes · def remove · async def upload
  undo with another step · name: Annotated[str → name: Annotated[int · def remove · def tag
  undo that returns awaitable · retract(announce: bytes) → retract(announce: str) · def retract · def announce
  undo of a group · leave(flow: None) → leave(flow: int) · def leave · def flow

generics
  generic provider · twice(boxed: Box[int]) → twice(boxed: Box[str]) · def twice · async def boxed
  generic field · content: Annotated[float → content: Annotated[str · def once · async def boxed

generics
  generic consumer · first(numbers: Sequence[T]) → first(numbers: dict[str, T]) · def first · def numbers

imported
  imported provider · file: Annotated[Path → file: Annotated[int · def reader · async def wheel
  imported, renamed · where: Annotated[Deployment → where: Annotated[str · def reader · async def deploy
  imported member · None, deploy: Deployment → None, deploy: str · def flow · async def deploy

practice
  item of a fan-out · region: Annotated[str → region: Annotated[bytes · region: Annotated · def regions
  item in its group · build(region: str) → build(region: bytes) · def build · def regions
  list with what was skipped · list[int | Failed | None] → list[int | Failed] · sizes: Annotated · def check
  list with what failed · area: list[complex | Failed] → area: list[complex] · area: list · ) -> complex:
  item of an async leaf · size: Annotated[int → size: Annotated[str · def double · def sizes
  list of a leaf · double: list[float] → double: list[int] · def doubles · def double
  first of several · wheel: Annotated[bytes | str, → wheel: Annotated[bytes, · wheel: · def fast
  round before · verdict: Annotated[Review | None, → verdict: Annotated[Review, · def draft · def verdict
  condition's parameter · is_far(region: str) → is_far(region: bytes) · def is_far · def regions
  condition's answer · done(verdict: Review) -> bool → done(verdict: Review) -> str · def done
  step that is a condition · is_cheap() -> bool → is_cheap() -> str · @task(when=is_cheap) · def is_cheap
  fallback's parameter · guess(build: bytes, → guess(build: str, · def guess · def build
  result of the degraded mode · roughly(build: bytes) -> int → roughly(build: bytes) -> str · def roughly
  rejection as a value · Annotated[Approval | Rejected, → Annotated[Approval, · ok: Annotated
  field of a question · version: str → release: str · def tag · def pack

practice
  failure of a fallback · why: Failed) → why: str) · def guess

practice
  result of a fallback · why: Failed) -> int → why: Failed) -> str · def guess
""")
    )
}
"""The mutants, by the names of their modules."""


# ---------------------------------------------------------------- one run of each checker over everything


class Project:
    """A project with the workflows, and their mutants; `found` is by checker and file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop"
        self.found: dict[tuple[Checker, str], list[Finding]] = {}

    def write(self) -> None:
        """Write everything as it was before the mutations, so that it compiles."""
        (self.folder.parent / "pyproject.toml").write_text(TEAM, "utf-8")
        shutil.copytree(FLOWS, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        (self.folder / "__init__.py").touch()
        for file, mutant in MUTANTS.items():
            shutil.copy(FLOWS / f"{mutant.flow}.py", self.path(file))

    def graph(self) -> Graph:
        """Compile everything, and put it together."""
        modules = [importlib.import_module(f"shop.{name}") for name in (*THEMES, *MUTANTS)]
        return merged([compiler.compile(module) for module in modules])

    def mutate(self) -> None:
        for file, mutant in MUTANTS.items():
            text = self.path(file).read_text("utf-8")
            for mutation in mutant.mutations:
                assert text.count(mutation.old) == 1, mutation
                text = text.replace(mutation.old, mutation.new)
            self.path(file).write_text(text, "utf-8")

    def judge(self, graph: Graph) -> None:
        """Run both checkers; they have a core each."""
        with ThreadPoolExecutor() as pool:
            verdicts = list(pool.map(lambda checker: wiring.check(graph, checker), CHECKERS))
        for checker, findings in zip(CHECKERS, verdicts, strict=True):
            for finding in findings:
                file = Path(finding.where.file).stem
                self.found.setdefault((checker, file), []).append(finding)

    def path(self, file: str) -> Path:
        return self.folder / f"{file}.py"

    def line(self, file: str, text: str) -> tuple[str, int]:
        """Return file and number of the line that holds a text; a mutant leaves the rest to the workflow."""
        for name in (file, *THEMES):
            for number, line in enumerate(self.path(name).read_text("utf-8").splitlines(), 1):
                if text in line:
                    return name, number
        raise AssertionError(text)


def merged(graphs: Sequence[Graph]) -> Graph:
    """Return a graph of several, in which the name of a step begins with that of its module."""
    nodes: dict[str, Node] = {}
    inputs: dict[str, InputSpec] = {}
    for graph in graphs:
        inputs |= graph.inputs
        for node in graph.nodes.values():
            moved = under(graph.module, node)
            nodes[moved.name] = moved
    return replace(graphs[0], nodes=nodes, inputs=inputs, inputs_type=None)


NAMES = {
    Node: ("name", "group", "members", "after", "joins", "follows", "scope"),
    **dict.fromkeys([StepSource, EachSource, PreviousSource, FanOut], ("step",)),
    FirstOfSource: ("steps",),
    ItemSource: ("group",),
}
"""The fields that hold names of steps."""


def under(module: str, thing: Any) -> Any:
    """Return a part of a graph whose steps are those of a module."""
    if isinstance(thing, str):
        return f"{module}/{thing}"
    if isinstance(thing, tuple | frozenset):
        return type(thing)(under(module, part) for part in thing)
    if not is_dataclass(thing) or isinstance(thing, type):
        return thing
    named = NAMES.get(type(thing), ())
    parts = [part.name for part in fields(thing) if not isinstance(getattr(thing, part.name), str | tuple)]
    nested = [name for name in ("params", "rungs", "values") if hasattr(thing, name)]
    return replace(thing, **{name: under(module, getattr(thing, name)) for name in {*named, *parts, *nested}})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of mypy's that the projects share: the standard library is read once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPY_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, cache: None) -> Iterator[Project]:
    """All workflows and mutants, and what the checkers found."""
    folder = tmp_path_factory.mktemp("project")
    project = Project(folder)
    project.write()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        graph = project.graph()
        project.mutate()
        project.judge(graph)
        yield project
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("flow", THEMES)
def test_a_correct_workflow_has_no_complaints(flow: str, checker: Checker, judged: Project) -> None:
    """What gflow passes, the type checkers pass."""
    assert (checker, flow) not in judged.found


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("file", MUTANTS)
def test_a_broken_edge_is_told_once_at_both_ends(file: str, checker: Checker, judged: Project) -> None:
    """A broken edge is one error: the parameter that takes, then the place that says what is given."""
    found = judged.found[checker, file]
    assert {(error.code, error.severity) for error in found} == {("GF029", "error")}
    ends = [[(Path(place.file).stem, place.line) for place, _ in error.places] for error in found]
    expected = {
        mutation.name: [judged.line(file, end) for end in mutation.ends]
        for mutation in MUTANTS[file].mutations
    }
    assert sorted(ends) == sorted(expected.values())


def test_enough_edges_are_broken() -> None:
    """At least 25 kinds of edge are broken, each once."""
    names = [mutation.name for mutant in MUTANTS.values() for mutation in mutant.mutations]
    assert len(names) == len(set(names)) >= 25


# ---------------------------------------------------------------- as a user has it


STEPS = """
from collections.abc import Sequence
from typing import TypeVar
from gflow import task
T = TypeVar("T")
@task
def versions() -> list[int]: return [1]
@task
def _latest(versions: Sequence[T]) -> T: return versions[0]
"""

FLOW = """
from __future__ import annotations
from typing import Annotated
from gflow import From, Step, Workflow, task
from kit.steps import _latest
def make() -> Step[..., None]:
    @task
    def check(version: Annotated[str, From(_latest)]) -> None: print(version)
    return check
unnamed = [make()]
named = make()
workflow = Workflow(name="my release/1", uses=unnamed)
@task
def tag(version: Annotated[str, From(_latest)]) -> None: print(version)
"""

TOLD = """\
note[GF029]: `check` has no name at the level of a module, so its edges are not checked
 --> flow_typed.py:8:9
8 |     def check(version: Annotated[str, From(_latest)]) -> None: print(version)
  |         ^^^^^

error[GF029]: {checker}: `tag` takes `version` as str, but `_latest` returns int [{code}]
  --> flow_typed.py:14:9
14 | def tag(version: Annotated[str, From(_latest)]) -> None: print(version)
   |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  --> src/kit/steps.py:9:39
 9 | def _latest(versions: Sequence[T]) -> T: return versions[0]
   |                                       ^
   = declare `version` as int, or let `_latest` return str
"""


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a workflow at its root, steps in src/, and strict settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.syspath_prepend(tmp_path / "src")
    (tmp_path / "pyproject.toml").write_text(TEAM, "utf-8")
    (tmp_path / "src" / "kit").mkdir(parents=True)
    (tmp_path / "src" / "kit" / "__init__.py").touch()
    (tmp_path / "src" / "kit" / "steps.py").write_text(STEPS, "utf-8")
    (tmp_path / "flow_typed.py").write_text(FLOW, "utf-8")
    yield tmp_path
    for name in ("flow_typed", "kit", "kit.flow", "kit.steps"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("checker", "code"), [("mypy", "arg-type"), ("pyright", "reportArgumentType")])
def test_check_types(
    checker: Checker, code: str, team: Path, cache: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gflow check --types` adds what the compiler could not tell, in its form, and exits with 2."""
    assert cli.main(["check", "flow_typed.py", "--types", "--checker", checker]) == 2
    told = capsys.readouterr().err
    assert TOLD.format(checker=checker, code=code) in told
    assert "\n1 error" in told


UNTOLD = """
from typing import TypeVar
from gflow import task
T = TypeVar("T")
@task
def load() -> list[T]: return []
@task
def total(load: list[int]) -> int: return sum(load)
"""


def test_the_checker_is_not_offered_twice(
    team: Path, cache: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """What gflow cannot tell is a note that offers --types, and says what became of it if that was given."""
    (team / "flow_typed.py").write_text(UNTOLD, "utf-8")
    cli.main(["check", "flow_typed.py"])
    assert "gflow check --types` asks your type checker" in capsys.readouterr().err
    cli.main(["check", "flow_typed.py", "--types", "--checker", "mypy"])
    told = capsys.readouterr().err
    assert "= your type checker was asked: what it rejects is GF029" in told
    assert "--types" not in told


def test_a_workflow_inside_the_package(team: Path, cache: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in `src` is one module to mypy, that of its package, and its edges are checked."""
    (team / "src" / "kit" / "flow.py").write_text(FLOW, "utf-8")
    assert cli.main(["check", "src/kit/flow.py", "--types", "--checker", "mypy"]) == 2
    assert "mypy: `tag` takes `version` as str, but `_latest` returns int" in capsys.readouterr().err


def test_the_documented_example(cache: None, load: Callable[..., Graph]) -> None:
    """Of the two examples of GF029 the compiler passes both, the type checker only the second, each time."""
    [prelude, *_] = blocks((get_data("gflow", "docs/findings.md") or b"").decode())
    wrong, right = blocks(compiler.explain("GF029"))
    Path("pyproject.toml").write_text(TEAM, "utf-8")
    graph = load(prelude + wrong, name="wrong_wired")
    [error] = wiring.check(graph, "mypy")
    assert wiring.check(graph, "mypy") == (error,)  # mypy now says it from its cache
    assert error.message == "mypy: `tag` takes `latest` as str, but `latest` returns int [arg-type]"
    assert wiring.check(load(prelude + right, name="right_wired"), "mypy") == ()


def blocks(text: str) -> list[str]:
    """Return the programs of a page."""
    return [block.partition("```")[0] for block in text.split("```python\n")[1:]]


# ---------------------------------------------------------------- what is written


WRITTEN = """
from dataclasses import dataclass
from typing import Annotated, NewType
from gflow import Context, From, Input, stage, task
Labels = NewType("Labels", dict[str, int])
@task
def labels(depth: float, url: Input[str]) -> dict[str, int] | None: return {}
deep = labels.using(depth=float("inf"))
flat = labels.using(depth=True)
@task
async def count(one: Annotated[int, From(deep, "one")], ctx: Context) -> None: print(one)
@count.undo
def uncount(result: None, url: str) -> None: print(url)
@stage
def flow(deep: object, flat: object, count: None) -> None: ...
@stage
def everything(flow: None) -> None: ...
"""


def test_what_is_written(load: Callable[..., Graph]) -> None:
    """A call has one line per parameter: what a run puts there, or ANY where its type cannot be written."""
    text = wiring.write(load(WRITTEN)).text
    calls = re.findall(r"^    m0\.(\w+\(\n.*?)    \)$", text, re.MULTILINE | re.DOTALL)
    assert [re.sub(r"\s+", " ", call) for call in calls] == [
        "everything( flow=None, ",
        "flow( deep=m0.labels.returns, flat=m0.labels.returns, count=(await m0.count.returns), ",
        "labels( depth=ANY, url=ANY, ",
        "labels( depth=True, url=ANY, ",
        "count( one=m0.labels.returns['one'], ctx=given(Context), ",
        "uncount( (await m0.count.returns), url=ANY, ",
    ]


# ---------------------------------------------------------------- checkers that fail


SMALL = """
from gflow import task
@task
def build() -> str: return ""
@task
def lint(build: str, depth: int) -> None: print(build, depth)
deep = lint.using(depth=3)
"""

REPORTS = """
import json, sys
for number, line in enumerate(open(sys.argv[-1], encoding="utf-8"), 1):
    if any(text in line for text in sys.argv[1].split("|")):
        told = {"message": "no", "code": "misc", "hint": "more\\nlines", "severity": "error"}
        print(json.dumps({"file": sys.argv[-1], "line": number, **told}))
"""
"""A stand-in for mypy, which complains of the lines that hold a text."""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Graph]]:
    """Write modules and compile them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def load(text: str, name: str = "flow_wired") -> Graph:
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
        return compiler.compile(importlib.import_module(name))

    yield load
    for name in [name for name in sys.modules if name.endswith("_wired")]:
        del sys.modules[name]


@pytest.fixture
def small(load: Callable[..., Graph]) -> Graph:
    """A workflow of three steps."""
    return load(SMALL)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a program in the place of every checker."""
    return lambda *command: monkeypatch.setattr(checkers, "_command", lambda checker: [*command])


def mypy_says(file: str, line: int, message: str) -> str:
    told = {"file": file, "line": line, "message": message, "code": "c", "hint": None, "severity": "error"}
    return f"print({json.dumps(told)!r})"


@pytest.mark.parametrize(
    ("checker", "program", "told"),
    [
        pytest.param("mypy", "", "must not hide errors", id="mypy is silent"),
        pytest.param("mypy", "sys.exit('INTERNAL ERROR')", "INTERNAL ERROR", id="mypy crashes"),
        pytest.param(
            "mypy",
            f"{mypy_says('flow_wired.py', 3, 'invalid syntax')}; sys.exit(2)",
            "flow_wired.py:3: invalid syntax [c]",
            id="mypy cannot read the workflow",
        ),
        pytest.param(
            "mypy", "print('{not json}\\n3')", "must not hide errors", id="mypy prints something else"
        ),
        pytest.param("pyright", "print('{')", "pip install 'pyright[nodejs]'", id="pyright is cut off"),
        pytest.param("pyright", "sys.exit('no node')", "no node", id="pyright does not start"),
        pytest.param("pyright", "sys.exit(1)", "pip install 'pyright[nodejs]'", id="pyright has no Node"),
        pytest.param(
            "pyright",
            """print('{"generalDiagnostics": [], "summary": {"filesAnalyzed": 0}}')""",
            "pyright has not checked the edges",
            id="pyright analyses no file",
        ),
    ],
)
def test_a_checker_that_checks_nothing(
    checker: Checker, program: str, told: str, small: Graph, stand_in: Callable[..., None]
) -> None:
    """A checker that has not rejected what is wrong on purpose has checked nothing: an error, not silence."""
    stand_in(sys.executable, "-c", f"import sys; {program}")
    with pytest.raises(UsageError, match=re.escape(told)):
        wiring.check(small, checker)


def test_a_checker_that_does_not_see_the_workflow(small: Graph, stand_in: Callable[..., None]) -> None:
    """A checker for which the workflow is Any has checked nothing; what it says of the import is shown."""
    stand_in(sys.executable, "-c", REPORTS, "must_be_rejected(Context)|import flow_wired")
    with pytest.raises(UsageError, match=r"has not checked the edges:\n  no \[misc\]"):
        wiring.check(small, "mypy")


@pytest.mark.parametrize(
    "command", [["/nowhere/mypy"], [sys.executable, "-c", "import time; time.sleep(600)"]]
)
def test_a_checker_that_does_not_finish(
    command: list[str],
    small: Graph,
    stand_in: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A checker that cannot be started, or that takes too long, is an error."""
    monkeypatch.setattr(checkers, "TIMEOUT", 0.01)
    stand_in(*command)
    with pytest.raises(UsageError, match="the type checker did not finish"):
        wiring.check(small, "mypy")


def test_a_module_that_is_not_seen_is_a_note(
    load: Callable[..., Graph], stand_in: Callable[..., None]
) -> None:
    """Where a checker sees some modules and others not, the others are named."""
    Path("kit_wired.py").write_text("from gflow import task\n@task\ndef step() -> None: print()", "utf-8")
    graph = load(
        "from gflow import task\nimport kit_wired\n@task(after=[kit_wired.step])\ndef a() -> None: print()"
    )
    stand_in(sys.executable, "-c", REPORTS, "must_be_rejected(Context)|must_be_rejected(m0)")
    [note] = wiring.check(graph, "mypy")
    assert note.severity == "note"
    assert note.message == "mypy does not see the types of `kit_wired`, so its edges are not checked"


def test_a_constant_is_shown_where_it_is_bound(small: Graph, stand_in: Callable[..., None]) -> None:
    """The other end of a constant is the keyword of `using()`; what the checker adds is kept."""
    stand_in(sys.executable, "-c", REPORTS, "must_be_rejected(|depth=3")
    [error] = wiring.check(small, "mypy")
    assert [place.line for place, _ in error.places] == [6, 7]
    assert error.message == "mypy: `depth` of `deep`: no [misc]"
    assert error.hints == ("more", "lines")


def test_the_call_as_a_whole(small: Graph, stand_in: Callable[..., None]) -> None:
    """A complaint about no parameter in particular is one about the step."""
    stand_in(sys.executable, "-c", REPORTS, "must_be_rejected(|m0.build(")
    [error] = wiring.check(small, "mypy")
    assert error.message == "mypy: the call of `build`: no [misc]"
    assert [place.line for place, _ in error.places] == [4]


# ---------------------------------------------------------------- which checker


@pytest.mark.parametrize(
    ("modules", "programs", "chosen"),
    [
        ({"mypy", "pyright"}, {"mypy", "pyright"}, "mypy"),
        ({"pyright"}, {"pyright"}, "pyright"),
        ({"pyright"}, {"mypy"}, "mypy"),
        (set(), {"pyright"}, "pyright"),
    ],
)
def test_the_checker_that_is_installed(
    modules: set[str], programs: set[str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mypy comes before pyright, in this environment or on PATH."""
    monkeypatch.setattr(checkers, "find_spec", lambda name: name if name in modules else None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name in programs else None)
    assert checkers.installed() == chosen


@pytest.mark.parametrize(
    ("checker", "remedy"),
    [
        (None, "pip install mypy, or leave out --types"),
        ("mypy", "pip install mypy"),
        ("pyright", "pip install 'pyright[nodejs]'"),
    ],
)
def test_no_checker(
    checker: Checker | None, remedy: str, small: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a checker the message says what to type."""
    monkeypatch.setattr(checkers, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError) as caught:
        wiring.check(small, checker)
    assert caught.value.remedy == remedy


def test_a_program_on_path_is_called_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker that is not part of this environment is called by its path."""
    monkeypatch.setattr(checkers, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert checkers._command("mypy") == ["/bin/mypy"]
