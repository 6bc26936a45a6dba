"""Orders for Google's models, and pictures to send along."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from rushes.model import Kind
from rushes.providers import Order
from rushes.providers.google import Google
from tests.providers.cases.case import Case
from tests.servers.fake import Fake

FILM = b"\0\0\0\x18ftypisom a film"
PICTURE = b"\x89PNG a picture"
JOB = "6e6b7a3c-0b0e-4a0e-9a55-1f5b1c2d3e4f"


def order(**facts: Any) -> Order:
    usual: dict[str, Any] = {
        "job_id": JOB,
        "model": "veo3.1",
        "prompt": "a red fox",
        "aspect_ratio": "9:16",
        "width": 1080,
        "height": 1920,
        "seconds": 8,
    }
    return Order(**{**usual, **facts})


def drawing(to: Path, **facts: Any) -> Order:
    size = {"aspect_ratio": "16:9", "width": 1280, "height": 720}
    return order(model="nanobanana", seconds=0, kind=Kind.IMAGE, result=to, **{**size, **facts})


def picture(to: Path, colour: str = "red", kind: str = "JPEG") -> Path:
    Image.new("RGB", (30, 20), colour).save(to, kind)
    return to


def in_base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


@asynccontextmanager
async def made(case: Case, fake: Fake, **options: Any) -> AsyncIterator[Google]:
    """A provider of a case, with other options."""
    provider = Google(case.setup(fake, **options))
    yield provider
    await provider.close()
