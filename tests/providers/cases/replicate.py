"""Replicate: a video model and an image model."""

from __future__ import annotations

from dataclasses import replace

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers.replicate import Replicate
from tests.providers.cases.case import Case
from tests.servers.replicate import ReplicateServer

VIDEO = Case(
    "replicate",
    Replicate,
    ReplicateServer,
    "REPLICATE_API_TOKEN",
    model="veo3.1",
    inputs=frozenset({Input.FIRST_FRAME, Input.REFERENCES}),
    not_now={"detail": "Request was throttled."},
    retired={"title": "Not found", "detail": "The requested resource could not be found.", "status": 404},
    media=True,
)
IMAGE = replace(
    VIDEO, name="replicate image", model="nanobanana", kind=Kind.IMAGE, inputs=frozenset({Input.REFERENCES})
)

CASES = [VIDEO, IMAGE]
