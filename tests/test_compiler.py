"""A module of decorated functions becomes the graph that its signatures say."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gflow import Context, Input, compiler, stage, task
from gflow.errors import CompileError
from gflow.model import Graph, Node, Policy, Retry

PRELUDE = """
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple, TypedDict
from gflow import Context, From, Input, Policy, Retry, Workflow, agent, parallel, stage, task
"""

Compile = Callable[..., Graph]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Write modules and import the last one; `future` puts the future import first."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def write(source: str, *, name: str = "flow", future: bool = False, **others: str) -> ModuleType:
        for module, text in {**others, name: source}.items():
            head = "from __future__ import annotations\n" if future else ""
            body = textwrap.dedent(text).lstrip("\n")
            doc, body = body.split("\n#\n", 1) if body.startswith('"""') else ("", body)
            (tmp_path / f"{module}.py").write_text(f"{doc}\n{head}{PRELUDE}\n{body}", encoding="utf-8")
            sys.modules.pop(module, None)
            written.append(module)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for module in written:
        sys.modules.pop(module, None)


@pytest.fixture
def graph(write: Callable[..., ModuleType]) -> Compile:
    """Write modules and compile the last one."""
    return lambda source, **options: compiler.compile(write(source, **options))


def sources(node: Node) -> dict[str, str]:
    """Return where the parameters of a step come from, as `graph --format json` says it."""
    return {param.name: str(param.source) for param in node.params}


def owners(graph: Graph) -> dict[str, str | None]:
    """Return the group of every step."""
    return {name: node.group for name, node in graph.nodes.items()}


def after(graph: Graph, name: str) -> set[str]:
    """Return what must have ended before a step begins."""
    return set(graph.nodes[name].after)


# ---------------------------------------------------------------- modules without groups


def test_data_alone(graph: Compile) -> None:
    """Without groups data alone orders the steps, and what nobody consumes is the result."""
    compiled = graph(
        """
        @task
        def report(clean: str, count: int) -> str: return clean
        @task
        def count(load: str) -> int: return 1
        @task
        def clean(load: str) -> str: return load
        @task
        def load() -> str: return ""
        @task(after=[report])
        def notify() -> None: print()
        """
    )
    assert list(compiled.nodes) == ["load", "count", "clean", "report", "notify"]
    assert compiled.outermost is None
    assert compiled.results == ("report", "notify")
    assert after(compiled, "notify") == {"report"}
    assert set(owners(compiled).values()) == {None}


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=20))
def test_any_acyclic_module_compiles(needs: list[list[int]]) -> None:
    """Whatever earlier steps each step takes, in whatever order they are defined, the plan respects it."""
    module = ModuleType("made")
    lines = ["from gflow import task"]
    for number, wanted in reversed([*enumerate(needs)]):
        taken = sorted({f"s{other % number}" for other in wanted if number})
        lines += ["@task", f"def s{number}({', '.join(f'{name}: int' for name in taken)}) -> int: return 1"]
    exec("\n".join(lines), vars(module))
    compiled = compiler.compile(module)
    places = {name: place for place, name in enumerate(compiled.nodes)}
    assert len(places) == len(needs)
    assert all(
        places[earlier] < places[node.name] for node in compiled.nodes.values() for earlier in node.after
    )
    consumed = {earlier for node in compiled.nodes.values() for earlier in node.after}
    assert set(compiled.results) == set(places) - consumed


# ---------------------------------------------------------------- containment


def test_first_screen(graph: Compile) -> None:
    """The workflow of the README's first screen has the plan that its signatures tell."""
    compiled = graph(
        '''
        """Ship: build, check, upload.

        More of it.
        """
        #
        @task
        def build(out: Input[Path] = Path("dist")) -> Path: return out
        @task
        def tests(build: Path) -> None: print(build)
        @task
        def lint() -> None: print()
        @parallel
        def checks(tests: None, lint: None) -> None: ...
        @task(attempts=3)
        def upload(build: Path) -> None: print(build)
        @stage
        def ship(build: Path, checks: None, upload: None) -> None: ...
        ''',
        name="ship_it",
    )
    assert list(compiled.nodes) == ["ship", "build", "checks", "tests", "lint", "upload"]
    assert compiled.outermost == "ship"
    assert compiled.results == ("ship",)
    assert compiled.nodes["ship"].members == ("build", "checks", "upload")
    assert compiled.nodes["ship"].joins == {"build", "checks", "upload"}
    assert after(compiled, "ship") == set()
    assert after(compiled, "build") == set()
    assert after(compiled, "checks") == {"build"}
    assert after(compiled, "tests") == {"build"}
    assert after(compiled, "lint") == set()
    assert after(compiled, "upload") == {"build", "checks"}
    assert compiled.nodes["upload"].retry == Retry(3)
    assert compiled.inputs["out"].default == Path("dist")
    assert compiled.inputs["out"].consumers == ("build",)


@pytest.mark.parametrize(
    ("groups", "owner"),
    [
        pytest.param(
            """
            @stage
            def inner(s: int) -> int: return s
            @parallel
            def outer(inner: int, s: int) -> int: return s
            """,
            "outer",
            id="the outer of two nested ones",
        ),
        pytest.param(
            """
            @stage
            def deep(s: int) -> int: return s
            @stage
            def middle(deep: int) -> int: return deep
            @stage
            def outer(s: int, middle: int) -> int: return s
            """,
            "outer",
            id="the outer of two nested ones, one group further in",
        ),
        pytest.param(
            """
            @stage
            def one(s: int) -> int: return s
            @stage
            def two(s: int) -> int: return s
            @stage
            def outer(one: int, two: int) -> int: return two
            """,
            "one",
            id="the first in a stage",
        ),
        pytest.param(
            """
            @stage
            def one(s: int) -> int: return s
            @stage
            def two(s: int) -> int: return s
            @parallel
            def first(two: int) -> int: return two
            @parallel
            def second(one: int) -> int: return one
            @stage
            def outer(first: int, second: int) -> int: return second
            """,
            "two",
            id="the first in a stage, further in",
        ),
        pytest.param(
            """
            @task
            def x() -> int: return 1
            @stage
            def one(s: int) -> int: return s
            @stage
            def two(x: int, s: int) -> int: return s
            @stage(after=[two])
            def late(one: int) -> int: return one
            @parallel
            def outer(late: int, two: int) -> int: return two
            """,
            "two",
            id="because a group around the other comes after it",
        ),
        pytest.param(
            """
            @stage
            def one(s: int) -> int: return s
            @stage
            def two(s: int, seen: Annotated[int, From(one)]) -> int: return s
            @parallel
            def outer(two: int, one: int) -> int: return two
            """,
            "one",
            id="because the other waits for its value",
        ),
        pytest.param(
            """
            @stage
            def one(s: int) -> int: return s
            @task(after=[one])
            def between() -> int: return 1
            @stage(after=[between])
            def two(s: int) -> int: return s
            @parallel
            def outer(two: int, between: int, one: int) -> int: return two
            """,
            "one",
            id="because the other waits for something that waits for it",
        ),
    ],
)
def test_owner_of_a_shared_step(groups: str, owner: str, graph: Compile) -> None:
    """A step that several groups name belongs to the outer one, else to the first in the plan."""
    compiled = graph(f"@task\ndef s() -> int: return 1\n{textwrap.dedent(groups)}")
    readers = [name for name, node in compiled.nodes.items() if node.is_group and "s" in node.joins]
    assert owners(compiled)["s"] == owner
    assert len(readers) == 2  # the owner, and the one that reads it


def test_a_group_reads_without_owning(graph: Compile) -> None:
    """What a group reads by its plain name it joins, and does not wait for before it begins."""
    compiled = graph(
        """
        @task
        def s() -> int: return 1
        @task
        def t() -> int: return 1
        @stage
        def one(s: int) -> int: return s
        @parallel
        def two(t: int, s: int) -> int: return s
        @parallel
        def three(seen: Annotated[int, From(s)]) -> int: return seen
        @stage
        def whole(one: int, two: int) -> int: return two
        @parallel
        def outer(whole: int, three: int) -> int: return three
        """
    )
    assert compiled.nodes["two"].joins == {"t", "s"}
    assert compiled.nodes["two"].members == ("t",)
    assert after(compiled, "two") == {"one"}
    assert after(compiled, "three") == {"s"}
    assert compiled.nodes["three"].joins == set()


def test_turns_in_a_stage(graph: Compile) -> None:
    """Each member of a stage comes after all that is named before it, also what the stage only reads."""
    compiled = graph(
        """
        @task
        def a() -> int: return 1
        @task
        def b() -> int: return 1
        @task
        def c() -> int: return 1
        @task
        def d() -> int: return 1
        @stage
        def first(b: int) -> int: return b
        @stage
        def second(a: int, b: int, c: int, d: int) -> int: return d
        @stage
        def outer(first: int, second: int) -> int: return second
        """
    )
    assert compiled.nodes["second"].members == ("a", "c", "d")
    assert [after(compiled, name) for name in "abcd"] == [set(), set(), {"a", "b"}, {"c"}]


def test_parallel_members_wait_for_data_alone(graph: Compile) -> None:
    """In a parallel group the order of the signature means nothing, and data what it always means."""
    compiled = graph(
        """
        @task
        def tests(build: int) -> int: return build
        @task
        def build() -> int: return 1
        @parallel(limit=1)
        def both(tests: int, build: int) -> int: return tests
        """
    )
    assert list(compiled.nodes) == ["both", "tests", "build"]
    assert after(compiled, "tests") == {"build"}
    assert after(compiled, "build") == set()
    assert compiled.nodes["both"].limit == 1


def test_stages_alone_chain(graph: Compile) -> None:
    """Stages that each name what they need are a workflow: the last one holds the others."""
    compiled = graph(
        """
        @stage
        def fetch() -> int: return 1
        @stage
        def clean(fetch: int) -> int: return fetch
        @stage
        def report(clean: int) -> int: return clean
        """
    )
    assert list(compiled.nodes) == ["report", "clean", "fetch"]
    assert owners(compiled) == {"report": None, "clean": "report", "fetch": "clean"}
    assert [set(node.joins) for node in compiled.nodes.values()] == [{"clean"}, {"fetch"}, set()]
    assert compiled.results == ("report",)
    assert compiled.leaves() == []


def test_stages_alone_diamond(graph: Compile) -> None:
    """Of two stages that need the same, the one that the joining stage names first owns it."""
    compiled = graph(
        """
        @stage
        def top() -> int: return 1
        @stage
        def left(top: int) -> int: return top
        @stage
        def right(top: int) -> int: return top
        @stage
        def bottom(left: int, right: int) -> int: return left + right
        """
    )
    assert owners(compiled) == {"bottom": None, "left": "bottom", "top": "left", "right": "bottom"}
    assert after(compiled, "right") == {"left"}
    assert compiled.nodes["right"].joins == {"top"}


def test_deep_nesting() -> None:
    """A thousand groups, one inside the other, are no deeper than two."""
    module = ModuleType("deep")
    lines = ["from gflow import stage", "@stage", "def s0() -> int: return 1"]
    for number in range(1, 1000):
        lines += ["@stage", f"def s{number}(s{number - 1}: int) -> int: return s{number - 1}"]
    exec("\n".join(lines), vars(module))
    assert compiler.compile(module).outermost == "s999"


@given(st.data())
def test_any_tree_of_groups_compiles(data: st.DataObject) -> None:
    """In any tree of groups each group stands before its members, which are the steps that it names."""
    size = data.draw(st.integers(1, 25))
    parents = [data.draw(st.integers(0, number)) for number in range(size)]
    lines = ["from gflow import stage, parallel"]
    for number in reversed(range(size + 1)):
        members = [f"s{child + 1}: int" for child, parent in enumerate(parents) if parent == number]
        lines += [f"@{data.draw(st.sampled_from(['stage', 'parallel']))}"]
        lines += [f"def s{number}({', '.join(members)}) -> int: return 1"]
    module = ModuleType("tree")
    exec("\n".join(lines), vars(module))
    compiled = compiler.compile(module)
    assert owners(compiled) == {"s0": None} | {f"s{n + 1}": f"s{parent}" for n, parent in enumerate(parents)}
    places = list(compiled.nodes)
    for name, node in compiled.nodes.items():
        assert node.group is None or places.index(node.group) < places.index(name)


@st.composite
def workflows(draw: st.DrawFn) -> str:
    """Draw a module of a few steps that name each other, with copies of some and a group around them all."""
    size = draw(st.integers(1, 7))
    wild = draw(st.booleans())  # whether a step may also name itself and later ones
    names = [f"s{number}" for number in range(size)]
    lines, free = [PRELUDE], dict.fromkeys([*names, "c0", "c1"])
    for number, name in enumerate(names):
        kind = draw(st.sampled_from(["task", "stage", "parallel"]))
        earlier = names[:number]
        read = draw(st.sets(st.sampled_from(earlier), max_size=1)) if earlier else set[str]()
        within = [*names, "c0", "c1"] if wild else earlier
        named = draw(st.lists(st.sampled_from(within), unique=True, max_size=3)) if within else []
        taken = [f"{other}: int" for other in named] + [
            f"x{other}: Annotated[int, From({other})]" for other in read
        ]
        lines += [f"@{kind}", f"def {name}({', '.join(taken)}) -> int: return 1"]
        free = free if kind == "task" else {other: None for other in free if other not in named}
    for copy in ("c0", "c1"):
        origin, value = (
            draw(st.sampled_from(names)),
            draw(st.sampled_from([*names, "3", f"From({names[0]})"])),
        )
        bound = draw(st.sampled_from(["", f"{draw(st.sampled_from(names))}={value}"]))
        lines.append(f"{copy} = {origin}.using({bound})")
    outermost = draw(st.sampled_from(["stage", "parallel"]))
    lines += [f"@{outermost}", f"def whole({', '.join(f'{name}: int' for name in free)}) -> int: return 1"]
    return "\n".join(lines)


def ended(graph: Graph) -> set[str]:
    """Run a graph on paper and return the steps that come to an end."""
    begun: set[str] = set()
    ended: set[str] = set()
    for _ in range(2 * len(graph.nodes) + 1):
        for name, node in graph.nodes.items():
            if (node.group is None or node.group in begun) and node.after <= ended:
                begun.add(name)
            if name in begun and node.joins <= ended:
                ended.add(name)
    return ended


@settings(max_examples=300)
@given(workflows())
def test_errors_or_a_graph_that_runs(source: str) -> None:
    """However steps name each other, there are errors, or a graph all of whose steps can run."""
    module = ModuleType("drawn")
    exec(source, vars(module))
    checked = compiler.check(module)
    if checked.graph is None:
        assert any(finding.severity == "error" for finding in checked.findings)
        return
    nodes = checked.graph.nodes
    assert ended(checked.graph) == set(nodes)
    assert all(nodes[member].group == name for name, node in nodes.items() for member in node.members)
    assert all(node.group is None or name in nodes[node.group].members for name, node in nodes.items())
    assert all(set(node.members) <= node.joins for node in nodes.values())


# ---------------------------------------------------------------- where parameters come from


@pytest.mark.parametrize("future", [False, True])
def test_resolution(future: bool, graph: Compile) -> None:
    """A parameter is resolved by annotation, then by mark, then as a step, then as an input."""
    compiled = graph(
        """
        @dataclass
        class Inputs:
            part: str = "patch"
            out: Path = Path("dist")
        @dataclass
        class Wheel:
            path: Path
        class Pair(NamedTuple):
            left: int
        class Facts(TypedDict):
            lines: int
        @task
        async def build(out: Path) -> Wheel: return Wheel(out)
        @task
        def pair() -> Pair: return Pair(1)
        @task
        def facts() -> Facts: return {"lines": 1}
        @task
        def upload(
            build: Wheel,
            anything: Context,
            wheel: Annotated[Wheel, From(build)],
            path: Annotated[Path, From(build, "path")],
            left: Annotated[int, From(pair, "left")],
            lines: Annotated[int, From(facts, "lines")],
            part: str,
            url: Input[str] = "https://example.org",
            *,
            dry: Input[bool] = False,
        ) -> None:
            print(build)
        @task
        def announce(url: str) -> None: print(url)
        """,
        future=future,
    )
    assert sources(compiled.nodes["upload"]) == {
        "build": "step:build",
        "anything": "context",
        "wheel": "step:build",
        "path": "step:build.path",
        "left": "step:pair.left",
        "lines": "step:facts.lines",
        "part": "input:part",
        "url": "input:url",
        "dry": "input:dry",
    }
    annotations = {param.name: param.annotation for param in compiled.nodes["upload"].params}
    assert annotations["path"] is Path
    assert annotations["anything"] is Context
    assert compiled.nodes["build"].is_async
    assert list(compiled.inputs) == ["part", "out", "url", "dry"]
    assert compiled.inputs["url"].consumers == ("upload", "announce")
    assert compiled.inputs["dry"].annotation is bool
    assert compiled.inputs_type is not None


def test_import_for_type_checkers(graph: Compile) -> None:
    """A type that is imported only for type checkers is known to the compiler."""
    compiled = graph(
        """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from decimal import Decimal
        @task
        def price() -> Decimal: return 1
        @task
        def pay(amount: Annotated[Decimal, From(price)]) -> None: print(amount)
        """,
        future=True,
    )
    assert compiled.nodes["price"].returns is Decimal
    assert sources(compiled.nodes["pay"]) == {"amount": "step:price"}


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ("@dataclass\nclass Inputs:", "int = 3"),
        ("import typing_extensions as te\nclass Inputs(te.TypedDict):", "te.NotRequired[int]"),
        ("from pydantic import BaseModel\nclass Inputs(BaseModel):", "int = 3"),
    ],
    ids=["dataclass", "TypedDict", "pydantic"],
)
def test_kinds_of_inputs(head: str, size: str, graph: Compile) -> None:
    """The class Inputs may be a dataclass, a TypedDict or a pydantic model."""
    declaration = f"{head}\n    part: str\n    size: {size}\n"
    compiled = graph(f"{declaration}@task\ndef bump(part: str, size: int) -> None: print(part, size)\n")
    assert [(spec.name, spec.annotation, spec.required) for spec in compiled.inputs.values()] == [
        ("part", str, True),
        ("size", int, False),
    ]
    assert sources(compiled.nodes["bump"]) == {"part": "input:part", "size": "input:size"}


def test_results_are_awaited(graph: Compile) -> None:
    """The result of an async step is what an awaited call gives, however that is annotated."""
    compiled = graph(
        """
        import functools
        from collections.abc import Awaitable, Callable
        def timed(fn: Callable[..., object]) -> Callable[..., object]:
            @functools.wraps(fn)
            def call(*args: object, **kwargs: object) -> object: return fn(*args, **kwargs)
            return call
        @task
        async def one() -> int: return 1
        @task
        def two(one: int) -> Awaitable[int]: raise ValueError
        @task
        @timed
        async def three(two: int) -> int: return two
        @task
        def four(three: int) -> int: return three
        """
    )
    assert [node.is_async for node in compiled.nodes.values()] == [True, True, True, False]
    assert {node.returns for node in compiled.nodes.values()} == {int}
    assert sources(compiled.nodes["three"]) == {"two": "step:two"}


# ---------------------------------------------------------------- imported steps


LIBRARY = """
@dataclass
class Inputs:
    part: str = "patch"
@task
def helper() -> int: return 1
@task
def bump(helper: int, part: str) -> int: return helper
@task
def notes(bump: int) -> int: return bump
@stage
def prepare(helper: int, bump: int, notes: int) -> int: return notes
@task
def unused() -> None: print()
"""


def test_imported_leaf(graph: Compile) -> None:
    """An imported step takes part under its plain name if something names it, with what it names itself."""
    compiled = graph(
        """
        from library import notes, unused
        @task
        def publish(notes: int) -> None: print(notes)
        """,
        library=LIBRARY,
    )
    assert list(compiled.nodes) == ["helper", "bump", "notes", "publish"]
    assert sources(compiled.nodes["bump"]) == {"helper": "step:helper", "part": "input:part"}
    assert compiled.inputs_type is None


def test_uses(graph: Compile) -> None:
    """Workflow(uses=…) names imported steps as well as a parameter does."""
    compiled = graph(
        """
        from library import helper
        workflow = Workflow(name="w", version="7", uses=[helper], durability="process")
        """,
        library=LIBRARY,
    )
    assert list(compiled.nodes) == ["helper"]
    assert (compiled.name, compiled.version, compiled.durability) == ("w", "7", "process")


def test_imported_group(graph: Compile) -> None:
    """The members of an imported group are named through it, and their names mean what they mean at home."""
    compiled = graph(
        """
        from library import bump, prepare
        @task
        def helper() -> int: return 2
        @task
        def publish(prepare: int, bump: int) -> int: return prepare
        @stage
        def release(helper: int, prepare: int, publish: int) -> int: return publish
        """,
        library=LIBRARY,
    )
    members = ("prepare/helper", "prepare/bump", "prepare/notes")
    assert compiled.nodes["prepare"].members == members
    assert list(compiled.nodes) == ["release", "helper", "prepare", *members, "publish"]
    assert sources(compiled.nodes["prepare/notes"]) == {"bump": "step:prepare/bump"}
    assert sources(compiled.nodes["publish"]) == {"prepare": "step:prepare", "bump": "step:prepare/bump"}


def test_imported_step_of_a_taken_name(write: Callable[..., ModuleType]) -> None:
    """An imported step whose name is taken has to be imported under another one."""
    source = """
        from library import bump{alias}
        @task
        def helper() -> int: return 2
        @task
        def publish(bump: int, helper: int) -> int: return bump
        """
    checked = compiler.check(write(source.format(alias=""), library=LIBRARY))
    assert [finding.code for finding in checked.findings] == ["GF010"]
    compiled = compiler.compile(write(source.format(alias=", helper as other_helper"), library=LIBRARY))
    assert sources(compiled.nodes["bump"])["helper"] == "step:other_helper"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is newer")
def test_type_statements(graph: Compile) -> None:
    """An alias of a marked type marks, and a generic step is compiled."""
    compiled = graph(
        """
        type Url = Input[str]
        @task
        def fetch[T](url: Url, other: Input[T]) -> list[T]: return [other]
        """,
        future=True,
    )
    assert sources(compiled.nodes["fetch"]) == {"url": "input:url", "other": "input:other"}
    assert compiled.inputs["url"].annotation is str


# ---------------------------------------------------------------- copies


def test_copy_of_a_leaf(graph: Compile) -> None:
    """A copy has the name that it is assigned to; the step itself then takes part only if it is named."""
    compiled = graph(
        """
        @task
        def other() -> str: return ""
        @task
        def lint(package: Input[str], text: Input[str] = "") -> str: return package
        lint_api = lint.using(package="api")
        lint_other = lint.using(package=other)
        lint_again = lint_api.using(text=From(other))
        """
    )
    assert sorted(compiled.nodes) == ["lint_again", "lint_api", "lint_other", "other"]
    assert sources(compiled.nodes["lint_api"]) == {"package": "value:'api'", "text": "input:text"}
    assert sources(compiled.nodes["lint_other"]) == {"package": "step:other", "text": "input:text"}
    assert sources(compiled.nodes["lint_again"]) == {"package": "value:'api'", "text": "step:other"}
    assert after(compiled, "lint_other") == {"other"}


def test_original_beside_its_copy(graph: Compile) -> None:
    """A step that has copies takes part itself if a signature names it."""
    compiled = graph(
        """
        @task
        def lint(package: Input[str]) -> str: return package
        lint_api = lint.using(package="api")
        @task
        def report(lint: str, lint_api: str) -> str: return lint
        """
    )
    assert sorted(compiled.nodes) == ["lint", "lint_api", "report"]


IMAGE = """
@task
def fetch() -> str: return ""
@task
def build(fetch: str, arch: Input[str]) -> str: return arch
@task
def strip(build: str) -> str: return build
@parallel
def checks(strip: str, arch: Input[str]) -> str: return strip
@stage
def image(build: str, checks: str) -> str: return checks
arm = image.using(arch="arm")
x86 = image.using(arch="x86")
"""


def test_copy_of_a_group(graph: Compile) -> None:
    """A copied group brings its members, whose names find each other and whose parameters are bound."""
    compiled = graph(
        IMAGE
        + """
@task(after=[x86.checks])
def publish(both: Annotated[str, From(arm.checks)], arm: str) -> str: return both
@stage
def ship(fetch: str, arm: str, x86: str, publish: str) -> str: return publish
"""
    )
    assert list(compiled.nodes) == [
        "ship", "fetch",
        "arm", "arm/build", "arm/checks", "arm/checks/strip",
        "x86", "x86/build", "x86/checks", "x86/checks/strip",
        "publish",
    ]  # fmt: skip
    assert sources(compiled.nodes["arm/build"]) == {"fetch": "step:fetch", "arch": "value:'arm'"}
    assert sources(compiled.nodes["x86/checks"]) == {"strip": "step:x86/checks/strip", "arch": "value:'x86'"}
    assert sources(compiled.nodes["x86/checks/strip"]) == {"build": "step:x86/build"}
    assert sources(compiled.nodes["publish"]) == {"both": "step:arm/checks", "arm": "step:arm"}
    assert after(compiled, "publish") == {"arm", "arm/checks", "x86", "x86/checks"}
    assert owners(compiled)["arm/checks/strip"] == "arm/checks"
    assert list(compiled.inputs) == []


def test_copy_reads_what_comes_before_it(graph: Compile) -> None:
    """A copied group reads what a group around it, or an earlier other one, owns; it copies the rest."""
    compiled = graph(
        """
        @task
        def fetch() -> str: return ""
        @task
        def shared() -> str: return ""
        @task
        def own(fetch: str, shared: str) -> str: return fetch
        @stage
        def first(shared: str) -> str: return shared
        @stage
        def job(fetch: str, shared: str, own: str) -> str: return own
        one = job.using()
        two = job.using()
        @stage
        def whole(fetch: str, first: str, one: str, two: str) -> str: return two
        """
    )
    assert compiled.nodes["one"].members == ("one/own",)
    assert compiled.nodes["one"].joins == {"fetch", "shared", "one/own"}
    assert owners(compiled)["shared"] == "first"
    assert sources(compiled.nodes["two/own"]) == {"fetch": "step:fetch", "shared": "step:shared"}


def test_copies_do_not_share(graph: Compile) -> None:
    """Copies of one group, and the group itself, each have members of their own."""
    compiled = graph(
        """
        @task
        def own() -> str: return ""
        @stage
        def job(own: str) -> str: return own
        one = job.using()
        two = job.using()
        @parallel
        def whole(job: str, one: str, two: str) -> str: return two
        """
    )
    groups = {"job": "whole", "one": "whole", "two": "whole"}
    assert owners(compiled) == {"whole": None, **groups, "own": "job", "one/own": "one", "two/own": "two"}


def test_copy_within_a_copy(graph: Compile) -> None:
    """A copy that is a member of a copied group is copied again; the nearest binding wins."""
    compiled = graph(
        IMAGE
        + """
@stage
def both(fetch: str, arm: str, x86: str) -> str: return arm
night = both.using(arch="any", fetch="here")
"""
    )
    assert compiled.outermost == "night"
    assert compiled.nodes["night"].members == ("night/arm", "night/x86")
    assert sources(compiled.nodes["night/arm/build"]) == {"fetch": "value:'here'", "arch": "value:'arm'"}
    assert sources(compiled.nodes["night/x86/checks/strip"]) == {"build": "step:night/x86/build"}
    assert len(compiled.nodes) == 9


def test_rewired_member(graph: Compile) -> None:
    """A step that is bound in the place of a member is the copy's member, under its own name."""
    compiled = graph(
        """
        @task
        def build() -> str: return ""
        @task
        def fast_build() -> str: return ""
        @task
        def push(build: str) -> str: return build
        @stage
        def deploy(build: str, push: str) -> str: return push
        canary = deploy.using(build=fast_build)
        """
    )
    assert compiled.outermost == "canary"
    assert compiled.nodes["canary"].members == ("fast_build", "canary/push")
    assert sources(compiled.nodes["canary/push"]) == {"build": "step:fast_build"}


def test_copy_of_an_imported_group(graph: Compile) -> None:
    """An imported group can be copied; an input that it does not bind stays an input."""
    compiled = graph("from library import prepare\nminor = prepare.using(part='minor')\n", library=LIBRARY)
    assert list(compiled.nodes) == ["minor", "minor/helper", "minor/bump", "minor/notes"]
    assert sources(compiled.nodes["minor/bump"]) == {"helper": "step:minor/helper", "part": "value:'minor'"}


# ---------------------------------------------------------------- steps in functions


def test_steps_in_a_function() -> None:
    """A step that is defined in a function is compiled with what it names, the function's names first."""

    @task
    def build(size: Input[int] = 3) -> int:
        return size

    @task
    async def double(build: int) -> int:
        return 2 * build

    @task
    def unrelated() -> None:
        print()

    again = double.using(build=4)

    @stage
    def whole(double: int, again: int, ctx: Context) -> int:
        return double + again

    compiled = compiler.compile(whole)
    assert list(compiled.nodes) == ["build", "whole", "double", "again"]
    assert (compiled.name, compiled.outermost, compiled.results) == ("whole", "whole", ("whole",))
    assert compiled.nodes["double"].is_async
    assert sources(compiled.nodes["again"]) == {"build": "value:4"}
    assert (unrelated.kind, again.kind) == ("task", "task")


def test_one_step_of_a_module(write: Callable[..., ModuleType]) -> None:
    """A leaf is compiled with what it needs, and its value is the result."""
    compiled = compiler.compile(write(LIBRARY).notes)
    assert list(compiled.nodes) == ["helper", "bump", "notes"]
    assert (compiled.name, compiled.outermost, compiled.results) == ("notes", None, ("notes",))


# ---------------------------------------------------------------- what a step is


def test_facts_of_a_step(graph: Compile) -> None:
    """A step carries its role, its docstring, its undo, and what its decorator was given."""
    compiled = graph(
        '''
        @agent("technical-writer", attempts=Retry(5, base=2.0), effects="irreversible",
               policy=Policy(severity={ValueError: "low"}))
        async def notes() -> str:
            """Write the notes.

            For people.
            """
            return ""
        @notes.undo
        async def forget(text: str | None, build: int, part: Input[str] = "x", *, ctx: Context) -> None:
            """Forget the notes."""
        @task
        def build() -> int: return 1
        '''
    )
    node = compiled.nodes["notes"]
    assert (node.kind, node.role, node.is_async) == ("agent", "technical-writer", True)
    assert (node.retry, node.effects) == (Retry(5, base=2.0), "irreversible")
    assert node.policy == Policy(severity={ValueError: "low"})
    assert node.doc == "Write the notes.\n\nFor people."
    assert compiled.nodes["build"].retry is None
    assert node.undo is not None
    assert node.undo.doc == "Forget the notes."
    taken = [str(param.source) for param in node.undo.params]
    assert taken == ["step:notes", "step:build", "input:part", "context"]
    assert after(compiled, "notes") == {"build"}  # or its undo could not run
    assert compiled.inputs["part"].consumers == ("notes",)


def test_undo_of_a_copy(graph: Compile) -> None:
    """A copy is undone by the undo of its original, with the copy's result and bindings."""
    compiled = graph(
        """
        @task
        def tag(name: Input[str]) -> str: return name
        first = tag.using(name="a")
        @tag.undo
        def delete(tag: str, name: Input[str]) -> None: print(tag, name)
        """
    )
    undo = compiled.nodes["first"].undo
    assert undo is not None
    assert [str(param.source) for param in undo.params] == ["step:first", "value:'a'"]


BODIES = {
    "...": True,
    "pass": True,
    '"""Doc."""': True,
    '"""Doc."""; ...': True,
    "...; pass": True,
    'return "text"': False,
    '"""Doc."""; return 5': False,
    "print()": False,
    "raise ValueError": False,
}


@pytest.mark.parametrize("prefix", ["", "async "], ids=["sync", "async"])
@pytest.mark.parametrize(("body", "is_empty"), BODIES.items())
def test_empty_bodies(prefix: str, body: str, is_empty: bool, graph: Compile) -> None:
    """A group whose body is a docstring, `...` or `pass` is a milestone."""
    compiled = graph(f"@stage\n{prefix}def ship():\n    {body}\n")
    assert compiled.nodes["ship"].is_empty is is_empty
    assert (compiled.nodes["ship"].returns is None) is is_empty


def test_defaults_of_the_workflow(graph: Compile) -> None:
    """A workflow without a Workflow has the name, version and docstring of its module."""
    compiled = graph(
        '''
        """First paragraph,
        two lines.

        Second paragraph.
        """
        #
        __version__ = "1.2"
        @task
        def build() -> int: return 1
        '''
    )
    assert (compiled.name, compiled.version, compiled.module) == ("flow", "1.2", "flow")
    assert compiled.doc == "First paragraph,\ntwo lines."
    assert compiled.durability is None


# ---------------------------------------------------------------- what is no mistake


def test_reload(write: Callable[..., ModuleType]) -> None:
    """A module that was loaded again has no names that are given twice."""
    module = write("@task\ndef build() -> int: return 1\nother = build.using()\n")
    assert compiler.check(importlib.reload(module)).findings == ()


def test_one_step_under_two_names(graph: Compile) -> None:
    """A step that is bound to two names is one step, called by that of its function."""
    compiled = graph(
        """
        @task
        def build() -> int: return 1
        make = build
        @task
        def upload(make: int, build: int) -> int: return make
        """
    )
    assert sources(compiled.nodes["upload"]) == {"make": "step:build", "build": "step:build"}


def test_steps_made_by_a_function(graph: Compile) -> None:
    """Steps that a function makes have the names that they are assigned to, and see that function's names."""
    compiled = graph(
        """
        def make(number: int):
            @task
            def source() -> int: return number
            @task
            def step(source: int) -> int: return source
            return source, step
        one, double = make(1)
        two, triple = make(2)
        """
    )
    assert sources(compiled.nodes["double"]) == {"source": "step:one"}
    assert sources(compiled.nodes["triple"]) == {"source": "step:two"}


def test_notes_do_not_block(write: Callable[..., ModuleType]) -> None:
    """A module with notes alone is compiled."""
    checked = compiler.check(
        write("@task\ndef one(): return 1\n@task\ndef two(one: int) -> int: return one\n")
    )
    assert [finding.severity for finding in checked.findings] == ["note"]
    assert checked.graph is not None


def test_compile_raises_what_check_finds(write: Callable[..., ModuleType], tmp_path: Path) -> None:
    """What has errors is refused with the text that `check` prints."""
    module = write("@task\ndef one(two: int) -> int: return two\n")
    with pytest.raises(CompileError, match="nothing was run") as raised:
        compiler.compile(module, tmp_path, "python -m gflow")
    assert raised.value.exit_code == 2
    assert raised.value.findings == compiler.check(module).findings
    assert "--> flow.py:" in str(raised.value)
    assert str(raised.value).endswith("python -m gflow explain GF012")


def test_signatures_alone_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow without mistakes is compiled without its source, and without calling a body."""
    module = ModuleType("sourceless")
    body = "raise SystemExit"
    exec(f"{PRELUDE}@task\ndef a() -> int: {body}\n@task\ndef b(a: int) -> int: {body}\n", vars(module))
    monkeypatch.setattr("linecache.getlines", lambda *_: pytest.fail("source was read"))
    assert list(compiler.compile(module).nodes) == ["a", "b"]


def test_copies_inside_an_imported_group_keep_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two copies of one step in an imported group are called as their module calls them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "copies_library.py").write_text(
        "from gflow import Input, parallel, task\n"
        "@task\ndef lint(package: Input[str]) -> str: return package\n"
        'api = lint.using(package="a")\nweb = lint.using(package="w")\n'
        "@parallel\ndef both(api: str, web: str) -> str: return api + web\n"
    )
    (tmp_path / "copies_user.py").write_text(
        "from copies_library import both\nfrom gflow import Workflow, stage\n"
        "workflow = Workflow(uses=[both])\n@stage\ndef flow(both: str) -> str: return both\n"
    )
    checked = compiler.check(importlib.import_module("copies_user"))
    assert [finding.code for finding in checked.findings] == []
    assert checked.graph is not None
    assert set(checked.graph.nodes) == {"flow", "both", "both/api", "both/web"}


POLICIES = """
from gflow import Policy, task

@task(policy=Policy(orphans="adopt"))
def orphans() -> None: print()

@task(policy=Policy(isolation="container"))
def isolation() -> None: print()

@task(policy=Policy(isolation="process"))
async def asynchronous() -> None: print()

def inside():
    @task(policy=Policy(isolation="process"))
    def nested() -> None: print()
    return nested

nested = inside()
"""


def test_a_policy_that_cannot_be_obeyed_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown words, an isolated async step and an isolated body without a name are found before a run."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "policies_wrong.py").write_text(POLICIES)
    findings = compiler.check(importlib.import_module("policies_wrong")).findings
    hints = [finding.hints[0] for finding in findings if finding.code == "GF008"]
    for word in ('"wait", "kill" or "fail"', '"thread" or "process"', "sync steps", "top level"):
        assert sum(word in hint for hint in hints) == 1
