"""Input files as vendors want them: fitted to the frame, typed by content, spelled as a data URI."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path

from PIL import Image, ImageOps

from rushes.errors import InputNotAnImage, ProviderUnreachable, Unavailable, Unreadable
from rushes.media.isolate import isolated
from rushes.media.picture import in_colour

_SECONDS = 60.0
_MARKS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


async def cover(picture: Path, width: int, height: int) -> bytes:
    """A checked picture as a PNG of that size, scaled and cut at its middle to cover it (contract B6).

    Raises:
        InputNotAnImage: it is none after all, or takes too much to read. ProviderUnreachable: nothing was sent yet.
    """
    try:
        return await isolated(covering, picture, width, height, seconds=_SECONDS)
    except Unreadable as error:
        raise InputNotAnImage(f"The image cannot be used: {error.sentence}") from error
    except Unavailable as error:
        raise ProviderUnreachable(error.sentence) from error


def covering(picture: Path, width: int, height: int) -> bytes:
    """The same; for :func:`rushes.media.isolate.isolated`, as its stranger's pixels may be many."""
    with Image.open(picture, formats=("PNG", "JPEG", "WEBP")) as opened:
        upright = in_colour(ImageOps.exif_transpose(opened))
        if upright.size != (width, height):
            upright = ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS)
    made = io.BytesIO()
    upright.save(made, "PNG", compress_level=3)
    return made.getvalue()


def media_type(content: bytes) -> str:
    """What checked input bytes are: a PNG, JPEG or WebP, or else an MP4 (or QuickTime)."""
    found = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    if found:
        return found
    return "video/quicktime" if content[4:12] == b"ftypqt  " else "video/mp4"


def data_uri(content: bytes) -> str:
    """``data:image/png;base64,…``."""
    return f"data:{media_type(content)};base64,{base64.b64encode(content).decode()}"


async def read(path: Path) -> bytes:
    """A whole input file, read off the event loop."""
    return await asyncio.to_thread(path.read_bytes)
