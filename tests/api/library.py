"""Libraries filled through the store: items without files, as many as a test needs."""

from __future__ import annotations

from collections.abc import Iterable

from rushes import ids
from rushes.model import Video, VideoRequest
from rushes.store import accounts
from rushes.store.library import VIDEOS
from rushes.studio import Studio
from tests.conftest import Server

NOON = 1_775_000_000_000
"""A moment, in milliseconds: 2026-03-31T23:33:20.000Z."""

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ALWAYS = [
    *("url", "id", "prompt", "aspectRatio", "createdDate", "model", "width", "height", "duration"),
    *("previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl"),
]


def video(
    account_id: str, number: int = 0, *, created: int | None = None, request: VideoRequest | None = None
) -> Video:
    """The item of that number: later ones are newer, unless they are ``created`` when others are."""
    moment = NOON + number if created is None else created
    return Video(
        id=ids.item_id(moment),
        account_id=account_id,
        file_id=ids.uuid(),
        job_id=None,
        request=request or VideoRequest(f"take {number}", "pixverse5.5", "9:16", 5),
        created=moment,
        width=720,
        height=1280,
        seconds=5.0,
    )


def account_of(server: Server, key: str) -> str:
    """The id of the account a key opens."""
    account = server.do(lambda studio: accounts.of_key(studio.store, key))
    return str(account.id)


async def add(studio: Studio, entered: Iterable[Video]) -> None:
    """Enter videos, as one change."""
    async with studio.store.write() as tx:
        for each in entered:
            await VIDEOS.add(tx, each)


def enter(server: Server, *entered: Video) -> None:
    """Enter videos into the library of a running server."""
    server.do(lambda studio: add(studio, entered))


def newest_first(entered: Iterable[Video]) -> list[str]:
    """The ids in the order the contract names: newest first, ties by id, descending (B7)."""
    return [each.id for each in sorted(entered, key=lambda each: (each.created, each.id), reverse=True)]
