"""The HTTP API: every route on one screen, one handler for errors."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from rushes import wire
from rushes.api import files, health, jobs, videos
from rushes.api.answers import answer
from rushes.config import Config
from rushes.errors import RushesError
from rushes.studio import Studio

log = logging.getLogger(__name__)

V1 = "/pictoryapis/v1"
_LIST = f"{V1}/aistudio/videos"

ROUTES: Mapping[str, Mapping[str, ASGIApp]] = {
    _LIST: {"GET": videos.page, "POST": request_response(videos.submit)},
    f"{V1}/jobs/{{job_id}}": {"GET": request_response(jobs.show)},
    "/videos/user/{account_id}/{name}": {"GET": request_response(files.show)},
    "/healthz": {"GET": request_response(health.alive)},
    "/readyz": {"GET": request_response(health.ready)},
}


def create_app(config: Config) -> ASGIApp:
    """The application; it opens its studio when it starts and closes it when it stops."""
    return _Front(_application(config))


class _Front:
    """A way past routing and middleware for the one question that is asked all day: a third of its cost."""

    def __init__(self, application: Starlette) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == _LIST and scope["method"] == "GET":
            await _answered(videos.page, scope, receive, send)
        else:
            await self._application(scope, receive, send)


async def _answered(endpoint: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await endpoint(scope, receive, send)
    except RushesError as error:
        response = await _told(Request(scope), error)
        await response(scope, receive, send)
    except Exception as error:  # the same answer as for any mistake of ours, and the log has it
        log.exception("%s %s", scope["method"], scope["path"])
        response = await _unforeseen(Request(scope), error)
        await response(scope, receive, send)


def _application(config: Config) -> Starlette:
    app = Starlette(
        routes=[Route(path, _Methods(handlers)) for path, handlers in ROUTES.items()],
        lifespan=_lifespan(config),
        exception_handlers={RushesError: _told, HTTPException: _refused, Exception: _unforeseen},
    )
    app.router.redirect_slashes = False
    return app


class _Methods:
    """One path's handlers by method; ``HEAD`` is a ``GET`` whose body the server leaves out."""

    def __init__(self, handlers: Mapping[str, ASGIApp]) -> None:
        self._handlers = {**handlers, "HEAD": handlers["GET"]} if "GET" in handlers else dict(handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get(scope["method"])
        if handler is None:
            raise HTTPException(405, headers={"allow": ", ".join(sorted(self._handlers))})
        await handler(scope, receive, send)


def _lifespan(config: Config) -> Callable[[Starlette], AbstractAsyncContextManager[Mapping[str, object]]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, object]]:
        async with Studio.open(config) as studio:
            yield {"studio": studio, "first_pages": videos.FirstPages()}

    return lifespan


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, RushesError)  # noqa: S101  (for the type checker: this handler is registered for it)
    status = wire.status(error)
    if status >= 500:
        log.warning("%s %s: %s", request.method, request.url.path, error)
    return answer(wire.error(error), status, {"retry-after": "1"} if error.retryable else None)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return answer({"message": wire.MESSAGE.get(error.status_code, error.detail)}, error.status_code, error.headers)


async def _unforeseen(request: Request, error: Exception) -> Response:
    # Starlette raises it again after this answer, and the server logs it.
    return answer({"message": wire.MESSAGE[500]}, 500)
