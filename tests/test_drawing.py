"""Tests of gflow.drawing.

The golden files show what a user sees of the hand-made graph in golden/release.py. Read them after every
change; GFLOW_UPDATE_GOLDEN=1 writes them anew.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow import drawing
from gflow.errors import UsageError
from gflow.inputs import Computed
from gflow.model import (
    ConstantSource,
    ContextSource,
    Graph,
    InputSource,
    InputSpec,
    Node,
    NoSource,
    Param,
    StepSource,
    Undo,
)

GOLDEN = Path(__file__).parent / "golden"


def load(path: Path) -> Any:
    """Import a file that is in no package."""
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


RELEASE: Graph = load(GOLDEN / "release.py").GRAPH
VALUES = {"index": "http://127.0.0.1:8080", "part": "auto", "repo": "None"}


def body() -> None:
    """Do nothing."""


def leaf(name: str, *takes: str, **changes: Any) -> Node:
    """Return a task that takes the results of others."""
    params = tuple(Param(other, StepSource(other)) for other in takes)
    return replace(Node(name, "task", body, params, after=frozenset(takes)), **changes)


def group(name: str, *members: str, **changes: Any) -> Node:
    """Return a stage with members."""
    params = tuple(Param(member, StepSource(member)) for member in members)
    node = Node(name, "stage", body, params, members=members, joins=frozenset(members))
    return replace(node, **changes)


def graph(*nodes: Node, inputs: Iterable[InputSpec] = (), results: tuple[str, ...] = ()) -> Graph:
    """Return a graph of nodes; members get their group."""
    owners = {member: node.name for node in nodes for member in node.members}
    named = {node.name: replace(node, group=owners.get(node.name)) for node in nodes}
    roots = [name for name, node in named.items() if node.is_group and node.group is None]
    specs = {spec.name: spec for spec in inputs}
    return Graph("w", "1.0", "", "m", named, specs, roots[0] if roots else None, results or tuple(roots))


# ---------------------------------------------------------------- what a user sees


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("text", lambda: drawing.text(RELEASE)),
        ("mermaid", lambda: drawing.mermaid(RELEASE)),
        ("plan", lambda: drawing.plan(RELEASE, VALUES)),
        ("json", lambda: json.dumps(drawing.as_json(RELEASE), indent=2)),
        *[
            (f"why-{step}", lambda step=step: drawing.why(RELEASE, step))
            for step in (
                "version_bump",
                "tag",
                "deploy",
                "code_review",
                "performance_test",
                "quality_assurance",
            )
        ],
        ("why-ship", lambda: drawing.why(RELEASE, "ship")),
        ("why-release", lambda: drawing.why(RELEASE, "release")),
    ],
)
def test_a_drawing_is_what_the_golden_file_shows(
    name: str, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each drawing of the release workflow is the one that somebody has read and found good."""
    monkeypatch.chdir(GOLDEN)
    file = GOLDEN / f"{name}.txt"
    drawn = shown() + "\n"
    if os.environ.get("GFLOW_UPDATE_GOLDEN") == "1":
        file.write_text(drawn, encoding="utf-8")
    assert drawn == file.read_text(encoding="utf-8")


# ---------------------------------------------------------------- text


def test_a_module_without_groups_is_a_list_with_its_results() -> None:
    """Steps without groups stand side by side, and what comes out is named."""
    shown = drawing.text(graph(leaf("a"), leaf("b", "a"), leaf("c", "a"), results=("b", "c")))
    assert shown == "w 1.0 · m\n\na  task\nb  task  ← a\nc  task  ← a\n\nresults  b, c"


@pytest.mark.parametrize(
    ("param", "origin"),
    [
        (Param("a", StepSource("a")), "← a"),
        (Param("wheel", StepSource("a")), "← wheel=a"),
        (Param("url", StepSource("a", "url")), "← a.url"),
        (Param("link", StepSource("a", "url")), "← link=a.url"),
        (Param("build", StepSource("canary/build")), "← canary/build"),
        (Param("dry_run", InputSource("dry_run")), "← --dry-run"),
        (Param("out", InputSource("dry_run")), "← out=--dry-run"),
        (Param("package", ConstantSource("api")), "← package='api'"),
        (Param("ctx", ContextSource()), ""),
        (Param("x", NoSource()), "← x=?"),
    ],
)
def test_the_arrow_leads_to_what_a_parameter_takes(param: Param, origin: str) -> None:
    """An origin is named once if the parameter has its name, and beside the parameter if not."""
    shown = drawing.text(graph(leaf("b", params=(param,))))
    assert shown.splitlines()[2] == f"b  task  {origin}".rstrip()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"kind": "stage"}, "stage"),
        ({"kind": "stage", "limit": 2}, "stage, limit 2"),
        ({"kind": "parallel"}, "parallel, 2 at once"),
        ({"kind": "parallel", "limit": 1}, "parallel, limit 1"),
    ],
)
def test_a_group_says_how_its_members_run(changes: dict[str, Any], kind: str) -> None:
    """A group shows its kind and how many run at once; members that do hang on double lines."""
    shown = drawing.text(graph(group("g", "a", "b", **changes), leaf("a"), leaf("b"))).splitlines()
    assert shown[2].split(maxsplit=1)[1] == kind
    assert ("═" in shown[3]) == kind.startswith("parallel")


def test_a_group_shows_what_it_only_reads() -> None:
    """A step that a group names but does not own is read, with its group unless that is the group's own."""
    shown = drawing.text(
        graph(
            group("w", "a", "g", "h"),
            leaf("a"),
            group("g", "b"),
            leaf("b"),
            group("h", "c", params=tuple(Param(name, StepSource(name)) for name in ("a", "b", "c"))),
            leaf("c"),
        )
    )
    assert "reads a, b (of g)" in shown


def test_only_what_after_adds_is_shown_as_after() -> None:
    """A step that is waited for because of its value or its place is not repeated as `after`."""
    shown = drawing.text(
        graph(
            group("w", "a", "b", "c", "d"),
            leaf("a"),
            leaf("b", after=frozenset({"a"})),
            leaf("c", "a", after=frozenset({"a", "b"})),
            leaf("d", after=frozenset({"c"}), undo=Undo(body, (Param("b", StepSource("b")),), "")),
            leaf("e", after=frozenset({"b"})),
        )
    )
    assert re.findall(r"after .*", shown) == ["after b"]


def test_inputs_stand_below_the_tree() -> None:
    """An input shows its option, and what it is if nobody gives it."""
    shown = drawing.text(
        graph(
            leaf("a"),
            inputs=[
                InputSpec("url", str, help="Where to publish.\n\nMore."),
                InputSpec("dry_run", bool, False),
                InputSpec("tags", list[str], Computed(lambda: ["x"])),
                InputSpec("repo", Path | None, None),
            ],
        )
    )
    assert shown.partition("inputs\n")[2].splitlines() == [
        "  --url str               required  Where to publish.",
        "  --dry-run/--no-dry-run  = false",
        "  --tags str              = ['x']",
        "  --repo Path",
    ]


def test_a_name_that_says_it_all_is_not_repeated() -> None:
    """A workflow that is called like its module and has no version has a short title."""
    assert drawing.text(replace(graph(leaf("a")), name="m", version="")).splitlines()[0] == "m"


# ---------------------------------------------------------------- mermaid

NAMES = st.lists(st.text('abé/[]~"#<`&_', min_size=1, max_size=6), min_size=1, max_size=6, unique=True)
LINE = re.compile(
    r"""flowchart\ TD
    | \s+subgraph\ \w+\["[^"]*"\] | \s+end
    | \s+\w+(\(\["[^"]*"\]\) | \["[^"]*"\] | \[/"[^"]*"/\])
    | \s\s\w+\ (-->|-\.->)(\|"[^"]*"\|)?\ \w+""",
    re.VERBOSE | re.ASCII,
)


@given(NAMES, st.data())
def test_mermaid_stays_mermaid_whatever_the_names(names: list[str], data: st.DataObject) -> None:
    """Every line is one of the forms that are used, every arrow joins what is drawn, every id is its own."""
    nodes = [
        leaf(name, *data.draw(st.lists(st.sampled_from(names[: i or 1]), max_size=2, unique=True)))
        for i, name in enumerate(names)
    ]
    top = group("end", *names, kind=data.draw(st.sampled_from(["stage", "parallel"])))
    lines = drawing.mermaid(graph(top, *nodes, inputs=[InputSpec("end", str)])).splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    drawn = re.findall(r"^\s+(?:subgraph )?(\w+)(?=[\[(])", "\n".join(lines), re.MULTILINE | re.ASCII)
    ends = {end for line in lines if ">" in line for end in (line.split()[0], line.split()[-1])}
    assert len(drawn) == len(set(drawn)) == len(names) + 2
    assert ends <= set(drawn)
    assert sum("subgraph" in line for line in lines) == lines.count("  end")


def test_mermaid_draws_no_arrow_from_inside_a_group_to_it() -> None:
    """A step that is drawn inside a group needs no arrow to it; Mermaid would refuse it."""
    inner = group("inner", "a")
    outer = group("outer", "inner", params=(Param("inner", StepSource("inner")), Param("a", StepSource("a"))))
    assert "-->" not in drawing.mermaid(graph(outer, inner, leaf("a")))


def test_mermaid_draws_order_only_where_no_data_says_it() -> None:
    """Members of a stage are joined by a dotted arrow unless the later one takes the earlier one's value."""
    nodes = [group("w", "a", "b", "c"), leaf("a"), leaf("b", "a"), leaf("c", after=frozenset({"a", "b"}))]
    arrows = [line.strip() for line in drawing.mermaid(graph(*nodes)).splitlines() if ">" in line]
    assert sorted(arrows) == ["step_a --> step_b", "step_b -.-> step_c"]


# ---------------------------------------------------------------- JSON


def test_the_document_has_the_promised_shape() -> None:
    """Inputs have type, need, default and help; steps have kind, group, order and sources of parameters."""
    params = (
        Param("a", StepSource("a")),
        Param("url", StepSource("a", "url")),
        Param("n", InputSource("n")),
        Param("ctx", ContextSource()),
    )
    document = drawing.as_json(
        graph(
            group("g", "a", "b"),
            leaf("a"),
            leaf("b", params=params, kind="agent", role="writer", after=frozenset({"a"})),
            inputs=[InputSpec("n", int | None, None, "How many."), InputSpec("url", str)],
        )
    )
    assert document == {
        "workflow": "w",
        "inputs": {
            "n": {"type": "int | None", "required": False, "default": None, "help": "How many."},
            "url": {"type": "str", "required": True, "default": None, "help": ""},
        },
        "steps": {
            "g": {"kind": "stage", "role": None, "group": None, "after": [],
                  "params": {"a": "step:a", "b": "step:b"}},
            "a": {"kind": "task", "role": None, "group": "g", "after": [], "params": {}},
            "b": {"kind": "agent", "role": "writer", "group": "g", "after": ["a"],
                  "params": {"a": "step:a", "url": "step:a.url", "n": "input:n", "ctx": "context"}},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (5, 5),
        ([1, "a"], [1, "a"]),
        ({"a": [1]}, {"a": [1]}),
        (Path("dist"), "dist"),
        ((1, 2), "(1, 2)"),
        (Computed(lambda: [80]), [80]),
    ],
)
def test_a_default_is_json_where_json_has_it(default: object, shown: object) -> None:
    """A default is itself if JSON can say it, else the text that one would type."""
    document: Any = drawing.as_json(graph(leaf("a"), inputs=[InputSpec("x", object, default)]))
    assert json.loads(json.dumps(document))["inputs"]["x"]["default"] == shown


# ---------------------------------------------------------------- why


def test_an_unknown_step_has_near_misses() -> None:
    """A step that is not there is a usage error that names what may be meant, else all steps."""
    with pytest.raises(UsageError) as caught:
        drawing.why(RELEASE, "dpeloy")
    assert str(caught.value) == "`dpeloy` is not a step of release-workflow\n  did you mean `deploy`?"
    with pytest.raises(UsageError, match="its steps: a, b"):
        drawing.why(graph(leaf("a"), leaf("b")), "nonsense")


def test_a_place_is_relative_to_the_current_folder_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a step is shown from the current folder, or in full if it lies elsewhere."""
    monkeypatch.chdir(GOLDEN.parent)
    assert "golden/release.py:" in drawing.why(RELEASE, "tag").splitlines()[1]
    monkeypatch.chdir("/")
    assert f"{GOLDEN / 'release.py'}:".removeprefix("/") in drawing.why(RELEASE, "tag").splitlines()[1]


def test_every_origin_is_told() -> None:
    """A value may come from using(), from nowhere, or from a field; each says so."""
    params = (
        Param("a", ConstantSource("api"), str),
        Param("b", NoSource()),
        Param("c", StepSource("d", "url")),
    )
    shown = drawing.why(graph(leaf("d"), leaf("x", params=params)), "x")
    assert "  a  str              'api', bound by using()\n" in shown
    assert "  b  (no annotation)  nothing\n" in shown
    assert "  c  (no annotation)  field url of d, " in shown


def test_who_reads_a_value_as_what_is_told() -> None:
    """Readers are named with the field and the parameter, undos too; the run itself is one."""
    undo = Undo(body, (Param("x", StepSource("x")), Param("d", StepSource("d"))), "")
    nodes = (
        leaf("d"),
        leaf("x", params=(Param("link", StepSource("d", "url")),), after=frozenset({"d"}), undo=undo),
    )
    assert drawing.why(graph(*nodes, results=("d",)), "d").partition("is read by\n")[2].splitlines()[:3] == [
        "  x        field url as link",
        "  x        its undo, as d",
        "  the run  as its result",
    ]
    assert "  body, " in drawing.why(graph(*nodes), "x")


@pytest.mark.parametrize(
    ("effects", "words"),
    [
        ("none", "nothing to undo"),
        ("irreversible", "irreversible: it blocks a rollback"),
        (None, "none: a rollback leaves it as it is"),
    ],
)
def test_a_step_without_undo_says_what_that_means(effects: Any, words: str) -> None:
    """A step that cannot be undone says whether it need not be, blocks a rollback, or stays."""
    assert drawing.why(graph(leaf("a", effects=effects)), "a").splitlines()[-1] == f"  {words}"


def test_a_group_that_takes_a_value_first_waits_for_it_and_one_that_joins_it_does_not() -> None:
    """What a group reads by From is data that it begins after; what it joins, only its body waits for."""
    params = (Param("a", StepSource("a")), Param("b", StepSource("b")), Param("c", StepSource("c")))
    node = group("g", "c", params=params, after=frozenset({"a"}), joins=frozenset({"b", "c"}), is_empty=True)
    shown = drawing.why(graph(leaf("a"), leaf("b"), node, leaf("c")), "g")
    assert "begins after\n  a  data\n\nends after\n  b  read only\n  c  member" in shown


def test_a_step_tells_why_it_waits() -> None:
    """A step waits for data, its own or its undo's, for its place in a stage, or for `after=`."""
    undo = Undo(body, (Param("x", StepSource("x")), Param("u", StepSource("u"))), "")
    nodes = [
        *(leaf("d"), leaf("u"), leaf("o")),
        group("g", "p", "x"),
        leaf("p"),
        leaf("x", "d", "p", undo=undo, after=frozenset({"d", "u", "o", "p"})),
    ]
    shown = drawing.why(graph(*nodes), "x").partition("begins after\n")[2].partition("\n\n")[0]
    assert shown.splitlines() == [
        "  d  data",
        "  u  data of its undo",
        "  o  after=",
        "  p  data, place in the stage g",
    ]


def test_a_group_joins_what_its_stage_has_before_it() -> None:
    """A member of a stage that a later group names is waited for because of its place, not as data."""
    later = group("h", "b", params=(Param("a", StepSource("a")), Param("b", StepSource("b"))))
    nodes = [
        group("g", "a", "h"),
        leaf("a"),
        replace(later, after=frozenset({"a"}), joins=frozenset({"a", "b"})),
        leaf("b"),
    ]
    assert "begins after\n  a  place in the stage g\n" in drawing.why(graph(*nodes), "h")


# ---------------------------------------------------------------- plan


def turns(shown: str) -> list[tuple[str, str]]:
    """Return the numbers and names of a plan; what shares a bracket has the number of its first line."""
    found: list[tuple[str, str]] = []
    for line in shown.splitlines():
        if match := re.match(r" *(\d*)  ([┌│└ ])  (\w+) ", line):
            found.append((match[1] or found[-1][0], match[3]))
    return found


def test_what_does_not_wait_shares_a_number() -> None:
    """Two branches of a parallel go on turn by turn, and their join comes after the longer one."""
    nodes = [
        group("w", "g", "z"),
        group("g", "s", "t", kind="parallel"),
        group("s", "a", "b", is_empty=True),
        leaf("a"),
        leaf("b", after=frozenset({"a"})),
        group("t", "c"),
        leaf("c"),
        leaf("z", after=frozenset({"g"})),
    ]
    assert turns(drawing.plan(graph(*nodes), {})) == [
        ("1", "a"),
        ("1", "c"),
        ("2", "b"),
        ("2", "t"),
        ("3", "g"),
        ("4", "z"),
        ("5", "w"),
    ]


def test_a_group_without_body_takes_no_turn() -> None:
    """A milestone is not in the plan, and what begins after it begins as soon as its members have ended."""
    nodes = [
        group("s", "a", is_empty=True),
        leaf("a"),
        leaf("b", after=frozenset({"s"})),
        leaf("c"),
        leaf("d", "c"),
    ]
    shown = drawing.plan(graph(*nodes), {})
    assert turns(shown) == [("1", "a"), ("1", "c"), ("2", "b"), ("2", "d")]


@given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=8))
def test_every_step_stands_after_what_it_waits_for(waits: list[set[int]]) -> None:
    """In a plan every step is named once, in a later turn than all that must have ended before."""
    nodes = [leaf(f"s{i}", *(f"s{j}" for j in earlier if j < i)) for i, earlier in enumerate(waits)]
    found = {name: int(number) for number, name in turns(drawing.plan(graph(*nodes), {}))}
    assert found.keys() == {node.name for node in nodes}
    assert all(found[other] < found[node.name] for node in nodes for other in node.after)


def test_a_long_chain_can_be_planned() -> None:
    """A chain of thousands of steps is planned without running out of stack."""
    nodes = [leaf("s0"), *(leaf(f"s{i}", f"s{i - 1}") for i in range(1, 3000))]
    assert turns(drawing.plan(graph(*nodes), {}))[-1] == ("3000", "s2999")


def test_a_plan_says_what_an_undo_does() -> None:
    """An undo is told by the first line of its docstring, or by its name."""
    told = leaf("a", undo=Undo(body, (), "Take it\n\nback."))
    untold = leaf("b", undo=Undo(body, (), ""))
    shown = drawing.plan(graph(told, untold), {})
    assert "undo: Take it\n" in shown
    assert "undo: body\n" in shown


def test_a_plan_ends_with_the_promise() -> None:
    """The last line says that nothing was run; limits stand before it."""
    shown = drawing.plan(graph(group("g", "a", kind="parallel", limit=3), leaf("a")), {})
    assert shown.splitlines()[-3:] == ["at most 3 at once in g", "", "nothing was run"]


def test_drawing_calls_nothing() -> None:
    """No function of the workflow is called: those of the golden graph would raise."""
    for step in RELEASE.nodes:
        drawing.why(RELEASE, step)
    with pytest.raises(AssertionError):
        RELEASE.nodes["build"].fn(None).send(None)
