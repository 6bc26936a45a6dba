"""A small server that speaks the vendor's API (contract, part A) and goes wrong where a test says so.

It runs on a thread of its own, so that a client which blocks can be tried too. It knows nothing of our code.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from aiohttp import web

V1 = "/pictoryapis/v1"
KEY = "pictai_of_the_vendors_own"
PAGE = 3
"""Items a page."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    """As it was sent; below ``/pictoryapis/v1``, a file's whole."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    """By the loop's clock, in seconds."""

    @property
    def json(self) -> Json:
        found: Json = json.loads(self.body)
        return found


@dataclass(frozen=True)
class Answer:
    """What is said."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    unbounded: bool = False
    """Its end is the connection's."""

    @property
    def raw(self) -> bytes:
        lines = {name: value for name, value in self.headers.items() if value}
        lines.setdefault("Connection", "close")
        body = self.body
        if self.chunked:
            lines["Transfer-Encoding"] = "chunked"
            half = len(body) // 2
            pieces = [body[:half], body[half:], b""]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece or piece is pieces[-1])
        elif not self.unbounded:
            lines.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 {self.status} Said\r\n{head}\r\n".encode() + body


Fault = Callable[["Vendor", asyncio.Transport, Answer], Awaitable[None]]
"""How an answer reaches the client, or what does in its place."""

Rule = Callable[[Asked], Fault | None]
"""Which fault a request meets; ``None``: none."""


def told(value: object, status: int = 200, **headers: str) -> Answer:
    """JSON."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


# Faults


def cut(after: int, *, chunked: bool = False, unbounded: bool = False) -> Fault:
    """Hangs up after so many bytes, of head and body."""

    async def say(vendor: Vendor, to: asyncio.Transport, answer: Answer) -> None:
        to.write(replace(answer, chunked=chunked, unbounded=unbounded).raw[:after])

    return say


def cut_body(after: int, *, chunked: bool = False, **headers: str) -> Fault:
    """Hangs up after so many bytes of the body; a header without a value is left out."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}

    async def say(vendor: Vendor, to: asyncio.Transport, answer: Answer) -> None:
        kept = {name: value for name, value in answer.headers.items() if name.title() not in named}
        raw = replace(answer, headers={**kept, **named}, chunked=chunked).raw
        to.write(raw[: raw.index(b"\r\n\r\n") + 4 + after])

    return say


def instead(answer: Answer) -> Fault:
    """Says something else."""

    async def say(vendor: Vendor, to: asyncio.Transport, _: Answer) -> None:
        to.write(answer.raw)

    return say


def status(code: int, **headers: str) -> Fault:
    """Refuses, with the vendor's body for it."""
    message = {429: "Too Many Requests", 500: "Internal Server Error"}.get(code, "Said")
    return instead(told({"message": message}, code, **headers))


def drip(seconds: float, *, whole: int = 0) -> Fault:
    """So many bytes at once, then one now and then."""

    async def say(vendor: Vendor, to: asyncio.Transport, answer: Answer) -> None:
        to.write(answer.raw[:whole])
        for byte in answer.raw[whole:]:
            await asyncio.sleep(seconds)
            if to.is_closing():
                return
            to.write(bytes([byte]))

    return say


async def silence(vendor: Vendor, to: asyncio.Transport, answer: Answer) -> None:
    """Says nothing until the vendor closes."""
    await vendor.closing.wait()


def stall(after: int) -> Fault:
    """So many bytes of the body, then nothing until the vendor closes."""

    async def say(vendor: Vendor, to: asyncio.Transport, answer: Answer) -> None:
        raw = answer.raw
        to.write(raw[: raw.index(b"\r\n\r\n") + 4 + after])
        await vendor.closing.wait()

    return say


def first(rule: Rule, key: Callable[[Asked], object]) -> Rule:
    """``rule``, for the first request of each ``key``."""
    seen = set[object]()

    def choose(asked: Asked) -> Fault | None:
        if key(asked) in seen:
            return None
        seen.add(key(asked))
        return rule(asked)

    return choose


class Vendor:
    """Serves while entered, at ``url``. ``announces``: it says that it is a Rushes, and honours idempotency keys.

    ``jobs`` end after ``looks`` looks at them. ``files`` holds bytes and their ETag.
    """

    def __init__(self, *, announces: bool = False, looks: int = 1, port: int = 0) -> None:
        self.announces = announces
        self.looks = looks
        self.asked: list[Asked] = []
        self.lists: dict[str, list[Json]] = {"videos": [], "images": []}
        self.jobs: dict[str, Json] = {}
        self.files: dict[str, tuple[bytes, str]] = {}
        self.uploads: dict[str, bytes] = {}
        self.tokens: Callable[[str], str] = lambda token: token
        """What a test makes of a page's token."""
        self.port = port
        self._given: dict[str, str] = {}
        self._looked: dict[str, int] = defaultdict(int)
        self._rules: dict[tuple[str, str], Rule] = {}
        self._turns: dict[tuple[str, str], deque[Fault | None]] = defaultdict(deque)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="vendor")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.closing.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next(self, method: str, path: str, *faults: Fault | None) -> None:
        """The next requests meet these in turn; ``None`` is answered as it should be."""
        self._turns[method, path].extend(faults)

    def always(self, method: str, path: str, fault: Fault) -> None:
        """Every request from now on meets it."""
        self._rules[method, path] = lambda asked: fault

    def each(self, method: str, path: str, rule: Rule) -> None:
        """Every request from now on meets what the rule chooses for it."""
        self._rules[method, path] = rule

    def raw(self, method: str, path: str, *, chunked: bool = False, unbounded: bool = False) -> bytes:
        """What :func:`cut` cuts of the answer to a request without query and body."""
        answer = self._answer(Asked(method, path, {}, {"authorization": KEY}, b'{"prompt": "cut 0000"}', 0))
        return replace(answer, chunked=chunked, unbounded=unbounded).raw

    def of(self, method: str, path: str | None = None) -> list[Asked]:
        """What came of that kind."""
        return [asked for asked in self.asked if asked.method == method and path in (None, asked.path)]

    def add_video(self, name: str = "fox", content: bytes = b"", **members: object) -> Json:
        """A finished video, newest of all; with its file, where there is ``content``."""
        url = f"{self.url}/files/{name}.mp4"
        made = {"prompt": f"a {name}", "aspectRatio": "16:9", "model": "pixverse5.5", "width": 1280, "height": 720}
        item: Json = {
            "url": url,
            "id": f"2026040918514796{len(self.lists['videos']):017x}",
            "createdDate": "2026-04-09T18:51:47.967Z",
            "duration": "5s",
            "previewImageUrl": f"{self.url}/files/{name}_preview.jpg",
            "thumbnailImageUrl": f"{self.url}/files/{name}_thumbnail.jpg",
            "lastFrameImageUrl": f"{self.url}/files/{name}_last_frame.png",
            **made,
            **members,
        }
        self.lists["videos"].insert(0, item)
        if content:
            self.files[f"{name}.mp4"] = (content, f'"{name}-1"')
        return item

    def add_image(self, name: str = "fox", content: bytes = b"", **members: object) -> Json:
        """A finished image."""
        made = {"prompt": f"a {name}", "aspectRatio": "1:1", "model": "seedream3.0", "width": 960, "height": 960}
        item: Json = {
            "url": f"{self.url}/files/{name}.png",
            "id": f"0b8f6f0e-60a5-4c1c-8c4e-{len(self.lists['images']):012x}",
            "createdDate": "2026-04-09T18:51:47.967Z",
            **made,
            **members,
        }
        self.lists["images"].insert(0, item)
        if content:
            self.files[f"{name}.png"] = (content, f'"{name}-1"')
        return item

    def add_job(self, job_id: str, **data: object) -> None:
        """A job that ends so."""
        success = data.get("status") != "failed"
        self.jobs[job_id] = {"job_id": job_id, "success": success, "data": data}

    async def _run(self) -> None:
        self._loop, self.closing = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024, reuse_address=True)
        await site.start()
        self.port = runner.addresses[0][1]
        self._started.set()
        await self.closing.wait()
        await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0].removeprefix(V1)
        headers = {name.lower(): value for name, value in request.headers.items()}
        body, at = await request.read(), self._loop.time()
        asked = Asked(request.method, path, dict(request.query), headers, body, at)
        self.asked.append(asked)
        fault = self._fault(asked)
        answer = self._answer(asked)
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        if fault is None:
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        await fault(self, transport, answer)
        transport.close()
        return web.Response()

    def _fault(self, asked: Asked) -> Fault | None:
        turns = self._turns[asked.method, asked.path]
        if turns:
            return turns.popleft()
        rule = self._rules.get((asked.method, asked.path))
        return rule(asked) if rule else None

    def _answer(self, asked: Asked) -> Answer:
        if asked.path.startswith("/files/"):
            return self._file(asked)
        if asked.path.startswith("/uploads/"):
            return self._upload(asked)
        if asked.headers.get("authorization") != KEY:
            return told({"message": "Unauthorized"}, 401)
        answer = self._api(asked)
        if not self.announces:
            return answer
        return Answer(answer.status, answer.body, {**answer.headers, "Rushes-Version": "0.1.0"})

    def _api(self, asked: Asked) -> Answer:
        match [asked.method, *asked.path.strip("/").split("/")]:
            case ["GET", "aistudio", "videos" | "images" as kind]:
                return told(self._page(self.lists[kind], asked.query.get("nextPageKey"), last={}))
            case ["POST", "aistudio", "videos" | "images" as kind]:
                return told({"success": True, "data": {"jobId": self._submit(asked, kind)}})
            case ["GET", "jobs"]:
                listed = [
                    {"success": job["success"], "data": {"jobId": job_id, **job["data"]}}
                    for job_id, job in self.jobs.items()
                ]
                return told(self._page(listed, asked.query.get("nextPageKey"), last={"nextPageKey": None}))
            case ["GET", "jobs", job_id]:
                return self._job(job_id)
            case ["DELETE", "jobs", job_id, "clean"]:
                self.jobs[job_id]["data"] = {"status": "cleaned"}
                return told({"success": True})
            case ["GET", "quota"]:
                nothing = {"used": 0, "limit": 0}
                return told({"videoMinutes": nothing, "aiCredits": {"used": 690, "limit": 22000}})
            case ["POST", "media", "generateurl"]:
                name = f"{len(self.of('POST', asked.path))}-{asked.json['fileName']}"
                return told({"success": True, "data": {"signedUrl": self._signed(name), "url": self._file_url(name)}})
        return told({"message": "Not Found"}, 404)

    def _page(self, listed: list[Json], token: str | None, last: Json) -> Json:
        start = int(token.rpartition("-")[2]) if token else 0
        end = start + PAGE
        more = {"nextPageKey": self.tokens(f"page-{end}")} if end < len(listed) else last
        return {"items": listed[start:end], **more}

    def _submit(self, asked: Asked, kind: str) -> str:
        key = asked.headers.get("idempotency-key", "")
        if self.announces and key in self._given:
            return self._given[key]
        number = len(self.jobs)
        job_id = f"5b0a3c0e-2f6c-4d5a-9a43-{number:012x}"
        add = self.add_video if kind == "videos" else self.add_image
        item = add(f"made{number}", prompt=asked.json["prompt"])
        self.add_job(job_id, status="completed", url=item["url"], aiCreditsUsed=8)
        self._given[key] = job_id
        return job_id

    def _job(self, job_id: str) -> Answer:
        if job_id not in self.jobs:
            data = {"error_code": "5000", "error_message": "JOB_NOT_FOUND"}
            return told({"job_id": job_id, "success": False, "data": data}, 404)
        self._looked[job_id] += 1
        if self._looked[job_id] <= self.looks:
            return told({"job_id": job_id, "success": True, "data": {"status": "in-progress"}})
        return told(self.jobs[job_id])

    def _signed(self, name: str) -> str:
        return f"{self.url}/uploads/{name}?signature=x"

    def _file_url(self, name: str) -> str:
        return f"{self.url}/files/{name}"

    def _upload(self, asked: Asked) -> Answer:
        self.uploads[asked.path.removeprefix("/uploads/")] = asked.body
        return Answer()

    def _file(self, asked: Asked) -> Answer:
        found = self.files.get(asked.path.removeprefix("/files/"))
        if found is None:
            return Answer(404, b"<html>no such file</html>", {"Content-Type": "text/html"})
        content, etag = found
        headers = {"ETag": etag, "Content-Type": "application/octet-stream"}
        asked_range = asked.headers.get("range", "")
        if not asked_range or asked.headers.get("if-range", etag) != etag:
            return Answer(200, content, headers)
        start = int(asked_range.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            return Answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        named = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Answer(206, content[start:], {**headers, "Content-Range": named})
