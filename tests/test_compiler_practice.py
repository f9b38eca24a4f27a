"""Items, rounds, conditions, stand-ins, questions and failures as values become the graph that is written."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gflow import compiler
from gflow.compiler.asides import truth
from gflow.model import Call, FanOut, Graph, ItemSource, Node, Param, StepSource

PRELUDE = """
from dataclasses import dataclass
from typing import Annotated, Any
from gflow import (
    Approval, Ask, Context, Each, Failed, FirstOf, From, Input, Previous, Rejected, Until, Workflow, agent,
    parallel, stage, task,
)
"""

AREA = """
@task
def regions() -> list[str]: return ["eu"]
@task
def config() -> str: return ""
@task
def build(region: str) -> bytes: return b""
@task
def check(build: bytes, config: str) -> int: return 1
@parallel
def area(region: Annotated[str, Each(regions)], build: bytes, check: int) -> str: return region
"""

FAR_AREA = AREA.replace("@task\ndef build", "@task(when=is_far)\ndef build").replace(
    "build: bytes, check: int) -> str", "build: bytes | None, check: int | None) -> str"
)

ROUNDS = """
@task
def draft(review: Annotated[str | None, Previous()]) -> str: return ""
@task
def review(draft: str) -> str: return draft
def done(review: str) -> bool: return True
@stage(repeat=Until(done, max=3))
def rework(draft: str, review: str) -> str: return draft
"""

Compile = Callable[..., Graph]
Check = Callable[..., compiler.Checked]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """Write modules, import the last one and check it."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def check(source: str, **others: str) -> compiler.Checked:
        for module, text in {**others, "flow": source}.items():
            (tmp_path / f"{module}.py").write_text(PRELUDE + textwrap.dedent(text), encoding="utf-8")
            sys.modules.pop(module, None)
            written.append(module)
        importlib.invalidate_caches()
        return compiler.check(importlib.import_module("flow"))

    yield check
    for module in written:
        sys.modules.pop(module, None)


@pytest.fixture
def graph(check: Check) -> Compile:
    """Write modules and compile the last one; there may be notes."""

    def graph(source: str, **others: str) -> Graph:
        checked = check(source, **others)
        assert checked.graph is not None, checked.findings
        return checked.graph

    return graph


def sources(params: tuple[Param, ...]) -> dict[str, str]:
    """Return where parameters come from, as `graph --format json` says it."""
    return {param.name: str(param.source) for param in params}


def calls(call: Call | None) -> tuple[str, dict[str, str]]:
    """Return the name of a function beside a step, and where its parameters come from."""
    assert call is not None
    return call.fn.__name__, sources(call.params)


def messages(checked: compiler.Checked, code: str) -> list[str]:
    """Return what the findings of one code say."""
    return [finding.message for finding in checked.findings if finding.code == code]


# ---------------------------------------------------------------- scopes


def test_a_scope_waits_for_what_its_members_need(graph: Compile) -> None:
    """What a member takes from outside is awaited by the scope, and its members wait for each other alone."""
    nodes = graph(
        f"""{AREA}
@task
def report(sizes: Annotated[list[int], From(check)], area: list[str]) -> int: return 1
@parallel
def whole(regions: list[str], config: str, area: list[str], report: int) -> None: ...
"""
    ).nodes
    assert nodes["area"].after == {"regions", "config"}
    assert nodes["area"].joins == {"build", "check"}
    assert nodes["check"].after == {"build"}
    assert nodes["build"].after == set()
    assert nodes["report"].after == {"area"}
    assert nodes["check"].scope == ("area",)
    assert nodes["area"].scope == nodes["report"].scope == ()
    assert nodes["area"].each == FanOut("regions", "region")
    assert sources(nodes["area"].params)["region"] == "each:regions"
    assert sources(nodes["build"].params) == {"region": "item:area"}
    assert sources(nodes["report"].params) == {"sizes": "step:check", "area": "step:area"}


def test_scopes_nest(graph: Compile) -> None:
    """A scope in a scope lifts both ways: reading out of it, and needing something from outside of both."""
    nodes = graph(
        """
        @task
        def regions() -> list[str]: return []
        @task
        def config() -> str: return ""
        @task
        def hosts(region: str) -> list[int]: return []
        @task
        def ping(host: int, region: str, config: str) -> float: return 0
        @stage
        def fleet(host: Annotated[int, Each(hosts, limit=1)], ping: float) -> int: return host
        @task
        def slowest(pings: Annotated[list[float], From(ping)]) -> float: return max(pings)
        @stage
        def area(
            region: Annotated[str, Each(regions)], hosts: list[int], fleet: list[int], slowest: float
        ) -> str: return region
        @task
        def report(
            pings: Annotated[list[list[float]], From(ping)], slow: Annotated[list[float], From(slowest)]
        ) -> int: return 1
        @parallel
        def whole(regions: list[str], config: str, area: list[str], report: int) -> None: ...
        """
    ).nodes
    assert nodes["ping"].scope == ("area", "fleet")
    assert nodes["ping"].after == set()
    assert nodes["fleet"].after == {"hosts"}
    assert nodes["slowest"].after == {"fleet"}
    assert nodes["area"].after == {"regions", "config"}
    assert nodes["report"].after == {"area"}
    assert sources(nodes["ping"].params) == {
        "host": "item:fleet",
        "region": "item:area",
        "config": "step:config",
    }


def test_a_leaf_runs_per_item(graph: Compile) -> None:
    """`Each` on a leaf makes it a scope of its own; its other parameters are as ever."""
    node = graph(
        """
        @task
        def regions() -> tuple[str, ...]: return ()
        @task
        def deploy(
            region: Annotated[str, Each(regions, limit=2, key=str, tolerate="10%")], part: Input[int]
        ) -> str: return region
        @deploy.undo
        def withdraw(deploy: str, region: str) -> None: print()
        @task
        def report(deploy: list[str | Failed]) -> int: return 1
        """
    ).nodes["deploy"]
    assert node.is_scope
    assert node.scope == ()
    assert node.after == {"regions"}
    assert node.each == FanOut("regions", "region", 2, str, 0.1)
    assert sources(node.params) == {"region": "each:regions", "part": "input:part"}
    assert node.undo is not None
    assert sources(node.undo.params) == {"deploy": "step:deploy", "region": "item:deploy"}


def test_an_item_list_may_be_bound_by_using(graph: Compile) -> None:
    """`using()` takes marks: a copy may run per item where the original does not."""
    nodes = graph(
        """
        @task
        def regions() -> list[str]: return []
        @task
        def lint(package: str) -> int: return 1
        lint_all = lint.using(package=Each(regions, limit=3))
        @task
        def report(lint_all: list[int]) -> int: return 1
        """
    ).nodes
    assert nodes["lint_all"].each == FanOut("regions", "package", 3)


def test_the_items_of_a_copied_group(graph: Compile) -> None:
    """A copy of a fan-out may have a list of its own, or one constant and no items."""
    nodes = graph(
        f"""
{AREA}
@task
def zones() -> list[str]: return []
area_b = area.using(region=Each(zones))
area_c = area.using(region="eu")
@task
def see(xs: Annotated[list[int], From(area_b.check)], ys: Annotated[int, From(area_c.check)]) -> int: return 1
@stage
def whole(
    regions: list[str], config: str, zones: object, area: object, area_b: list[str], area_c: str, see: int
) -> None: ...
"""
    ).nodes
    assert nodes["area_b"].each == FanOut("zones", "region")
    assert nodes["area_b/check"].scope == ("area_b",)
    assert sources(nodes["area_b/build"].params) == {"region": "item:area_b"}
    assert sources(nodes["build"].params) == {"region": "item:area"}
    assert nodes["area_c"].each is None
    assert sources(nodes["area_c/build"].params) == {"region": "value:'eu'"}


def test_rounds(graph: Compile) -> None:
    """A repeated group is a scope without lists; Previous names a member, the condition sees the members."""
    nodes = graph(
        f"""{ROUNDS}
@task
def publish(draft: str, rework: str) -> int: return 1
@stage
def whole(rework: str, publish: int) -> int: return publish
"""
    ).nodes
    rework = nodes["rework"]
    assert rework.repeat is not None
    assert rework.repeat.max == 3
    assert calls(rework.repeat.until) == ("done", {"review": "step:review"})
    assert rework.joins == {"draft", "review"}
    assert nodes["draft"].scope == ("rework",)
    assert sources(nodes["draft"].params) == {"review": "previous:review"}
    assert nodes["draft"].after == set()
    assert nodes["publish"].after == {"rework"}
    assert sources(nodes["publish"].params) == {"draft": "step:draft", "rework": "step:rework"}


def test_a_member_may_end_the_rounds(graph: Compile) -> None:
    """A bool member is a condition, and the group itself may be read from the round before."""
    nodes = graph(
        """
        @task
        def fix(rework: Annotated[int | None, Previous()]) -> int: return 1
        @task
        def good(fix: int) -> bool: return True
        @stage(repeat=Until(good))
        def rework(fix: int, good: bool) -> int: return fix
        """
    ).nodes
    repeat = nodes["rework"].repeat
    assert repeat is not None
    assert repeat.until.fn is truth
    assert [param.source for param in repeat.until.params] == [StepSource("good")]
    assert sources(nodes["fix"].params) == {"rework": "previous:rework"}


@st.composite
def workflows(draw: st.DrawFn) -> str:
    """Draw a module of tasks and groups with items, rounds and conditions that read each other at random."""
    size = draw(st.integers(2, 8))
    lines = [PRELUDE, "def yes() -> bool: return True", "@task", "def items() -> Any: return []"]
    free = ["items"]
    names = ["items"]
    for number in range(size):
        kind = draw(st.sampled_from(["task", "stage", "parallel"]))
        members = draw(st.lists(st.sampled_from(free), unique=True, max_size=3)) if kind != "task" else []
        read = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
        type_ = "Any" if kind != "task" else draw(st.sampled_from(["Any", "int"]))
        taken = [f"{member}: Any" for member in members]
        taken += [f"x{name}: Annotated[{type_}, From({name})]" for name in read if name not in members]
        says = draw(st.sampled_from(["", "", "each", "repeat", "when", "first"]))
        keyword = ""
        if says == "each":
            taken.append(f"i{number}: Annotated[Any, Each({draw(st.sampled_from(names))})]")
        elif says == "repeat" and kind != "task":
            keyword = "repeat=Until(yes)"
        elif says == "when":
            keyword = f"when={draw(st.sampled_from(['yes', *names]))}"
        elif says == "first" and len(names) > 1:
            taken.append(f"f{number}: Annotated[Any, FirstOf({names[0]}, {names[-1]})]")
        lines += [f"@{kind}({keyword})", f"def s{number}({', '.join(taken)}) -> Any: return 1"]
        free = [name for name in [*free, f"s{number}"] if name not in members]
        names.append(f"s{number}")
    lines += ["@stage", f"def whole({', '.join(f'{name}: Any' for name in free)}) -> Any: return 1"]
    return "\n".join(lines)


def around(graph: Graph, node: Node) -> list[str]:
    """Return the groups with items or rounds around a step, outermost first."""
    found: list[str] = []
    while node.group is not None:
        node = graph.nodes[node.group]
        found = [node.name, *found] if node.is_scope else found
    return found


def ended(graph: Graph) -> set[str]:
    """Run a graph on paper, with one item and one round each, and return what comes to an end."""
    begun: set[str] = set()
    ended: set[str] = set()
    for _ in range(2 * len(graph.nodes) + 1):
        for name, node in graph.nodes.items():
            if (node.group is None or node.group in begun) and node.after <= ended:
                begun.add(name)
            if name in begun and node.joins <= ended:
                ended.add(name)
    return ended


def needed(node: Node) -> Iterator[str]:
    """Yield whom a step reads, before it begins or for its body."""
    for param in (*node.params, *(node.when.params if node.when else ())):
        source = param.source
        if isinstance(source, StepSource):
            yield source.step
        yield from getattr(source, "steps", ())


@settings(max_examples=200)
@given(workflows())
def test_waiting_stays_on_one_level(source: str) -> None:
    """In any graph with scopes steps wait on their own level, for all they read, and everything can run."""
    module = ModuleType("drawn")
    exec(source, vars(module))
    checked = compiler.check(module)
    if checked.graph is None:
        assert any(finding.severity == "error" for finding in checked.findings)
        return
    nodes = checked.graph.nodes
    assert ended(checked.graph) == set(nodes)
    for node in nodes.values():
        inside = (*node.scope, node.name) if node.is_scope else node.scope
        assert list(node.scope) == around(checked.graph, node)
        assert {nodes[name].scope for name in node.after} <= {node.scope}
        assert {nodes[name].scope for name in node.joins} <= {inside}
        for name in needed(node):
            assert is_awaited(checked.graph, node, name), (node.name, name)


def is_awaited(graph: Graph, node: Node, name: str) -> bool:
    """Whether a step, or a group around it, waits for another, or for a group around that."""
    holders = {name, *groups(graph, name)}
    awaited = set(node.after | node.joins)
    for group in groups(graph, node.name):
        awaited |= graph.nodes[group].after
    return bool(awaited & holders)


def groups(graph: Graph, name: str) -> Iterator[str]:
    """Yield the groups around a step."""
    group = graph.nodes[name].group
    while group is not None:
        yield group
        group = graph.nodes[group].group


# ---------------------------------------------------------------- conditions


def test_conditions(graph: Compile) -> None:
    """A condition is a bool step, or a function whose parameters are resolved like the step's."""
    nodes = graph(
        f"""
@dataclass
class Inputs:
    part: str = "auto"
def is_far(region: str, config: str, part: str) -> bool: return True
{FAR_AREA}
@task
def wanted() -> bool: return True
@task(when=wanted)
def report() -> int: return 1
@parallel
def whole(regions: list[str], config: str, area: list[str], wanted: bool, report: int | None) -> None: ...
"""
    ).nodes
    assert calls(nodes["build"].when) == (
        "is_far",
        {"region": "item:area", "config": "step:config", "part": "input:part"},
    )
    assert "config" in nodes["area"].after
    assert calls(nodes["report"].when) == ("truth", {"answer": "step:wanted"})
    assert nodes["report"].after == {"wanted"}


def test_a_condition_per_item(graph: Compile) -> None:
    """The condition of a fan-out that takes the item is asked for each item."""
    node = graph(
        """
        @task
        def regions() -> list[str]: return []
        def is_far(region: str) -> bool: return True
        @task(when=is_far)
        def deploy(region: Annotated[str, Each(regions)]) -> int: return 1
        @task
        def report(deploy: list[int | None]) -> int: return 1
        """
    ).nodes["deploy"]
    assert node.when is not None
    assert [param.source for param in node.when.params] == [ItemSource("deploy")]


def test_a_condition_of_another_module(graph: Compile) -> None:
    """A condition from a module of helpers finds the steps of the module that it is used in."""
    nodes = graph(
        """
        from helpers import is_main
        @task
        def branch() -> str: return "main"
        @task(when=is_main)
        def publish() -> int: return 1
        """,
        helpers="def is_main(branch: str) -> bool: return branch == 'main'",
    ).nodes
    assert calls(nodes["publish"].when) == ("is_main", {"branch": "step:branch"})


SKIPS = """
@task
def wanted() -> bool: return True
@task(when=wanted)
def a() -> int: return 1
@task
def b(a: int) -> int: return a
"""


@pytest.mark.parametrize(
    ("reader", "is_skipped"),
    [
        ("def c(b: int) -> int: return 1", True),
        ("def c(b: int | None) -> int: return 1", False),
        ("def c(b: Any) -> int: return 1", False),
        ("def c(b: int = 3) -> int: return 1", False),
        ("def c(x: Annotated[int, FirstOf(b, wanted)]) -> int: return 1", False),
        ("def c(x: Annotated[int, FirstOf(a, b)]) -> int: return 1", True),
        ("def c(x: Annotated[int, From(a)]) -> int: return 1", True),
        ("def c(x: Annotated[int | None, Each(b)]) -> int: return 1", True),
    ],
)
def test_who_is_skipped(reader: str, is_skipped: bool, check: Check) -> None:
    """Skipping travels along data; a default, what admits None, and a FirstOf with one left stop it."""
    items = "list[int]" if "Each" in reader else "int"
    checked = check(f"{SKIPS.replace('def b(a: int) -> int', f'def b(a: int) -> {items}')}\n@task\n{reader}")
    [note] = messages(checked, "GF072")
    assert checked.graph is not None
    assert ("`c`" in note) is is_skipped
    assert "`b`" in note


def test_skipping_follows_after(check: Check) -> None:
    """What comes `after=` a skipped step is skipped with it, and a skipped group with all inside it."""
    checked = check(
        f"""{SKIPS}
@stage(after=[b])
def inner(c: int) -> int: return c
@task
def c() -> int: return 1
@task
def d(inner: int) -> int: return 1
@stage
def whole(wanted: bool, a: int | None, b: int | None, inner: int | None, d: int | None) -> None: ...
"""
    )
    assert checked.graph is not None
    assert checked.graph.nodes["inner"].follows == {"b"}
    assert messages(checked, "GF072") == [
        "where `when=` of `a` says no, `b`, `inner`, `c` and `d` are skipped with it"
    ]


def test_a_skipped_member_does_not_skip_its_group(check: Check) -> None:
    """A group's parameter admits None, a plain one too; else that is an error, at both places."""
    body = "@task(when=wanted)\ndef n() -> None: print()\n"
    body += "@stage\ndef whole(wanted: bool, a: {}, n: None) -> None: ..."
    good = check(SKIPS.partition("@task\ndef b")[0] + body.format("int | None"))
    assert good.graph is not None
    params = {param.name: param.admits_none for param in good.graph.nodes["whole"].params}
    assert params == {"wanted": False, "a": True, "n": True}
    bad = check(SKIPS.partition("@task\ndef b")[0] + body.format("int"))
    [finding] = [finding for finding in bad.findings if finding.code == "GF071"]
    assert finding.message == "`whole` takes `a` as int, but it may be skipped"
    assert len(finding.places) == 2


def test_a_default_is_used_where_a_step_may_be_skipped(check: Check) -> None:
    """A default is in vain where a step always runs, and not where it may be skipped."""
    assert messages(check(f"{SKIPS}\n@task\ndef c(b: int = 3) -> int: return b"), "GF028") == []
    assert messages(check(f"{SKIPS}\n@task\ndef c(wanted: bool = True) -> int: return 1"), "GF028") != []


# ---------------------------------------------------------------- what is seen from outside


@pytest.mark.parametrize(
    ("each", "when", "kind"),
    [
        ("Each(regions)", "", "list[int]"),
        ("Each(regions, tolerate=3)", "", "list[int | Failed]"),
        ("Each(regions)", "(when=far)", "list[int | None]"),
        ("Each(regions, tolerate='5%')", "(when=far)", "list[int | Failed | None]"),
        ("Each(regions)", "(when=wanted)", "list[int]"),
    ],
)
def test_the_list_of_a_leaf(each: str, when: str, kind: str, check: Check) -> None:
    """Seen from outside a fan-out is a list; its elements are also what may come instead of a result."""
    flow = f"""
@task
def regions() -> list[str]: return []
@task
def wanted() -> bool: return True
def far(region: str) -> bool: return True
@task{when}
def check(region: Annotated[str, {each}]) -> int: return 1
@task
def report(check: {{}}) -> int: return 1
"""
    assert check(flow.format(kind)).graph is not None
    wrong = check(flow.format("int"))
    assert messages(wrong, "GF021") == [
        f"`report` takes `check` as int, but `check` is seen from here as {kind}"
    ]
    narrow = check(flow.format("list[int]"))
    assert bool(messages(narrow, "GF064")) is (kind != "list[int]")


def test_the_lists_of_members(check: Check) -> None:
    """A member that an item may skip is None in the list; what only the whole scope skips is not."""
    checked = check(
        f"""
def is_far(region: str) -> bool: return True
{FAR_AREA}
@task
def one(config: str, xs: Annotated[list[bytes], From(build)]) -> int: return 1
@task
def two(config: str, xs: Annotated[list[int], From(check)]) -> int: return 1
@task
def three(config: str, xs: Annotated[list[str], From(area)]) -> int: return 1
@stage
def whole(regions: list[str], config: str, area: list[str], one: int, two: int, three: int) -> None: ...
"""
    )
    told = messages(checked, "GF064")
    assert [message.rpartition("as ")[2] for message in told] == ["list[bytes | None]", "list[int | None]"]


def test_a_scope_that_is_skipped_as_a_whole(check: Check) -> None:
    """Where a whole group may be skipped its members need not admit None, and no list holds one."""
    checked = check(
        f"""
@task
def wanted() -> bool: return True
{AREA.replace("@parallel", "@parallel(when=wanted)")}
@task
def report(xs: Annotated[list[int], From(check)]) -> int: return 1
@stage
def whole(
    wanted: bool, regions: list[str], config: str, area: list[str] | None, report: int | None
) -> None: ...
"""
    )
    assert checked.graph is not None, checked.findings
    assert messages(checked, "GF072") == ["where `when=` of `area` says no, `report` is skipped with it"]


# ---------------------------------------------------------------- failures as values


@pytest.mark.parametrize(
    ("readers", "is_handled"),
    [
        ("@task\ndef r(a: int | Failed) -> int: return 1", True),
        ("@task\ndef r(a: Failed) -> int: return 1", True),
        ("@task\ndef r(a: int) -> int: return 1", False),
        ("@task\ndef r(a: Any) -> int: return 1", False),
        ("@task\ndef r(a: object) -> int: return 1", False),
        ("@task\ndef r(a: int | Failed) -> int: return 1\n@task\ndef q(a: int) -> int: return 1", False),
        ("@task\ndef r(x: Annotated[int | Failed, FirstOf(a)]) -> int: return 1", True),
        ("@task\ndef r(x: Annotated[list[int | Failed], From(a)]) -> int: return 1", False),
        ("", False),
    ],
)
def test_handled(readers: str, is_handled: bool, check: Check) -> None:
    """A failure is handled if there are readers, and each of them says `Failed`."""
    source = f"@task\ndef a() -> {{}}: return 1\n{readers}"
    kind = "Any" if "list" in readers or ": Failed" in readers else "int"
    checked = check(source.format(kind))
    assert checked.graph is not None, checked.findings
    assert checked.graph.nodes["a"].handled is is_handled


def test_the_group_counts_as_a_reader(graph: Compile) -> None:
    """A member's failure is handled only if its group says `Failed` too; an item's within its scope."""
    flow = """
@task
def regions() -> list[str]: return []
@task
def a() -> int: return 1
@task
def r(a: int | Failed) -> int: return 1
@parallel
def area(region: Annotated[str, Each(regions)], a: {}, r: int) -> int: return 1
@task
def report(xs: Annotated[list[int | Failed], From(a)]) -> int: return 1
@stage
def whole(regions: list[str], area: list[int], report: int) -> None: ...
"""
    assert graph(flow.format("int | Failed")).nodes["a"].handled
    assert not graph(flow.format("int")).nodes["a"].handled


# ---------------------------------------------------------------- stand-ins


def test_rungs(graph: Compile) -> None:
    """Stand-ins come in order, share the step's sources by name, and may take the failure."""
    nodes = graph(
        """
        @task
        def build() -> str: return ""
        @task
        def config() -> str: return ""
        def one(wheel: str, why: Failed, config: str, ctx: Context) -> int: return 1
        async def two(wheel: str) -> int: return 1
        @task(fallback=[one, "code-reviewer", two, one], degraded=two)
        def check(wheel: Annotated[str, From(build)]) -> int: return 1
        @task(fallback=two, degraded=one)
        def other(wheel: Annotated[str, From(build)]) -> int: return 1
        """
    ).nodes
    check = nodes["check"]
    assert [(rung.label, rung.degraded, rung.call.is_async) for rung in check.rungs] == [
        ("one", False, False),
        ("two", False, True),
    ]
    assert sources(check.rungs[0].call.params) == {
        "wheel": "step:build",
        "why": "failure",
        "config": "step:config",
        "ctx": "context",
    }
    assert check.after == {"build", "config"}
    assert [(rung.label, rung.degraded) for rung in nodes["other"].rungs] == [("two", False), ("one", True)]


def test_a_rung_that_has_failed_is_left_out(graph: Compile) -> None:
    """A stand-in that is the step's own body is none."""
    nodes = graph(
        """
        def body() -> int: return 1
        measure = task(fallback=body, degraded=body)(body)
        """
    ).nodes
    assert nodes["body" if "body" in nodes else "measure"].rungs == ()


def test_the_rungs_of_a_group(graph: Compile) -> None:
    """What stands in for a group's body takes its members, and is awaited as they are."""
    node = graph(
        """
        @task
        def a() -> int: return 1
        @task
        def b() -> int: return 1
        def roughly(a: int, b: int) -> int: return a
        @stage(degraded=roughly)
        def both(a: int, x: Annotated[int, From(b)]) -> int: return a
        @stage
        def whole(b: int, both: int) -> int: return both
        """
    ).nodes["both"]
    assert sources(node.rungs[0].call.params) == {"a": "step:a", "b": "step:b"}
    assert node.after == {"b"}
    assert node.joins == {"a", "b"}


# ---------------------------------------------------------------- questions


def test_questions(graph: Compile) -> None:
    """A question shows steps, fields, inputs and items, and is asked if its condition says so."""
    nodes = graph(
        """
        @dataclass
        class Inputs:
            part: str = "auto"
        @dataclass
        class Wheel:
            name: str
        @task
        def regions() -> list[str]: return []
        @task
        def build() -> Wheel: return Wheel("")
        @task
        def size() -> int: return 1
        def is_public(size: int) -> bool: return True
        @task
        def tag(
            region: Annotated[str, Each(regions)],
            ok: Annotated[
                Approval | Rejected, Ask("{region} {build.name} {part} {size} { x }?", is_public, 3)
            ],
        ) -> str: return region
        @task
        def push(sure: Approval) -> int:
            "Push it."
            return 1
        @task
        def pull(sure: Approval) -> int: return 1
        """
    ).nodes
    ask = nodes["tag"].ask
    assert ask is not None
    assert (ask.param, ask.timeout, ask.admits_rejected) == ("ok", 3, True)
    assert sources(ask.values) == {
        "region": "item:tag",
        "build.name": "step:build.name",
        "part": "input:part",
        "size": "step:size",
    }
    assert calls(ask.when) == ("is_public", {"size": "step:size"})
    assert nodes["tag"].after == {"regions", "build", "size"}
    assert sources(nodes["tag"].params) == {"region": "each:regions", "ok": "approval"}
    questions = [nodes[name].ask for name in ("push", "pull")]
    assert [(ask.text, ask.admits_rejected) for ask in questions if ask] == [
        ("Push it.", False),
        ("Go on with pull?", False),
    ]


# ---------------------------------------------------------------- facts and findings


def test_on_exhausted(graph: Compile) -> None:
    """`Workflow(on_exhausted=…)` is the graph's."""
    source = "@task\ndef a() -> int: return 1\n"
    assert graph(source).on_exhausted == "stop"
    assert graph(f"{source}workflow = Workflow(on_exhausted='abort')").on_exhausted == "abort"


def test_a_cycle_across_a_scope(check: Check) -> None:
    """A step that a scope needs, and that needs something in it, is a cycle, told by all three names."""
    checked = check(
        """
        @task
        def regions() -> list[str]: return []
        @task
        def build(region: str) -> int: return 1
        @task
        def total(builds: Annotated[list[int], From(build)]) -> int: return 1
        @task
        def check(total: int) -> int: return 1
        @parallel
        def area(region: Annotated[str, Each(regions)], build: int, check: int) -> int: return 1
        @parallel
        def whole(regions: list[str], area: list[int], total: int) -> None: ...
        """
    )
    [message] = messages(checked, "GF030")
    assert "`total`" in message
    assert "`build` inside `area`" in message
    assert "`check`" in message


LIST = "@task\ndef a() -> list[int]: return []\n"


@pytest.mark.parametrize(
    ("code", "told", "parameter", "above"),
    [
        ("GF011", "the FirstOf of `x` takes a step, not the string 'a'", "Annotated[int, FirstOf('a')]", ""),
        ("GF011", "the Previous of `x` names no step", "Annotated[int, Previous]", ""),
        ("GF014", "`x` of `c` has two marks, so two sources", "Annotated[int, Each(a), From(a)]", LIST),
        (
            "GF061",
            "`c` takes each item of `a`, but str is no sequence",
            "Annotated[str, Each(a)]",
            "@task\ndef a() -> str: return ''\n",
        ),
        (
            "GF061",
            "`c` takes each item of `a`, but list[int] | None is no sequence",
            "Annotated[int, Each(a)]",
            "@task\ndef a() -> list[int] | None: return []\n",
        ),
        (
            "GF063",
            "`x` is an item of `c` and an input",
            "Annotated[int, Each(a)]",
            "@task\ndef a(x: Input[int]) -> list[int]: return []\n",
        ),
        ("GF073", "`x` of `c` has one step to take, and no choice", "Annotated[list[int], FirstOf(a)]", LIST),
        ("GF012", "`x` is neither a step nor an input", "Failed", ""),
        ("GF081", "the Ask of `x` asks nothing", "Annotated[Approval, Ask]", ""),
        ("GF008", "the Ask of `x` cannot say 3", "Annotated[Approval, Ask(3)]", ""),
    ],
)
def test_what_a_parameter_cannot_be(code: str, told: str, parameter: str, above: str, check: Check) -> None:
    """What a mark cannot do is told by its code and in words."""
    assert told in messages(check(f"{above}@task\ndef c(x: {parameter}) -> int: return 1"), code)


@pytest.mark.parametrize(
    ("code", "told", "source"),
    [
        (
            "GF080",
            "`C`, the fallback of `c`, is no function",
            "class C: pass\n@task(fallback=C)\ndef c() -> int: return 1",
        ),
        (
            "GF070",
            "a condition of `c` is no function: <class 'bool'>",
            "@task(when=bool)\ndef c() -> int: return 1",
        ),
        (
            "GF070",
            "`ok` ends the rounds of `g`, but is outside of it: its answer never changes",
            (
                "@task\ndef ok() -> bool: return True\n@stage(repeat=Until(ok))\ndef g() -> int: return 1\n"
                "@stage\ndef h(ok: bool, g: int) -> int: return 1"
            ),
        ),
        (
            "GF007",
            "`*a` of `w` cannot be filled: a parameter is a step or an input by its name",
            "def w(*a: int) -> bool: return True\n@task(when=w)\ndef c() -> int: return 1",
        ),
        (
            "GF030",
            "a cycle: `g` needs `r`, but `r` is inside `g`",
            (
                "@task\ndef r() -> list[int]: return []\n"
                "@stage\ndef g(r: list[int], i: Annotated[list[int], Each(r)]) -> int: return 1"
            ),
        ),
        (
            "GF083",
            "`ok` of `u` is an approval, but only a step asks",
            "@task\ndef a() -> int: return 1\n@a.undo\ndef u(a: int, ok: Approval) -> None: print()",
        ),
        (
            "GF011",
            "`when=` of `x` takes a step, not `c.n`, which is no member",
            (
                "@stage\ndef g(n: Input[int] = 3) -> int: return n\nc = g.using()\n"
                "@task(when=c.n)\ndef x() -> int: return 1"
            ),
        ),
    ],
)
def test_what_cannot_stand_beside_a_step(code: str, told: str, source: str, check: Check) -> None:
    """What is no function, asks beside its step, or waits for what is inside, is told in words."""
    assert told in messages(check(source), code)


def test_a_lambda_says_no_types(check: Check) -> None:
    """A lambda is taken at its word: nothing is noted about the types that it cannot say."""
    checked = check("@task\ndef b() -> int: return 1\n@task(when=lambda b: b > 1)\ndef a() -> int: return 1")
    assert checked.graph is not None
    assert checked.findings == ()
