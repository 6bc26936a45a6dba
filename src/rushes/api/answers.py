"""Answers: compact JSON, with its length."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response

from rushes import __version__, wire
from rushes.studio import Given

HEADERS = (
    (b"rushes-version", __version__.encode()),
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"ETag, Retry-After, Content-Range, Rushes-Version, Idempotent-Replayed, X-Request-Id",
    ),
)
"""What every answer carries."""

PREFLIGHT = {
    "access-control-allow-headers": "Authorization, Content-Type, Idempotency-Key, If-None-Match, Range",
    "access-control-max-age": "86400",
}
"""What a browser is told that asks before it asks."""


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(wire.dumps(body), status, headers=headers, media_type="application/json")


def listing(request: Request, body: object) -> Response:
    """A JSON answer with its ``ETag``; 304 where the client has it already."""
    return tagged(request, wire.dumps(body).encode())


def tagged(request: Request, body: bytes) -> Response:
    """The same of an answer that is text already."""
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if unchanged(dict(request.scope["headers"]).get(b"if-none-match"), etag.encode()):
        return Response(None, 304, headers)
    return Response(body, headers=headers, media_type="application/json")


def given(answer: Given) -> Response:
    """The answer to a change; where it was given before under the same idempotency key, it says so."""
    headers = {"idempotent-replayed": "true"} if answer.replayed else None
    return Response(answer.text, headers=headers, media_type="application/json")


def unchanged(if_none_match: bytes | None, etag: bytes) -> bool:
    """Whether the client's copy is still good (RFC 9110: weak comparison, a list, or ``*``)."""
    if if_none_match is None:
        return False
    known = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return etag in known or known == [b"*"]
