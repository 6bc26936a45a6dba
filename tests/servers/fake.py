"""What every fake of a vendor is built on: a real server on loopback that keeps what it was asked and goes wrong where
a test says so.

A subclass lists its routes, each of a ``kind`` (``create``, ``poll``, ``result``, ``upload``, ``cancel``, ``models``),
and keeps its vendor's states. ``end`` says how its jobs end; ``faults[kind]`` is what becomes of the next requests of
that kind, one after the other, in place of the usual answer. It knows nothing of our code.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]
Json = dict[str, Any]

KEY = "a-key-of-the-vendors"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    kind: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, list[Any]]
    """A multipart body: text as text, files as :class:`aiohttp.web.FileField`-like (name, type, bytes)."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Part:
    """A file of a multipart body."""

    filename: str
    content_type: str
    content: bytes


class Fake:
    """A vendor's server, while entered, on ``127.0.0.1``."""

    base_path: ClassVar[str] = ""
    """What the adapter's ``base_url`` has behind the host."""

    def __init__(self, film: bytes, picture: bytes) -> None:
        """``film`` and ``picture`` are what its jobs make."""
        self.film, self.picture = film, picture
        self.end = "done"
        """``done``, ``failed``, ``rejected`` (moderation, after it was accepted), ``never``; a vendor may have more."""
        self.polls = 0
        """How many polls say "not yet" before a job ends."""
        self.media = ""
        """The host that results are on, where they are not here; of the vendors that have one."""
        self.jobs: dict[str, Json] = {}
        """What was accepted, by its name there."""
        self.asked: list[Asked] = []
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        app = web.Application(client_max_size=2**28)
        for method, path, kind, handler in self.routes():
            app.router.add_route(method, path, self._kept(kind, handler))
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2)
        self.port = 0

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        """(method, path, kind, handler)"""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What the adapter is told."""
        return self.origin + self.base_path

    def count(self, kind: str) -> int:
        return sum(asked.kind == kind for asked in self.asked)

    def last(self, kind: str) -> Asked:
        return [asked for asked in self.asked if asked.kind == kind][-1]

    def _kept(self, kind: str, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.asked.append(await _asked(kind, request))
            waiting = self.faults[kind]
            return await (waiting.popleft()(request, handler) if waiting else handler(request))

        return answer


async def _asked(kind: str, request: web.Request) -> Asked:
    form: defaultdict[str, list[Any]] = defaultdict(list)
    if request.content_type != "multipart/form-data":
        body = await request.read()
    else:  # aiohttp keeps either the body or the form of it
        body = b""
        for name, value in (await request.post()).items():
            form[name].append(_part(value) if isinstance(value, web.FileField) else value)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Asked(kind, request.method, request.path, dict(request.query), headers, body, dict(form))


def _part(field: web.FileField) -> Part:
    content = field.file.read()
    field.file.seek(0)
    return Part(field.filename, field.content_type, content)


# --- what can go wrong ---


def answers(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Fault:
    """Another answer; nothing was done."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return fault


async def cuts_off(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Does what was asked, and hangs up before it says so."""
    await handler(request)
    assert request.transport
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()


async def garbles(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Does what was asked, and answers with what is no JSON."""
    await handler(request)
    return web.Response(text="<html>an odd day</html>", content_type="text/html")


async def stops_halfway(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Announces the whole file and hangs up in the middle of it."""
    whole = await handler(request)
    assert isinstance(whole, web.Response)
    assert isinstance(whole.body, bytes)
    answer = web.StreamResponse(headers={"Content-Length": str(len(whole.body)), "Content-Type": "video/mp4"})
    await answer.prepare(request)
    await answer.write(whole.body[: len(whole.body) // 2])
    assert request.transport
    request.transport.abort()
    return answer


def redirects(to: str) -> Fault:
    """Says that it is elsewhere."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": to})

    return fault
