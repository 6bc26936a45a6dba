"""Orders for a vendor, what they begin with, its provider for each, and how it ends without a file."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from rushes.catalogue import CATALOGUE
from rushes.model import Kind
from rushes.providers import Inputs, Order, Provider, Refused
from tests.providers.cases.case import Case
from tests.servers.fake import Fake

JOB = "6e6b7a3c-0b0e-4a0e-9a55-1f5b1c2d3e4f"
FILM, PICTURE = b"\0\0\0\x20ftypisom a film", b"\x89PNG a picture"
FIRST = "image/png PNG 720x1280"
REFERENCES = ["image/jpeg JPEG 300x200", "image/webp WEBP 300x200"]
"""What :func:`plain` makes of the inputs of :func:`beginnings`."""


def order(model: str = "veo3.1", **facts: Any) -> Order:
    image = model in CATALOGUE.images
    usual: dict[str, Any] = {
        "job_id": JOB,
        "model": model,
        "prompt": "a red fox",
        "aspect_ratio": "9:16",
        "width": 720,
        "height": 1280,
        "seconds": 0 if image else 8,
        "kind": Kind.IMAGE if image else Kind.VIDEO,
    }
    return Order(**{**usual, **facts})


def beginnings(folder: Path) -> dict[str, Inputs]:
    """A landscape to open with, a film to continue, pictures to refer to."""
    one, two, film = picture(folder / "one"), picture(folder / "two", kind="WEBP"), folder / "film"
    film.write_bytes(FILM)
    return {
        "text": Inputs(),
        "first_frame": Inputs(first_frame=one),
        "extend_video": Inputs(extend_video=film),
        "reference": Inputs(references=(one,)),
        "references": Inputs(references=(one, two)),
    }


def picture(to: Path, colour: str = "red", kind: str = "JPEG") -> Path:
    Image.new("RGB", (300, 200), colour).save(to, kind)
    return to


def plain(value: Any) -> Any:
    """A request with its pictures told by what they are."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str) and value.startswith("data:"):
        head, _, body = value.partition(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(body))) as picture:
            return f"{head.removeprefix('data:')} {picture.format} {picture.width}x{picture.height}"
    return value


@asynccontextmanager
async def makes(case: Case, fake: Fake) -> AsyncIterator[Callable[..., Provider]]:
    """Gives the provider of any model, with these options beside the case's."""
    async with AsyncExitStack() as stack:

        def make(model: str = case.model, **options: Any) -> Provider:
            kind = Kind.IMAGE if model in CATALOGUE.images else Kind.VIDEO
            made = case.provider(replace(case, model=model, kind=kind).setup(fake, **options))
            stack.push_async_callback(made.close)
            return made

        yield make


async def refusal(provider: Provider, wanted: Order) -> Refused:
    """How a job ends that ends without a file."""
    ticket = await provider.submit(wanted)
    assert isinstance(ticket, str)
    answer = await provider.poll(ticket)
    assert isinstance(answer, Refused)
    return answer
