"""A provider that counts: every submission it ever accepts is a line of a file, and it keeps no idempotency key."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

from rushes import ids
from rushes.providers import Done, Order, Pending, Provider, Refused, Setup


class Counting(Provider):
    """Options: ``log`` (the file of submissions) and ``clip`` (the MP4 that every order gets)."""

    idempotent = False

    def __init__(self, setup: Setup) -> None:
        self._log = Path(setup.options["log"])
        self._clip = Path(setup.options["clip"])

    async def submit(self, order: Order) -> str:
        """Accept, then answer: a kill in between is what makes an outcome unknown."""
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{order.job_id}\n".encode())
        os.close(log)
        return f"{ids.uuid()} {time.time() + random.uniform(0, 0.5)}"

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ready a moment after the submission."""
        left = float(ticket.split()[1]) - time.time()
        return Pending(max(left, 0.05)) if left > 0 else Done(ticket)

    async def download(self, done: Done, to: Path) -> None:
        """The clip."""
        shutil.copyfile(self._clip, to)
