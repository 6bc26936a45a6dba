"""The HTTP API: every route on one screen, one handler for errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rushes import logs, metrics, tracing, wire
from rushes.api import changes, credits, docs, files, gallery, health, images, jobs, models, openapi, uploads, videos
from rushes.api.answers import HEADERS, PREFLIGHT, answer
from rushes.api.library import FirstPages, Known, Listing, OneItem
from rushes.config import Config
from rushes.errors import RushesError, TooLong, TooMany, TooSlow
from rushes.model import Kind
from rushes.studio import Studio

log = logging.getLogger(__name__)

V1 = "/pictoryapis/v1"
_VIDEOS, _IMAGES = OneItem(Kind.VIDEO), OneItem(Kind.IMAGE)
# Answered without routing or middleware: a third of the cost of the one question that is asked all day.
_LISTS: Mapping[str, ASGIApp] = {
    f"{V1}/aistudio/videos": Listing(Kind.VIDEO),
    f"{V1}/aistudio/images": Listing(Kind.IMAGE),
}

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = _READS | {"POST", "PUT", "DELETE"}

Handler = Callable[[Request], Awaitable[Response]]

ROUTES: Mapping[str, Mapping[str, Handler]] = {
    f"{V1}/aistudio/videos": {"POST": videos.submit},
    f"{V1}/aistudio/images": {"POST": images.submit},
    f"{V1}/aistudio/videos/{{item_id}}": {"GET": _VIDEOS.show, "DELETE": _VIDEOS.delete},
    f"{V1}/aistudio/images/{{item_id}}": {"GET": _IMAGES.show, "DELETE": _IMAGES.delete},
    f"{V1}/aistudio/jobs": {"GET": jobs.details},
    f"{V1}/aistudio/jobs/{{job_id}}": {"GET": jobs.detail},
    f"{V1}/aistudio/models": {"GET": models.page},
    f"{V1}/aistudio/changes": {"GET": changes.page},
    f"{V1}/jobs": {"GET": jobs.page},
    f"{V1}/jobs/{{job_id}}": {"GET": jobs.show},
    f"{V1}/jobs/{{job_id}}/clean": {"DELETE": jobs.clean},
    f"{V1}/jobs/{{job_id}}/cancel": {"POST": jobs.cancel},
    f"{V1}/quota": {"GET": credits.quota},
    f"{V1}/aicredits/usage": {"GET": credits.usage},
    f"{V1}/media/generateurl": {"POST": uploads.announce},
    "/videos/user/{account_id}/{name}": {"GET": files.show},
    "/images/user/{account_id}/{name}": {"GET": files.show},
    "/uploads/user/{account_id}/{name}": {"GET": files.show, "PUT": uploads.receive},
    "/healthz": {"GET": health.alive},
    "/readyz": {"GET": health.ready},
    "/metrics": {"GET": health.metrics},
    "/openapi.json": {"GET": openapi.show},
    "/docs": {"GET": docs.show},
}

PAGES: Mapping[str, Mapping[str, Handler]] = {
    "/": {"GET": gallery.index},
    "/gallery/{name}": {"GET": gallery.asset},
}
"""The gallery: no part of the API."""


def create_app(config: Config) -> ASGIApp:
    """The application; it opens its studio when it starts and closes it when it stops."""
    return _Front(_application(config), logs_all=config.log_requests)


class _Front:
    """What every answer carries is added here, and it is counted; and there is a way past the rest for the lists."""

    def __init__(self, application: Starlette, *, logs_all: bool) -> None:
        self._application = application
        self._logs_all = logs_all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        noted, begun = _Noted(send), perf_counter()
        try:
            if tracing.is_on():
                await self._traced(scope, receive, noted)
            else:
                await self._answer(scope, receive, noted.send)
        finally:
            self._count(scope, noted.status, perf_counter() - begun)

    async def _traced(self, scope: Scope, receive: Receive, noted: _Noted) -> None:
        with tracing.request(scope):
            await self._answer(scope, receive, noted.send)
            tracing.answered(scope, noted.status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _LISTS and scope["method"] in ("GET", "HEAD"):
            await _answered(_LISTS[scope["path"]], scope, receive, send)
        else:
            _name(scope)
            await self._application(scope, receive, _marked(send))

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method, path = scope["method"], scope["path"]
        # By the route, not the path: an id is no label. What is no method of ours is none either.
        route = path if path in _LISTS else scope.get("route_path", "none")
        metrics.answered(route, method if method in _METHODS else "other", status, seconds)
        if self._logs_all or method not in _READS:
            _name(scope)
            log.info("%s %s %d in %.1f ms", method, path, status, seconds * 1000)


def _name(scope: Scope) -> None:
    """Let the log's lines tell which request they are about. A list that is read without a word needs no name: to give
    one is a tenth of what the first page costs.
    """
    logs.about(request_id=scope.get("request_id"))


class _Noted:
    """The way of an answer to its client, which remembers the status; 0: none was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def _marked(send: Send) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *HEADERS]
        await send(message)

    return marked


async def _answered(endpoint: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await endpoint(scope, receive, send)
    except RushesError as error:
        _name(scope)
        response = await _told(Request(scope), error)
        await response(scope, receive, _marked(send))
    except Exception as error:  # the same answer as for any mistake of ours, and the log has it
        _name(scope)
        log.exception("%s %s", scope["method"], scope["path"])
        response = await _unforeseen(Request(scope), error)
        await response(scope, receive, _marked(send))


def _application(config: Config) -> Starlette:
    app = Starlette(
        routes=[Route(path, _Methods(path, handlers)) for path, handlers in {**ROUTES, **PAGES}.items()],
        lifespan=_lifespan(config),
        exception_handlers={
            RushesError: _told,
            HTTPException: _refused,
            ClientDisconnect: _hung_up,
            Exception: _unforeseen,
        },
    )
    app.router.redirect_slashes = False
    return app


class _Methods:
    """One path's handlers by method; ``HEAD`` is a ``GET`` whose body the server leaves out."""

    def __init__(self, path: str, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = {method: _until_stopped(request_response(each)) for method, each in handlers.items()}
        if path in _LISTS:
            self._handlers["GET"] = _LISTS[path]
        if "GET" in self._handlers:
            self._handlers["HEAD"] = self._handlers["GET"]
        self._allowed = ", ".join(sorted({*self._handlers, "OPTIONS"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route_path"] = self._path
        handler = self._handlers.get(scope["method"])
        if handler is not None:
            await handler(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            told = {"allow": self._allowed, "access-control-allow-methods": self._allowed, **PREFLIGHT}
            await Response(None, 204, told)(scope, receive, send)
        else:
            raise HTTPException(405, headers={"allow": self._allowed})


def _until_stopped(handler: ASGIApp) -> ASGIApp:
    """Whoever is still being answered when a stopping server's patience ends is told to come again."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await handler(scope, receive, noted)
        except asyncio.CancelledError:
            log.warning("%s %s was cut off: the server stops", scope["method"], scope["path"])
            if not begun:
                told = {"retry-after": "1", "connection": "close"}
                await answer({"message": wire.MESSAGE[503]}, 503, told)(scope, receive, send)

    return app


def _lifespan(config: Config) -> Callable[[Starlette], AbstractAsyncContextManager[Mapping[str, object]]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, object]]:
        async with Studio.open(config) as studio:
            yield {"studio": studio, "first_pages": {kind: FirstPages() for kind in Kind}, "known": Known()}
        metrics.flush()

    return lifespan


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, RushesError)  # noqa: S101  (for the type checker: this handler is registered for it)
    status = wire.status(error)
    if status >= 500:
        log.warning("%s %s: %s", request.method, request.url.path, error)
    return answer(wire.error(error), status, _headers(error))


def _headers(error: RushesError) -> dict[str, str] | None:
    if isinstance(error, TooSlow | TooLong):
        return {"connection": "close"}  # what has not come of its body yet is not waited for
    if not error.retryable:
        return None
    return {"retry-after": str(error.retry_after if isinstance(error, TooMany) else 1)}


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return answer({"message": wire.MESSAGE.get(error.status_code, error.detail)}, error.status_code, error.headers)


async def _hung_up(request: Request, error: Exception) -> Response:
    # Half a body: nobody is there to read an answer, and it is no mistake of ours.
    return Response(None, 400)


async def _unforeseen(request: Request, error: Exception) -> Response:
    # Starlette raises it again after this answer; the server logs it and hangs up, which the client has to know.
    return answer({"message": wire.MESSAGE[500]}, 500, {"connection": "close"})
