"""What the tests of one vendor begin with: the server that plays it, and providers for it.

A module says of whom it speaks by its ``CASE``.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from PIL import Image

from rushes.providers import Inputs, Provider
from tests.media.clips import make as clip
from tests.providers.ordered import FILM, PICTURE, beginnings, makes
from tests.servers.fake import Fake


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clip(tmp_path_factory.mktemp("film") / "film.mp4", width=64, height=112, frames=12).read_bytes()


@pytest.fixture(scope="session")
def picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (72, 128), "blue").save(made, "PNG")
    return made.getvalue()


@pytest.fixture
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[Fake]:
    async with request.module.CASE.server(FILM, PICTURE) as fake:
        yield fake


@pytest.fixture
async def make(request: pytest.FixtureRequest, fake: Fake) -> AsyncIterator[Callable[..., Provider]]:
    """Gives the provider of any model, with these options beside the case's."""
    async with makes(request.module.CASE, fake) as make:
        yield make


@pytest.fixture
def provider(make: Callable[..., Provider]) -> Provider:
    return make()


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Inputs]:
    return beginnings(tmp_path)
