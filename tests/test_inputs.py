"""Tests of gflow.inputs."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import io
import json
import subprocess
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import pydantic
import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st

from gflow import inputs
from gflow.annotations import Unresolved
from gflow.errors import BadInputs, UsageError
from gflow.inputs import Computed
from gflow.model import MISSING, Graph, InputSpec

Part = Literal["auto", "major", "minor", "patch"]


class Colour(enum.Enum):
    """An Enum whose values are no text."""

    RED = 1
    BLUE = 2


class Level(enum.StrEnum):
    """An Enum whose values are text."""

    LOW = "low"
    HIGH = "high"


class Foreign:
    """A class that pydantic does not know."""


@dataclass
class Server:
    """A type with a structure."""

    host: str
    port: int = 80


class Model(pydantic.BaseModel):
    """A type with a structure and a configuration of its own."""

    port: int = pydantic.Field(gt=0)


class OldDict(TypedDict):
    """What pydantic refuses below Python 3.12."""

    port: int


class NewDict(typing_extensions.TypedDict):
    """What pydantic takes on every Python."""

    port: int


def make(*specs: InputSpec, inputs_type: type | None = None) -> Graph:
    """Return a graph that has nothing but inputs."""
    return Graph("release-workflow", "1.0.0", "", "m", {}, {s.name: s for s in specs}, None, (), inputs_type)


def graph_of(inputs_type: type, namespace: Mapping[str, Any] | None = None) -> Graph:
    """Return a graph whose inputs are the fields of a class."""
    specs = inputs.declared(inputs_type, globals() if namespace is None else namespace)
    return make(*specs.values(), inputs_type=inputs_type)


def bind_one(annotation: object, value: object) -> object:
    """Return what a value becomes for an input `x` of a type."""
    return inputs.bind(make(InputSpec("x", annotation)), {"x": value})["x"]


def problems_of(graph: Graph, given: Mapping[str, object]) -> list[str]:
    """Return what is wrong with the inputs that were given."""
    with pytest.raises(BadInputs) as caught:
        inputs.bind(graph, given)
    return list(caught.value.problems)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (str, "5", "5"),
        (int, "5", 5),
        (float, "0.5", 0.5),
        (float, 2, 2.0),
        (bool, True, True),
        *[(bool, text, True) for text in ("true", "True", "yes", "on", "1")],
        *[(bool, text, False) for text in ("false", "no", "off", "0")],
        (Path, "dist", Path("dist")),
        (Path, Path("dist"), Path("dist")),
        (Path | None, "dist", Path("dist")),
        (Path | None, None, None),
        (int | None, "5", 5),
        (typing.Optional[int], None, None),  # noqa: UP045  (users still write it)
        (int | str, "5", "5"),
        (int | str, 5, 5),
        (str | Literal[1], "1", "1"),
        (int | date, "2024-05-06", date(2024, 5, 6)),
        (Part, "minor", "minor"),
        (Literal[1, 2], "1", 1),
        (Literal[1, 2], 2, 2),
        (Literal[1, "1"], "1", "1"),
        (Literal[True, "maybe"], "true", True),
        (Literal[1, 2] | None, "2", 2),
        (Literal["auto"] | int, "auto", "auto"),
        (Literal["auto"] | int, "7", 7),
        (Colour, "RED", Colour.RED),
        (Colour, "2", Colour.BLUE),
        (Colour, 2, Colour.BLUE),
        (Colour, Colour.RED, Colour.RED),
        (Colour | None, "RED", Colour.RED),
        (Level, "low", Level.LOW),
        (Level, "HIGH", Level.HIGH),
        (list[str], ["a", "b"], ["a", "b"]),
        (list[str], "a", ["a"]),
        (list[str], '["a", "b"]', ["a", "b"]),
        (list[str], "[a-z]*", ["[a-z]*"]),
        (list[int], ["1", 2], [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (list[Colour], ["RED", "2"], [Colour.RED, Colour.BLUE]),
        (list[Literal[1, 2]], ["1"], [1]),
        (tuple[int, ...], ["1", "2"], (1, 2)),
        (tuple[int, str], ["1", "2"], (1, "2")),
        (set[int], ["1", "1"], {1}),
        (Sequence[str], "a", ["a"]),
        (list[str] | None, "a", ["a"]),
        (dict[str, int], '{"a": "1"}', {"a": 1}),
        (Server, '{"host": "h"}', Server("h")),
        (Server, {"host": "h", "port": "8"}, Server("h", 8)),
        (Server, Server("h"), Server("h")),
        (Model, {"port": 1}, Model(port=1)),
        (NewDict, {"port": "1"}, {"port": 1}),
        (datetime, "2024-05-06T07:08:09", datetime(2024, 5, 6, 7, 8, 9)),  # noqa: DTZ001
        (Annotated[int, pydantic.Field(gt=0)], "5", 5),
        (Any, "5", "5"),
        (object, "5", "5"),
        (MISSING, "5", "5"),
        (Unresolved("Nope", "no such name"), "5", "5"),
        (typing_extensions.TypeAliasType("Alias", Literal[1, 2]), "1", 1),
    ],
)
def test_a_value_becomes_what_is_declared(annotation: object, value: object, expected: object) -> None:
    """Text, JSON values and Python values become a value of the declared type."""
    bound = bind_one(annotation, value)
    assert (bound, type(bound)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        (int, "abc", "`x`: 'abc' is not a valid integer, unable to parse string as an integer"),
        (int, None, "`x`: None is not a valid integer"),
        (str, 5, "`x`: 5 is not a valid string"),
        (bool, "maybe", "`x`: 'maybe' is not a valid boolean, unable to interpret input"),
        (int | None, "abc", "`x`: 'abc' is not a valid integer, unable to parse string as an integer"),
        (datetime, "never", "`x`: 'never' is not a valid datetime or date, input is too short"),
        (bool | date, "y?", ("`x`: 'y?' is not a valid boolean, unable to interpret input; "
                            "'y?' is not a valid date or datetime, input is too short")),
        (Part, "minro", "`x`: 'minro' is none of auto, major, minor, patch; did you mean `minor`?"),
        (Part, 5, "`x`: 5 is none of auto, major, minor, patch"),
        (Part | None, "x", "`x`: 'x' is none of auto, major, minor, patch"),
        (Literal[1, 2], "3", "`x`: '3' is none of 1, 2"),
        (Colour, "red", "`x`: 'red' is none of RED, BLUE; did you mean `RED`?"),
        (Level, "hihg", "`x`: 'hihg' is none of low, high; did you mean `high`?"),
        (list[Colour], ["RED", "green"], "`x[1]`: 'green' is none of RED, BLUE"),
        (list[int], ["1", "b"], "`x[1]`: 'b' is not a valid integer, unable to parse string as an integer"),
        (dict[str, int], "a=1", "`x`: 'a=1' is not a valid dictionary"),
        (dict[str, Part], {"a": "auot"},
         "`x.a`: 'auot' is none of auto, major, minor, patch; did you mean `auto`?"),
        (Server, "{}", "`x.host`: missing"),
        (Server, {"host": "h", "port": "p"},
         "`x.port`: 'p' is not a valid integer, unable to parse string as an integer"),
        (Server | int, {"port": 1}, "`x.host`: missing"),
        (Model, {"port": -1}, "`x.port`: -1 is not greater than 0"),
        (Annotated[int, pydantic.Field(gt=0)], "-5", "`x`: '-5' is not greater than 0"),
        (Annotated[str, pydantic.Field(min_length=3)], "ab",
         "`x`: 'ab': String should have at least 3 characters"),
        (Foreign, "a", "`x`: 'a' is not an instance of Foreign"),
        (list[str], {"a": 1}, "`x`: {'a': 1} is not a valid list"),
        (int, "y" * 200, f"`x`: '{'y' * 78}… is not a valid integer, unable to parse string as an integer"),
    ],
)  # fmt: skip
def test_an_ill_typed_value_is_a_problem_in_words(annotation: object, value: object, problem: str) -> None:
    """What does not fit is named with its place, its value and what would fit."""
    assert problem in problems_of(make(InputSpec("x", annotation)), {"x": value})


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic takes typing.TypedDict from 3.12 on")
def test_a_typed_dict_that_pydantic_cannot_check_has_a_remedy() -> None:
    """For a typing.TypedDict below Python 3.12 the problem says which class to use instead."""
    [problem] = problems_of(make(InputSpec("x", OldDict)), {"x": {"port": 1}})
    assert problem == "`x`: its type OldDict cannot be checked: use typing_extensions.TypedDict"


def test_a_foreign_class_is_taken_as_it_is() -> None:
    """An instance of a class that pydantic does not know is passed on."""
    value = Foreign()
    assert bind_one(Foreign, value) is value


def test_everything_wrong_is_reported_at_once() -> None:
    """Unknown, missing and ill-typed inputs are reported together, with the options as the remedy."""
    graph = make(
        InputSpec("part", Part, MISSING, "Which number to raise.\n\nauto reads the commits."),
        InputSpec("count", int, 1),
        InputSpec("dry_run", bool),
        InputSpec("repo", Path | None, None),
    )
    with pytest.raises(BadInputs) as caught:
        inputs.bind(graph, {"prat": "minor", "nonsense": "", "count": "abc"})
    assert str(caught.value) == (
        "`prat` is not an input of release-workflow; did you mean `part`?\n"
        "`nonsense` is not an input of release-workflow\n"
        "`part` is missing: Which number to raise. (--part {auto,major,minor,patch})\n"
        "`dry_run` is missing (--dry-run/--no-dry-run)\n"
        "`count`: 'abc' is not a valid integer, unable to parse string as an integer\n"
        "  release-workflow takes --part {auto,major,minor,patch}, --count int, "
        "--dry-run/--no-dry-run, --repo Path"
    )
    assert caught.value.exit_code == 2


def test_a_workflow_without_inputs_says_so() -> None:
    """Whoever gives an input to a workflow that has none is told that."""
    with pytest.raises(BadInputs, match="release-workflow takes no inputs"):
        inputs.bind(make(), {"part": "minor"})


def test_defaults_are_taken_as_they_are() -> None:
    """A default is not validated: it is the author's."""
    default = object()
    assert inputs.bind(make(InputSpec("x", int, default)), {}) == {"x": default}


def test_a_computed_default_is_made_for_every_run() -> None:
    """A default that a function makes is made anew, also where no class `Inputs` makes it."""
    graph = make(InputSpec("x", list[str], Computed(list)))
    first, second = inputs.bind(graph, {})["x"], inputs.bind(graph, {})["x"]
    assert first == second == []
    assert first is not second


def test_pydantic_is_loaded_only_for_what_it_has_to_check() -> None:
    """Values that are right at a glance are bound without pydantic."""
    program = """
import sys
from pathlib import Path
from typing import Literal
from gflow import inputs
from gflow.model import Graph, InputSpec
kinds = {"s": str, "n": int, "p": Path, "o": Path | None, "c": Literal["a", "b"], "e": int}
graph = Graph("w", "1", "", "m", {}, {k: InputSpec(k, t, 0) for k, t in kinds.items()}, None, ())
inputs.bind(graph, {"s": "x", "n": 5, "p": "dist", "o": Path("dist"), "c": "b"})
assert "pydantic" not in sys.modules
inputs.bind(graph, {"n": "5"})
assert "pydantic" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[1], check=True)


VALUES: dict[object, st.SearchStrategy[object]] = {
    int: st.integers().map(str),
    bool: st.sampled_from(["yes", "off", True]),
    Part: st.sampled_from(typing.get_args(Part)),
    Colour: st.sampled_from(["RED", "2", 1]),
    Path: st.sampled_from(["a/b", Path("c")]),
    list[int]: st.lists(st.integers()).map(json.dumps),
    date: st.dates().map(str),
    dict[str, float]: st.dictionaries(st.text(max_size=3), st.integers(0, 9)),
    Server: st.builds(dict, host=st.text(max_size=3), port=st.integers()),
}


@given(st.data())
def test_bound_values_stay_as_they_are(data: st.DataObject) -> None:
    """What was bound can be bound again, and nothing changes: `resume --set` does that."""
    graph = make(*(InputSpec(f"x{i}", kind) for i, kind in enumerate(VALUES)))
    bound = inputs.bind(graph, {f"x{i}": data.draw(each) for i, each in enumerate(VALUES.values())})
    assert inputs.bind(graph, bound) == bound


# ---------------------------------------------------------------- the class Inputs


@dataclass
class Base:
    """Fields that are inherited."""

    index: str
    """Where to publish."""


@dataclass
class Settings(Base):
    """Fields of a dataclass, with all that can be said about one."""

    part: Part = "auto"
    """Which number to raise;
    auto reads the commits."""
    tags: list[str] = field(default_factory=lambda: ["new"])
    count: int = 1
    "How often."
    made: str = field(init=False, default="no input")

    def __post_init__(self) -> None:
        self.index = self.index.rstrip("/")
        if self.count < 0:
            raise ValueError("count cannot be negative")
        if self.count == 13:
            raise LookupError("not an error of the inputs")


class Keys(TypedDict, total=False):
    """Fields of a TypedDict, with qualifiers that are text here."""

    part: Required[Part]
    """Which number to raise."""
    out: Path | None
    count: typing_extensions.ReadOnly[Required[int]]


class TotalKeys(TypedDict):
    """Keys that have to be there, but for one."""

    part: Part
    out: NotRequired[Path]


class Fields(pydantic.BaseModel):
    """Fields of a pydantic model, with validators."""

    part: Part = "auto"
    """Which number to raise."""
    words: list[str] = pydantic.Field(default_factory=list, description="What to look for.")
    count: int = pydantic.Field(default=1, gt=0)
    colour: Colour = Colour.RED
    dry_run: bool = pydantic.Field(default=False, alias="dry-run")
    server: Server | None = None
    index: str

    @pydantic.field_validator("words", mode="before")
    @classmethod
    def split(cls, value: object) -> object:
        """Take words that are joined by commas."""
        return [part for each in value for part in each.split(",")] if isinstance(value, list) else value

    @pydantic.model_validator(mode="after")
    def check(self) -> Fields:
        """Refuse what does not go together."""
        if self.part == "major" and not self.dry_run:
            raise ValueError("a major release is only ever tried")
        return self


def test_the_fields_of_a_dataclass_are_inputs() -> None:
    """A dataclass gives its fields, inherited ones too, with evaluated types, defaults and required ones."""
    specs = inputs.declared(Settings, globals())
    assert {name: (spec.annotation, spec.required) for name, spec in specs.items()} == {
        "index": (str, True),
        "part": (Part, False),
        "tags": (list[str], False),
        "count": (int, False),
    }
    assert specs["part"].default == "auto"
    assert repr(specs["tags"].default) == "['new']"


def test_a_default_factory_is_called_only_to_be_shown() -> None:
    """The factory of a default is not called when the fields are read, and anew for every run."""
    calls: list[int] = []

    def count() -> int:
        calls.append(0)
        return len(calls)

    made = dataclasses.make_dataclass(
        "Made", [("n", int, field(default_factory=count))], namespace={"__module__": __name__}
    )
    graph = graph_of(made)
    assert isinstance(graph.inputs["n"].default, Computed)
    assert calls == []
    assert [inputs.bind(graph, {}), inputs.bind(graph, {})] == [{"n": 1}, {"n": 2}]
    assert inputs.default_text(graph.inputs["n"]) == "3"


def test_the_keys_of_a_typed_dict_are_inputs() -> None:
    """A TypedDict gives its keys; one that need not be there has the default None."""
    for kind, required in ((Keys, {"part", "count"}), (TotalKeys, {"part"})):
        specs = inputs.declared(kind, globals())
        assert {name for name, spec in specs.items() if spec.required} == required
    assert [spec.annotation for spec in inputs.declared(Keys, globals()).values()] == [Part, Path | None, int]
    assert inputs.declared(TotalKeys, globals())["out"] == InputSpec("out", Path, None)


def test_the_fields_of_a_model_are_inputs() -> None:
    """A pydantic model gives its fields with types and defaults."""
    specs = inputs.declared(Fields, globals())
    assert [name for name, spec in specs.items() if spec.required] == ["index"]
    assert specs["part"] == InputSpec("part", Part, "auto")
    assert isinstance(specs["words"].default, Computed)


def test_an_inherited_field_is_evaluated_where_it_was_written() -> None:
    """The annotation of an inherited field is looked up in the module of its own class."""
    module = types.ModuleType("elsewhere")
    sys.modules["elsewhere"] = module
    source = "from dataclasses import dataclass\nHere = int\n@dataclass\nclass Far:\n    n: 'Here'\n"
    exec(source, vars(module))

    @dataclass
    class Near(module.Far):  # type: ignore[name-defined, misc]  # its module is made above
        """A class that inherits from another module."""

        m: Colour

    assert [spec.annotation for spec in inputs.declared(Near, globals()).values()] == [int, Colour]
    del sys.modules["elsewhere"]


def test_another_class_cannot_declare_inputs() -> None:
    """A class that is neither dataclass, TypedDict nor model is refused with the decorator to write."""
    with pytest.raises(UsageError, match="write @dataclass above it"):
        inputs.declared(Foreign, globals())


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (Settings, {"index": "Where to publish.", "part": "Which number to raise;\nauto reads the commits.",
                    "count": "How often."}),
        (Keys, {"part": "Which number to raise."}),
        (Fields, {"part": "Which number to raise.", "words": "What to look for."}),
        (dataclasses.make_dataclass("NoSource", ["x"]), {}),
    ],
)  # fmt: skip
def test_the_string_below_a_field_is_its_help(kind: type, texts: dict[str, str]) -> None:
    """The help text of a field is the string below it, or a model's description."""
    assert inputs.help_texts(kind) == texts


def test_the_class_has_the_last_word() -> None:
    """What `__post_init__` makes of a value is the value of the input."""
    graph = graph_of(Settings)
    assert inputs.bind(graph, {"index": "http://i/", "count": "2"}) == {
        "index": "http://i",
        "part": "auto",
        "tags": ["new"],
        "count": 2,
    }


def test_inputs_in_place_stand_beside_the_class() -> None:
    """An input that the class does not declare is bound on its own."""
    specs = inputs.declared(Settings, globals())
    graph = make(*specs.values(), InputSpec("out", Path, Path("dist")), inputs_type=Settings)
    assert inputs.bind(graph, {"index": "i", "out": "o"})["out"] == Path("o")


def test_a_value_error_of_the_class_is_a_problem() -> None:
    """A ValueError raised by `Inputs` is bad input, in its own words."""
    assert problems_of(graph_of(Settings), {"index": "", "count": -1}) == ["count cannot be negative"]


def test_another_error_of_the_class_is_passed_on() -> None:
    """Any other exception of `Inputs` is a fault of the workflow and is not hidden."""
    with pytest.raises(LookupError, match="not an error of the inputs"):
        inputs.bind(graph_of(Settings), {"index": "", "count": 13})


def test_the_class_is_not_asked_about_half_of_its_fields() -> None:
    """While fields are missing or ill-typed, a dataclass is not made."""
    problems = problems_of(graph_of(Settings), {"count": -1, "part": "x"})
    assert [problem.partition(" ")[0] for problem in problems] == ["`index`", "`part`:"]


def test_a_typed_dict_is_bound() -> None:
    """The keys of a TypedDict are bound; one that is not given is its default."""
    graph = graph_of(Keys)
    assert inputs.bind(graph, {"part": "minor", "count": "1"}) == {"part": "minor", "out": None, "count": 1}


def test_a_model_checks_its_fields_itself() -> None:
    """A pydantic model sees what was typed, so that its own validators, aliases and constraints count."""
    bound = inputs.bind(graph_of(Fields), {"words": ["a,b"], "dry_run": "yes", "part": "major", "index": "i"})
    assert (bound["words"], bound["dry_run"], bound["colour"]) == (["a", "b"], True, Colour.RED)
    assert inputs.bind(graph_of(Fields), {"index": "i", "colour": "BLUE"})["colour"] is Colour.BLUE


def test_what_a_model_refuses_is_reported_with_all_the_rest() -> None:
    """The problems of a model's fields stand beside unknown and missing inputs, and none is said twice."""
    given = {"part": "mniro", "count": "0", "prat": "", "server": {}}
    assert problems_of(graph_of(Fields), given) == [
        "`prat` is not an input of release-workflow; did you mean `part`?",
        "`index` is missing (--index str)",
        "`part`: 'mniro' is none of auto, major, minor, patch; did you mean `minor`?",
        "`count`: '0' is not greater than 0",
        "`server.host`: missing",
    ]


def test_what_a_model_refuses_as_a_whole_is_a_problem() -> None:
    """A ValueError of a validator of the whole model is a problem, in its own words."""
    assert problems_of(graph_of(Fields), {"part": "major", "index": "i"}) == [
        "a major release is only ever tried"
    ]


# ---------------------------------------------------------------- files


def test_inputs_come_from_a_file_or_standard_input(tmp_path: Path) -> None:
    """`--inputs` reads a JSON object from a file, with or without a byte order mark, or from `-`."""
    for encoding in ("utf-8", "utf-8-sig"):
        file = tmp_path / "inputs.json"
        file.write_text('{"part": "minör"}', encoding=encoding)
        assert inputs.from_file(str(file), io.StringIO()) == {"part": "minör"}
    assert inputs.from_file("-", io.StringIO('{"n": 1}')) == {"n": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,}', r"inputs\.json:1:[89]: no JSON: "),
        (b"", r"inputs\.json:1:1: no JSON: Expecting value"),
        (b"[1]", r"inputs\.json holds \[1\], no JSON object"),
        (b"\xff\xfe", r"inputs\.json is no text in UTF-8"),
        (None, r"inputs\.json cannot be read: No such file or directory"),
    ],
)
def test_a_file_of_something_else_is_bad_input(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A file that is missing or holds no JSON object is bad input, with its place."""
    file = tmp_path / "inputs.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadInputs, match=message):
        inputs.from_file(str(file), io.StringIO())


# ---------------------------------------------------------------- options


def parser_for(graph: Graph) -> argparse.ArgumentParser:
    """Return a parser with the options of a graph."""
    parser = argparse.ArgumentParser("gflow", allow_abbrev=False)
    inputs.add_options(parser, graph)
    return parser


def typed(graph: Graph, *argv: str) -> dict[str, object]:
    """Return the inputs that a command line gives."""
    return inputs.options_of(parser_for(graph).parse_args(argv), graph)


EVERY = make(
    InputSpec("part", Part, "auto", "Which number to raise, 100% of the time"),
    InputSpec("index", str),
    InputSpec("dry_run", bool, False, "Only look"),
    InputSpec("package", list[str], [], "What to release"),
    InputSpec("ports", list[int], [80]),
    InputSpec("repo", Path | None, None, "The repository"),
    InputSpec("limits", dict[str, list[int]], {"a": [1]}),
    InputSpec("any_count", int | Literal["all"], "all"),
    InputSpec("empty", str, ""),
    InputSpec("free", Any, None),
)


def test_help_shows_every_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """--help shows choices or types, texts, defaults and what is required, and hides the other spelling."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    text = parser_for(EVERY).format_help()
    assert text.partition("inputs of release-workflow:\n")[2] == (
        "  --part {auto,major,minor,patch}\n"
        "                        Which number to raise, 100% of the time (default: auto)\n"
        "  --index str           (required)\n"
        "  --dry-run, --no-dry-run\n"
        "                        Only look (default: false)\n"
        "  --package str         What to release (repeatable)\n"
        "  --ports int           (repeatable, default: [80])\n"
        "  --repo Path           The repository\n"
        "  --limits JSON         (default: {'a': [1]})\n"
        "  --any-count int|{all}\n"
        "                        (default: all)\n"
        "  --empty str           (default: '')\n"
        "  --free VALUE\n"
    )


@pytest.mark.parametrize("columns", ["20", "60", "300"])
def test_usage_fits_any_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """The parser can wrap the usage of every kind of option."""
    monkeypatch.setenv("COLUMNS", columns)
    assert "--any-count" in parser_for(EVERY).format_usage()


@pytest.mark.parametrize(
    ("argv", "given"),
    [
        ([], {}),
        (["--part", "x"], {"part": "x"}),
        (["--dry-run"], {"dry_run": True}),
        (["--dry_run"], {"dry_run": True}),
        (["--no-dry-run"], {"dry_run": False}),
        (["--any-count", "1"], {"any_count": "1"}),
        (["--any_count=1"], {"any_count": "1"}),
        (["--package", "a", "--package", "b"], {"package": ["a", "b"]}),
        (["--ports", "1"], {"ports": ["1"]}),
        (["--ports", "[1, 2]"], {"ports": "[1, 2]"}),
        (["--package", "[a]", "--package", "[b]"], {"package": ["[a]", "[b]"]}),
    ],
)
def test_options_are_what_was_typed(argv: list[str], given: dict[str, object]) -> None:
    """Only what was typed is given; `-` and `_` are the same; text stays text."""
    assert typed(EVERY, *argv) == given


def test_a_workflow_without_inputs_adds_nothing_to_the_help() -> None:
    """A graph without inputs adds no heading to the help."""
    assert "inputs of" not in parser_for(make()).format_help()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("minor", "minor"),
        ("", "''"),
        (" ", "' '"),
        ("a\nb", "a"),
        (None, "None"),
        (True, "true"),
        (5, "5"),
        (Path("a/b"), "a/b"),
        (Colour.RED, "RED"),
        (Level.LOW, "low"),
        ([1, "a"], "[1, 'a']"),
        (Computed(lambda: Level.LOW), "low"),
    ],
)
def test_a_value_is_described_as_it_is_typed(value: object, text: str) -> None:
    """A value is shown in one line, as one would type it."""
    assert inputs.describe(value) == text


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 5),
        (bool, True),
        (Part, "auto"),
        (Literal[1, True], True),
        (Colour, Colour.RED),
        (Level, Level.HIGH),
        (int | Literal["all"], "all"),
        (Path | None, Path("x")),
        (list[int], [1, 2]),
        (date, date(2024, 5, 6)),
    ],
)
def test_what_describes_a_value_can_be_typed(annotation: object, value: object) -> None:
    """The text that shows a value is read back as that value."""
    assert bind_one(annotation, inputs.describe(value)) == value


def test_previews_are_descriptions() -> None:
    """The journal shows the inputs of a run as they are described."""
    assert inputs.previews({"part": "minor", "dry_run": True}) == {"part": "minor", "dry_run": "true"}
