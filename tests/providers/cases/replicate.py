"""Replicate: a video model and an image model."""

from __future__ import annotations

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers.replicate import Replicate
from tests.providers.cases.case import Case
from tests.servers.replicate import ReplicateServer

CASES = [
    Case(
        "replicate",
        Replicate,
        ReplicateServer,
        "REPLICATE_API_TOKEN",
        model="veo3.1",
        inputs=frozenset({Input.FIRST_FRAME, Input.REFERENCES}),
        not_now={"detail": "Request was throttled."},
        retired={"title": "Not found", "detail": "The requested resource could not be found.", "status": 404},
    ),
    Case(
        "replicate image",
        Replicate,
        ReplicateServer,
        "REPLICATE_API_TOKEN",
        model="nanobanana",
        kind=Kind.IMAGE,
        inputs=frozenset({Input.REFERENCES}),
    ),
]
