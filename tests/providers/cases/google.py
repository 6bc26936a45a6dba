"""Google's three APIs."""

from __future__ import annotations

from dataclasses import replace

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers.google import Google
from tests.providers.cases.case import Case
from tests.servers.google import OMNI, GeminiImageServer, OmniServer, VeoServer

_NOT_NOW = {"error": {"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"}}
_RETIRED = {"error": {"code": 404, "message": "models/… is no longer available.", "status": "NOT_FOUND"}}

VEO = Case(
    "google veo",
    Google,
    VeoServer,
    "GOOGLE_SERVICE_ACCOUNT",
    model="veo3.1",
    options={
        "inputs": frozenset(Input),
        "storage_uri": "gs://a-bucket/made+here",
        "storage_url": lambda server: server.origin,
    },
    credential=VeoServer.account,
    inputs=frozenset(Input),
    not_now=_NOT_NOW,
    retired=_RETIRED,
    cancels=False,
    needs_key=False,  # whoever the machine is logged in as may do
)

OMNI_FLASH = Case(
    "google omni",
    Google,
    OmniServer,
    "GEMINI_API_KEY",
    model="veo3.1",
    options={"id": OMNI},
    inputs=frozenset(Input),
    not_now=_NOT_NOW,
    retired=_RETIRED,
)

IMAGE = replace(
    OMNI_FLASH,
    name="google image",
    server=GeminiImageServer,
    model="nanobanana",
    kind=Kind.IMAGE,
    options={},
    inputs=frozenset({Input.REFERENCES}),
    cancels=False,
    polls=False,
)

CASES = [VEO, IMAGE, OMNI_FLASH]
