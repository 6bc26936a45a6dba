"""JSON shapes, to the byte, and the one table between error codes and HTTP statuses.

An item is built once, when its video enters the library, and stored as the text that goes out; a page joins such
texts. Our own links in it begin with :data:`LINK` instead of a host, because the host is the request's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rushes import errors
from rushes.model import Job, JobState, Video, milliseconds, timestamp
from rushes.paging import SortKey

LINK = b"\x01"
"""Stands for scheme and host. JSON text never holds this character raw, so nothing a user sent can be taken for it."""

_PAGE_START = b'{"items":['

STATUS: Mapping[type[errors.RushesError], int] = {
    errors.InvalidRequest: 400,
    errors.Unauthorized: 401,
    errors.NotFound: 404,
    errors.JobNotFound: 404,
    errors.TooLong: 413,
    errors.RangeNotSatisfiable: 416,
    errors.Unavailable: 503,
    errors.RushesError: 500,
}

MESSAGE: Mapping[int, str] = {
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Request Too Long",
    416: "Range Not Satisfiable",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

_FINISHED_KEYS = (
    "url",
    "duration",
    "width",
    "height",
    "thumbnailImageUrl",
    "lastFrameImageUrl",
    "previewImageUrl",
)


def dumps(value: object) -> str:
    """Compact JSON, UTF-8 as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def resolve(text: bytes, origin: str) -> bytes:
    """``text`` with our own links made absolute under ``origin`` (``https://host``)."""
    return text.replace(LINK, origin.encode())


def video_item(video: Video) -> bytes:
    """One item of the library (A1): keys in the contract's order, links waiting for their host."""
    request, files = video.request, video.files
    members = [
        _member("url", _link(files.video)),
        _member("id", dumps(video.id)),
        _member("prompt", dumps(request.prompt)),
        _member("aspectRatio", dumps(request.aspect_ratio)),
        _member("createdDate", dumps(timestamp(video.created))),
        _member("model", dumps(request.model)),
        _member("width", dumps(video.width)),
        _member("height", dumps(video.height)),
        _member("duration", dumps(duration(video.seconds))),
        _member("previewImageUrl", _link(files.preview)),
        _member("thumbnailImageUrl", _link(files.thumbnail)),
        _member("lastFrameImageUrl", _link(files.last_frame)),
    ]
    optional = {
        "firstFrameImageUrl": request.first_frame_image_url,
        "referenceImageUrls": list(request.reference_image_urls) or None,
        "extendVideoUrl": request.extend_video_url,
    }
    members += [_member(name, dumps(value)) for name, value in optional.items() if value is not None]
    return ("{" + ",".join(members) + "}").encode()


def sidecar(job: Job, video: Video) -> str:
    """What lies beside an MP4: the item (its links without a host) and its job, enough to make the rows again."""
    told = {
        "version": 1,
        "accountId": video.account_id,
        "fileId": video.file_id,
        "seconds": video.seconds,
        "item": json.loads(resolve(video_item(video), "")),
        "job": {
            "jobId": job.id,
            "origin": job.origin,
            "createdDate": timestamp(job.created),
            "durationAsked": f"{job.request.seconds}s",
            "aiCreditsUsed": str(job.credits),
            "webhook": job.request.webhook,
            "ticket": job.ticket,
        },
    }
    return dumps(told)


def _member(name: str, value: str) -> str:
    return f'"{name}":{value}'


def _link(name: str) -> str:
    # Our own names hold nothing that JSON would escape.
    return f'"{LINK.decode()}/{name}"'


def duration(seconds: float) -> str:
    """A length as it is told: ``8s`` when within a quarter of a second of it, else one decimal, ``7.5s``."""
    whole = round(seconds)
    return f"{whole}s" if abs(seconds - whole) <= 0.25 else f"{seconds:.1f}s"


def sort_key(item: bytes) -> SortKey:
    """Where a stored item stands in its list."""
    return SortKey(milliseconds(_text_of(item, b'"createdDate":"')), _text_of(item, b'"id":"'))


def _text_of(item: bytes, name: bytes) -> str:
    # A tenth of the cost of parsing the item. A quote inside a text is escaped, so a name in quotes is a name.
    start = item.index(name) + len(name)
    return item[start : item.index(b'"', start)].decode()


def page(items: Sequence[bytes], token: str | None, origin: str) -> bytes:
    """A page of stored items: ``nextPageKey`` is there only when more follows."""
    end = b"]}" if token is None else b'],"nextPageKey":"%s"}' % token.encode()
    if not items:
        return _PAGE_START + end
    # Start and end are added to small pieces, because each copy of the whole shows in what a page costs.
    first, *others = items
    pieces = [_PAGE_START + first, *others]
    pieces[-1] += end
    return resolve(b",".join(pieces), origin)


def submitted(job_id: str) -> dict[str, Any]:
    """The answer to a submission (A2)."""
    return {"success": True, "data": {"jobId": job_id}}


def job(job: Job, item: bytes | None, origin: str) -> dict[str, Any]:
    """How a job stands (A4); ``item`` is its video's stored text once it is completed."""
    data = _job_data(job, item, origin)
    return {"job_id": job.id, "success": data["status"] != "failed", "data": data}


def _job_data(job: Job, item: bytes | None, origin: str) -> dict[str, Any]:
    if job.state is JobState.CLEANED:
        return {"status": "cleaned"}
    if job.error_code is not None:
        return {"status": "failed", "error_code": job.error_code, "error_message": _sentence(job.error_message or "")}
    if item is None:
        return {"status": "in-progress"}
    facts = json.loads(resolve(item, origin))
    finished = {name: facts[name] for name in _FINISHED_KEYS}
    return {"status": "completed", **finished, "aiCreditsUsed": number(job.credits)}


def _sentence(told: str) -> str:
    # It may repeat what was sent (a link, a word of the prompt), and a vendor client searches the whole body.
    return told.replace("in-progress", "in progress")


def number(amount: Decimal) -> int | float:
    """An amount as a JSON number: ``8``, not ``8.0``."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def job_not_found(job_id: str) -> dict[str, Any]:
    """The vendor's own 404 for a job."""
    return {
        "job_id": job_id,
        "success": False,
        "data": {"error_code": "5000", "error_message": "JOB_NOT_FOUND"},
    }


def status(error: errors.RushesError) -> int:
    """The HTTP status of an error: its own, or its nearest ancestor's in :data:`STATUS`."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def error(error: errors.RushesError) -> dict[str, Any]:
    """The body of an error. Never ``items`` or ``nextPageKey`` as a key: some clients look at nothing else."""
    if isinstance(error, errors.JobNotFound):
        return job_not_found(error.job_id)
    if isinstance(error, errors.InvalidRequest):
        fields = [{"name": name, "errors": complaint} for name, complaint in error.fields.items()]
        return {"code": error.code, "message": error.sentence, "fields": fields}
    return {"message": MESSAGE[status(error)]}
