"""What the server itself calls: the webhook of a request, when its job has ended."""

from __future__ import annotations

from typing import Any

from rushes.api.openapi import examples
from rushes.api.openapi.parameters import in_header
from rushes.api.openapi.schemas import ref

_TOLD = (
    "Sent to the `webhook` of a request when its job has completed, failed or was cancelled: what `GET /jobs/{job_id}` "
    "answers, under the headers of Standard Webhooks, signed with the account's secret. Any 2xx ends it, and so does a "
    "410. After anything else, or no answer within 15 seconds, it is sent again: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h "
    "and 10 h later. Redirects are not followed, and the same event can come twice."
)
_HEADERS = {
    "webhook-id": "The event: the same each time it is sent, so that one that comes twice is noticed.",
    "webhook-timestamp": "When this was sent, in seconds since 1970.",
    "webhook-signature": "`v1,` and a signature in Base64; more than one, with a space between, while secrets change.",
}


def webhooks() -> dict[str, Any]:
    """Every call there is, by name."""
    return {"job_ended": {"post": _job_ended()}}


def _job_ended() -> dict[str, Any]:
    shown = examples.jobs()
    ended = {name.replace(" ", "_"): {"summary": name, "value": shown[name]} for name in ("a finished video", "failed")}
    return {
        "operationId": "job_ended",
        "tags": ["Jobs"],
        "summary": "A job has ended",
        "description": _TOLD,
        "security": [],
        "parameters": [in_header(name, said, {"type": "string"}, required=True) for name, said in _HEADERS.items()],
        "requestBody": {"required": True, "content": {"application/json": {"schema": ref("Job"), "examples": ended}}},
        "responses": {
            "2XX": {"description": "It has arrived."},
            "410": {"description": "Nobody wants it any more: it is not sent again."},
            "default": {"description": "It is sent again later."},
        },
    }
