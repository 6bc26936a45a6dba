"""The servers of one's own."""

from __future__ import annotations

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers.openai_compatible import OpenAICompatible
from tests.providers.cases.case import Case
from tests.servers.openai_compatible import MODEL, OpenAICompatibleServer

CASES = [
    Case(
        "openai_compatible",
        OpenAICompatible,
        OpenAICompatibleServer,
        "OPENAI_API_KEY",
        options={"id": MODEL},
        inputs=frozenset({Input.FIRST_FRAME, Input.REFERENCES}),
        needs_key=False,
    ),
    Case(
        "openai_compatible image",
        OpenAICompatible,
        OpenAICompatibleServer,
        "OPENAI_API_KEY",
        model="flux-schnell",
        kind=Kind.IMAGE,
        options={"id": MODEL},
        inputs=frozenset({Input.REFERENCES}),
        cancels=False,
        polls=False,
        needs_key=False,
    ),
]
