"""The parameters of the operations: in the path, in the query, in the headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rushes.api.openapi import examples
from rushes.api.openapi.schemas import TOKEN, UUID, VIDEO_ID, Schema
from rushes.api.query import LONGEST_SEARCH
from rushes.api.uploads import TYPES
from rushes.catalogue import ImageModel, VideoModel
from rushes.model import JobState, Kind
from rushes.paging import PAGE_SIZE

Parameter = dict[str, Any]

_LONGEST_TEXT = 5000
_LONGEST_KEY = 255


def in_path(name: str, description: str, pattern: str, example: str) -> Parameter:
    """A part of the path."""
    schema = {"type": "string", "pattern": pattern}
    return _parameter("path", name, description, schema, required=True, example=example)


def in_query(name: str, description: str, schema: Schema, **more: Any) -> Parameter:
    """A part of the query string."""
    return _parameter("query", name, description, schema, **more)


def in_header(name: str, description: str, schema: Schema, **more: Any) -> Parameter:
    """A header."""
    return _parameter("header", name, description, schema, **more)


def _parameter(where: str, name: str, description: str, schema: Schema, **more: Any) -> Parameter:
    return {"name": name, "in": where, "description": description, "schema": schema, **more}


def job_id() -> Parameter:
    """The job in the path."""
    return in_path("job_id", "The job, as the submission named it.", UUID, examples.JOB)


def item_id(kind: Kind) -> Parameter:
    """The item in the path."""
    pattern, example = (VIDEO_ID, examples.VIDEO) if kind is Kind.VIDEO else (UUID, examples.IMAGE)
    return in_path("item_id", f"The {kind}'s id, as the library lists it.", pattern, example)


def file(kind: str, ending: str, example: str) -> list[Parameter]:
    """The two parts of a file's link."""
    pattern = f"{UUID.rstrip('$')}{ending}$"
    account = in_path("account_id", "Whose it is, as the link has it.", UUID, examples.ACCOUNT)
    return [account, in_path("name", f"The {kind}'s name, as the link has it.", pattern, example)]


def upload() -> list[Parameter]:
    """The two parts of the link of an upload."""
    endings = "|".join(TYPES.values())
    return file("upload", f"[.]({endings})", f"{examples.UPLOAD}.png")


def signature() -> list[Parameter]:
    """What a link that takes a file is signed with."""
    shown = examples.upload_query()
    expires = in_query("expires", "Until when it takes a file.", _digits(), required=True, example=shown["expires"])
    signed = in_query("signature", "What signs it.", _hex(), required=True, example=shown["signature"])
    return [expires, signed]


def _digits() -> Schema:
    return {"type": "string", "pattern": "^[0-9]{13}$"}


def _hex() -> Schema:
    return {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def paging() -> list[Parameter]:
    """The token of a page alone."""
    said = "From the answer before; without it, or empty: the first page. It never expires."
    return [in_query("nextPageKey", said, {"type": "string", "pattern": TOKEN.replace("+", "*")})]


def limit() -> Parameter:
    """How much at once."""
    bounds = {"type": "integer", "minimum": 1, "maximum": PAGE_SIZE, "default": PAGE_SIZE}
    return in_query("limit", "How many at most.", bounds)


def state() -> Parameter:
    """Jobs of one state."""
    return in_query("state", "Only the jobs that stand there.", {"type": "string", "enum": list(JobState)})


def since() -> Parameter:
    """Where the change feed goes on."""
    said = "From the answer before; without it, or empty: from the beginning."
    return in_query("since", said, {"type": "string", "pattern": TOKEN.replace("+", "*")})


def filters(kind: Kind, models: Iterable[VideoModel | ImageModel]) -> list[Parameter]:
    """What of a library is asked for."""
    offered = list(models)
    ratios = list(dict.fromkeys(ratio for model in offered for ratio in model.aspect_ratios))
    words = {"type": "string", "maxLength": _LONGEST_TEXT, "pattern": r"^[^\u0000]*$"}
    moment = {"type": "string", "format": "date-time"}
    return [
        in_query("model", f"Only what this model made; here: {_named(model.name for model in offered)}.", words),
        in_query("aspectRatio", f"Only what was asked for in this shape, such as {_named(ratios)}.", words),
        in_query("createdAfter", "Only what is newer. ISO 8601; without a zone, UTC.", moment),
        in_query("createdBefore", "Only what is older. ISO 8601; without a zone, UTC.", moment),
        in_query("q", "Only where the prompt holds all these words.", {**words, "maxLength": LONGEST_SEARCH}),
        in_query("continues", "Only what was made from the item of this id, a video or an image.", words),
        in_query("continuedBy", "Only what the item of this id was made from. Not beside `q`.", words),
    ]


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def month() -> list[Parameter]:
    """A month of the ledger."""
    year = {"type": "integer", "minimum": 1970, "maximum": 9998}
    number = {"type": "integer", "minimum": 1, "maximum": 12}
    return [
        in_query("year", "The month's year; it needs `month` beside it. Without both: this month.", year),
        in_query("month", "The month, UTC; alone, it is one of this year.", number),
    ]


def idempotency_key() -> Parameter:
    """The header that makes a repetition harmless."""
    said = (
        "A name of your own for this request. For 24 hours the same key with the same body gives the same answer and "
        "does nothing again; with another body it is a 422."
    )
    return in_header("Idempotency-Key", said, {"type": "string", "maxLength": _LONGEST_KEY})


def if_none_match() -> Parameter:
    """The header that asks whether a copy is still good."""
    said = "The ETag of the copy you have: when it is still good, the answer is a 304 without a body."
    return in_header("If-None-Match", said, {"type": "string"})


def ranges() -> list[Parameter]:
    """The headers that ask for a part of a file."""
    asked = "The part to send, such as `bytes=0-1023`. Several ranges, or another form: the whole file."
    condition = "Send the part only when the file still has this ETag or date; otherwise the whole file."
    return [
        if_none_match(),
        in_header("Range", asked, {"type": "string"}),
        in_header("If-Range", condition, {"type": "string"}),
    ]
