"""``/healthz`` and ``/readyz``: for whoever watches over the process; no key."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import Response

from rushes.api.answers import answer
from rushes.errors import Unavailable
from rushes.studio import Studio


async def alive(request: Request) -> Response:
    """The process is up and answers."""
    return answer({"status": "ok"})


async def ready(request: Request) -> Response:
    """The database answers and the storage takes a file; if not, which and why."""
    studio: Studio = request.state.studio
    state = {
        "database": await _state(studio.store.rows("SELECT 1")),
        "storage": await _state(studio.blobs.check()),
    }
    if set(state.values()) == {"ok"}:
        return answer({"status": "ok", **state})
    return answer({"status": "unavailable", **state}, 503, {"retry-after": "5"})


async def _state(question: Awaitable[object]) -> str:
    try:
        await question
    except Unavailable as error:
        return error.sentence
    return "ok"
