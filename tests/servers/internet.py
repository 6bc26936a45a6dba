"""A test's own internet: names that lead where the test says, and sockets that go no further than loopback."""

from __future__ import annotations

import asyncio
import errno
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

PUBLIC = "93.184.216.34"
"""An address that anyone may dial."""


class Names(AbstractResolver):
    """The test's whole DNS. A name's answers come in turn, the last for ever; one answer may be several addresses."""

    def __init__(self, table: dict[str, list[str]], otherwise: str | None = None) -> None:
        self.table = {name: list(answers) for name, answers in table.items()}
        self.otherwise = otherwise
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        await asyncio.sleep(0)
        answers = self.table.get(host.rstrip("."), [self.otherwise] if self.otherwise else [])
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [_result(host, address, port) for address in answer.split()]

    async def close(self) -> None:
        self.closed = True


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)


class Dials:
    """Takes the place of the real sockets: notes what the guard lets through, and leads it to loopback or nowhere."""

    def __init__(self, port: int | None = None) -> None:
        self.addresses: list[str] = []
        self._port = port

    def __call__(self, info: aiohttp.AddrInfoType) -> socket.socket:
        self.addresses.append(info[4][0])
        if self._port is None:
            raise OSError(errno.ENETUNREACH, "the test goes no further")
        return LedHome(self._port)


class LedHome(socket.socket):
    """A socket that reaches the test's server, whatever address it is given."""

    def __init__(self, port: int) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self._port = port

    def connect(self, address: object) -> None:
        super().connect(("127.0.0.1", self._port))
