"""What draws here."""

from __future__ import annotations

from dataclasses import replace

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers.sandbox import Sandbox
from tests.providers.cases.case import Case
from tests.servers.fake import Fake, Handler


class Nobody(Fake):
    """Is asked nothing."""

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        return []


VIDEO = Case(
    "sandbox",
    Sandbox,
    Nobody,
    "NO_KEY",
    options={"base_url": None},
    inputs=frozenset(Input),
    cancels=False,
    needs_key=False,
    remote=False,
)
IMAGE = replace(VIDEO, name="sandbox image", model="seedream3.0", kind=Kind.IMAGE, inputs=frozenset({Input.REFERENCES}))

CASES = [VIDEO, IMAGE]
