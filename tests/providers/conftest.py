"""What the tests of one vendor begin with: the server that plays it, and providers for it.

A module says of whom it speaks by its ``CASE``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rushes.providers import Inputs, Provider
from tests.providers.ordered import FILM, PICTURE, beginnings, makes
from tests.servers.fake import Fake


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
