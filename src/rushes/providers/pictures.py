"""Input files as vendors want them: fitted to the frame, typed by content, spelled as a data URI."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path

from PIL import Image, ImageOps

_MARKS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


async def cover(picture: Path, width: int, height: int) -> bytes:
    """A checked picture as a PNG of that size, scaled and cut at its middle to cover it (contract B6)."""
    return await asyncio.to_thread(_cover, picture, width, height)


def _cover(picture: Path, width: int, height: int) -> bytes:
    with Image.open(picture) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
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
