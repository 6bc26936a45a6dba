"""Answers: compact JSON, with its length."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from rushes import wire


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(wire.dumps(body), status, headers=headers, media_type="application/json")


def unchanged(if_none_match: bytes | None, etag: bytes) -> bool:
    """Whether the client's copy is still good (RFC 9110: weak comparison, a list, or ``*``)."""
    if if_none_match is None:
        return False
    known = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return etag in known or known == [b"*"]
