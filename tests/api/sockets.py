"""HTTP by hand, for what a well-behaved client never sends."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.conftest import Server


@dataclass(frozen=True)
class Answer:
    """What came back, to the byte."""

    status: int
    headers: dict[str, str]
    body: bytes


def connect(server: Server) -> socket.socket:
    """A bare connection to a server."""
    address = urlsplit(server.url)
    assert address.hostname
    assert address.port
    return socket.create_connection((address.hostname, address.port), 20)


def exchange(server: Server, request: bytes) -> Answer:
    """Send bytes (that ask for the connection to be closed); read all that comes."""
    with connect(server) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return _parsed(b"".join(parts))


def ask(server: Server, target: bytes, *headers: bytes, method: bytes = b"GET", body: bytes = b"") -> Answer:
    """One request, its target and headers as they are; ``Host`` only if it is among them."""
    lines = [b"%s %s HTTP/1.1" % (method, target), *headers, b"Connection: close", b"", body]
    return exchange(server, b"\r\n".join(lines))


def _parsed(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    headers = {name.lower(): value for name, _, value in pairs}
    return Answer(int(status.split()[1]), headers, body)
