"""Providers of the tests' own, named by their dotted path: ``tests.work.providers:Scripted``."""

from __future__ import annotations

import asyncio
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from rushes.providers import Delivered, Done, Order, Pending, Provider, Refused, Setup

Step = object
"""What one call does: raise it, wait for it, or answer it."""


class Scripted(Provider):
    """Does what a test has written for it, call by call; the last line of a script holds for ever after.

    The test that opens the studio finds it there (``studio.routes.provider(model)``) and writes ``submits``,
    ``polls`` and ``downloads``. Option ``idempotent``; ``calls`` is what it was asked, in order.
    """

    def __init__(self, setup: Setup) -> None:
        self.idempotent = bool(setup.options.get("idempotent", False))
        self.submits: list[Step] = ["a ticket"]
        self.polls: list[Step] = [Done("a source")]
        self.downloads: list[Step] = []
        self.cancels: list[Step] = [None]
        self.delivers = b""
        """What is there when a submit answers :class:`Delivered`."""
        self.calls: list[str] = []
        self.orders: list[Order] = []

    async def submit(self, order: Order) -> str:
        self.calls.append(f"submit {order.job_id}")
        self.orders.append(order)
        self.opening = order.inputs.first_frame.read_bytes() if order.inputs.first_frame else b""
        ticket: Any = await _play(self.submits)
        if isinstance(ticket, Delivered):
            order.result.write_bytes(self.delivers)
        return ticket  # type: ignore[no-any-return]  # also what no provider should give

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        self.calls.append(f"poll {ticket}")
        answer: Any = await _play(self.polls)
        return answer  # type: ignore[no-any-return]

    async def download(self, done: Done, to: Path) -> None:
        self.calls.append(f"download {done.source}")
        content = await _play(self.downloads)
        if isinstance(content, bytes):
            to.write_bytes(content)

    async def cancel(self, ticket: str) -> Decimal | None:
        self.calls.append(f"cancel {ticket}")
        cost: Any = await _play(self.cancels)
        return cost  # type: ignore[no-any-return]

    def count(self, call: str) -> int:
        """How often it was asked to ``submit``, ``poll``, ``download`` or ``cancel``."""
        return sum(each.split()[0] == call for each in self.calls)


class OtherScripted(Scripted):
    """Another provider, to a worker."""


async def _play(script: list[Step]) -> Step:
    step = script.pop(0) if len(script) > 1 else script[0]
    if isinstance(step, asyncio.Event):
        await step.wait()
        return await _play(script)
    if isinstance(step, BaseException):
        raise step
    return step


class Slow(Provider):
    """For real processes: notes each submission in ``folder``, then waits at each gate that is not open.

    The gates are the files ``submit``, ``poll`` and ``download`` in ``folder``; beside them lies ``clip.mp4``. What
    it has reached it notes as ``at-<gate>``; half of the clip is written before the gate of the download.
    """

    idempotent = False

    def __init__(self, setup: Setup) -> None:
        self._folder = Path(setup.options["folder"])

    async def submit(self, order: Order) -> str:
        with (self._folder / "submissions").open("a") as log:
            log.write(f"{order.job_id}\n")
        await self._pass("submit")
        return order.job_id

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        await self._pass("poll")
        return Done(ticket)

    async def download(self, done: Done, to: Path) -> None:
        clip = self._folder / "clip.mp4"
        to.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
        await self._pass("download")
        shutil.copyfile(clip, to)

    async def _pass(self, gate: str) -> None:
        (self._folder / f"at-{gate}").touch()
        while not (self._folder / gate).exists():
            await asyncio.sleep(0.02)


class Exits(Slow):
    """Would end the process, the first time it is polled; every gate is open."""

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        if not (self._folder / "download").exists():
            for gate in ("poll", "download"):
                (self._folder / gate).touch()
            sys.exit(3)
        return await super().poll(ticket)
