"""``/openapi.json``: the API as it is on this server, for programs. Built from what the code itself goes by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rushes import __version__, wire
from rushes.api import auth
from rushes.api.openapi import examples, requests, responses, schemas
from rushes.api.openapi.account import account
from rushes.api.openapi.files import files, uploads
from rushes.api.openapi.jobs import jobs
from rushes.api.openapi.library import library
from rushes.api.openapi.operation import Paths
from rushes.api.openapi.samples import sampled
from rushes.api.openapi.server import server
from rushes.api.openapi.webhooks import webhooks
from rushes.catalogue import Offers
from rushes.studio import Studio

Document = dict[str, Any]

_TAGS = {
    "Videos": "Make videos, and the library of them.",
    "Images": "Make images, and the library of them.",
    "Jobs": "What is asked for is a job until it is in the library.",
    "Credits": "What an account may spend, and what it has spent.",
    "Models and changes": "What this server can make, and what has entered and left the libraries.",
    "Uploads": "Your own files as inputs.",
    "Files": "What was made, by its permanent links.",
    "Server": "For whoever watches over the server, and for whoever reads about it.",
}

_ABOUT = """\
A prompt goes in, the model you choose makes the video, and the library lists it newest first. It is the Pictory AI
Studio API: a client of it moves over by changing the scheme and host of its base URL, and its key.

**Key.** Send the key that `rushes keys create` has shown you in the header `Authorization`, as it is or after `Bearer`.

**Errors.** What is wrong with a request is a 400 that names every wrong field at once. No error has a key `items` or
`nextPageKey`: a client that never looks at the status would take it for the last page, so look at the status. A path
that is not here is a 404 `{"message":"Not Found"}`, another method a 405 with `Allow`.

**Parameters.** One that is empty or not known counts as not sent; of one that is sent twice, the last counts.

**Doing it once.** Send `Idempotency-Key` with a POST, and repeat it as often as you like after a broken connection: it
is carried out once, and every repetition gets the same answer.

**Being told.** Send a `webhook` with a request, and what `GET /jobs/{job_id}` answers is POSTed there when the job has
ended, signed as Standard Webhooks are. Any 2xx ends it; anything else, and it is sent again, for a day.

**Browsers.** Any origin may call; `OPTIONS` answers without a key. `HEAD` works where `GET` does.
"""

_KEY = "The key as it is: `Authorization: pictai_…`"


class Kept:
    """A text made from the document, once for what a server offers; what is asked for it is the reader's address."""

    def __init__(self, write: Callable[[Document], str], spell: Callable[[str], str] = str) -> None:
        self._write = write
        self._spell = spell
        self._texts: dict[str, str] = {}

    def text(self, request: Request) -> str:
        """The text, with links to where it was asked for."""
        studio: Studio = request.state.studio
        offered = repr(studio.routes.offers)
        if offered not in self._texts:
            self._texts = {offered: self._write(document(studio.routes.offers))}
        origin = auth.origin(studio.config, request.scope, dict(request.scope["headers"]))
        # As for an item's links: nothing that an address may hold has a meaning in JSON. A page has it escaped.
        return self._texts[offered].replace(examples.ORIGIN, self._spell(origin))


_kept = Kept(wire.dumps)


async def show(request: Request) -> Response:
    """``GET /openapi.json``: the document, with links to where it was asked for."""
    return Response(_kept.text(request), media_type="application/json")


def document(offers: Offers) -> Document:
    """The API of a server that makes these, in OpenAPI 3.1, as if it listened on :data:`examples.ORIGIN`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rushes",
            "version": __version__,
            "summary": "A self-hosted AI video studio that speaks the Pictory AI Studio API.",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": examples.ORIGIN, "description": "This server."}],
        "security": [{"key": []}, {"bearer": []}],
        "tags": [{"name": name, "description": said} for name, said in _TAGS.items()],
        "paths": sampled(_paths(offers)),
        "webhooks": webhooks(),
        "components": _components(offers),
    }


def _paths(offers: Offers) -> Paths:
    return {**library(offers), **jobs(), **account(), **uploads(), **files(), **server()}


def _components(offers: Offers) -> dict[str, Any]:
    return {
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "Authorization", "description": _KEY},
            "bearer": {"type": "http", "scheme": "bearer", "description": "The same key after `Bearer`."},
        },
        "headers": dict(responses.headers()),
        "responses": dict(responses.refusals()),
        "schemas": {**requests.shapes(offers.videos, offers.images), **schemas.schemas()},
    }
