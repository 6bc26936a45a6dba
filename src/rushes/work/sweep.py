"""Deletes what nobody needs any more: files that never entered a library or have left it, and old answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rushes.errors import Unavailable
from rushes.model import JobState
from rushes.store import Transaction, drafts, idempotency, jobs, search, trash, uploads, webhooks
from rushes.studio import Studio

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 600.0
_BATCH = 500
_UNKNOWN_MS = 7 * 24 * 3600 * 1000


async def sweep(studio: Studio) -> int:
    """Delete the files of every draft, and of every item gone, that are older than ``sweep_seconds``; forget unused
    links, old answers and deliveries; index what entered before there was an index. Returns how many items' files
    went.
    """
    age_ms = int(studio.config.sweep_seconds * 1000)
    swept = 0
    while drafted := await drafts.old(studio.store, age_ms):
        for draft in drafted:
            await studio.drop_files(draft.files)
        swept += len(drafted)
    while left := await trash.old(studio.store, age_ms):
        for files in left:
            await studio.empty_trash(files)
        swept += len(left)
    while unused := await uploads.unused(studio.store, age_ms):
        for upload in unused:
            await studio.drop_upload(upload)
    await _sweep_results(studio)
    await studio.blobs.tidy()
    await _in_batches(studio, idempotency.forget)
    await _in_batches(studio, webhooks.forget)
    await _in_batches(studio, search.catch_up)
    return swept


async def _sweep_results(studio: Studio) -> None:
    """Delete what providers sent for jobs that became items or were given up; of one that failed it is kept, for
    whoever wants to look at it.
    """
    for name in await studio.blobs.names("results"):
        if name.count("/") != 2:  # none of ours: a folder that somebody made by hand
            continue
        _, account_id, job_id = name.split("/")
        job = await jobs.get(studio.store, account_id, job_id)
        done = job is not None and job.state.ended and job.state is not JobState.FAILED
        if done or (job is None and await _old(studio, name)):
            await studio.blobs.delete(name)


async def _old(studio: Studio, name: str) -> bool:
    """Whether nobody has come for it in a while: a database restored from a backup may not know its job any more."""
    blob = await studio.blobs.stat(name)
    return blob is not None and blob.modified * 1000 < await studio.now() - _UNKNOWN_MS


async def _in_batches(studio: Studio, act: Callable[[Transaction, int], Awaitable[int]]) -> None:
    done = 1
    while done:
        async with studio.store.write() as tx:
            done = await act(tx, _BATCH)


async def keep_sweeping(studio: Studio) -> None:
    """Sweep now and then, for ever."""
    while True:
        try:
            if swept := await sweep(studio):
                log.info("swept the files of %d broken attempts and deleted items", swept)
        except Unavailable as error:
            log.warning("the sweep waits: %s", error.sentence)
        except Exception:  # whatever it was: the next sweep tries again
            log.exception("the sweep broke off")
        await asyncio.sleep(min(studio.config.sweep_seconds, _LONGEST_PAUSE))
