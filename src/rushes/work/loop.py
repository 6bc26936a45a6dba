"""A worker: claims due jobs, moves each on, and holds their leases while it does."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from rushes import ids, logs, tracing
from rushes.config import Config
from rushes.errors import LeaseLost, Unavailable
from rushes.fetch import Fetcher, Lookups
from rushes.model import Job
from rushes.studio import Studio
from rushes.work.generate import Generator
from rushes.work.inputs import InputFiles
from rushes.work.notify import Notifier, poster
from rushes.work.sweep import keep_sweeping

log = logging.getLogger(__name__)

# So long a new job waits for an idle worker, and half of it on average.
_IDLE_SECONDS = 0.075
_FAULT_SECONDS = 2.0
# A provider is being asked at this moment: to stop in between would make the outcome unknown.
_GRACE_SECONDS = 30.0


class Worker:
    """One worker of a process. It holds only jobs it is busy with, so thousands may wait at their providers."""

    def __init__(self, studio: Studio, fetcher: Fetcher) -> None:
        self._studio = studio
        self._generator = Generator(studio, InputFiles(studio, fetcher))
        self._owner = ids.uuid()
        self._held: dict[asyncio.Task[None], Job] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish what is in hand, and give back the rest."""
        others = [
            asyncio.create_task(self._keep_renewing()),
            asyncio.create_task(keep_sweeping(self._studio)),
        ]
        try:
            while not stop.is_set():
                await self._claim()
                await self._wait(stop)
        finally:
            await self._finish()
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def _claim(self) -> None:
        free = self._studio.config.worker_concurrency - len(self._held)
        if free <= 0:
            return
        try:
            for job in await self._studio.turns.claim(self._owner, free, self._held.values()):
                self._held[asyncio.create_task(self._advance(job), name=job.id)] = job
        except Unavailable as error:
            log.warning("the worker waits: %s", error.sentence)
            await asyncio.sleep(_FAULT_SECONDS)

    async def _wait(self, stop: asyncio.Event) -> None:
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({stopping, *self._held}, timeout=_IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in [task for task in self._held if task.done()]:
            del self._held[task]

    async def _advance(self, job: Job) -> None:
        about = {"job": job.id, "request_id": job.request_id, "model": job.request.model, "provider": job.provider}
        logs.about(**about)
        try:
            with tracing.step(f"job {job.state}", job.trace, **about):
                await self._generator.advance(job)
        except LeaseLost as error:
            log.warning("%s", error.sentence)
        except Unavailable as error:
            log.warning("job %s waits for its lease to end: %s", job.id, error.sentence)
        except Exception:  # whatever it was, the lease ends by itself and the next claim tries again
            log.exception("job %s was left where it stood", job.id)

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._studio.config.lease_seconds / 3)
            try:
                await self._renew()
            except Unavailable as error:
                log.warning("leases could not be renewed: %s", error.sentence)

    async def _renew(self) -> None:
        # Only those that were held before the question: a claim may come in while it is under way.
        held = {task: job for task, job in self._held.items() if not task.done()}
        if not held:
            return
        kept = await self._studio.renew(list(held.values()))
        for task, job in held.items():
            if job.id not in kept and not task.done():
                log.warning("Job %s is no longer held by this worker.", job.id)
                task.cancel()

    async def _finish(self) -> None:
        if self._held:
            _, late = await asyncio.wait(self._held, timeout=_GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._held, return_exceptions=True)
        with suppress(Unavailable):
            await self._studio.release(self._owner)


def downloader(config: Config) -> Fetcher:
    """The way out to inputs; close it."""
    # The loop's own look-ups share two threads, all providers' among them: names that stay silent would hold them.
    return Fetcher(config.allow_private_hosts, resolver=Lookups(config.worker_concurrency))


async def work(studio: Studio, stop: asyncio.Event) -> None:
    """Run one worker, and one notifier beside it, until ``stop`` is set."""
    fetcher, posting = downloader(studio.config), poster(studio.config)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(Worker(studio, fetcher).run(stop))
            both.create_task(Notifier(studio, posting).run(stop))
    finally:
        await posting.close()
        await fetcher.close()
