"""Secrets: references that may be stored, values that are read when needed, and masks over everything shown.

A `Secret` names a place, an environment variable or a file. Only `reveal` reads it, and from then on the
value is masked in whatever this process writes for people: logs, previews, errors, the command line's
output. Everything that shortens a text which may hold a value does it with `head` or `tail`: a value that
was cut in two would not be found again.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import stat
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple, Self, TextIO, cast
from urllib.parse import quote, quote_plus

from gflow.errors import UsageError

STARS: Final = "***"
SHORTEST: Final = 4
"""Characters of the shortest value that is masked: shorter ones would blank out innocent text."""
PIECE: Final = 8
"""Characters of the shortest line, of a value of several lines, that is masked by itself."""
BASE64_LINES: Final = (64, 76)
"""Characters in a line of base64: PEM (RFC 7468), MIME and the tool `base64` (RFC 2045)."""

SHELL_QUOTES: Final = ("'\"'\"'", "'\\''")
"""What a single quote becomes between single quotes: by `shlex.quote`, and by the shell's `set -x`."""

REMEDY: Final = "give env:NAME or file:PATH; a secret itself would end up in the shell history"
NO_RESULT: Final = "a secret is no result of a step: where it is needed, take its reference by an input"


# ---------------------------------------------------------------- references


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A reference to a secret, never the secret: `env:NAME` or `file:PATH`.

    As an input (`token: Secret`) it is given in that form, on the command line and in JSON alike. The
    journal keeps the reference; a run that is resumed reads the secret again. A step cannot return one.

    Args:
        reference: `env:` and an environment variable, or `file:` and a path, which is kept absolute. What
            is neither is taken for the secret itself: it is masked from now on, and refused.

    Raises:
        ValueError: it is no reference.
    """

    reference: str

    def __post_init__(self) -> None:
        kind, _, name = self.reference.partition(":")
        if kind == "env" and re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            return
        if kind != "file" or not name:
            hide(name if kind in ("env", "file") else self.reference)
            raise ValueError(REMEDY)
        path = name if name.startswith("~/") else Path(name).absolute()
        object.__setattr__(self, "reference", f"file:{path}")

    @classmethod
    def from_env(cls, name: str) -> Self:
        """Return a reference to an environment variable."""
        return cls(f"env:{name}")

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Return a reference to a file, which must be readable by its owner alone; `~` is the home folder."""
        return cls(f"file:{os.fspath(path)}")

    def reveal(self) -> str:
        """Read the secret as it is now, and have it masked from now on; a file's last newline is left out.

        Raises UsageError, which names the reference, if it is missing, empty, or open to others.
        """
        kind, _, name = self.reference.partition(":")
        value = _from_env(self, name) if kind == "env" else _from_file(self, Path(name).expanduser())
        if not value:
            raise UsageError(f"{self} is empty", "give the secret, or another reference")
        hide(value)
        return value

    def __str__(self) -> str:
        return self.reference

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        if not _storable.get():
            raise TypeError(NO_RESULT)
        return Secret, (self.reference,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> dict[str, Any]:
        """Let pydantic read the text form; a core schema is a plain dictionary, so nothing is imported."""
        validator = {"type": "no-info", "function": cls.read}
        return {"type": "function-plain", "function": validator, "serialization": {"type": "to-string"}}

    @classmethod
    def read(cls, value: object) -> Self:
        """Return the secret that a value of an input is, or names. Raises ValueError if it does neither."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(value)
        raise ValueError(REMEDY)


def _from_env(secret: Secret, name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise UsageError(
            f"{secret}: the environment variable {name} is not set",
            f"to set it: read -rs {name} && export {name}",
        )
    return value


def _from_file(secret: Secret, path: Path) -> str:
    try:
        _check(secret, path, path.stat().st_mode)
        text = path.read_bytes().decode()
    except OSError as error:
        raise UsageError(
            f"{secret} cannot be read: {error.strerror}", "put it there, with mode 600"
        ) from error
    except UnicodeDecodeError:
        raise UsageError(f"{secret} is no text in UTF-8", "keep the secret there as base64") from None
    return text[:-1].removesuffix("\r") if text.endswith("\n") else text


def _check(secret: Secret, path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):  # a pipe could not be read again, on resume
        raise UsageError(f"{secret} is not a file", "name a file")
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        raise UsageError(f"{secret} can be read by others (mode {stat.S_IMODE(mode):o})", f"chmod 600 {path}")


_storable: ContextVar[bool] = ContextVar("gflow_secret_storable", default=False)


@contextmanager
def storable() -> Generator[None]:
    """Let secrets be pickled, as their references: for a run's inputs, never for a result."""
    token = _storable.set(True)
    try:
        yield
    finally:
        _storable.reset(token)


def inside(value: object) -> Iterator[Secret]:
    """Yield the secrets that a value holds: in containers, dataclasses and pydantic models."""
    seen: set[int] = set()  # a value may contain itself
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, Secret):
            yield part
        elif id(part) not in seen and not isinstance(part, str | int | float):
            seen.add(id(part))
            stack.extend(_parts(part))


def _parts(value: Any) -> Iterable[object]:
    kind = cast("Any", type(value))
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).values()
    if isinstance(value, list | tuple | set | frozenset):
        return cast("Iterable[object]", value)
    if dataclasses.is_dataclass(kind):
        return [getattr(value, each.name, None) for each in dataclasses.fields(kind)]
    if hasattr(kind, "model_fields"):  # a pydantic model, recognised without importing pydantic
        return cast("Mapping[str, object]", vars(value)).values()
    return ()


# ---------------------------------------------------------------- masks


class _Known(NamedTuple):
    """The values to mask; `pattern` finds all their forms, the longest of which has `reach` bytes."""

    values: frozenset[str]
    pattern: re.Pattern[str]
    reach: int


_known: _Known | None = None
_learning = Lock()


def hide(value: str) -> None:
    """Mask a value from now on, in all its forms; one of fewer than 4 characters is left as it is."""
    global _known  # noqa: PLW0603  # what has once been revealed in this process stays known to it
    if len(value) < SHORTEST:
        return
    with _learning:
        known = _known.values if _known else frozenset[str]()
        if value not in known:
            _known = _learned(known | {value})


def known() -> frozenset[str]:
    """Return the values that are masked: for a child process, which has to mask them too."""
    return _known.values if _known else frozenset()


@contextmanager
def forgetting() -> Generator[None]:
    """Forget at the end what was revealed inside: so that no test decides what a later one shows."""
    global _known  # noqa: PLW0603
    before = _known
    try:
        yield
    finally:
        _known = before


def mask(text: str) -> str:
    """Return a text with `***` in the place of every known value.

    Values are found as they are, as JSON, Python and the shell escape them, quoted for a URL, and in
    base64, also as part of a longer text in base64.
    """
    known = _known
    return text if known is None else known.pattern.sub(STARS, text)


def head(text: str, length: int) -> str:
    """Return the first `length` characters of a text, masked; a value across the cut is masked too."""
    known = _known
    if known is None:
        return text[:length]
    end = length
    for found in known.pattern.finditer(text, 0, length + known.reach):
        if found.start() < length:
            end = max(end, found.end())
    return mask(text[:end])


def tail(text: str, length: int) -> str:
    """Return the last `length` characters of a text, masked; a value across the cut is masked too."""
    begin = max(0, len(text) - length)
    known = _known
    if known is None:
        return text[begin:]
    for found in known.pattern.finditer(text, max(0, begin - known.reach)):
        if found.start() >= begin:
            break
        if found.end() > begin:
            begin = found.start()
    return mask(text[begin:])


def reach() -> int:
    """Return how many bytes beyond a cut have to be seen to tell whether it goes through a value."""
    known = _known
    return 0 if known is None else known.reach


def _learned(values: frozenset[str]) -> _Known:
    """Return what finds the values; of two forms that begin alike, the longer one is tried first."""
    found = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
    forms = sorted(found, key=lambda form: (form[0], -len(form), form))
    # Grouped by their first character: with hundreds of forms that is several times as fast as a flat list.
    groups = [
        (first, [form[1:] for form in each]) for first, each in groupby(forms, key=lambda form: form[0])
    ]
    pattern = "|".join(f"{re.escape(first)}(?:{'|'.join(map(re.escape, rest))})" for first, rest in groups)
    longest = max(len(form.encode(errors="surrogateescape")) for form in forms)
    return _Known(values, re.compile(pattern), longest)


def _forms(value: str) -> Iterator[str]:
    """Yield the ways in which a value may be written; its lines may also come one at a time."""
    for text in {value, *(line for line in map(str.strip, value.splitlines()) if len(line) >= PIECE)}:
        yield from _escaped(text)
    yield from _base64(value.encode(errors="surrogateescape"))


def _escaped(text: str) -> Iterator[str]:
    data = text.encode(errors="surrogateescape")
    yield from (text, data.decode("latin-1"))
    yield from (quote(data), quote(data, safe=""), quote_plus(data))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield from (text.replace("'", each) for each in SHELL_QUOTES)
    # Python quotes in one way or the other; where both kinds of quotes are inside, it is the first.
    for in_repr in (repr(text + "'\"")[1:-4], ascii(text + "'\"")[1:-4], repr(data + b"'\"")[2:-4]):
        yield from (in_repr, in_repr.replace("\\'", "'"))


def _base64(data: bytes) -> Iterator[str]:
    """Yield a value in base64, whole and by lines; and what it is in the middle of a longer text.

    There it begins at the first, second or third byte of a group, and the characters at its ends, which
    hold bits of its neighbours too, are left out.
    """
    whole = base64.b64encode(data).decode()
    texts = [whole, whole.rstrip("=")]
    texts += [
        whole[i : i + n] for n in BASE64_LINES for i in range(0, len(whole), n) if i + PIECE <= len(whole)
    ]
    for before in range(3):
        text = base64.b64encode(bytes(before) + data).decode()
        texts.append(text[-(-8 * before // 6) : 8 * (before + len(data)) // 6])
    for text in texts:
        yield text
        yield text.replace("+", "-").replace("/", "_")  # the alphabet for URLs (RFC 4648)


# ---------------------------------------------------------------- the output of a program


class _Masked:
    """A text stream whose every write is masked; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._stream.write(mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


@contextmanager
def masked_output() -> Generator[None]:
    """Mask what is written to standard output and standard error: for a program that owns its process.

    An exception that nobody caught would be printed after that, by Python itself: once a value is known, it
    is printed here, and the process ends with code 1, as it would have.
    """
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", stream and _Masked(stream)) for stream in streams)
    try:
        yield
    except Exception:
        if _known is None:
            raise
        sys.stderr.write(traceback.format_exc())
        raise SystemExit(1) from None
    finally:
        sys.stdout, sys.stderr = streams
