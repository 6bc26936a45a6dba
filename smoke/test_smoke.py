"""Real providers with real keys, for as little money as they let one spend: ``make smoke``, never in CI.

A provider is tried when its key is in the environment. Each try is a real ``rushes serve`` with one route and a budget
that refuses anything dearer (``RUSHES_SMOKE_BUDGET``, 0.50 dollars a provider unless it says otherwise). Videos are
only made where ``RUSHES_SMOKE_VIDEOS`` is set: a second of one costs as much as ten images.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rushes import config
from tests.conftest import serving

BUDGET = os.environ.get("RUSHES_SMOKE_BUDGET", "0.50")
PATIENCE = 900.0


@dataclass(frozen=True)
class Try:
    """One route, what is asked of it, and the variable whose presence says that it may be tried."""

    provider: str
    model: str
    key: str
    video: bool = False
    route: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.provider} {self.model}"


TRIES = [
    Try("fal", "flux-schnell", "FAL_KEY"),
    Try("fal", "pixverse5.5", "FAL_KEY", video=True),
    Try("pixverse", "pixverse5.5", "PIXVERSE_API_KEY", video=True),
    Try("google", "nanobanana", "GEMINI_API_KEY"),
    Try("replicate", "flux-schnell", "REPLICATE_API_TOKEN"),
    Try(
        "openai_compatible",
        "flux-schnell",
        "RUSHES_SMOKE_OPENAI_URL",
        route={
            "base_url": os.environ.get("RUSHES_SMOKE_OPENAI_URL", ""),
            "id": os.environ.get("RUSHES_SMOKE_OPENAI_MODEL", ""),
            "dollars": 0,
        },
    ),
]


@pytest.mark.timeout(PATIENCE + 60)
@pytest.mark.parametrize("tried", TRIES, ids=lambda tried: tried.name)
def test_a_provider_makes_what_it_is_asked_for(tried: Try, tmp_path: Path) -> None:
    if not config.secret(tried.key):
        pytest.skip(f"{tried.key} is not set")
    if tried.video and not os.environ.get("RUSHES_SMOKE_VIDEOS"):
        pytest.skip("a video costs more: set RUSHES_SMOKE_VIDEOS")
    routes = {tried.model: {"provider": tried.provider, **tried.route}}
    settings = {"RUSHES_MODELS": json.dumps(routes), "RUSHES_ACCOUNT_BUDGET": BUDGET, **tried.settings}
    with serving(tmp_path / "data", settings=settings) as server, server.rushes() as client:
        library: Any = client.videos if tried.video else client.images
        item = library.generate("a red fox in fresh snow", model=tried.model, timeout=PATIENCE)
        assert library.download(item, tmp_path / "made").stat().st_size > 0
        detail = next(iter(client.jobs.details()))
        print(f"{tried.name}: {item.width} x {item.height}, cost {detail.cost} ({detail.cost_source})")
        assert detail.cost_source != "unknown"
