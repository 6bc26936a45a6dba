"""fal: a video model and an image model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers import Setup
from rushes.providers.fal import Fal
from tests.providers.cases.case import Case
from tests.servers.fake import Fake
from tests.servers.fal import FalServer


@dataclass(frozen=True)
class FalCase(Case):
    """fal's uploads and prices are on hosts of their own; the fake is all of them."""

    def setup(self, fake: Fake, **changes: Any) -> Setup:
        hosts = {"api_url": f"{fake.origin}/v1", "rest_url": fake.origin, "cdn_url": fake.origin}
        return super().setup(fake, **{**hosts, **changes})


CASES = [
    FalCase("fal", Fal, FalServer, "FAL_KEY", model="veo3.1", inputs=frozenset(Input)),
    FalCase(
        "fal pixverse", Fal, FalServer, "FAL_KEY", inputs=frozenset({Input.FIRST_FRAME, Input.EXTEND_VIDEO})
    ),
    FalCase(
        "fal image",
        Fal,
        FalServer,
        "FAL_KEY",
        model="nanobanana",
        kind=Kind.IMAGE,
        inputs=frozenset({Input.REFERENCES}),
    ),
]  # fmt: skip
