"""A real web server on loopback that gives files as they should be, and in the ways they should not be."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from aiohttp import web

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FileServer:
    """Serves while entered, on ``127.0.0.1:port``; counts connections, keeps what it was asked.

    ``/file/N`` N bytes, ``/gzip/N`` the same though nobody asked to have it packed, ``/status/N``,
    ``/cut`` ends before its announced length, ``/beyond`` goes past it, ``/endless``, ``/drip`` a byte
    now and then for ever, ``/silent``, ``/hangup``, ``/garbage``, ``/hops/N`` N redirects and then a file,
    ``/loop``, ``/to?LOCATION``, ``/later?RETRY-AFTER``; anything else gives back its own path.
    """

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[web.Request] = []
        self._runner = web.AppRunner(_app(self.requests), handler_cancellation=True, shutdown_timeout=1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        self._listener = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        await self._runner.cleanup()

    def _accept(self) -> asyncio.BaseProtocol:
        self.connections += 1
        assert self._runner.server is not None
        return self._runner.server()


def content(size: int) -> bytes:
    """What ``/file/size`` and ``/gzip/size`` hold."""
    return (b"every take is kept; " * (size // 20 + 1))[:size]


def _app(requests: list[web.Request]) -> web.Application:
    @web.middleware
    async def note(request: web.Request, handler: _Handler) -> web.StreamResponse:
        requests.append(request)
        return await handler(request)

    app = web.Application(middlewares=[note])
    app.router.add_get("/file/{size}", _file)
    app.router.add_get("/gzip/{size}", _gzip)
    app.router.add_get("/status/{code}", _status)
    app.router.add_get("/cut", _cut)
    app.router.add_get("/beyond", _beyond)
    app.router.add_get("/endless", _endless)
    app.router.add_get("/drip", _drip)
    app.router.add_get("/silent", _silent)
    app.router.add_get("/hangup", _hangup)
    app.router.add_get("/garbage", _garbage)
    app.router.add_get("/hops/{left}", _hops)
    app.router.add_get("/loop", _loop)
    app.router.add_get("/to", _to)
    app.router.add_get("/later", _later)
    app.router.add_get("/{any:.*}", _anything)
    return app


async def _file(request: web.Request) -> web.Response:
    return web.Response(body=content(int(request.match_info["size"])))


async def _gzip(request: web.Request) -> web.Response:
    packed = gzip.compress(content(int(request.match_info["size"])))
    return web.Response(body=packed, headers={"Content-Encoding": "gzip"})


async def _status(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["code"]), body=b"not a file")


async def _cut(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b"only this")
    return _hang_up(request, answer)


async def _beyond(request: web.Request) -> web.StreamResponse:
    return _say(request, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + content(1000))


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(bytes(65536))


async def _drip(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b".")
        await asyncio.sleep(0.02)


async def _silent(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _hangup(request: web.Request) -> web.StreamResponse:
    return _hang_up(request, web.Response())


async def _garbage(request: web.Request) -> web.StreamResponse:
    return _say(request, b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


async def _hops(request: web.Request) -> web.Response:
    left = int(request.match_info["left"])
    # Relative and absolute in turn, and with a cookie that must not come back.
    onward = f"../hops/{left - 1}" if left % 2 else f"/hops/{left - 1}"
    headers = {"Location": onward if left > 1 else "/file/100", "Set-Cookie": "seen=1"}
    return web.Response(status=(301, 302, 303, 307, 308)[left % 5], headers=headers)


async def _loop(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/loop"})


async def _to(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": request.raw_path.partition("?")[2]})


async def _later(request: web.Request) -> web.Response:
    return web.Response(status=503, headers={"Retry-After": unquote(request.query_string)})


async def _anything(request: web.Request) -> web.Response:
    return web.Response(body=request.raw_path.encode())


def _say(request: web.Request, raw: bytes) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(raw)
    return _hang_up(request, web.Response())


def _hang_up(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return answer
