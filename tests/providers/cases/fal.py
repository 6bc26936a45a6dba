"""fal: two video models and an image model. Uploads and prices are on hosts of their own; the fake is all of them."""

from __future__ import annotations

from dataclasses import replace

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers.fal import Fal
from tests.providers.cases.case import Case
from tests.servers.fake import Fake
from tests.servers.fal import FalServer


def _origin(fake: Fake) -> str:
    return fake.origin


def _api(fake: Fake) -> str:
    return f"{fake.origin}/v1"


VEO = Case(
    "fal",
    Fal,
    FalServer,
    "FAL_KEY",
    model="veo3.1",
    options={"api_url": _api, "rest_url": _origin, "cdn_url": _origin},
    inputs=frozenset(Input),
    media=True,
)
PIXVERSE = replace(
    VEO, name="fal pixverse", model="pixverse5.5", inputs=frozenset({Input.FIRST_FRAME, Input.EXTEND_VIDEO})
)
IMAGE = replace(VEO, name="fal image", model="nanobanana", kind=Kind.IMAGE, inputs=frozenset({Input.REFERENCES}))

CASES = [VEO, PIXVERSE, IMAGE]
