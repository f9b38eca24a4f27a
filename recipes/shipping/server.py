"""Serve a folder as a package index: a program of its own, which `index` starts and ends.

It runs in a process of its own because pypiserver changes how modules are imported.
It prints its port, and ends with its standard input: it does not outlive who started it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server


class SilentHandler(WSGIRequestHandler):
    """Answers requests and logs none."""

    timeout = 10.0  # seconds; a connection that is kept open and idle must not hold up the next

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


def end_with_input() -> None:
    """Wait until nobody holds the other end of standard input, then end the process."""
    sys.stdin.buffer.read()
    os._exit(0)


def serve(folder: Path) -> None:
    """Serve a folder on a free loopback port; anybody may upload, nothing is fetched from elsewhere."""
    import pypiserver  # type: ignore[import-untyped]  # noqa: PLC0415  (an extra, without types)

    nobody = "."  # pypiserver's word for no password file
    app: Any = pypiserver.app(roots=[folder], authenticate=[], password_file=nobody, disable_fallback=True)
    with make_server("127.0.0.1", 0, app, handler_class=SilentHandler) as server:
        threading.Thread(target=end_with_input, daemon=True).start()
        print(server.server_port, flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
