"""The jobs of an account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic
from typing import TYPE_CHECKING

from anyio import sleep

from rushes import wire
from rushes.client import calls, items
from rushes.client.items import Job, JobDetail, OnProgress, Progress
from rushes.errors import RushesError, StillRunning, TooMany

if TYPE_CHECKING:
    from rushes.client.asynchronous import AsyncClient

_FIRST_LOOK = 0.25
_LONGEST_LOOK = 10.0


class AsyncJobs:
    """The jobs of an account."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def get(self, job_id: str) -> Job:
        """How a job stands."""
        return items.read(items.job, await self._client.ask("GET", f"/jobs/{calls.segment(job_id)}"))

    async def list(self) -> AsyncIterator[Job]:
        """Every job, newest first."""
        token: str | None = None
        while True:
            page = items.read(items.page, await self._client.ask("GET", "/jobs", params={"nextPageKey": token}))
            for told in page.items:
                yield items.read(items.job, told)
            if page.token is None or page.token == token:
                return
            token = page.token

    async def show(self, job_id: str) -> JobDetail:
        """All that is known of a job. Rushes only."""
        return items.read(items.job_detail, await self._client.ask("GET", f"/aistudio/jobs/{calls.segment(job_id)}"))

    async def details(self, *, state: str | None = None, page_size: int | None = None) -> AsyncIterator[JobDetail]:
        """All that is known of every job, newest first; of those in a ``state``, where one is named. Rushes only."""
        token: str | None = None
        while True:
            params = {"state": state, "limit": page_size, "nextPageKey": token}
            page = items.read(items.page, await self._client.ask("GET", "/aistudio/jobs", params=params))
            for told in page.items:
                yield items.read(items.job_detail, told)
            if page.token is None or page.token == token:
                return
            token = page.token

    async def cancel(self, job_id: str) -> None:
        """End a job under way. Rushes only."""
        await self._client.ask("POST", f"/jobs/{calls.segment(job_id)}/cancel")

    async def clean(self, job_id: str) -> None:
        """Delete what a job made: item and files."""
        await self._client.ask("DELETE", f"/jobs/{calls.segment(job_id)}/clean")

    async def wait(self, job_id: str, *, timeout: float | None = None, on_progress: OnProgress | None = None) -> Job:
        """A job when it has ended well. A server that is away for a while is waited for too.

        Raises:
            JobFailed: it ended otherwise, with its code; StillRunning: not within ``timeout`` seconds.
        """
        began, pause = monotonic(), _FIRST_LOOK
        while True:
            asked = 0.0
            try:
                job = await self.get(job_id)
                if job.ended:
                    return _well(job)
                waiting = await self._waiting(job, monotonic() - began) if on_progress else None
            except RushesError as error:
                if not error.retryable:
                    raise
                asked = error.retry_after if isinstance(error, TooMany) else 0.0
                waiting = Progress(job_id, monotonic() - began, "in-progress", "the server to answer", None)
            if on_progress and waiting:
                on_progress(waiting)
            if timeout is not None and monotonic() - began + max(pause, asked) > timeout:
                raise StillRunning(f"Job {job_id} has not ended after {timeout:g} seconds; it goes on.", job_id)
            await sleep(max(pause, asked))
            pause = min(pause * 1.4, _LONGEST_LOOK)

    async def _waiting(self, job: Job, seconds: float) -> Progress:
        if not await self._client.is_rushes():
            return Progress(job.id, seconds, job.status, None, None)
        detail = await self.show(job.id)
        return Progress(job.id, seconds, detail.state, detail.waiting_for, detail.progress)


def _well(job: Job) -> Job:
    if job.status == "failed":
        raise wire.job_failed(job.id, job.error_code or "", job.error_message or "The job failed.")
    return job
