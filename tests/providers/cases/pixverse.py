"""PixVerse's own platform."""

from __future__ import annotations

from rushes.catalogue import Input
from rushes.providers.pixverse import PixVerse
from tests.providers.cases.case import Case
from tests.servers.pixverse import PixVerseServer

CASES = [
    Case(
        "pixverse",
        PixVerse,
        PixVerseServer,
        "PIXVERSE_API_KEY",
        inputs=frozenset(Input),
        not_now={"ErrCode": 500044, "ErrMsg": "Reached the limit for concurrent generations."},
        media=True,
        cancels=False,
    ),
]
