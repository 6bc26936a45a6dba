"""``/media/generateurl`` and the links it gives out: one's own files as inputs."""

from __future__ import annotations

import asyncio
import filecmp
import hmac
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, Field, StrictStr
from starlette.requests import Request
from starlette.responses import Response

from rushes import ids, wire
from rushes.api import auth
from rushes.api.answers import answer, given
from rushes.api.bodies import Text, length, once, one_of, parse, read, shown
from rushes.config import Config
from rushes.errors import InvalidQuery, NotFound, TooLong, TooSlow, Unauthorized, UploadTaken
from rushes.store import uploads
from rushes.store.uploads import Upload
from rushes.studio import Studio

TYPES: Mapping[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
}
"""What can be uploaded, and how its file is named."""

_BYTES_A_SECOND = 2**20


class UploadBody(BaseModel):
    """What ``POST`` takes. The file's name is the client's own; ours is a uuid."""

    fileName: Annotated[  # noqa: N815
        Text,
        AfterValidator(length(1, 255)),
        Field(strict=True, description="Its name with you.", json_schema_extra=shown(1, 255)),
    ]
    contentType: Annotated[  # noqa: N815
        StrictStr,
        AfterValidator(lambda value: one_of(value, TYPES)),
        Field(description="What it is.", json_schema_extra={"enum": list(TYPES)}),
    ]


async def announce(request: Request) -> Response:
    """``POST /media/generateurl``: a link that takes one file, and the link that the file will have."""
    studio: Studio = request.state.studio
    headers = dict(request.scope["headers"])
    account = await auth.account(studio, headers)
    body = await read(request, studio.config.body_seconds)
    asked = parse(request, body, UploadBody, {})
    origin = auth.origin(studio.config, request.scope, headers)

    def told(upload: Upload) -> str:
        return wire.dumps(wire.upload(upload.name, _query(studio, upload), origin))

    content_type = asked.contentType
    return given(await studio.announce_upload(account.id, TYPES[content_type], content_type, told, once(request, body)))


def _query(studio: Studio, upload: Upload) -> str:
    return urlencode({"expires": upload.expires, "signature": _signature(studio, upload)})


def _signature(studio: Studio, upload: Upload) -> str:
    signed = f"PUT\n{upload.name}\n{upload.content_type}\n{upload.expires}"
    return hmac.new(studio.upload_secret, signed.encode(), sha256).hexdigest()


async def receive(request: Request) -> Response:
    """``PUT`` to a signed link: one file, with the type it was announced with, in time."""
    studio: Studio = request.state.studio
    upload = await _signed(studio, request)
    if request.headers.get("content-type") != upload.content_type:
        complaint = f"must be {upload.content_type}, as it was announced"
        raise InvalidQuery(f"The header Content-Type {complaint}.", {"Content-Type": complaint})
    most = _most_bytes(studio.config, upload)
    if upload.size is not None:
        await _compare(studio, request, upload, most)
        return answer(wire.SUCCESS)
    async with studio.receiving(upload) as (file, take):
        await take(await _save(request, file, most, _seconds(studio.config, most)))
    return answer(wire.SUCCESS)


async def _compare(studio: Studio, request: Request, upload: Upload, most: int) -> None:
    """Whoever never heard that the file had come sends it again; another file is refused."""
    with studio.blobs.workspace() as folder:
        sent, kept = folder / "sent", folder / "kept"
        size = await _save(request, sent, most, _seconds(studio.config, most))
        if size == upload.size:
            await studio.blobs.copy(upload.name, kept)
            if await asyncio.to_thread(filecmp.cmp, sent, kept, shallow=False):
                return
    raise UploadTaken("This link takes one file and has another; ask for a new link for this one.")


async def _signed(studio: Studio, request: Request) -> Upload:
    name = request.scope["path"].removeprefix("/")
    stem = Path(name).stem
    upload = await uploads.get(studio.store, stem) if ids.is_uuid(stem) else None
    if upload is None or upload.name != name:
        raise NotFound("No link has that name.")
    sent = request.query_params
    # The signature covers the time that the row has, so an expiry that was altered has none.
    signed = hmac.compare_digest(sent.get("signature", "").encode(), _signature(studio, upload).encode())
    if not signed or sent.get("expires") != str(upload.expires) or await studio.now() >= upload.expires:
        raise Unauthorized("The link is not one that was given out, or its day is over.")
    return upload


def _most_bytes(config: Config, upload: Upload) -> int:
    return config.input_video_bytes if upload.content_type.startswith("video/") else config.input_image_bytes


def _seconds(config: Config, most_bytes: int) -> float:
    return config.input_seconds + most_bytes / _BYTES_A_SECOND


async def _save(request: Request, to: Path, most_bytes: int, seconds: float) -> int:
    if int(request.headers.get("content-length", "0")) > most_bytes:
        raise TooLong(f"The file is larger than {most_bytes} bytes.")
    try:
        async with asyncio.timeout(seconds):
            return await _write(request, to, most_bytes)
    except TimeoutError:
        raise TooSlow(f"The file did not come within {seconds:g} seconds.") from None


async def _write(request: Request, to: Path, most_bytes: int) -> int:
    size = 0
    with to.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most_bytes:
                raise TooLong(f"The file is larger than {most_bytes} bytes.")
            await asyncio.to_thread(file.write, chunk)
    return size
