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
from rushes.catalogue import STYLES, ImageModel, Input, VideoModel
from rushes.model import (
    Balance,
    Change,
    Image,
    Item,
    Job,
    JobState,
    Kind,
    LedgerEntry,
    Video,
    VideoRequest,
    milliseconds,
    timestamp,
)
from rushes.paging import SortKey

PLAN = "Rushes"
"""The one plan there is: the vendor's ledger names one in each line."""

LINK = b"\x01"
"""Stands for scheme and host. JSON text never holds this character raw, so nothing a user sent can be taken for it."""

_PAGE_START = b'{"items":['

STATUS: Mapping[type[errors.RushesError], int] = {
    errors.InvalidRequest: 400,
    errors.Unauthorized: 401,
    errors.BudgetExceeded: 402,
    errors.InsufficientCredits: 402,
    errors.NotFound: 404,
    errors.JobNotFound: 404,
    errors.TooSlow: 408,
    errors.Conflict: 409,
    errors.TooLong: 413,
    errors.RangeNotSatisfiable: 416,
    errors.IdempotencyKeyReused: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    errors.RushesError: 500,
}

MESSAGE: Mapping[int, str] = {
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Request Too Long",
    416: "Range Not Satisfiable",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

_TOLD_WITH_CODE = (
    errors.InsufficientCredits,
    errors.BudgetExceeded,
    errors.Conflict,
    errors.IdempotencyKeyReused,
)

_FINISHED_KEYS: Mapping[Kind, Sequence[str]] = {
    Kind.VIDEO: (
        *("url", "duration", "width", "height"),
        *("thumbnailImageUrl", "lastFrameImageUrl", "previewImageUrl"),
    ),
    Kind.IMAGE: ("url", "width", "height"),
}


def dumps(value: object) -> str:
    """Compact JSON, UTF-8 as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def resolve(text: bytes, origin: str) -> bytes:
    """``text`` with our own links made absolute under ``origin`` (``https://host``)."""
    return text.replace(LINK, origin.encode())


def item(item: Item) -> bytes:
    """One item of a library: keys in the contract's order, links waiting for their host."""
    members = _video(item) if isinstance(item, Video) else _image(item)
    return ("{" + ",".join(members) + "}").encode()


def _video(video: Video) -> list[str]:
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
    return members + _sent(optional)


def _image(image: Image) -> list[str]:
    request = image.request
    members = [
        _member("url", _link(image.files.image)),
        _member("id", dumps(image.id)),
        _member("prompt", dumps(request.prompt)),
        _member("aspectRatio", dumps(request.aspect_ratio)),
        _member("createdDate", dumps(timestamp(image.created))),
        _member("model", dumps(request.model)),
        _member("width", dumps(image.width)),
        _member("height", dumps(image.height)),
    ]
    return members + _sent({"style": request.style, "referenceImageUrl": request.reference_image_url})


def _sent(optional: Mapping[str, object]) -> list[str]:
    return [_member(name, dumps(value)) for name, value in optional.items() if value is not None]


def sidecar(made: Item, job: Job | None = None, source: Mapping[str, object] | None = None, **known: Any) -> str:
    """What lies beside a file: the item (its links without a host) and the job that made it, enough to make the rows
    again; for one from elsewhere its ``source`` instead. ``known``: ``account``, ``parents``, ``bytes``, ``sha256``.
    """
    told = {
        "version": 1,
        "kind": made.request.kind,
        "accountId": made.account_id,
        "fileId": made.file_id,
        **({"seconds": made.seconds} if isinstance(made, Video) else {}),
        "item": json.loads(resolve(item(made), "")),
        **({"job": _ordered(job)} if job else {}),
        **({"source": source} if source else {}),
        **known,
    }
    return dumps(told)


def _ordered(job: Job) -> dict[str, object]:
    asked, costs = job.request, {"cost": job.cost, "estimate": job.estimate}
    return {
        "jobId": job.id,
        "origin": job.origin,
        "createdDate": timestamp(job.created),
        **({"durationAsked": f"{asked.seconds}s"} if isinstance(asked, VideoRequest) else {}),
        "aiCreditsUsed": str(job.credits),
        "webhook": asked.webhook,
        "ticket": job.ticket,
        **{name: None if amount is None else f"{amount:f}" for name, amount in costs.items()},
        "costSource": job.cost_source,
        "provider": job.provider,
    }


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


SUCCESS = {"success": True}
"""The answer to a change that has nothing else to say."""


def submitted(job_id: str) -> dict[str, Any]:
    """The answer to a submission (A2)."""
    return {"success": True, "data": {"jobId": job_id}}


def job(job: Job, item: bytes | None, origin: str) -> dict[str, Any]:
    """How a job stands (A4); ``item`` is its item's stored text once it is completed."""
    data = _job_data(job, item, origin)
    return {"job_id": job.id, "success": data["status"] != "failed", "data": data}


def jobs(listed: Sequence[tuple[Job, bytes | None]], token: str | None, origin: str) -> dict[str, Any]:
    """A page of jobs (A5): here the last one says ``null``."""
    told = [(job, _job_data(job, item, origin)) for job, item in listed]
    items = [{"success": data["status"] != "failed", "data": {"jobId": job.id, **data}} for job, data in told]
    return {"items": items, "nextPageKey": token}


def _job_data(job: Job, item: bytes | None, origin: str) -> dict[str, Any]:
    if job.state is JobState.CLEANED:
        return {"status": "cleaned"}
    if job.error_code is not None:
        return {"status": "failed", "error_code": job.error_code, "error_message": _sentence(job.error_message or "")}
    if item is None:
        # An item that was deleted between two looks leaves a job that has ended and shows nothing.
        return {"status": "cleaned" if job.state.ended else "in-progress"}
    facts = json.loads(resolve(item, origin))
    finished = {name: facts[name] for name in _FINISHED_KEYS[job.kind]}
    return {"status": "completed", **finished, "aiCreditsUsed": number(job.credits)}


def job_detail(job: Job, item_id: str | None, provider: str | None) -> dict[str, Any]:
    """What a person wants to see of a job (C)."""
    failed = {"code": job.error_code, "message": job.error_message} if job.error_code else None
    return {
        "jobId": job.id,
        "kind": job.kind,
        "model": job.request.model,
        "prompt": job.request.prompt,
        "state": job.state,
        "waitingFor": _waiting_for(job),
        "progress": job.progress,
        "createdDate": timestamp(job.created),
        "itemId": item_id,
        "error": failed,
        "credits": number(job.credits),
        "cost": None if job.cost is None else number(job.cost),
        "costSource": job.cost_source,
        "provider": provider,
        "request": request(job),
    }


def unmistakable(text: str) -> str:
    """The same JSON without the letters ``in-progress``: a vendor client searches the whole body of a job for them, and
    a prompt may hold them.
    """
    return text.replace("in-progress", r"in\u002dprogress")


def _waiting_for(job: Job) -> str | None:
    if job.state.ended:
        return None
    place = f"the provider to make it; it is number {job.position} in its queue" if job.position else None
    return job.set_back or place or _WAITS[job.state]


_WAITS: Mapping[JobState, str] = {
    JobState.QUEUED: "a worker",
    JobState.SUBMITTING: "the provider to take the order",
    JobState.WAITING: "the provider to make it",
    JobState.COLLECTING: "the result to be fetched and examined",
}


def request(job: Job) -> dict[str, Any]:
    """What was asked for, in the words of the request: it can be sent again as it is."""
    asked = job.request
    told: dict[str, Any] = {"prompt": asked.prompt, "model": asked.model, "aspectRatio": asked.aspect_ratio}
    if isinstance(asked, VideoRequest):
        told |= {
            "duration": f"{asked.seconds}s",
            "firstFrameImageUrl": asked.first_frame_image_url,
            "extendVideoUrl": asked.extend_video_url,
            "referenceImageUrls": list(asked.reference_image_urls) or None,
        }
    else:
        told |= {"style": asked.style, "referenceImageUrl": asked.reference_image_url}
    return {name: value for name, value in {**told, "webhook": asked.webhook}.items() if value is not None}


def _sentence(told: str) -> str:
    # It may repeat what was sent (a link, a word of the prompt), and a vendor client searches the whole body.
    return told.replace("in-progress", "in progress")


def number(amount: Decimal) -> int | float:
    """An amount as a JSON number: ``8``, not ``8.0``."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def upload(name: str, query: str, origin: str) -> dict[str, Any]:
    """Where to send a file to, and where it will be (A5)."""
    url = f"{origin}/{name}"
    return {"success": True, "data": {"signedUrl": f"{url}?{query}", "url": url, "key": name}}


def quota(balance: Balance) -> dict[str, Any]:
    """What an account may spend this month (A5)."""
    nothing = {"used": 0, "limit": 0}
    return {
        "videoMinutes": nothing,
        "transcriptionMinutes": nothing,
        "elevenLabsVoiceOverMinutes": nothing,
        "aiCredits": {"used": number(balance.spent), "limit": number(balance.limit)},
    }


def ledger_entry(entry: LedgerEntry) -> dict[str, Any]:
    """One line of the ledger (A5)."""
    return {
        "transactionId": entry.id,
        "type": entry.type,
        "amount": number(entry.amount),
        "source": entry.source,
        "description": entry.description,
        "plan": PLAN,
        "transactionDate": timestamp(entry.created),
    }


def model(model: VideoModel | ImageModel, provider: str | None) -> dict[str, Any]:
    """What a model can be asked for (C); ``provider`` is ``None`` where this server has no route to one."""
    is_video = isinstance(model, VideoModel)
    told: dict[str, Any] = {
        "model": model.name,
        "kind": Kind.VIDEO if is_video else Kind.IMAGE,
        "configured": provider is not None,
        "provider": provider,
        "aspectRatios": list(model.aspect_ratios),
        "sizes": {ratio: list(size) for ratio, size in model.sizes.items()},
    }
    if isinstance(model, VideoModel):
        inputs = [name for name, taken in VIDEO_INPUTS.items() if taken in model.inputs]
        durations = [f"{seconds}s" for seconds in model.durations]
        credits = number(model.credits_per_second)
        told |= {"durations": durations, "creditsPerSecond": credits, "inputs": inputs}
        return {**told, "needsInput": model.needs_input}
    inputs = ["referenceImageUrl"] if model.takes_reference else []
    return {**told, "styles": list(STYLES), "credits": number(model.credits), "inputs": inputs}


VIDEO_INPUTS: Mapping[str, Input] = {
    "firstFrameImageUrl": Input.FIRST_FRAME,
    "extendVideoUrl": Input.EXTEND_VIDEO,
    "referenceImageUrls": Input.REFERENCES,
}


def changes(listed: Sequence[Change], since: str, origin: str, *, more: bool) -> dict[str, Any]:
    """A stretch of the change feed (C); ``since`` is what to ask with next."""
    told = [_change(change, origin) for change in listed]
    return {"changes": told, "since": since, "more": more}


def _change(change: Change, origin: str) -> dict[str, Any]:
    told = {
        "type": "deleted" if change.item is None else "added",
        "kind": change.kind,
        "id": change.item_id,
        "createdDate": timestamp(change.created),
    }
    return told if change.item is None else {**told, "item": json.loads(resolve(change.item, origin))}


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
    if isinstance(error, _TOLD_WITH_CODE):
        return {"code": error.code, "message": error.sentence}
    return {"message": MESSAGE[status(error)]}


def raised(status: int, body: object) -> errors.RushesError:
    """The error that an answer tells of, as :func:`error` and the vendor tell it: what a client raises."""
    told = body if isinstance(body, dict) else {}
    sentence = str(told.get("message") or "")
    found = _no_job(told) or _raised(status, told, sentence)
    found.status = status
    return found


def _no_job(told: Mapping[str, Any]) -> errors.JobNotFound | None:
    data = told.get("data")
    said = isinstance(data, dict) and data.get("error_message") == "JOB_NOT_FOUND"
    return errors.JobNotFound(str(told.get("job_id"))) if said else None


def _raised(status: int, told: Mapping[str, Any], sentence: str) -> errors.RushesError:
    code, fields = told.get("code"), told.get("fields")
    kind = _BY_CODE.get(str(code)) or _BY_STATUS.get(status)
    if kind is None:
        return errors.BadAnswer(f"The server answered {status}, which this API does not know{_quoted(sentence)}.")
    # The vendor's words for a status say less than ours: "Not Found".
    found = kind(_TOLD.get(status, sentence) if sentence in ("", MESSAGE.get(status)) else sentence)
    if isinstance(code, str) and code:
        found.code = code
    if isinstance(found, errors.InvalidRequest) and isinstance(fields, list):
        named = [each for each in fields if isinstance(each, dict)]
        found.fields = {str(each.get("name")): str(each.get("errors")) for each in named}
        # A trace shows the sentence alone: what is wrong with each field belongs to it.
        complaints = "; ".join(f"{name} {complaint}" for name, complaint in found.fields.items())
        found.sentence = f"The server does not take this: {complaints}." if complaints else found.sentence
        found.args = (found.sentence,)
    return found


def _quoted(sentence: str) -> str:
    return f', saying "{sentence}"' if sentence else ""


def job_failed(job_id: str, code: str, sentence: str) -> errors.JobFailed:
    """How a job ended, as an error with its code; a code of the vendor's own is kept."""
    failed = _JOB_CODES.get(code, errors.ProviderFailed)(sentence)
    failed.code, failed.job_id = code, job_id
    return failed


_JOB_CODES: Mapping[str, type[errors.JobFailed]] = {kind.code: kind for kind in errors.JobFailed.__subclasses__()}
_BY_CODE: Mapping[str, type[errors.RushesError]] = {
    kind.code: kind
    for kind in (
        *(errors.InvalidBody, errors.InvalidRequest, errors.InsufficientCredits, errors.BudgetExceeded),
        errors.IdempotencyKeyReused,
        *(errors.Conflict, errors.JobNotFinished, errors.JobFinished, errors.UploadTaken),
    )
}
_BY_STATUS: Mapping[int, type[errors.RushesError]] = {
    **{status: kind for kind, status in STATUS.items() if kind not in (errors.RushesError, errors.JobNotFound)},
    403: errors.Unauthorized,
    500: errors.ServerFailed,
    502: errors.Unavailable,
    504: errors.Unavailable,
}
_TOLD: Mapping[int, str] = {
    400: "The server did not take the request as it was.",
    401: "The server does not know this key; check it, or have a new one made.",
    402: "The account's credits do not cover this.",
    403: "The server does not let this key do that.",
    404: "The server has nothing of that name for this key.",
    408: "The request took too long to reach the server; try again.",
    409: "That does not fit the state things are in.",
    413: "What was sent is larger than the server takes.",
    416: "The file has changed, or is shorter than it was.",
    422: "The server did not take the request as it was.",
    429: "The server has too much to do for this key; try again in a while.",
    500: "Something went wrong in the server; its log says what.",
    502: "The server cannot be reached behind its gateway; try again in a while.",
    503: "The server cannot answer at present; try again in a while.",
    504: "The server did not answer its gateway in time; try again in a while.",
}
