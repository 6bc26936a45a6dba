"""The shapes of the answers, each under the name that the document and a generated client know it by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rushes.api.openapi import examples
from rushes.catalogue import STYLES
from rushes.errors import BudgetExceeded, Conflict, IdempotencyKeyReused, InsufficientCredits, JobFailed
from rushes.model import JobState, Kind

Schema = dict[str, Any]

UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
VIDEO_ID = "^[0-9]{17}[0-9a-f]{16}$"
TOKEN = "^[A-Za-z0-9_-]+$"  # noqa: S105  (the form of a page token)
JOB_CODES = [kind.code for kind in JobFailed.__subclasses__()]
"""How a job can fail."""
_REFUSALS = [
    kind.code
    for kind in examples.ERRORS
    if issubclass(kind, Conflict | InsufficientCredits | BudgetExceeded | IdempotencyKeyReused)
]


def schemas() -> Mapping[str, Schema]:
    """Every named shape of an answer."""
    return {**_library(), **_jobs(), **_around(), **_errors()}


def ref(name: str) -> Schema:
    """A named shape, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(description: str, **rules: Any) -> Schema:
    """A string."""
    return {"type": "string", "description": description, **rules}


def number(description: str, **rules: Any) -> Schema:
    """A number that may have a fraction, never below 0."""
    return {"type": "number", "description": description, "minimum": 0, **rules}


def link(description: str) -> Schema:
    """A link."""
    return text(description, format="uri")


def moment(description: str) -> Schema:
    """A time as it goes out."""
    return text(f"{description} ISO 8601, UTC, milliseconds.", format="date-time")


def listed(items: Schema, description: str, **rules: Any) -> Schema:
    """An array."""
    return {"type": "array", "description": description, "items": items, **rules}


def record(description: str, properties: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object, its keys in their order; all of them are always there but the ``optional`` ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": description, "required": required, "properties": dict(properties)}


def or_null(schema: Schema) -> Schema:
    """The same, or ``null``."""
    return {**schema, "type": [schema["type"], "null"]}


def or_null_of(name: str, description: str) -> Schema:
    """A named shape, or ``null``."""
    return {"anyOf": [ref(name), {"type": "null"}], "description": description}


def constant(value: object, description: str) -> Schema:
    """The one value it has."""
    return {"const": value, "type": "boolean" if isinstance(value, bool) else "string", "description": description}


def _library() -> Mapping[str, Schema]:
    return {
        "Video": _video(),
        "VideoPage": _page("Video", "A page of videos, newest first."),
        "Image": _image(),
        "ImageStyle": text("What an image was asked to look like.", enum=list(STYLES)),
        "ImagePage": _page("Image", "A page of images, newest first."),
    }


def _page(item: str, description: str) -> Schema:
    properties = {"items": listed(ref(item), "At most 100.", maxItems=100), "nextPageKey": _next_page()}
    return record(description, properties, optional=("nextPageKey",))


def _next_page() -> Schema:
    return text("Asks for the next page. It is there only when more follows.", pattern=TOKEN)


def _video() -> Schema:
    properties = {
        "url": link("The MP4. The link is permanent and public: no key, no query string."),
        "id": text("The video's name in the library.", pattern=VIDEO_ID),
        "prompt": text("As it was sent."),
        "aspectRatio": text("As it was asked for, or the model's default."),
        "createdDate": moment("When it entered the library."),
        "model": text("The model that made it."),
        **_size(),
        "duration": text("Its length, read from the file.", pattern="^[0-9]+([.][0-9])?s$"),
        "previewImageUrl": link("The first frame in full size, JPEG."),
        "thumbnailImageUrl": link("A good still, longest side 480 pixels, JPEG."),
        "lastFrameImageUrl": link("The true last frame in full size, PNG: fit to be the next video's first frame."),
        "firstFrameImageUrl": link("The image it opens with, as it was sent."),
        "referenceImageUrls": listed(link("An image."), "The images it refers to, as they were sent.", minItems=1),
        "extendVideoUrl": link("The video it continues, as it was sent."),
    }
    optional = ("firstFrameImageUrl", "referenceImageUrls", "extendVideoUrl")
    return record("A finished video. What was not sent is not there.", properties, optional)


def _image() -> Schema:
    properties = {
        "url": link("The PNG. The link is permanent and public: no key, no query string."),
        "id": text("The image's name in the library, and its file's.", pattern=UUID),
        "prompt": text("As it was sent."),
        "aspectRatio": text("As it was asked for, or the model's default."),
        "createdDate": moment("When it entered the library."),
        "model": text("The model that made it."),
        **_size(),
        "style": ref("ImageStyle"),
        "referenceImageUrl": link("The image it refers to, as it was sent."),
    }
    return record("A finished image. What was not sent is not there.", properties, ("style", "referenceImageUrl"))


def _size() -> Mapping[str, Schema]:
    pixels = {"type": "integer", "minimum": 1}
    return {
        "width": {**pixels, "description": "Pixels, read from the file."},
        "height": {**pixels, "description": "Pixels, read from the file."},
    }


def _jobs() -> Mapping[str, Schema]:
    stages = {name: record(said, properties) for name, (said, properties) in _stages().items()}
    entry = {name: _entry(name, schema) for name, schema in stages.items()}
    any_entry = {"anyOf": [ref(f"Listed{name}") for name in stages], "description": "A job, by how it stands."}
    page = {
        "items": listed(any_entry, "At most 100.", maxItems=100),
        "nextPageKey": or_null(text("Asks for the next page; null on the last.", pattern=TOKEN)),
    }
    return {
        "Submitted": _told("The job was queued.", {"jobId": _job_id()}),
        "Job": {"anyOf": [ref(f"Job{name}") for name in stages], "description": "A job, by how it stands."},
        **{f"Job{name}": _status(name, schema) for name, schema in stages.items()},
        "JobPage": record("A page of jobs, newest first.", page),
        **{f"Listed{name}": schema for name, schema in entry.items()},
        "JobDetails": _details(),
        "JobDetailsPage": _page("JobDetails", "A page of jobs, newest first."),
        "JobError": _job_error(),
    }


def _stages() -> Mapping[str, tuple[str, Mapping[str, Schema]]]:
    """What is told of a job, by how it stands."""
    done = {"status": constant("completed", "It is finished."), "url": link("The file it made.")}
    charged = {"aiCreditsUsed": number("What it cost, in AI credits.")}
    stills = {
        name: link(f"As in the library: {what}.")
        for name, what in {
            "thumbnailImageUrl": "a good still",
            "lastFrameImageUrl": "the last frame",
            "previewImageUrl": "the first frame",
        }.items()
    }
    length = {"duration": text("The video's length.")}
    failure = {
        "status": constant("failed", "It ended without a result and cost nothing."),
        "error_code": text("For programs: why.", enum=JOB_CODES),
        "error_message": text("For people: what happened and what to do."),
    }
    return {
        "FinishedVideo": ("A job that made a video.", {**done, **length, **_size(), **stills, **charged}),
        "FinishedImage": ("A job that made an image.", {**done, **_size(), **charged}),
        "Failed": ("A job that failed or was cancelled.", failure),
        "InProgress": ("A job that waits or is worked on.", {"status": constant("in-progress", "Ask again.")}),
        "Cleaned": ("A job whose result was deleted.", {"status": constant("cleaned", "There is no result any more.")}),
    }


def _status(name: str, stage: Schema) -> Schema:
    head = {"job_id": _job_id(), "success": _success(name)}
    return record(stage["description"], {**head, "data": stage})


def _entry(name: str, stage: Schema) -> Schema:
    data = record(stage["description"], {"jobId": _job_id(), **stage["properties"]})
    return record(f"In a list: {stage['description']}", {"success": _success(name), "data": data})


def _success(name: str) -> Schema:
    return constant(name != "Failed", "Whether it has not failed.")


def _job_id() -> Schema:
    return text("The job.", pattern=UUID)


def _told(description: str, data: Mapping[str, Schema]) -> Schema:
    success = constant(True, "It was done.")
    return record(description, {"success": success, "data": record("What there is to say.", data)})


def _details() -> Schema:
    properties = {
        "jobId": _job_id(),
        "kind": text("What it makes.", enum=list(Kind)),
        "model": text("The model that was asked."),
        "prompt": text("As it was sent."),
        "state": text("Where it stands.", enum=list(JobState)),
        "waitingFor": or_null(text("What it waits for, in words; null when it has ended.")),
        "progress": or_null(number("From 0 to 1, when the provider tells it.", maximum=1)),
        "createdDate": moment("When it was submitted."),
        "itemId": or_null(text("The video or image it made.")),
        "error": or_null_of("JobError", "Why it failed."),
        "credits": number("What it costs here if it succeeds."),
        "cost": or_null(number("What the provider charged, in US dollars; null while that is not known.")),
        "costSource": or_null(
            text(
                "How that is known: `reported` by the provider, by a price list (its name and day), `settled` by a "
                "person, or `unknown`; null while nothing was sent."
            )
        ),
        "provider": or_null(text("Who makes it now; null when nobody here does any more.")),
        "request": _request(),
    }
    return record("Everything about a job.", properties)


def _request() -> Schema:
    links = ("firstFrameImageUrl", "extendVideoUrl", "referenceImageUrl", "webhook")
    properties = {
        "prompt": text("As it was sent."),
        "model": text("As it was sent, or the default."),
        "aspectRatio": text("As it was sent, or the default."),
        "duration": text("A video's, as it was sent, or the default."),
        "style": text("An image's, as it was sent."),
        "referenceImageUrls": listed(link("An image."), "As they were sent."),
        **{name: link("As it was sent.") for name in links},
    }
    always = ("prompt", "model", "aspectRatio")
    optional = tuple(name for name in properties if name not in always)
    return record("What was asked for: it can be sent again as it is.", properties, optional)


def _job_error() -> Schema:
    properties = {
        "code": text("For programs.", enum=JOB_CODES),
        "message": text("For people: what happened and what to do."),
    }
    return record("Why a job failed.", properties)


def _around() -> Mapping[str, Schema]:
    return {
        "Done": record("It was done.", {"success": constant(True, "It was done.")}),
        "ModelPage": record("What this server can make.", {"items": listed(ref("Model"), "Every model.")}),
        "Model": _model(),
        "Changes": _changes(),
        "Change": _change(),
        "Quota": _quota(),
        "Amount": record("What is used, and the limit.", {"used": number("Used."), "limit": number("The limit.")}),
        "LedgerEntry": _ledger_entry(),
        "Upload": _upload(),
        "Health": record("The process is up.", {"status": constant("ok", "It answers.")}),
        "Readiness": _readiness(),
    }


def _model() -> Schema:
    pixels = listed({"type": "integer"}, "Width and height.", minItems=2, maxItems=2)
    properties = {
        "model": text("Its name in a request."),
        "kind": text("What it makes.", enum=list(Kind)),
        "configured": {"type": "boolean", "description": "Whether this server has a provider for it."},
        "provider": or_null(text("The provider; null when it has none.")),
        "aspectRatios": listed({"type": "string"}, "The ratios it takes, the default first."),
        "sizes": {"type": "object", "description": "Pixels by ratio.", "additionalProperties": pixels},
        "durations": listed({"type": "string"}, "A video's durations, the default first."),
        "creditsPerSecond": number("What a second of video costs, in AI credits."),
        "styles": listed({"type": "string"}, "The styles of an image."),
        "credits": number("What an image costs, in AI credits."),
        "inputs": listed({"type": "string"}, "The fields of a request that name inputs, which it takes."),
        "needsInput": {"type": "boolean", "description": "Whether a video needs one of them: words alone make none."},
    }
    only_one_kind = ("durations", "creditsPerSecond", "needsInput", "styles", "credits")
    return record("What a model can be asked for.", properties, only_one_kind)


def _changes() -> Schema:
    properties = {
        "changes": listed(ref("Change"), "Oldest first."),
        "since": text("What to ask with next.", pattern=TOKEN),
        "more": {"type": "boolean", "description": "Whether more is there already."},
    }
    return record("A stretch of what entered and left the libraries.", properties)


def _change() -> Schema:
    item = {"anyOf": [ref("Video"), ref("Image")], "description": "The item, when it was added and is still there."}
    properties = {
        "type": text("What happened.", enum=["added", "deleted"]),
        "kind": text("Whose library.", enum=list(Kind)),
        "id": text("The item."),
        "createdDate": moment("When the item was made."),
        "item": item,
    }
    return record("One item that entered a library, or one that was deleted.", properties, ("item",))


def _quota() -> Schema:
    nothing = ("videoMinutes", "transcriptionMinutes", "elevenLabsVoiceOverMinutes")
    return record(
        "What an account may spend this month (UTC).", {name: ref("Amount") for name in (*nothing, "aiCredits")}
    )


def _ledger_entry() -> Schema:
    properties = {
        "transactionId": text("The line.", pattern="^[0-9]{17}[0-9a-f]{32}$"),
        "type": text("Which way.", enum=["debit", "credit"]),
        "amount": number("AI credits; may be a fraction."),
        "source": text("What for."),
        "description": text("In words."),
        "plan": text("The plan."),
        "transactionDate": moment("When."),
    }
    return record("One line of the ledger of AI credits.", properties)


def _upload() -> Schema:
    data = {
        "signedUrl": link("PUT the bytes here, once, within 86,400 seconds, with the Content-Type announced."),
        "url": link("Where the file then is: an input for a video or an image."),
        "key": text("The file's name in storage."),
    }
    return _told("A link that takes one file.", data)


def _readiness() -> Schema:
    properties = {
        "status": text("Whether it can work.", enum=["ok", "unavailable"]),
        "database": text("ok, or what is wrong."),
        "storage": text("ok, or what is wrong."),
    }
    return record("Whether everything it leans on answers.", properties)


def _errors() -> Mapping[str, Schema]:
    field = {"name": text("The field or parameter."), "errors": text("What is wrong with it.")}
    invalid = {
        "code": text("For programs.", enum=["INVALID_REQUEST_BODY", "INVALID_REQUEST"]),
        "message": text("For people."),
        "fields": listed(record("One that is wrong.", field), "Every field that is wrong, all at once."),
    }
    told = {"code": text("For programs.", enum=_REFUSALS), "message": text("For people: what happened and what to do.")}
    return {
        "InvalidRequest": record("What was sent is wrong.", invalid),
        "Refused": record("What was asked for cannot be done now.", told),
        "JobNotFound": _job_not_found(),
        "Message": record("What went wrong.", {"message": text("The status in words.")}),
    }


def _job_not_found() -> Schema:
    data = {
        "error_code": constant("5000", "For programs."),
        "error_message": constant("JOB_NOT_FOUND", "There is no such job in this account."),
    }
    properties = {
        "job_id": text("As it was asked for."),
        "success": constant(False, "It was not."),
        "data": record("Why.", data),
    }
    return record("There is no such job in this account.", properties, ())
