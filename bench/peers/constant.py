"""The floor of a Python server: ``rushes serve`` itself, its processes and settings, with an app that sends a file.

``python -m bench.peers.constant FILE PORT PROCESSES``
"""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socket

from starlette.types import ASGIApp, Receive, Scope, Send

from rushes import api, config, serve


def main() -> None:
    """Serve until a signal."""
    file, port, processes = sys.argv[1:]
    listeners = serve._listeners("127.0.0.1", int(port), int(processes))
    serve._watch([serve._Child("constant", run, (file, listener)) for listener in listeners], "it")


def run(file: str, listener: socket, ready: Connection) -> None:
    """One process: what ``rushes serve`` runs in one, except for the app."""
    api.create_app = lambda _: _app(Path(file).read_bytes())  # type: ignore[assignment]
    serve._run_api(config.load(), listener, ready)


def _app(body: bytes) -> ASGIApp:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def _lifespan(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


if __name__ == "__main__":
    # By its own name: what runs in another process cannot be of __main__.
    from bench.peers.constant import main as serve_constant

    serve_constant()
