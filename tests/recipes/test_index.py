from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from recipes.shipping import index, server
from recipes.shipping.artifacts import Wheel
from recipes.shipping.index import Endpoint, is_url, serving
from recipes.shipping.tools import MissingTool


@pytest.mark.parametrize(
    ("url", "upload", "simple"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/", "http://127.0.0.1:8080/simple/"),
        ("https://example.org/py/", "https://example.org/py/", "https://example.org/py/simple/"),
        ("https://example.org/py/simple/", "https://example.org/py/", "https://example.org/py/simple/"),
        ("https://upload.example.org/legacy/", "https://upload.example.org/legacy/", "https://example.org/simple/"),
        ("https://test.example.org/legacy", "https://test.example.org/legacy/", "https://test.example.org/simple/"),
    ],
)  # fmt: skip
def test_addresses(url: str, upload: str, simple: str) -> None:
    """Where to upload to and where to install from follow from either address."""
    assert Endpoint.of(url) == Endpoint(upload, simple)


def test_folder_and_url() -> None:
    """An index is a URL if it has a scheme, else a folder."""
    assert is_url("https://example.org")
    assert not is_url("some/folder")


def test_folder(sample_wheel: Wheel, tmp_path: Path) -> None:
    """A folder is served while it is needed: a wheel is uploaded once, listed, and removed."""
    folder = tmp_path / "new" / "index"
    wheel = sample_wheel.path
    with serving(str(folder)) as endpoint:
        assert not endpoint.lists(wheel)
        endpoint.add(wheel)
        endpoint.add(wheel)
        assert endpoint.lists(wheel)
        assert [path.name for path in folder.iterdir()] == [wheel.name]
        endpoint.remove(wheel, sample_wheel.version)
        assert not endpoint.lists(wheel)
        assert list(folder.iterdir()) == []
    with pytest.raises(ConnectionError), serving(endpoint.upload):
        pass


def test_two_folders(tmp_path: Path, sample_wheel: Wheel) -> None:
    """Two folders can be served at once, each for itself."""
    with serving(str(tmp_path / "one")) as one, serving(str(tmp_path / "two")) as two:
        one.add(sample_wheel.path)
        assert one.lists(sample_wheel.path)
        assert not two.lists(sample_wheel.path)


def test_credentials_stay_away(sample_wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that we serve works, and sees no credentials, where some are configured for another index."""
    for name in ("UV_PUBLISH_TOKEN", "UV_PUBLISH_INDEX", "UV_PUBLISH_CHECK_URL"):
        monkeypatch.setenv(name, "sesame")
    with serving(str(tmp_path)) as endpoint:
        endpoint.add(sample_wheel.path)
        assert endpoint.lists(sample_wheel.path)
        assert "sesame" not in str(endpoint._authorization())


class Public(BaseHTTPRequestHandler):
    """An index that lists a wheel and removes nothing, and keeps what it is sent in its server's `seen`."""

    server: PublicServer

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get("Authorization", ""))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.wheel.encode())

    def do_POST(self) -> None:
        self.server.seen.append(self.headers.get("Authorization", ""))
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(403, "not here")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class PublicServer(HTTPServer):
    """See above."""

    def __init__(self, wheel: str) -> None:
        super().__init__(("127.0.0.1", 0), Public)
        self.wheel = wheel
        self.seen: list[str] = []


@pytest.fixture
def public(sample_wheel: Wheel) -> Iterator[PublicServer]:
    """Run such an index, which lists the sample's wheel."""
    with PublicServer(sample_wheel.path.name) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_removes_nothing(public: PublicServer, sample_wheel: Wheel) -> None:
    """An index that removes nothing, as public ones do, is an error that says what to do."""
    with (
        serving(f"http://127.0.0.1:{public.server_port}") as endpoint,
        pytest.raises(RuntimeError, match=r"does not remove sample_pkg-.*\(HTTP Error 403: not here\): yank"),
    ):
        endpoint.remove(sample_wheel.path, sample_wheel.version)


@pytest.mark.parametrize(
    ("variables", "user"),
    [
        ({}, "anybody:anybody"),
        ({"UV_PUBLISH_TOKEN": "sesame"}, "__token__:sesame"),
        ({"UV_PUBLISH_USERNAME": "ali", "UV_PUBLISH_PASSWORD": "sesame"}, "ali:sesame"),
    ],
)
def test_authorization(
    public: PublicServer,
    sample_wheel: Wheel,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    user: str,
) -> None:
    """A removal is authorized by what uv would upload with, as is the look afterwards, but no other one."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with serving(f"http://127.0.0.1:{public.server_port}") as endpoint, pytest.raises(RuntimeError):
        endpoint.remove(sample_wheel.path, sample_wheel.version)
    assert public.seen == ["", *["Basic " + base64.b64encode(user.encode()).decode()] * 2]


def test_no_credentials_for_others() -> None:
    """An index elsewhere gets no invented credentials."""
    endpoint = Endpoint.of("https://example.org")
    assert endpoint._access() == ({}, ())
    assert endpoint._authorization() == {}


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("http://127.0.0.1:9", r"^http://127\.0\.0\.1:9 refused the connection$"),
        ("http://name.invalid", r"^http://name\.invalid cannot be reached: "),
        ("ftp://127.0.0.1", r"^ftp://127\.0\.0\.1 cannot be reached: "),
    ],
)
def test_no_answer(index: str, message: str) -> None:
    """An index that does not answer is a ConnectionError, which is worth another try."""
    with pytest.raises(ConnectionError, match=message), serving(index):
        pass


def test_server_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pypiserver the error says what to install."""
    monkeypatch.setattr(index, "find_spec", lambda name: None)
    with pytest.raises(MissingTool, match=r": pypiserver; run pip install"), serving(str(tmp_path)):
        pass


def test_nothing_is_left(tmp_path: Path) -> None:
    """An error inside the block ends the server."""
    with pytest.raises(KeyError), serving(str(tmp_path)) as endpoint:
        raise KeyError
    with pytest.raises(ConnectionError, match="refused"), serving(endpoint.upload):
        pass


def test_server_without_its_parent(tmp_path: Path) -> None:
    """The server ends when nobody holds its input any more, as after kill -9 of who started it."""
    command = [sys.executable, "-P", "-W", "ignore", server.__file__, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        assert int(process.stdout.readline())
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_server_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends before it serves is an error, not an endless wait."""
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    with pytest.raises(ConnectionError, match="does not start"), serving(str(tmp_path)):
        pass
