"""A provider that costs nothing: every order is ready at once, and is the same short clip."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from rushes.providers import Done, Order, Provider, Setup

HOLD = "hold this one"
"""A prompt whose first download never ends, and whose second is quick: its worker has to be replaced."""


class Free(Provider):
    """Routed by its dotted path, with ``clip`` (the MP4) and ``notes`` (a folder to say in what has happened)."""

    idempotent = True

    def __init__(self, setup: Setup) -> None:
        self._clip = Path(setup.options["clip"])
        self._notes = Path(setup.options["notes"])
        self._note(f"up-{os.getpid()}")

    async def submit(self, order: Order) -> str:
        return order.prompt

    async def poll(self, ticket: str) -> Done:
        return Done(ticket)

    async def download(self, done: Done, to: Path) -> None:
        if done.source == HOLD and not (self._notes / "held").exists():
            self._note("held")
            await asyncio.sleep(24 * 3600)
        if done.source == HOLD:
            self._note("taken")
        shutil.copyfile(self._clip, to)

    def _note(self, what: str) -> None:
        (self._notes / what).touch()
