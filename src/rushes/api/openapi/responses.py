"""The answers of an operation: what it gives, what it refuses, and the headers that each carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rushes import errors, wire
from rushes.api.answers import HEADERS
from rushes.api.openapi import examples
from rushes.api.openapi.schemas import Schema, ref, text

Response = dict[str, Any]
Error = type[errors.RushesError]

BINARY: Schema = {"type": "string", "format": "binary"}
"""Bytes. OpenAPI 3.1 needs no schema for them, but the generators of clients still go by this one."""

_SHAPES: Mapping[Error, str] = {
    errors.InvalidRequest: "InvalidRequest",
    errors.JobNotFound: "JobNotFound",
    errors.InsufficientCredits: "Refused",
    errors.BudgetExceeded: "Refused",
    errors.Conflict: "Refused",
    errors.IdempotencyKeyReused: "Refused",
    errors.RushesError: "Message",
}

_MEANINGS: Mapping[int, str] = {
    400: "What was sent is wrong; every wrong field is named at once.",
    401: "The key is missing, malformed, unknown or revoked; it is never said which.",
    402: "The account's credits of this month do not cover it. Nothing was queued.",
    404: "There is no such thing in this account.",
    408: "The request took too long to come.",
    409: "It is not in a state in which that can be done.",
    413: "The request is too long: a JSON body over 1 MiB, a file over its limit, a head over 32 KiB.",
    416: "The range lies beyond the end of the file.",
    422: "The Idempotency-Key was sent before with another body.",
    429: "Too many requests, or too many jobs under way; Retry-After says when to come back.",
    500: "A mistake of ours; the server's log has it.",
    503: "Something that the server leans on is away; trying again can help.",
}

_CARRY: Mapping[int, tuple[str, ...]] = {
    416: ("Content-Range", "ETag"),
    429: ("Retry-After",),
    503: ("Retry-After",),
}

_OURS: Mapping[str, str] = {
    "X-Request-Id": "What the request calls itself, or was called here: the log's lines about it name it.",
    "Rushes-Version": "The version of Rushes that answered; where it is there, idempotency keys are honoured.",
    "Access-Control-Allow-Origin": "Any origin may call.",
    "Access-Control-Expose-Headers": "The headers that a script in a browser may read.",
}
_OTHERS: Mapping[str, str] = {
    "ETag": "Names what was sent: with If-None-Match it is sent again only when it has changed.",
    "Cache-Control": "How long a copy is good.",
    "Last-Modified": "When the file was written.",
    "Location": "Where it is, for a while.",
    "Accept-Ranges": "Ranges are in bytes.",
    "Content-Range": "Which bytes these are, and of how many.",
    "Content-Security-Policy": "A page may load nothing and be framed by nobody.",
    "X-Content-Type-Options": "It is what its Content-Type says.",
    "X-Frame-Options": "The page may not be framed.",
    "Referrer-Policy": "The page tells nobody where a reader came from.",
    "Retry-After": "Seconds until it makes sense to try again.",
    "Idempotent-Replayed": "The answer was given before, to the same Idempotency-Key.",
}
_SOMETIMES = ("Idempotent-Replayed",)


def headers() -> Mapping[str, Schema]:
    """Every header that an answer may carry, by name."""
    told = {**_OURS, **_OTHERS}
    always = {name.decode().lower(): value.decode() for name, value in HEADERS}
    return {name: _header(name, said, always.get(name.lower())) for name, said in told.items()}


def _header(name: str, description: str, value: str | None) -> Schema:
    schema: Schema = {"type": "integer", "minimum": 1} if name == "Retry-After" else {"type": "string"}
    example = {} if value is None else {"example": value}
    return {"description": description, "required": name not in _SOMETIMES, "schema": schema, **example}


def given(description: str, shape: str | Schema, example: Any, *carries: str, **more: Any) -> Response:
    """A JSON answer of a named shape."""
    media = {"schema": ref(shape) if isinstance(shape, str) else shape, "example": example}
    return {**bare(description, *carries), "content": {"application/json": media}, **more}


def several(description: str, shape: str, shown: Mapping[str, Any], **more: Any) -> Response:
    """A JSON answer that can look in several ways."""
    media = {"schema": ref(shape), "examples": {_key(name): {"summary": name, "value": shown[name]} for name in shown}}
    return {**bare(description), "content": {"application/json": media}, **more}


def bare(description: str, *carries: str) -> Response:
    """An answer without a body."""
    carried = {name: {"$ref": f"#/components/headers/{name}"} for name in (*_OURS, *carries)}
    return {"description": description, "headers": carried}


def refused(kinds: Iterable[Error]) -> dict[str, Response]:
    """The errors an operation can answer with, by status; several of one status stand side by side."""
    by_status: dict[int, list[Error]] = {}
    for kind in kinds:
        by_status.setdefault(wire.status(examples.ERRORS[kind]), []).append(kind)
    return {str(status): _refusal(status, by_status[status]) for status in sorted(by_status)}


def refusals() -> Mapping[str, Response]:
    """Every error by its name: most operations share them."""
    return {kind.__name__: _told(status, [kind]) for status, kind in _alone()}


def _alone() -> Iterable[tuple[int, Error]]:
    return ((wire.status(error), kind) for kind, error in examples.ERRORS.items())


def _refusal(status: int, kinds: list[Error]) -> Response:
    if len(kinds) == 1:
        return {"$ref": f"#/components/responses/{kinds[0].__name__}"}
    return _told(status, kinds)


def _told(status: int, kinds: list[Error]) -> Response:
    carries = _CARRY.get(status, ())
    said = {_key(kind.code): {"summary": _title(kind), "value": wire.error(examples.ERRORS[kind])} for kind in kinds}
    media = {"schema": ref(_shape(kinds[0])), "examples": said}
    return {**bare(_MEANINGS[status], *carries), "content": {"application/json": media}}


def _title(kind: Error) -> str:
    """What in the body tells it from others: its code, where one is sent."""
    return wire.MESSAGE[wire.status(examples.ERRORS[kind])] if _shape(kind) == "Message" else kind.code


def _shape(kind: Error) -> str:
    return next(_SHAPES[parent] for parent in kind.__mro__ if parent in _SHAPES)


def _key(name: str) -> str:
    return name.lower().replace(" ", "_")


def file(description: str, types: Iterable[str], *carries: str) -> Response:
    """An answer that is a file of one of those types."""
    content: dict[str, Schema] = {media_type: {"schema": BINARY} for media_type in types}
    return {**bare(description, *carries), "content": content}


def page(description: str, media_type: str, *carries: str) -> Response:
    """An answer in text."""
    return {**bare(description, *carries), "content": {media_type: {"schema": text(description)}}}
