from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from recipes.shipping import dependencies
from recipes.shipping.dependencies import SERVICE_VARIABLE, Audit, ask_service, audit, parse_pins
from recipes.shipping.tools import run

PYPROJECT = '[project]\nname = "calc"\nversion = "1.0.0"\nrequires-python = ">=3.11"\n'
ONE = PYPROJECT + 'dependencies = ["packaging==24.0"]\n'

KNOWN = {("packaging", "24.0"): ["GHSA-2", "GHSA-1"]}


class Service(HTTPServer):
    """A vulnerability service that knows what is in KNOWN; `asked` is what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.answer: bytes | None = None


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked += question["queries"]
        ids = [KNOWN.get((q["package"]["name"], q["version"]), []) for q in question["queries"]]
        results = [{"vulns": [{"id": name} for name in found]} if found else {} for found in ids]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.answer or json.dumps({"results": results}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Run the service and have the recipe ask it."""
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv(SERVICE_VARIABLE, f"http://127.0.0.1:{server.server_port}/querybatch")
        yield server
        server.shutdown()
        thread.join()


def project(folder: Path, text: str) -> Path:
    """Make a folder a project."""
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_pins() -> None:
    """Pinned requirements are read with or without extras, markers and hashes."""
    text = (
        "a==1.0\nb_c[x,y]==2.0rc1 ; python_version > '3'\n    # via a\n-e .\nd==3 \\\n    --hash=sha256:0\n"
    )
    assert parse_pins(text) == (("a", "1.0"), ("b_c", "2.0rc1"), ("d", "3"))


def test_known_vulnerabilities(tmp_path: Path, service: Service) -> None:
    """What the service knows against a dependency is a blocker that names it."""
    report = audit(project(tmp_path, ONE))
    assert report.blockers == ("packaging 24.0: GHSA-1, GHSA-2",)
    assert str(report) == "1 known vulnerability of 1 package"
    assert service.asked == [{"package": {"name": "packaging", "ecosystem": "PyPI"}, "version": "24.0"}]


def test_nothing_known(tmp_path: Path, service: Service) -> None:
    """Dependencies that nothing is known against pass."""
    report = audit(project(tmp_path, PYPROJECT + 'dependencies = ["packaging==24.1"]\n'))
    assert (report.blockers, report.remarks) == ((), ())
    assert str(report) == "0 known vulnerabilities of 1 package"


def test_no_dependencies(tmp_path: Path, service: Service) -> None:
    """A package without dependencies needs no service."""
    report = audit(project(tmp_path, PYPROJECT))
    assert str(report) == "no dependencies"
    assert not report.unknown
    assert service.asked == []


def test_service_not_reached(tmp_path: Path) -> None:
    """Without the service nothing is known, and the report says so instead of passing for clean."""
    report = audit(project(tmp_path, ONE))
    assert report.unknown == "vulnerability service not reached, nothing was scanned"
    assert report.remarks == (report.unknown,)
    assert str(report) == "nothing known of 1 package"
    assert report.blockers == ()


@pytest.mark.parametrize("answer", [b"<html>", b'{"results": []}', b"{}"])
def test_strange_answer(service: Service, answer: bytes) -> None:
    """An answer that cannot be understood is not taken for a clean one."""
    service.answer = answer
    with pytest.raises(ValueError, match=r"Expecting value|answered 0 of 1 questions"):
        ask_service([("packaging", "24.0")])


def test_silent_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that accepts the question and says nothing is given up soon."""
    monkeypatch.setattr(dependencies, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv(SERVICE_VARIABLE, f"http://127.0.0.1:{server.getsockname()[1]}/")
        with pytest.raises(TimeoutError):
            ask_service([("a", "1")])


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://example.org/"])
def test_service_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Only an https address is asked, or this machine."""
    monkeypatch.setenv(SERVICE_VARIABLE, url)
    with pytest.raises(OSError, match="is no https URL"):
        ask_service([("a", "1")])


def test_unresolvable(tmp_path: Path) -> None:
    """Dependencies that cannot be resolved leave the report without an answer."""
    report = audit(project(tmp_path, PYPROJECT + 'dependencies = ["packaging<1", "packaging>2"]\n'))
    assert report.unknown == "dependencies not resolved, nothing was scanned"


def test_lock(tmp_path: Path, service: Service) -> None:
    """With a lock its versions are asked about; one that does not fit pyproject.toml is a blocker."""
    run("uv", "lock", "--quiet", cwd=project(tmp_path, ONE))
    project(tmp_path, ONE + 'optional-dependencies.x = ["iniconfig"]\n')
    report = audit(tmp_path)
    assert report.blockers[0] == "uv.lock does not fit pyproject.toml: run uv lock"
    assert report.vulnerabilities == ("packaging 24.0: GHSA-1, GHSA-2",)
    project(tmp_path, ONE)
    assert not audit(tmp_path).stale_lock


def test_fresh_lock_without_dependencies(tmp_path: Path) -> None:
    """A lock of nothing but the package itself needs no service."""
    run("uv", "lock", "--quiet", cwd=project(tmp_path, PYPROJECT))
    assert audit(tmp_path) == Audit(0)
