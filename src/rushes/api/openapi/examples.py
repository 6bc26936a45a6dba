"""What the document shows of each shape: made by ``wire.py`` itself, so that no example can say what is not sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rushes import errors, wire
from rushes.catalogue import IMAGE_MODELS, VIDEO_MODELS
from rushes.model import (
    Balance,
    Change,
    Image,
    ImageRequest,
    Job,
    JobState,
    Kind,
    LedgerEntry,
    Request,
    Video,
    VideoRequest,
)

Json = Any

ORIGIN = "http://127.0.0.1:8700"
"""Where ``rushes serve`` listens unless it is told otherwise."""

ACCOUNT = "8f14e45f-ceea-4e7a-9c3b-2d6f1a0b5c7e"
JOB = "2b1f6a52-6f0c-4b0e-9d7a-51c3f0a4e8d6"
VIDEO = "2026040918514796741d3f0c2b7a8e965"
VIDEO_FILE = "c0a8f3d2-7b64-4e1f-8a95-3e2d1c0b9f87"
IMAGE = "f5d0c9b8-a7e6-4d5c-9b4a-8f7e6d5c4b3a"
UPLOAD = "7d3e9c1a-4f82-4b6d-a0c5-e9f8d7b6a594"
TOKEN = "kLh2fXw0sQ9mVb7ZpT3cYgAAAZ1zN8YvMjAyNjA0MDkxODUxNDc5Njc0MWQzZjBjMmI3YThlOTY1"  # noqa: S105
SIGNATURE = "5f2b8c7e1d9a3046b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4"

PROMPT = "A lighthouse over a calm sea at sunset"
ERROR_FIELDS = {"duration": "must be one of 5s, 8s, 10s", "prompt": "is required"}

_MADE = 1_775_760_707_967
_EXPIRES = _MADE + 86_400_000
_VIDEO = Video(
    id=VIDEO,
    account_id=ACCOUNT,
    file_id=VIDEO_FILE,
    job_id=JOB,
    request=VideoRequest(PROMPT, "pixverse5.5", "9:16", 8),
    created=_MADE,
    width=720,
    height=1280,
    seconds=8.0,
)
_IMAGE = Image(
    file_id=IMAGE,
    account_id=ACCOUNT,
    job_id=JOB,
    request=ImageRequest(PROMPT, "seedream3.0", "16:9", style="vintage"),
    created=_MADE,
    width=1280,
    height=720,
)


def page(kind: Kind) -> Json:
    """A page of a library that goes on."""
    return json.loads(wire.page([_item(kind)], TOKEN, ORIGIN))


def item(kind: Kind) -> Json:
    """One item of a library."""
    return json.loads(wire.resolve(_item(kind), ORIGIN))


def _item(kind: Kind) -> bytes:
    return wire.item(_VIDEO if kind is Kind.VIDEO else _IMAGE)


def submitted() -> Json:
    """The answer to a submission."""
    return wire.submitted(JOB)


def jobs() -> Mapping[str, Json]:
    """A job as it can stand, by what a reader would call it."""
    return {
        "under way": wire.job(_job(JobState.WAITING), None, ORIGIN),
        "a finished video": wire.job(_job(JobState.COMPLETED), _item(Kind.VIDEO), ORIGIN),
        "a finished image": wire.job(_job(JobState.COMPLETED, _IMAGE.request), _item(Kind.IMAGE), ORIGIN),
        "failed": wire.job(_failed_job(), None, ORIGIN),
        "cleaned": wire.job(_job(JobState.CLEANED), None, ORIGIN),
    }


def job_page() -> Json:
    """The last page of an account's jobs."""
    return wire.jobs([(_job(JobState.COMPLETED), _item(Kind.VIDEO)), (_failed_job(), None)], None, ORIGIN)


def job_details() -> Json:
    """A job as a person wants to see it."""
    return wire.job_detail(_job(JobState.WAITING, progress=0.4), None, "sandbox")


def job_details_page() -> Json:
    """A page of them."""
    return {"items": [job_details()], "nextPageKey": TOKEN}


def _job(state: JobState, request: Request = _VIDEO.request, **told: Any) -> Job:
    return Job(JOB, ACCOUNT, VIDEO, request, Decimal("12.8"), state, _MADE, ORIGIN, **told)


def _failed_job() -> Job:
    error = errors.InputUnreachable("The first frame could not be fetched: the server answered 404; check the link.")
    return _job(JobState.FAILED, error_code=error.code, error_message=error.sentence)


def models() -> Json:
    """What a server can make."""
    video, image = VIDEO_MODELS["pixverse5.5"], IMAGE_MODELS["flux-schnell"]
    return {"items": [wire.model(video, "sandbox"), wire.model(image, None)]}


def changes() -> Json:
    """A stretch of the change feed."""
    added = Change(1, Kind.VIDEO, VIDEO, _MADE, _item(Kind.VIDEO))
    deleted = Change(2, Kind.IMAGE, IMAGE, _MADE, None)
    return wire.changes([added, deleted], TOKEN, ORIGIN, more=False)


def quota() -> Json:
    """What an account may spend."""
    return wire.quota(Balance(Decimal(690), Decimal(0), Decimal(22000)))


def ledger() -> Json:
    """A month of the ledger."""
    spent = Decimal("12.8")
    told = LedgerEntry(
        "20260409185147967" + "9c" * 16, "debit", spent, "Text-to-Video", "8s video by pixverse5.5", _MADE
    )
    return [wire.ledger_entry(told)]


def upload() -> Json:
    """Where to send a file to."""
    query = f"expires={_EXPIRES}&signature={SIGNATURE}"
    return wire.upload(f"uploads/user/{ACCOUNT}/{UPLOAD}.png", query, ORIGIN)


def upload_query() -> Mapping[str, str]:
    """The query of a link that takes a file."""
    return {"expires": str(_EXPIRES), "signature": SIGNATURE}


ERRORS: Mapping[type[errors.RushesError], errors.RushesError] = {
    type(error): error
    for error in (
        errors.InvalidBody("These fields of the body are wrong: duration, prompt.", ERROR_FIELDS),
        errors.InvalidQuery("These parameters are wrong: limit.", {"limit": "must be a whole number from 1 to 100"}),
        errors.Unauthorized(""),
        errors.InsufficientCredits(
            "This needs 12.8 AI credits and 3.2 of 22000 are left this month; wait for the next month or have the "
            "limit raised."
        ),
        errors.BudgetExceeded(
            "The operator's budget for fal has no room for this in this month (about $3.2); wait for the next month or "
            "have it raised."
        ),
        errors.NotFound(""),
        errors.JobNotFound(JOB),
        errors.TooSlow(""),
        errors.JobNotFinished("The job is under way; cancel it first, or wait for its end."),
        errors.JobFinished("The job has ended; only a job under way can be cancelled."),
        errors.UploadTaken("This link takes one file and has it; ask for a new link for another file."),
        errors.TooLong(""),
        errors.RangeNotSatisfiable(""),
        errors.IdempotencyKeyReused(
            "This Idempotency-Key was sent before with another body; use a new key for a new request."
        ),
        errors.TooMany("", 10),
        errors.Unavailable(""),
        errors.RushesError(""),
    )
}
"""One of each error that an answer can tell of."""
