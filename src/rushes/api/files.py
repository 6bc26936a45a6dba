"""The libraries' files and uploads, by their permanent links: no key, no query, ranges as players ask for them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from rushes import ids, wire
from rushes.api.answers import answer, unchanged
from rushes.blobs import CACHE_CONTROL, MEDIA_TYPES, Blob, Blobs
from rushes.errors import NotFound, RangeNotSatisfiable
from rushes.studio import Studio

_NAME = re.compile(r"(?P<file>[0-9a-f-]{36})(?:_preview|_thumbnail|_last_frame)?\.(?P<type>mp4|mov|jpg|png|webp)")
_RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)", re.IGNORECASE)
_LONGEST_NUMBER = 18


class Span(NamedTuple):
    """Bytes ``first`` to ``last``, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes that is."""
        return self.last - self.first + 1


async def show(request: Request) -> Response:
    """``GET``: a file, or the range of it that is asked for."""
    studio: Studio = request.state.studio
    account_id, name = request.path_params["account_id"], request.path_params["name"]
    match = _NAME.fullmatch(name)
    if not match or not ids.is_uuid(account_id) or not ids.is_uuid(match["file"]):
        raise NotFound("No file has that name.")
    path = request.scope["path"].removeprefix("/")  # not from ``url``: the Host header has a part in that
    blob = await studio.blobs.stat(path)
    if blob is None:
        raise NotFound("No file has that name.")
    if link := await studio.file_link(path, request.method):
        seconds = int(studio.config.media_redirect_seconds or 0) // 2
        return Response(None, 302, {"location": link, "cache-control": f"private, max-age={seconds}"})
    return _response(request, studio.blobs, path, blob, MEDIA_TYPES[match["type"]])


def _response(request: Request, blobs: Blobs, path: str, blob: Blob, media_type: str) -> Response:
    etag = f'"{blob.etag}"'
    headers = {
        "etag": etag,
        "last-modified": formatdate(blob.modified, usegmt=True),
        "accept-ranges": "bytes",
        "cache-control": CACHE_CONTROL,
        "x-content-type-options": "nosniff",
    }
    if unchanged(_sent(request, "if-none-match"), etag.encode()):
        return Response(None, 304, headers)
    try:
        span = _asked(request, blob, etag)
    except RangeNotSatisfiable:
        return answer({"message": wire.MESSAGE[416]}, 416, {"content-range": f"bytes */{blob.size}", "etag": etag})
    status = 200 if span is None else 206
    if span is not None:
        headers["content-range"] = f"bytes {span.first}-{span.last}/{blob.size}"
    span = span or Span(0, blob.size - 1)
    headers["content-length"] = str(span.length)
    if request.method == "HEAD":
        return Response(None, status, headers, media_type)
    return StreamingResponse(_bytes(blobs, path, span), status, headers, media_type)


def _sent(request: Request, name: str) -> bytes | None:
    value = request.headers.get(name)
    return None if value is None else value.encode("latin-1")


def _asked(request: Request, blob: Blob, etag: str) -> Span | None:
    """The one range that is asked for and still means these bytes; ``None``: the whole file."""
    condition = request.headers.get("if-range")
    if condition is not None and not _same(condition, blob, etag):
        return None
    return span(request.headers.get("range", ""), blob.size)


def _same(condition: str, blob: Blob, etag: str) -> bool:
    # RFC 9110, 13.1.5: a strong tag that is equal, or exactly the date we gave.
    if condition.startswith(('"', "W/")):
        return condition == etag
    try:
        return parsedate_to_datetime(condition).timestamp() == int(blob.modified)
    except (ValueError, OverflowError):
        return False


def span(header: str, size: int) -> Span | None:
    """The bytes that a ``Range`` header means in a file of ``size`` bytes; ``None`` for the whole file: no header,
    one we do not understand, or several ranges (which a server may decline, RFC 9110, 14.2).

    Raises:
        RangeNotSatisfiable: the range lies beyond the file.
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or not (match["first"] or match["last"]) or max(map(len, match.groups())) > _LONGEST_NUMBER:
        return None
    if not match["first"]:
        first, last = max(0, size - int(match["last"])), size - 1
    else:
        first = int(match["first"])
        last = int(match["last"]) if match["last"] else max(first, size - 1)
        if last < first:
            return None
    if first >= size:
        raise RangeNotSatisfiable(f"The file has {size} bytes.")
    return Span(first, min(last, size - 1))


async def _bytes(blobs: Blobs, path: str, span: Span) -> AsyncIterator[bytes]:
    async with aclosing(blobs.read(path, span.first, span.length)) as chunks:
        async for chunk in chunks:
            yield chunk
