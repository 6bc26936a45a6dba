"""What OpenAPI cannot say of our API: where schemathesis complains of it, it is not our mistake.

Loaded by schemathesis itself (``SCHEMATHESIS_HOOKS``) in ``test_openapi.py``.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from schemathesis import Case, HookContext, Response

_DEPENDS = {
    "nextPageKey",  # a token has a form, but only what was given out is one
    "since",
    "month",  # a year needs a month beside it
    "Content-Type",  # of an upload: the one that was announced
}


# Of HTTP itself, or of every answer: the document says so once, where it begins.
_OF_EVERY_ANSWER = {
    *("content-type", "content-length", "connection", "date"),
    *("rushes-version", "access-control-allow-origin", "access-control-expose-headers"),
}


@schemathesis.check
def no_header_is_sent_that_is_not_described(ctx: object, response: Response, case: Case[Any]) -> None:
    """Schemathesis itself looks only for those that are described and missing."""
    told = case.operation.responses.find_by_status_code(response.status_code)
    described = {name.lower() for name, _ in told.headers.items()} if told else set()
    undescribed = {name.lower() for name in response.headers} - described - _OF_EVERY_ANSWER
    assert not (told and undescribed), sorted(undescribed)


@schemathesis.hook
def filter_failure(context: HookContext, failure: Any, case: Case[Any], response: Response) -> bool:
    """Whether a complaint counts."""
    kind = type(failure).__name__
    if kind == "RejectedPositiveData":
        return not _depends(response)
    return kind != "AcceptedNegativeData" or not (
        response.status_code == 413 or _empty_is_not_sent(response) or _is_another_link(failure)
    )


def _depends(response: Response) -> bool:
    if response.status_code == 413:
        return True  # five thousand characters can be too many bytes for one line
    told = json.loads(response.content)
    if response.status_code == 422:
        return bool(told["code"] == "IDEMPOTENCY_KEY_REUSED")  # by an earlier case
    wrong = {field["name"] for field in told.get("fields", ())}
    return response.status_code == 400 and bool(wrong) and wrong <= _DEPENDS


def _empty_is_not_sent(response: Response) -> bool:
    query = urlsplit(str(response.request.url)).query
    return any(not value for _, value in parse_qsl(query, keep_blank_values=True))


def _is_another_link(failure: Any) -> bool:
    # The test narrows which links are sent; the server takes those to anybody.
    return "violates `pattern`" in failure.message and any(
        name in failure.message for name in ("ImageUrl", "VideoUrl", "webhook")
    )
