"""The jobs of an account."""

from __future__ import annotations

from collections.abc import Iterator
from time import sleep
from typing import TYPE_CHECKING

from rushes import wire
from rushes.client import calls, items
from rushes.client.calls import Wait
from rushes.client.items import Job, JobDetail, OnProgress, Progress
from rushes.errors import RushesError

if TYPE_CHECKING:
    from rushes.client.synchronous import Client


class Jobs:
    """The jobs of an account."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, job_id: str) -> Job:
        """How a job stands."""
        return items.read(items.job, self._client.ask("GET", f"/jobs/{calls.segment(job_id)}"))

    def list(self) -> Iterator[Job]:
        """Every job, newest first."""
        for page in self._client.pages("/jobs"):
            for told in page.items:
                yield items.read(items.job, told)

    def show(self, job_id: str) -> JobDetail:
        """All that is known of a job. Rushes only."""
        return items.read(items.job_detail, self._client.ask("GET", f"/aistudio/jobs/{calls.segment(job_id)}"))

    def details(self, *, state: str | None = None, page_size: int | None = None) -> Iterator[JobDetail]:
        """All that is known of every job, newest first; of those in a ``state``, where one is named. Rushes only."""
        for page in self._client.pages("/aistudio/jobs", params={"state": state, "limit": page_size}):
            for told in page.items:
                yield items.read(items.job_detail, told)

    def cancel(self, job_id: str) -> None:
        """End a job under way. Rushes only."""
        self._client.ask("POST", f"/jobs/{calls.segment(job_id)}/cancel")

    def clean(self, job_id: str) -> None:
        """Delete what a job made: item and files."""
        self._client.ask("DELETE", f"/jobs/{calls.segment(job_id)}/clean")

    def wait(self, job_id: str, *, timeout: float | None = None, on_progress: OnProgress | None = None) -> Job:
        """A job when it has ended well. A server that is away for a while is waited for too.

        Raises:
            JobFailed: it ended otherwise, with its code; StillRunning: not within ``timeout`` seconds.
        """
        wait = Wait(job_id, timeout)
        while True:
            try:
                told = self._client.ask("GET", f"/jobs/{calls.segment(job_id)}", **wait.look())
                job = items.read(items.job, told)
                if job.ended:
                    return _well(job)
                waiting = self._waiting(job, wait) if on_progress else None
                pause = wait.next(None)
            except RushesError as error:
                pause = wait.next(error)
                waiting = Progress(job_id, wait.seconds, "in-progress", items.AWAY, None)
            if on_progress and waiting:
                on_progress(waiting)
            sleep(pause)

    def _waiting(self, job: Job, wait: Wait) -> Progress:
        if not self._client.is_rushes():
            return Progress(job.id, wait.seconds, job.status, None, None)
        told = self._client.ask("GET", f"/aistudio/jobs/{calls.segment(job.id)}", **wait.look())
        detail = items.read(items.job_detail, told)
        return Progress(job.id, wait.seconds, detail.state, detail.waiting_for, detail.progress)


def _well(job: Job) -> Job:
    if job.status == "failed":
        raise wire.job_failed(job.id, job.error_code or "", job.error_message or "The job failed.")
    return job
