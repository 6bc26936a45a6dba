"""What the descriptions of all operations are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rushes import errors
from rushes.api.openapi.responses import Error, Response, bare, given, refused
from rushes.api.openapi.schemas import Schema, ref

Operation = dict[str, Any]
Paths = dict[str, dict[str, Operation]]

V1 = "/pictoryapis/v1"

# A head that is too long or too slow is refused whatever it asks for.
ALWAYS: tuple[Error, ...] = (errors.TooSlow, errors.TooLong, errors.RushesError, errors.Unavailable)
WITH_KEY: tuple[Error, ...] = (errors.Unauthorized, errors.TooMany, *ALWAYS)
QUERY: tuple[Error, ...] = (errors.InvalidQuery,)
BODY: tuple[Error, ...] = (errors.InvalidBody, errors.InvalidQuery)
ONCE: tuple[Error, ...] = (errors.InvalidQuery, errors.IdempotencyKeyReused)


def operation(
    name: str, tag: str, summary: str, description: str, responses: Mapping[str, Response], **more: Any
) -> Operation:
    """One operation; ``more`` is what else OpenAPI has for it."""
    told = {"operationId": name, "tags": [tag], "summary": summary, "description": description}
    return {**told, **more, "responses": dict(sorted(responses.items()))}


def ok(response: Response, kinds: Iterable[Error]) -> Mapping[str, Response]:
    """What it gives, and what it can refuse."""
    return {"200": response, **refused(kinds)}


COPIED = ("ETag", "Cache-Control")
"""What an answer carries of which a client may keep a copy."""


def ok_or_unchanged(response: Response, kinds: Iterable[Error]) -> Mapping[str, Response]:
    """What it gives, carrying :data:`COPIED`, unless the client has it already; and what it can refuse."""
    return {**ok(response, kinds), "304": bare("Nothing has changed since the ETag that was sent.", *COPIED)}


def link(operation: str, description: str, **told: str) -> Schema:
    """A way on from an answer, with what of it to send."""
    return {"operationId": operation, "description": description, "parameters": told}


def given_once(description: str, shape: str, example: Any) -> Response:
    """An answer that can have been given before."""
    return given(description, shape, example, "Idempotent-Replayed")


def json_body(shape: str, example: Mapping[str, Any]) -> Schema:
    """A body of a named shape."""
    return {"required": True, "content": {"application/json": {"schema": ref(shape), "example": example}}}


def job_links(job: str) -> Schema:
    """The ways on from wherever a job is named."""
    return {
        "job": link("get_job", "How it stands.", job_id=job),
        "job_details": link("get_job_details", "Everything about it.", job_id=job),
        "cancel": link("cancel_job", "Its end, while it is under way.", job_id=job),
        "clean": link("clean_job", "The end of its result, once it has ended.", job_id=job),
    }
