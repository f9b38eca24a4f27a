"""Secrets: references are kept, values are read when needed and masked in all that is shown."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import math
import os
import pickle
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict
from urllib.parse import quote, quote_plus

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gflow
from gflow import Context, Input, Secret, cli, failure, inputs, secret, sh, shell, task
from gflow.checkpoint import Unpicklable, dumps, preview
from gflow.errors import BadInputs, UsageError
from gflow.model import Graph, InputSpec
from gflow.shell import CommandFailed, CommandNotStarted, CommandTimeout
from gflow.testing import run_in_memory

ROOT = Path(__file__).parents[1]
NASTY = "pa'ss\"wörd/+&%\\ 9=?"
"""A value that every way of writing it changes in some other place."""
PLAIN = "pypi-AgEIcHlwaS5vcmcCJGQ5"


@pytest.fixture(autouse=True)
def knowing_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin every test without known values, and forget what it reveals."""
    monkeypatch.setattr(secret, "_known", None)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Secret:
    """A secret in the environment, not yet revealed."""
    monkeypatch.setenv("TOKEN", PLAIN)
    return Secret.from_env("TOKEN")


def kept_in(path: Path, data: bytes | str, mode: int = 0o600) -> Secret:
    """Write a secret into a file and return the reference to it."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(mode)
    return Secret.from_file(path)


# ---------------------------------------------------------------- references


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("env:PYPI_TOKEN", "env:PYPI_TOKEN"),
        ("env:_x9", "env:_x9"),
        ("file:/run/secrets/pypi", "file:/run/secrets/pypi"),
        ("file:~/.pypi", "file:~/.pypi"),
        ("file:keys/a:b", "file:HERE/keys/a:b"),
    ],
)
def test_the_text_form(text: str, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference is `env:NAME` or `file:PATH`; a relative path is kept absolute, for a later resume."""
    monkeypatch.chdir(tmp_path)
    assert Secret(text).reference == reference.replace("HERE", str(Path.cwd()))
    assert Secret(Secret(text).reference) == Secret(text)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (PLAIN, PLAIN),
        ("https://a:b@c", "https://a:b@c"),
        ("ENV:TOKEN", "ENV:TOKEN"),
        ("env:pypi-AgEI", "pypi-AgEI"),
        ("env:key=value", "key=value"),
        ("abc", ""),
        ("env:", ""),
        ("file:", ""),
        ("", ""),
    ],
)
def test_what_is_no_reference_is_refused_unseen(text: str, hidden: str) -> None:
    """Anything else is taken for the secret itself: it is refused without being quoted, and masked.

    `$TOKEN` typed as `env:$TOKEN` is one, too; `file:` without a path is a slip, and hides nothing.
    """
    with pytest.raises(ValueError, match=f"^{secret.REMEDY}$"):
        Secret(text)
    assert secret.mask(f"<{hidden}>") == ("<***>" if hidden else "<>")
    assert secret.mask("env:X file:/run/x abc") == "env:X file:/run/x abc"


def test_it_shows_where_never_what(token: Secret) -> None:
    """Text, repr and preview show the reference, also inside other values and after it was revealed."""
    token.reveal()
    assert str(token) == f"{token}" == preview(token) == "env:TOKEN"
    assert repr(token) == "Secret('env:TOKEN')"
    assert preview({"token": token}) == "{'token': Secret('env:TOKEN')}"


def test_two_references_to_one_place_are_equal(token: Secret) -> None:
    """A reference is a value: equal, hashable, the same when copied, and it cannot be changed."""
    assert {token, Secret("env:TOKEN")} == {token}
    assert copy.copy(token) is copy.deepcopy([token])[0] is token
    with pytest.raises(dataclasses.FrozenInstanceError):
        token.reference = "env:OTHER"  # type: ignore[misc]


# ---------------------------------------------------------------- reading


def test_a_secret_is_read_when_it_is_revealed(token: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time it is revealed, the value is the one of that moment; all of them are masked."""
    assert token.reveal() == PLAIN
    monkeypatch.setenv("TOKEN", "another one")
    assert token.reveal() == "another one"
    assert secret.mask(f"{PLAIN}, then another one") == "***, then ***"


@pytest.mark.parametrize(
    ("content", "value"),
    [("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), ("hunter2", "hunter2"), ("a\nb\n\n", "a\nb\n")],
)
def test_one_newline_at_the_end_of_a_file_is_left_out(tmp_path: Path, content: str, value: str) -> None:
    """A file's last newline is the editor's; everything else is the secret's."""
    assert kept_in(tmp_path / "token", content).reveal() == value


def test_a_file_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~/` in a reference is the home folder of whoever reads it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    kept_in(tmp_path / "token", "hunter2")
    assert Secret("file:~/token").reveal() == "hunter2"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: Secret("env:UNSET"),
            r"env:UNSET: the environment variable UNSET is not set\n  .*read -rs",
        ),
        (lambda p: Secret("env:EMPTY"), r"env:EMPTY is empty"),
        (lambda p: Secret.from_file(p / "no"), r"file:\S+/no cannot be read: No such file"),
        (Secret.from_file, r"file:\S+ is not a file"),
        (lambda p: kept_in(p / "t", ""), r"file:\S+/t is empty"),
        (lambda p: kept_in(p / "t", "\n"), r"file:\S+/t is empty"),
        (lambda p: kept_in(p / "t", b"\xff\xfe"), r"file:\S+/t is no text in UTF-8"),
        (lambda p: kept_in(p / "t", "x", 0o640), r"can be read by others \(mode 640\)\n  chmod 600 \S+/t$"),
        (lambda p: kept_in(p / "t", "x", 0o604), r"can be read by others \(mode 604\)\n  chmod 600 \S+/t$"),
    ],
)
def test_what_cannot_be_read_is_named(
    make: Callable[[Path], Secret], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that is missing, empty or open to others is an error with its reference and a remedy."""
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)
    with pytest.raises(UsageError, match=message):
        make(tmp_path).reveal()


# ---------------------------------------------------------------- storing


@dataclass
class Account:
    """Something that holds a secret."""

    user: str
    tokens: list[Secret]


class Profile(pydantic.BaseModel):
    """A model that holds a secret."""

    token: Secret
    spare: Secret | None = None


def test_a_secret_is_no_result(token: Secret) -> None:
    """A value that holds a secret cannot be a result; the message leads to it and says what to do."""
    with pytest.raises(Unpicklable, match=r"^result\.tokens\[0\]: a secret is no result .* by an input$"):
        dumps(Account("me", [token]))
    with pytest.raises(TypeError, match="a secret is no result"):
        pickle.dumps(token)


def test_inputs_are_stored_as_references(token: Secret) -> None:
    """In the inputs of a run a secret is stored as its reference, however deep it lies; only there."""
    token.reveal()
    with secret.storable():
        payload = dumps({"account": Account("me", [token])})
    assert PLAIN.encode() not in payload
    assert pickle.loads(payload) == {"account": Account("me", [token])}
    with pytest.raises(Unpicklable):
        dumps(token)


def test_a_step_that_returns_a_secret_fails(token: Secret) -> None:
    """A step that returns a secret, or what holds one, fails with an explanation."""

    @task
    def login(token: Input[Secret]) -> Account:
        return Account("me", [token])

    run = run_in_memory(login, inputs={"token": token})
    assert run.status == "failed"
    assert run.errors[0].message.startswith("login.tokens[0]: a secret is no result of a step")


def test_secrets_are_found_inside_values(token: Secret) -> None:
    """Secrets are found in containers, dataclasses and models, each once, and cycles end."""
    spare = Secret("env:SPARE")
    loop: list[object] = [token, {"deep": ({spare},)}, "text", 1, None]
    loop.append(loop)
    assert set(secret.inside(loop)) == {token, spare}
    assert list(secret.inside(Account("me", [spare]))) == [spare]
    assert list(secret.inside(Profile(token=token))) == [token]
    assert list(secret.inside(Account)) == []


# ---------------------------------------------------------------- inputs


def graph_of(annotation: object, *default: object, inputs_type: type | None = None) -> Graph:
    """Return a graph with one input, `token`, or those of a class."""
    specs = {"token": InputSpec("token", annotation, *default)}
    if inputs_type is not None:
        specs = inputs.declared(inputs_type, globals())
    return Graph("flow", "", "", "flow", {}, specs, None, (), inputs_type)


class Dict(TypedDict):
    token: Secret


@dataclass
class Fields:
    token: Secret
    spare: Secret = Secret.from_env("TOKEN")  # noqa: RUF009  # a Secret cannot be changed


def bind(graph: Graph, given: dict[str, object]) -> dict[str, object]:
    return inputs.bind(graph, given)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Secret, "env:TOKEN"),
        (Secret, Secret("env:TOKEN")),
        (Secret | None, "env:TOKEN"),
        (Annotated[Secret, "a note"], "env:TOKEN"),
    ],
)
def test_text_becomes_a_secret(annotation: object, value: object, token: Secret) -> None:
    """An input of type Secret takes the text form or a Secret, and what it names is masked from then on."""
    assert bind(graph_of(annotation), {"token": value}) == {"token": token}
    assert secret.mask(PLAIN) == "***"


def test_secrets_in_structures_are_read(token: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists, mappings, dataclasses and models may hold secrets; each is checked."""
    assert bind(graph_of(list[Secret]), {"token": ["env:TOKEN"]}) == {"token": [token]}
    assert bind(graph_of(dict[str, Secret]), {"token": '{"a": "env:TOKEN"}'}) == {"token": {"a": token}}
    assert bind(graph_of(Profile), {"token": '{"token": "env:TOKEN"}'}) == {"token": Profile(token=token)}
    monkeypatch.delenv("TOKEN")
    for annotation, value in ((list[Secret], ["env:TOKEN"]), (Profile, {"token": "env:TOKEN"})):
        with pytest.raises(BadInputs, match="`token`: env:TOKEN: the environment variable TOKEN is not set"):
            bind(graph_of(annotation), {"token": value})


@pytest.mark.parametrize("inputs_type", [Dict, Fields, Profile])
def test_a_class_of_inputs_may_have_secrets(inputs_type: type, token: Secret) -> None:
    """A field of type Secret of a dataclass, a TypedDict or a pydantic model is read and checked alike."""
    graph = graph_of(None, inputs_type=inputs_type)
    assert bind(graph, {"token": "env:TOKEN"})["token"] == token
    with pytest.raises(BadInputs, match=r"^`token`: give env:NAME or file:PATH; .*") as error:
        bind(graph, {"token": "hunter22"})
    assert "hunter22" not in str(error.value)
    with pytest.raises(BadInputs, match="`token`: env:UNSET: the environment variable UNSET is not set"):
        bind(graph, {"token": "env:UNSET"})


@pytest.mark.parametrize("default", ["env:TOKEN", Secret("env:TOKEN")])
def test_a_default_is_read_too(default: object, token: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """A default may be written as text; it is checked unless something else is given."""
    assert bind(graph_of(Secret, default), {}) == {"token": token}
    monkeypatch.setenv("OTHER", "another one")
    monkeypatch.delenv("TOKEN")
    assert bind(graph_of(Secret, default), {"token": "env:OTHER"}) == {"token": Secret("env:OTHER")}
    with pytest.raises(BadInputs) as error:
        bind(graph_of(Secret, default), {"token": "hunter22"})
    assert error.value.problems == (f"`token`: {secret.REMEDY}",)
    with pytest.raises(BadInputs, match="`token`: env:TOKEN: the environment variable TOKEN is not set"):
        bind(graph_of(Secret, default), {})


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Secret, PLAIN),
        (Secret, [PLAIN]),
        (Secret | None, PLAIN),
        (Secret | int, PLAIN),
        (list[Secret], PLAIN),
        (list[Secret], ["env:TOKEN", PLAIN]),
        (dict[str, Secret], {"a": PLAIN}),
        (dict[str, Secret], f'{{"a": "{PLAIN}"}}'),
    ],
)
def test_no_problem_quotes_a_secret(annotation: object, value: object) -> None:
    """Whatever is given in the place of a secret is not shown, not even by another arm of a union."""
    with pytest.raises(BadInputs) as error:
        bind(graph_of(annotation), {"token": value})
    assert PLAIN not in str(error.value)


def test_everything_wrong_is_told_at_once(token: Secret) -> None:
    """A secret that is missing stands beside the other problems of the inputs."""
    specs = {"token": InputSpec("token", Secret), "count": InputSpec("count", int)}
    graph = Graph("flow", "", "", "flow", {}, specs, None, ())
    with pytest.raises(BadInputs) as error:
        inputs.bind(graph, {"token": "env:UNSET", "count": "many", "x": "1"})
    assert [problem.partition(":")[0] for problem in error.value.problems] == [
        "`x` is not an input of flow", "`count`", "`token`"
    ]  # fmt: skip


def test_the_option_says_what_to_type(token: Secret) -> None:
    """The option of a secret names both forms, and its default is the reference."""
    spec = InputSpec("token", Secret | None, token)
    assert inputs.option(spec) == "--token env:NAME|file:PATH"
    assert inputs.default_text(spec) == inputs.describe(token) == "env:TOKEN"


def test_a_secret_needs_no_pydantic() -> None:
    """An input of type Secret is bound without loading pydantic, which takes longer than the rest."""
    code = (
        "import sys; from gflow import Secret, inputs; from gflow.model import Graph, InputSpec;"
        "graph = Graph('f', '', '', 'f', {}, {'t': InputSpec('t', Secret)}, None, ());"
        "inputs.bind(graph, {'t': 'env:TOKEN'}); sys.exit('pydantic' in sys.modules)"
    )
    environment = {**os.environ, "TOKEN": PLAIN}
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False).returncode == 0
    )


# ---------------------------------------------------------------- masks

WRITERS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON in ASCII": lambda text: json.dumps(text)[1:-1],
    "Python": lambda text: repr(text)[1:-1],
    "Python in ASCII": lambda text: ascii(text)[1:-1],
    "Python bytes": lambda text: repr(text.encode())[2:-1],
    "the shell, by shlex": lambda text: text.replace("'", "'\"'\"'"),
    "the shell, by set -x": lambda text: text.replace("'", "'\\''"),
    "URL": lambda text: quote(text, safe=""),
    "URL path": quote,
    "URL form": quote_plus,
}
"""The ways of writing a text in which each character is written by itself."""


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("around", [("", ""), ("x", "y"), ("it's ", ""), ('say "', "\" it's")])
def test_every_form_is_masked(write: Callable[[str], str], around: tuple[str, str]) -> None:
    """A value is masked in every way of writing it, whatever stands around it."""
    secret.hide(NASTY)
    before, after = around
    masked = secret.mask(write(f"{before}{NASTY}{after}"))
    # Whether Python escapes a quote depends on the other quotes of the whole text.
    assert masked.replace("\\", "") == f"{write(before)}***{write(after)}".replace("\\", "")


@given(
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=4),
    before=st.text(st.characters(exclude_categories=["Cs"])),
    after=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_no_form_survives(value: str, before: str, after: str) -> None:
    """No value is left in a masked text, in whichever way both were written."""
    with secret.forgetting():
        secret.hide(value)
        for write in WRITERS.values():
            assert write(value) not in secret.mask(write(before + value + after))


@given(
    value=st.binary(min_size=4).map(lambda data: data.hex()),
    before=st.text("ab:", max_size=5),
    after=st.text("ab:", max_size=5),
)
def test_base64_is_masked_wherever_it_begins(value: str, before: str, after: str) -> None:
    """In base64 a value is masked at all three offsets; of it stays at most a character at either end."""
    with secret.forgetting():
        secret.hide(value)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            masked = secret.mask(encode(f"{before}{value}{after}".encode()).decode())
            left, _, right = masked.partition("***")
            assert len(left) <= math.ceil(4 * len(before) / 3) + 1
            assert len(right.rstrip("=")) <= math.ceil(4 * len(after) / 3) + 1


def test_a_long_value_is_masked_in_lines_of_base64() -> None:
    """The lines that the tool `base64` makes of a long value are masked one by one."""
    value = "".join(f"{number:03}" for number in range(60))
    secret.hide(value)
    for encoded in (base64.encodebytes(value.encode()).decode(), sh("base64", input=value).stdout):
        assert [secret.mask(line) for line in encoded.splitlines()] == ["***"] * len(encoded.splitlines())


def test_the_lines_of_a_value_are_masked() -> None:
    """Of a value of several lines, such as a key, each longer line is masked by itself."""
    secret.hide("-----BEGIN KEY-----\n  MIIEvQIBADANBg\nshort\n-----END KEY-----")
    assert secret.mask("a MIIEvQIBADANBg b") == "a *** b"
    assert secret.mask("short") == "short"


def test_short_values_are_not_masked() -> None:
    """A value of fewer than four characters is left as it is: it would blank out innocent text."""
    secret.hide("abc")
    assert secret.mask("abc") == "abc"
    secret.hide("abcd")
    assert secret.mask("abc abcd") == "abc ***"


def test_the_longer_of_two_values_wins() -> None:
    """A value that is the beginning of another one does not leave the other's end."""
    secret.hide("hunter2")
    secret.hide("hunter2-and-more")
    secret.hide("hunter2")
    assert secret.mask("hunter2-and-more, hunter2") == "***, ***"


def test_without_secrets_nothing_is_done() -> None:
    """While no value is known, a text comes back as the same object, and cuts are plain cuts."""
    text = "x" * 100
    assert secret.mask(text) is text
    assert (secret.head(text, 10), secret.tail(text, 10), secret.reach()) == (text[:10], text[-10:], 0)


def test_what_is_learnt_can_be_forgotten(token: Secret) -> None:
    """`forgetting` leaves known what was known before, so that tests do not depend on each other."""
    secret.hide("hunter2")
    with secret.forgetting():
        token.reveal()
        assert secret.mask(f"hunter2 {PLAIN}") == "*** ***"
    assert secret.mask(f"hunter2 {PLAIN}") == f"*** {PLAIN}"


@given(
    pieces=st.lists(st.sampled_from(["hunter2", "hunt", "er2", "x", " ", "\n"])), length=st.integers(0, 40)
)
def test_a_cut_never_shows_a_part(pieces: list[str], length: int) -> None:
    """The beginning and the end of a text are those of the masked text, never cut inside a value."""
    with secret.forgetting():
        secret.hide("hunter2")
        text = "".join(pieces)
        masked, head, tail = secret.mask(text), secret.head(text, length), secret.tail(text, length)
        assert masked.startswith(head)
        assert masked.endswith(tail)
        assert max(len(head), len(tail)) <= length + 2
        assert len(text) > length or head == tail == masked


# ---------------------------------------------------------------- where values are shown


class Loud:
    """A value whose repr tells the secret."""

    def __repr__(self) -> str:
        return f"<Loud {PLAIN}>"


class Client:
    """A value whose text tells the secret."""

    def __str__(self) -> str:
        return f"client with {PLAIN}"


@pytest.mark.parametrize(
    "value",
    [
        *(f"{'x' * before}{PLAIN}" for before in range(170, 203)),
        *(["x" * before + PLAIN] for before in range(170, 203)),
        *(("x" * before + PLAIN).encode() for before in range(170, 203)),
        [bytearray(b"x" * 190 + PLAIN.encode() * 20)],
        {PLAIN: 1},
        Account(PLAIN, []),
        Loud(),
        [Loud()],
        Client(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_previews_are_masked_before_they_are_cut(value: object, token: Secret) -> None:
    """No preview shows a value or a part of it, wherever the preview is cut."""
    token.reveal()
    shown = preview(value)
    assert not any(PLAIN[: n + 4] in shown for n in range(len(PLAIN) - 4))
    assert len(shown) <= 200


def test_short_bytes_keep_their_look(token: Secret) -> None:
    """A masked preview of bytes is still that of bytes."""
    token.reveal()
    assert preview([b"a " + PLAIN.encode(), bytearray(b"b")]) == "[b'a ***', bytearray(b'b')]"


@pytest.mark.parametrize("before", range(failure.MESSAGE_LIMIT - 30, failure.MESSAGE_LIMIT + 3))
def test_messages_are_masked_before_they_are_cut(before: int, token: Secret) -> None:
    """The message of an error shows no part of a value, wherever it is cut."""
    token.reveal()
    assert PLAIN[:4] not in failure.message(ValueError("x" * before + PLAIN))


def test_source_lines_are_masked() -> None:
    """The line of source code that a failure shows is masked."""
    secret.hide("written-in-the-code")
    with pytest.raises(ValueError, match="written") as raised:
        raise ValueError("written-in-the-code")
    assert failure.frames(raised.value)[-1][-1] == 'raise ValueError("***")'


def test_errors_of_commands_are_masked(token: Secret) -> None:
    """The quoted command, its last lines and the reasons are masked; what `sh` returns is not."""
    value = token.reveal()
    script = f"echo out {value}; echo err {value} >&2; exit 3"
    with pytest.raises(CommandFailed) as failed:
        sh("sh", "-c", script)
    assert str(failed.value) == "`sh -c 'echo out ***; echo err *** >&2; exit 3'` exited with 3\nerr ***"
    assert sh("echo", value).stdout == f"{value}\n"
    assert str(CommandTimeout(("sleep", value), 1)) == "`sleep ***` had not ended after 1 s and was killed"
    with pytest.raises(CommandNotStarted) as error:
        sh(f"curl -H {value}")
    assert value not in str(error.value)


@pytest.mark.parametrize("before", range(shell.ARGV_LIMIT - 30, shell.ARGV_LIMIT + 3))
def test_commands_are_masked_before_they_are_cut(before: int, token: Secret) -> None:
    """A long command shows no part of a value where it is cut."""
    value = token.reveal()
    assert value[:4] not in str(CommandFailed(("x" * before, value), 1))


@pytest.mark.parametrize("after", range(shell.TAIL_LIMIT - 25, shell.TAIL_LIMIT + 2, 5))
def test_last_lines_are_masked_before_they_are_cut(after: int, token: Secret) -> None:
    """Of long output the last lines show no part of a value where they begin."""
    with pytest.raises(CommandFailed) as failed:
        sh("sh", "-c", f'printf "%s%{after}s" "$T" x; exit 1', env={"T": token.reveal()})
    assert PLAIN[-4:] not in failed.value.tail
    assert failed.value.tail.endswith("   x")


def test_long_lines_are_masked_before_they_are_cut(token: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of output that is cut shows no part of a value to who follows the command."""
    value = token.reveal()
    heard: list[str] = []

    class Watcher:
        def started(self, process: shell.Process) -> None: ...
        def line(self, stream: shell.StreamName, text: str) -> None:
            heard.append(text)

        def ended(self, process: shell.Process) -> None: ...

    monkeypatch.setattr(shell, "LINE_LIMIT", 30)
    reset = shell.watcher.set(Watcher())
    try:
        sh("echo", f"{'x' * 20}{value} and more")
    finally:
        shell.watcher.reset(reset)
    assert heard == [f"{'x' * 20}*** [{20 + len(value) + 9 - 30} bytes more]"]


# ---------------------------------------------------------------- the output of a program


def test_output_is_masked(capsys: pytest.CaptureFixture[str], token: Secret) -> None:
    """What a program prints is masked on both streams until it ends, however it is written."""
    value = token.reveal()
    before = sys.stdout, sys.stderr
    with secret.masked_output():
        print("a", value)
        print("b", value, file=sys.stderr)
        sys.stdout.writelines(["c ", value, "\n"])
        assert sys.stdout.encoding == before[0].encoding
        assert sys.stdout.write(value) == len(value)
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("a ***\nc ***\n***", "b ***\n")


def test_uncaught_errors_are_masked(capsys: pytest.CaptureFixture[str], token: Secret) -> None:
    """Once a value is known, the traceback of an error that nobody caught is printed with masks."""
    with pytest.raises(ZeroDivisionError), secret.masked_output():
        raise ZeroDivisionError(PLAIN)
    value = token.reveal()
    with pytest.raises(SystemExit) as ended, secret.masked_output():
        raise ZeroDivisionError(value)
    assert ended.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last):\n")
    assert printed.endswith("ZeroDivisionError: ***\n")


def test_a_closed_stream_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without standard output has none under the mask either."""
    monkeypatch.setattr(sys, "stdout", None)
    with secret.masked_output():
        assert sys.stdout is None
        print("nobody hears this")


# ---------------------------------------------------------------- a whole run

FLOW = '''
"""Leak a secret in every way."""
import base64, json, logging, os, signal
from pathlib import Path
from urllib.parse import quote, quote_plus
from loguru import logger
from gflow import Context, Secret, parallel, sh, stage, task
from dataclasses import dataclass

@dataclass
class Inputs:
    token: Secret
    spare: Secret = Secret.from_env("SPARE")

def forms(value):
    data = value.encode()
    return [value, json.dumps(value), json.dumps({"k": value}, ensure_ascii=False), repr(value), repr(data),
            quote(value), quote(value, safe=""), quote_plus(value), base64.b64encode(data).decode(),
            base64.b64encode(b"user:" + data).decode(), base64.urlsafe_b64encode(b"u" + data).decode()]

@dataclass
class Client:
    name: str
    def __str__(self):
        return f"client of {os.environ['TOKEN']}"

@task
def leak(token: Secret, ctx: Context) -> Client:
    value = token.reveal()
    for form in forms(value):
        print("printed", form)
        ctx.log(f"logged {form}")
        logging.getLogger("mine").warning("logging %s", form)
        logger.info("loguru {}", form)
        sh("sh", "-c", 'echo "$1"; echo "$1" >&2', "sh", form)
    sh("sh", "-xc", 'echo "$T" | base64; echo "$T" | tee /dev/stderr >/dev/null', env={"T": value})
    try:
        raise KeyError(value)
    except KeyError:
        logger.exception("caught")
    ctx.degrade(f"weak {value}")
    return Client("me")

@leak.undo
def unleak(leak: Client) -> None:
    """plug the leak"""
    raise RuntimeError(f"cannot plug {os.environ['TOKEN']}")

@task
def die(leak: Client) -> None:
    if not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)

@task(attempts=2)
def fail(die: None, token: Secret) -> None:
    raise ValueError(" ".join(forms(token.reveal())), token.reveal())

@task
def command(die: None, token: Secret) -> None:
    sh("sh", "-c", 'echo "$1" >&2; exit 3', "sh", token.reveal())

@task
def literal(die: None) -> None:
    raise ValueError(SPARE)

@parallel
def flow(leak: Client, die: None, fail: None, command: None, literal: None) -> None: ...
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the workflow above; one of its lines holds a secret literally."""
    (tmp_path / "pyproject.toml").touch()
    text = FLOW.replace("ValueError(SPARE)", f'ValueError("{PLAIN}")')
    (tmp_path / "flow_secret.py").write_text(text, encoding="utf-8")
    return tmp_path


def called(project: Path, *argv: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Call the command line as a user does; both streams end in stdout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GFLOW_", "XDG_"))}
    return subprocess.run(
        [sys.executable, "-m", "gflow", *argv],
        cwd=project,
        env=kept | {"HOME": str(project / "home"), "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def traces(value: str) -> Iterator[bytes]:
    """Yield what must be nowhere: the value as other code writes it, and its base64 without the ends."""
    texts = {write(value) for write in WRITERS.values()} | {shlex.quote(value)[1:-1]}
    yield from (text.encode() for text in texts)
    for before in (b"", b"u", b"user:", b"us"):
        yield base64.b64encode(before + value.encode())[8:-4]
        yield base64.urlsafe_b64encode(before + value.encode())[8:-4]


def leaks(data: bytes) -> list[bytes]:
    return [trace for value in (NASTY, PLAIN) for trace in traces(value) if trace in data]


def files_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


LATER = [
    ("resume", "last"),
    ("show", "last"),
    ("show", "last", "--json"),
    ("logs", "last"),
    ("logs", "last", "--json"),
    ("rollback", "last", "--to", "start", "--yes"),
    ("resume", "last", "--debug"),
]


def test_a_run_leaks_nothing(project: Path) -> None:
    """No file of the store and no line of the command line holds a secret in any form.

    The step prints, logs, raises and runs commands with it; the process is killed, so that the write-ahead
    log is there too; then the run is resumed, fails, is shown, and is rolled back by an undo that fails.
    """
    store, known = project / ".gflow", {"TOKEN": NASTY, "SPARE": PLAIN}
    died = called(project, "flow_secret.py", "--token", "env:TOKEN", **known)
    assert died.returncode == -signal.SIGKILL
    files = list(files_of(store).items())
    assert any(name.endswith("-wal") and data for name, data in files)
    assert any(b"env:TOKEN" in data for _, data in files)
    outputs = {" ".join(argv): called(project, *argv, **known).stdout for argv in LATER}
    for name, data in [*files, *files_of(store).items(), ("run", died.stdout), *outputs.items()]:
        assert leaks(data) == [], name
    assert b"printed ***\n" in died.stdout
    assert b"`sh -c 'echo \"$1\" >&2; exit 3' sh" in outputs["resume last"]
    assert b'raise ValueError("***")' in outputs["resume last"]
    assert b"cannot plug ***" in outputs["rollback last --to start --yes"]
    document = json.loads(outputs["show last --json"])
    assert document["inputs"] == {"token": "env:TOKEN", "spare": "env:SPARE"}
    assert document["steps"]["leak"]["preview"] == "client of ***"
    assert document["steps"]["leak"]["degraded"] == "weak ***"
    assert document["steps"]["fail"]["attempts"] == 2


SMALL = """
from gflow import Input, Secret, task

@task
def first(token: Input[Secret]) -> int:
    return len(token.reveal())

@task
def second(first: int, other: Input[Secret] = Secret("env:OTHER")) -> int:
    return int(other.reveal())
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose second step fails until its secret is a number; calls are made in this process."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "GFLOW_STORE", "GFLOW_DURABILITY", "GFLOW_KEY", "GFLOW_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "small_secret.py").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop("small_secret", None)
    monkeypatch.setenv("TOKEN", PLAIN)
    monkeypatch.setenv("OTHER", "not a number")
    return tmp_path


def test_resume_reads_secrets_again(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal keeps the reference; what it refers to when the run is resumed is what a step gets."""
    run = gflow.run("small_secret.py", token="env:TOKEN")
    assert run.errors[0].message == "invalid literal for int() with base 10: '***'"
    monkeypatch.setenv("OTHER", "12345")
    resumed = gflow.resume(run.id)
    assert resumed.results["second"] == 12345
    assert resumed.inputs == {"token": "env:TOKEN", "other": "env:OTHER"}


@pytest.mark.parametrize("words", [(), ("--rerun", "first")], ids=["resume", "rerun"])
def test_resume_without_a_secret_is_refused(
    words: tuple[str, ...], small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run whose secret is gone is not resumed, and nothing is taken back; another reference helps."""
    run = gflow.run("small_secret.py", token="env:TOKEN")
    rounds = "select count(*) from round"
    with closing(sqlite3.connect(small / ".gflow" / "state.db")) as database:
        before = database.execute(rounds).fetchone()
    monkeypatch.delenv("OTHER")
    assert cli.main(["resume", run.id, *words]) == 2
    assert "`other`: env:OTHER: the environment variable OTHER is not set" in capsys.readouterr().err
    with closing(sqlite3.connect(small / ".gflow" / "state.db")) as database:
        assert database.execute(rounds).fetchone() == before
    kept_in(small / "other", "678\n")
    assert gflow.resume(run.id, other="file:other").results["second"] == 678


def test_nothing_runs_without_a_secret(small: Path) -> None:
    """A run that lacks a secret is not begun: exit code 2, and there is no state folder."""
    done = called(small, "small_secret.py", "--token", "env:UNSET")
    assert (done.returncode, (small / ".gflow").exists()) == (2, False)
    assert b"`token`: env:UNSET: the environment variable UNSET is not set" in done.stdout


def test_runs_in_tests_are_forgotten(token: Secret) -> None:
    """A run in memory masks what it reveals, and leaves nothing masked for the next test."""

    @task
    def tell(token: Input[Secret], ctx: Context) -> str:
        ctx.degrade(token.reveal())
        return f"it is {token.reveal()}"

    run = run_in_memory(tell, inputs={"token": "env:TOKEN"})
    assert (run.steps["tell"].preview, run.steps["tell"].degraded) == ("it is ***", "***")
    assert run.results["tell"] == f"it is {PLAIN}"
    assert secret.mask(PLAIN) == PLAIN


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_what_a_shell_echoes_is_masked(token: Secret) -> None:
    """The trace of `bash -x` and the quoting of shlex are masked as those programs write them."""
    secret.hide(NASTY)
    traced = sh("bash", "-xc", 'true "$T"', env={"T": NASTY, "LC_ALL": "C.UTF-8"}).stderr
    assert "***" in secret.mask(traced)
    assert "rd/" not in secret.mask(traced)
    assert secret.mask(shlex.join(["x", f"a{NASTY}"])) == "x 'a***'"
