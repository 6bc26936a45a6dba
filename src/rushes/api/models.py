"""``/aistudio/models``: what this server can make."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rushes import wire
from rushes.api import auth
from rushes.api.answers import listing
from rushes.studio import Studio


async def page(request: Request) -> Response:
    """``GET``: every model of the contract and of the operator, with what it takes and whether it is configured."""
    studio: Studio = request.state.studio
    await auth.account(studio, dict(request.scope["headers"]))
    return listing(request, {"items": [wire.model(model, provider) for model, provider in studio.routes.listed]})
