"""What draws here."""

from __future__ import annotations

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers.sandbox import Sandbox
from tests.providers.cases.case import Case
from tests.servers.fake import Fake, Handler


class Nobody(Fake):
    """Is asked nothing."""

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        return []


CASES = [
    Case(
        "sandbox",
        Sandbox,
        Nobody,
        "NO_KEY",
        options={"base_url": None},
        inputs=frozenset(Input),
        cancels=False,
        needs_key=False,
        remote=False,
    ),
    Case(
        "sandbox image",
        Sandbox,
        Nobody,
        "NO_KEY",
        model="seedream3.0",
        kind=Kind.IMAGE,
        options={"base_url": None},
        inputs=frozenset({Input.REFERENCES}),
        cancels=False,
        needs_key=False,
        remote=False,
    ),
]
