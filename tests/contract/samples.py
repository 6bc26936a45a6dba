"""Requests, jobs and videos to fill the studio with."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from rushes import ids
from rushes.model import Job, JobState, Request, Video, VideoRequest
from rushes.store import Store, accounts, jobs
from rushes.studio import Studio

NOON = 1_775_000_000_000

REQUEST = VideoRequest("A heron lifts off", "pixverse5.5", "9:16", 8)


async def new_account(store: Store) -> str:
    """An account of its own, by its id."""
    async with store.write() as tx:
        return (await accounts.named(tx, ids.uuid())).id


def job(account_id: str, **told: Any) -> Job:
    """A job that was just asked for."""
    asked = Job(
        id=ids.uuid(),
        account_id=account_id,
        item_id=ids.item_id(NOON),
        request=REQUEST,
        credits=Decimal("12.8"),
        state=JobState.QUEUED,
        created=NOON,
        origin="http://studio.test",
    )
    return replace(asked, **told)


async def queued(store: Store, account_id: str, **told: Any) -> Job:
    """A job in line."""
    async with store.write() as tx:
        asked = job(account_id, **{"created": tx.now, **told})
        await jobs.add(tx, asked)
    return asked


async def submitted(studio: Studio, account_id: str, request: Request, origin: str) -> Job:
    """A job asked for as the API asks."""
    given = await studio.submit(account_id, request, origin)
    job = await jobs.get(studio.store, account_id, json.loads(given.text)["data"]["jobId"])
    assert job
    return job


def video(account_id: str, **told: Any) -> Video:
    """A finished video."""
    made = Video(
        id=ids.item_id(NOON),
        account_id=account_id,
        file_id=ids.uuid(),
        job_id=None,
        request=REQUEST,
        created=NOON,
        width=720,
        height=1280,
        seconds=8.0,
    )
    return replace(made, **told)


def video_of(job: Job, file_id: str, **told: Any) -> Video:
    """What a job made."""
    made = {"id": job.item_id, "file_id": file_id, "job_id": job.id, "request": job.request}
    return video(job.account_id, **{**made, **told})
