"""Deletes what broken attempts left behind: files that were announced and never entered the library."""

from __future__ import annotations

import asyncio
import logging

from rushes.errors import Unavailable
from rushes.model import VideoFiles
from rushes.store import drafts
from rushes.studio import Studio

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 600.0


async def sweep(studio: Studio) -> int:
    """Delete the files of every draft that is older than ``sweep_seconds``; return how many drafts that were."""
    swept = 0
    while found := await drafts.old(studio.store, int(studio.config.sweep_seconds * 1000)):
        for draft in found:
            await studio.drop_files(VideoFiles(draft.account_id, draft.file_id))
        swept += len(found)
    return swept


async def keep_sweeping(studio: Studio) -> None:
    """Sweep now and then, for ever."""
    while True:
        try:
            if swept := await sweep(studio):
                log.info("swept the files of %d broken attempts", swept)
        except Unavailable as error:
            log.warning("the sweep waits: %s", error.sentence)
        await asyncio.sleep(min(studio.config.sweep_seconds, _LONGEST_PAUSE))
