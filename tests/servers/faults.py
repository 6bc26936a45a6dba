"""A proxy on loopback before a real server, which plays the network's and the server's bad days, and counts."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


class Faults:
    """Serves while entered, on ``127.0.0.1:port``, what the server at ``behind`` answers.

    Each request meets a fault by chance (``rate`` of them): a wait, 429, 500, 503, an answer cut off. No path meets
    more than ``most`` in a row, so that patience is rewarded. Links of files in ``dead`` answer ``dead_status`` always,
    those in ``damaged`` with half of their bytes and a length to match, those in ``cut`` always break off.
    """

    def __init__(self, behind: str, *, rate: float = 0.0, most: int = 3, seed: int = 1) -> None:
        self.behind = behind
        self.port = 0
        self.rate = rate
        self.most = most
        self.dead: set[str] = set()
        self.dead_status = 404
        self.damaged: set[str] = set()
        self.cut: set[str] = set()
        self.whole = Counter[str]()
        """How often each path was answered to its last byte, with 200."""
        self.kinds = ["slow", "429", "500", "503", "cut"]
        self.played = Counter[str]()
        """How often each fault was met."""
        self._chance = random.Random(seed)
        self._row = Counter[str]()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=1)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(trust_env=False, auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._session.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        status, headers, body = await self._behind(request)
        file = request.path.rpartition("/")[2]
        if file in self.dead:
            return web.Response(status=self.dead_status)
        if file in self.damaged:
            body = body[: len(body) // 2]
        fault = "cut" if file in self.cut else self._fault(request.path)
        if fault == "slow":
            await asyncio.sleep(self._chance.uniform(0, 0.3))
        elif fault == "429":
            return web.Response(status=429, headers={"Retry-After": "0"})
        elif fault in ("500", "503"):
            return web.Response(status=int(fault))
        return await self._send(request, status, headers, body, cut=fault == "cut")

    def _fault(self, path: str) -> str | None:
        if self._chance.random() >= self.rate or self._row[path] >= self.most:
            self._row[path] = 0
            return None
        self._row[path] += 1
        fault = self._chance.choice(self.kinds)
        self.played[fault] += 1
        return fault

    async def _behind(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        url = f"{self.behind}{request.raw_path}"
        asked = self._session.request(
            request.method, url, headers=request.headers, data=await request.read(), allow_redirects=False
        )
        async with asked as answer:
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            return answer.status, headers, await answer.read()

    async def _send(
        self, request: web.Request, status: int, headers: dict[str, str], body: bytes, *, cut: bool
    ) -> web.StreamResponse:
        answer = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(body))})
        await answer.prepare(request)
        await answer.write(body[: self._chance.randrange(len(body) or 1)] if cut else body)
        if cut and request.transport:
            request.transport.close()
        elif status == 200:
            self.whole[request.path] += 1
        return answer
