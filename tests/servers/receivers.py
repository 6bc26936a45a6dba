"""A webhook's receiver on loopback: takes what it is sent, and answers as its path asks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import web
from standardwebhooks.webhooks import Webhook

_Handler = Callable[["Receiver", web.Request], Awaitable[web.StreamResponse]]


class Received(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str) -> None:
        """Raises what the reference implementation raises when it is not signed with ``secret``, now."""
        Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """Serves while entered, on ``127.0.0.1:port``; keeps what it was sent, in order.

    ``/status/N``, ``/redirect?LOCATION``, ``/flaky`` 500 once and then 200, ``/gate`` silent until ``gate`` is set,
    ``/drip`` a 200 and then a byte now and then for ever, ``/drip-head`` the same before its headers end, ``/huge``
    a body that never ends (``written`` counts it), ``/reset`` and ``/reset-body`` hang up half-way, ``/odd`` what no
    terminal should get; anything else is thanked.
    """

    def __init__(self) -> None:
        self.port = 0
        self.received: list[Received] = []
        self.gate = asyncio.Event()
        self.written = 0
        self.seen = Counter[str]()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        await self._runner.cleanup()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def of(self, delivery_id: str) -> list[Received]:
        """What came of one delivery."""
        return [request for request in self.received if request.id == delivery_id]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, await request.read()))
        self.seen[request.path] += 1
        behave = _BEHAVIOURS.get(request.path.split("/")[1], _thank)
        return await behave(self, request)


async def _thank(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    return web.Response(text="thanks")


async def _status(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    return web.Response(status=int(request.path.split("/")[2]), text="as asked")


async def _redirect(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": request.raw_path.partition("?")[2]})


async def _flaky(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    return web.Response(status=500 if receiver.seen[request.path] == 1 else 200, text="flaky")


async def _gate(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    await receiver.gate.wait()
    return web.Response(text="at last")


async def _drip(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b".")
        await asyncio.sleep(0.02)


async def _drip_head(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    transport = _transport(request)
    transport.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not transport.is_closing():
        transport.write(b".")
        await asyncio.sleep(0.02)
    return web.Response()


async def _huge(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 65536)
        receiver.written += 65536


async def _reset(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    _transport(request).write(b"HTTP/1.1 20")
    return await _hang_up(request)


async def _reset_body(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    _transport(request).write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    return await _hang_up(request)


async def _odd(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\x1b[2J\x00\xff\r\nrm -rf\t/\xe2\x80\xae")


async def _hang_up(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0)
    _transport(request).close()
    return web.Response()


def _transport(request: web.Request) -> asyncio.Transport:
    assert isinstance(request.transport, asyncio.Transport)
    return request.transport


_BEHAVIOURS: dict[str, _Handler] = {
    "status": _status,
    "redirect": _redirect,
    "flaky": _flaky,
    "gate": _gate,
    "drip": _drip,
    "drip-head": _drip_head,
    "huge": _huge,
    "reset": _reset,
    "reset-body": _reset_body,
    "odd": _odd,
}
