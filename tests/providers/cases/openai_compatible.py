"""The servers of one's own."""

from __future__ import annotations

from dataclasses import replace

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers.openai_compatible import OpenAICompatible
from tests.providers.cases.case import Case
from tests.servers.openai_compatible import MODEL, OpenAICompatibleServer

VIDEO = Case(
    "openai_compatible",
    OpenAICompatible,
    OpenAICompatibleServer,
    "OPENAI_API_KEY",
    options={"id": MODEL},
    inputs=frozenset({Input.FIRST_FRAME, Input.REFERENCES}),
    needs_key=False,
)
IMAGE = replace(
    VIDEO,
    name="openai_compatible image",
    model="flux-schnell",
    kind=Kind.IMAGE,
    inputs=frozenset({Input.REFERENCES}),
    cancels=False,
    polls=False,
)

CASES = [VIDEO, IMAGE]
