"""Uploads, and the files by their permanent links."""

from __future__ import annotations

from collections.abc import Sequence

from rushes import errors
from rushes.api.openapi import examples, parameters
from rushes.api.openapi.operation import (
    ALWAYS,
    BODY,
    V1,
    WITH_KEY,
    Operation,
    Paths,
    given_once,
    json_body,
    ok,
    operation,
)
from rushes.api.openapi.responses import BINARY, bare, file, given, refused
from rushes.api.openapi.schemas import Schema
from rushes.api.uploads import TYPES

_FILE = ("ETag", "Last-Modified", "Accept-Ranges", "Cache-Control", "X-Content-Type-Options")


def uploads() -> Paths:
    """One's own files."""
    return {
        f"{V1}/media/generateurl": {"post": _announce()},
        "/uploads/user/{account_id}/{name}": {"put": _upload(), "get": _uploaded()},
    }


def _announce() -> Operation:
    told = (
        "Gives out a link that takes one file, and the link that the file will have. PUT the bytes to `signedUrl` "
        "within a day, with the same Content-Type and no key; `url` then serves as an input."
    )
    accepted = given_once("The links.", "Upload", examples.upload())
    accepted["links"] = {"use_it": _use_it()}
    refusals = (*BODY, *WITH_KEY, errors.IdempotencyKeyReused)
    asked = {"fileName": "lighthouse.png", "contentType": "image/png"}
    return operation(
        "announce_upload",
        "Uploads",
        "Announce an upload",
        told,
        ok(accepted, refusals),
        parameters=[parameters.idempotency_key()],
        requestBody=json_body("UploadRequest", asked),
    )


def _use_it() -> Schema:
    body = {"prompt": examples.PROMPT, "firstFrameImageUrl": "$response.body#/data/url"}
    return {"operationId": "make_video", "description": "A video that opens with the file.", "requestBody": body}


def _upload() -> Operation:
    told = "Takes the bytes of the file that was announced: once, in time, of the type announced. The link is the key."
    kinds = (
        errors.InvalidQuery,
        errors.Unauthorized,
        errors.NotFound,
        errors.TooSlow,
        errors.UploadTaken,
        errors.TooLong,
    )
    answered = ok(given("It is kept.", "Done", {"success": True}), (*kinds, *ALWAYS))
    media: dict[str, Schema] = {media_type: {"schema": BINARY} for media_type in TYPES}
    return operation(
        "upload_file",
        "Uploads",
        "Upload a file",
        told,
        answered,
        parameters=[*parameters.upload(), *parameters.signature()],
        requestBody={"required": True, "description": "The bytes.", "content": media},
        security=[],
    )


def _uploaded() -> Operation:
    told = "The file as it was uploaded, from its permanent link."
    return _file("get_upload", "Uploads", "Get an upload", told, list(TYPES), parameters.upload())


def files() -> Paths:
    """What was made."""
    stills = "(_preview|_thumbnail|_last_frame)?"
    video = parameters.file("file", rf"{stills}[.](mp4|jpg|png)", f"{examples.VIDEO_FILE}.mp4")
    image = parameters.file("file", "[.]png", f"{examples.IMAGE}.png")
    film = "A video, its preview, its thumbnail or its last frame, by the permanent link that the library gives."
    still = "An image, by the permanent link that the library gives."
    types = ["video/mp4", "image/jpeg", "image/png"]
    return {
        "/videos/user/{account_id}/{name}": {
            "get": _file("get_video_file", "Files", "Get a video's file", film, types, video)
        },
        "/images/user/{account_id}/{name}": {
            "get": _file("get_image_file", "Files", "Get an image's file", still, ["image/png"], image)
        },
    }


def _file(
    name: str, tag: str, summary: str, told: str, types: Sequence[str], where: list[parameters.Parameter]
) -> Operation:
    answered = {
        "200": file("The whole file.", types, *_FILE),
        "206": file("The part that was asked for.", types, *_FILE, "Content-Range"),
        "302": bare("Where the operator lets the storage serve files: a link of its own.", "Location", "Cache-Control"),
        "304": bare("The copy you have is still good.", *_FILE),
        **refused((errors.NotFound, errors.RangeNotSatisfiable, *ALWAYS)),
    }
    described = f"{told} No key; ranges as players ask for them."
    asked = [*where, *parameters.ranges()]
    return operation(name, tag, summary, described, answered, parameters=asked, security=[])
