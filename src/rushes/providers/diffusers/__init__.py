"""Open weights on this machine's own GPU or CPU, by the library ``diffusers`` (``pip install 'rushes[diffusers]'``).

    worker ── the ticket, in a folder ──▶ the model's process: loads, makes, one at a time
           ◀─ progress, outcome, result ──┘

Torch is imported in that process alone. It is started on the first poll, serves every worker of this machine that runs
the same model in the same way, gives its memory back when there is nothing to do, and ends with the worker that started
it; the next poll of any worker starts another. A ticket holds the order whole, with its pictures: it is made again from
that when anything is lost, alike (its seed is the job's), and costs nothing, so an order may be submitted twice.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

from rushes.errors import (
    BadSetting,
    Cancelled,
    InputNotAnImage,
    InputNotAVideo,
    JobFailed,
    ProviderFailed,
    ProviderUnreachable,
    Unreadable,
)
from rushes.media.isolate import isolated
from rushes.model import Kind
from rushes.providers import Done, Order, Pending, Price, Provider, Refused, Setup
from rushes.providers.diffusers import inputs, spool
from rushes.providers.diffusers.options import NAME, told
from rushes.providers.diffusers.process import Process, Settings
from rushes.providers.diffusers.spool import Entry
from rushes.providers.diffusers.ticket import Ticket, from_text, seed_of
from rushes.providers.facts import facts

__all__ = ["Diffusers"]

log = logging.getLogger(__name__)

_POLL_AFTER = 1.0
_LONGEST_POLL = 60.0
_READING = 60.0
_FREE = Decimal(0)


class Diffusers(Provider):
    """A model of this machine's own. Options: ``id`` and those of :class:`.options.Options`."""

    idempotent = True

    price = Price(_FREE, per_second=False, table=f"{NAME} {facts(NAME).version}")

    def __init__(self, setup: Setup) -> None:
        """Only looks whether the library is there: an API process makes us too, and must not grow by half a gigabyte.

        Raises:
            BadSetting: an option is wrong, the model's folder is, or the library is not installed.
        """
        for library in ("torch", "diffusers", "transformers", "accelerate"):
            if find_spec(library) is None:
                raise BadSetting(
                    f"models.\"{setup.model}\" needs the library {library}: pip install 'rushes[diffusers]'."
                )
        self._told = told(setup)
        self.capabilities = self._told.capabilities
        self._processes: dict[Settings, Process] = {}

    async def submit(self, order: Order) -> str:
        """Read the inputs now; the rest is done when it is polled."""
        options, prompt = self._told, f"{order.prompt} ({order.style} style)" if order.style else order.prompt
        return Ticket(
            job_id=order.job_id,
            id=options.id,
            pipeline=options.pipeline,
            variant=options.variant,
            kind=order.kind,
            prompt=prompt,
            negative_prompt=options.negative_prompt,
            width=order.width,
            height=order.height,
            frames=1 if order.kind is Kind.IMAGE else order.seconds * options.fps,
            fps=options.fps,
            steps=options.steps,
            guidance=options.guidance,
            seed=seed_of(order.job_id) if options.seed is None else options.seed,
            extra=options.extra,
            opening=await self._opening(order),
        ).text

    async def _opening(self, order: Order) -> tuple[bytes, ...]:
        size, given = (order.width, order.height), order.inputs
        try:
            if given.extend_video is not None:
                return await isolated(inputs.last_frames, given.extend_video, *size, self._told.fps, seconds=_READING)
            if given.first_frame is not None:
                return await isolated(inputs.first_frame, given.first_frame, *size, seconds=_READING)
        except Unreadable as error:
            kind = InputNotAnImage if given.first_frame else InputNotAVideo
            raise kind(error.sentence) from error
        if self._told.family.needs_picture:
            raise ProviderFailed("This model only goes on from a picture: send a firstFrameImageUrl with the prompt.")
        return ()

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """How it stands; has it made, if nobody is at it."""
        try:
            return await asyncio.to_thread(self._stand, ticket)
        except OSError as error:  # no room, no rights, no process
            raise ProviderUnreachable(f"This machine cannot work on it now: {error.strerror}.") from error

    def _stand(self, text: str) -> Pending | Done | Refused:
        settings, entry = self._found(text)
        entry.ask(text)
        if entry.has_ended:
            return self._ended(text, entry)
        if entry.is_cancelled:
            return Refused(Cancelled("It was cancelled."), _FREE)
        self._processes.setdefault(settings, Process(settings)).ensure()
        progress, ahead = entry.progress, self._ahead(settings, entry)
        if progress is not None or not ahead:
            return Pending(_POLL_AFTER, progress)
        return Pending(min(_POLL_AFTER * (1 + ahead), _LONGEST_POLL), position=ahead)

    def _found(self, text: str) -> tuple[Settings, Entry]:
        """Where the ticket's order is: the model is the ticket's own, how it is run is for the route to say."""
        ticket, options = from_text(text), self._told
        settings = Settings(
            folder=str(spool.root(options.folder)),
            id=ticket.id,
            pipeline=ticket.pipeline,
            variant=ticket.variant,
            device=options.device,
            dtype=options.dtype,
            offload=options.offload,
            idle_seconds=options.idle_seconds,
            load_seconds=options.load_seconds,
            step_seconds=options.step_seconds,
        )
        return settings, settings.spool.entry(ticket.job_id)

    def _ended(self, text: str, entry: Entry) -> Done | Refused:
        error = entry.error
        if isinstance(error, JobFailed):
            return Refused(error, _FREE)
        if error is not None or not entry.result.is_file():
            entry.remove()
            raise error or ProviderUnreachable("The result is gone from this machine; it is made again.")
        return Done(text, _FREE)

    def _ahead(self, settings: Settings, entry: Entry) -> int:
        """How many come before it."""
        entered = entry.entered or 0
        return sum((each.entered or 0) < entered for each in settings.spool.open)

    async def download(self, done: Done, to: Path) -> None:
        """Copy the MP4 or PNG."""
        await asyncio.to_thread(self._copy, done.source, to)

    def _copy(self, text: str, to: Path) -> None:
        _, entry = self._found(text)
        try:
            shutil.copyfile(entry.result, to)
        except FileNotFoundError as error:
            entry.remove()
            raise ProviderUnreachable("The result is gone from this machine; it is made again.") from error

    async def cancel(self, ticket: str) -> Decimal | None:
        """It stops at its next step, whichever worker's process is at it; it costs nothing."""
        _, entry = await asyncio.to_thread(self._found, ticket)
        await asyncio.to_thread(entry.cancel)
        return _FREE

    async def check(self) -> str | None:
        """Whether the model's folder is there; one of the hub's is fetched when it is first used."""
        if not self._told.is_folder:
            return None
        return f"{self._told.family.pipeline} is at {self._told.id}; the library is installed, the GPU was not tried"

    async def close(self) -> None:
        """End the processes that this worker has started."""
        for process in self._processes.values():
            await asyncio.to_thread(process.stop)
