"""``/``: the gallery, for people who would rather look than read. Its files are served as they lie."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from importlib import resources
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from rushes.api.answers import unchanged
from rushes.errors import NotFound
from rushes.studio import Studio

_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """A file of the gallery."""

    content: bytes
    media_type: str
    etag: str


def _asset(name: str, content: bytes) -> Asset:
    suffix = name[name.rindex(".") :]
    return Asset(content, _TYPES[suffix], f'"{blake2b(content, digest_size=12).hexdigest()}"')


ASSETS: Mapping[str, Asset] = {
    file.name: _asset(file.name, file.read_bytes())
    for file in resources.files("rushes.gallery").iterdir()
    if file.name.endswith(tuple(_TYPES))
}


async def index(request: Request) -> Response:
    """``GET /``: the page."""
    return await _response(request, ASSETS["index.html"])


async def asset(request: Request) -> Response:
    """``GET /gallery/{name}``: what the page is made of."""
    found = ASSETS.get(str(request.path_params["name"]))
    if found is None:
        raise NotFound("The gallery has no file of that name.")
    return await _response(request, found)


async def _response(request: Request, asset: Asset) -> Response:
    studio: Studio = request.state.studio
    link = await studio.file_link("checks/ready")
    files = (studio.config.media_url, link and _origin(link))  # where they are, if not here
    headers = {
        "etag": asset.etag,
        "cache-control": "no-cache",
        "content-security-policy": _policy(studio.config.public_url, *files),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
    }
    if unchanged(request.headers.get("if-none-match", "").encode("latin-1") or None, asset.etag.encode()):
        return Response(None, 304, headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


@lru_cache(maxsize=4)
def _policy(*urls: str | None) -> str:
    """What the page may do: load its own files and the library's, and speak to this server alone."""
    own = " ".join(["'self'", *dict.fromkeys(_origin(url) for url in urls if url)])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {own} blob:; media-src {own} blob:; "
        f"connect-src {own}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
