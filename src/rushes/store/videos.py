"""The library's rows: what a page reads."""

from __future__ import annotations

from typing import NamedTuple

from rushes import wire
from rushes.model import Video
from rushes.paging import SortKey
from rushes.store import Rows, Transaction

_FIRST_PAGE = "SELECT item FROM videos WHERE account_id = :account_id ORDER BY created DESC, id DESC LIMIT :limit"
_PAGE = """
SELECT item FROM videos WHERE account_id = :account_id AND (created, id) < (:created, :id)
ORDER BY created DESC, id DESC LIMIT :limit
"""
_ADD = """
INSERT INTO videos (account_id, created, id, file_id, job_id, item)
VALUES (:account_id, :created, :id, :file_id, :job_id, :item)
"""
_REMOVE = "DELETE FROM videos WHERE account_id = :account_id AND id = :id RETURNING file_id"
_OF_JOB = "SELECT item FROM videos WHERE job_id = :job_id AND account_id = :account_id"
_HAS_FILE = "SELECT 1 FROM videos WHERE file_id = :file_id AND account_id = :account_id"


class Page(NamedTuple):
    """Items as stored, newest first; and the key of the last one when more follow it."""

    items: list[bytes]
    last: SortKey | None


async def page(sql: Rows, account_id: str, after: SortKey | None, size: int) -> Page:
    """The ``size`` items that follow ``after``. One row more is read, to know whether there is one."""
    if after is None:
        rows = await sql.rows(_FIRST_PAGE, account_id=account_id, limit=size + 1)
    else:
        rows = await sql.rows(_PAGE, account_id=account_id, created=after.created, id=after.id, limit=size + 1)
    items = [item for (item,) in rows]
    if len(items) <= size:
        return Page(items, None)
    items.pop()
    return Page(items, wire.sort_key(items[-1]))


async def add(tx: Transaction, video: Video) -> None:
    """Enter a video into its account's library."""
    await tx.rows(
        _ADD,
        account_id=video.account_id,
        created=video.created,
        id=video.id,
        file_id=video.file_id,
        job_id=video.job_id,
        item=wire.video_item(video),
    )


async def remove(tx: Transaction, account_id: str, item_id: str) -> str | None:
    """Take an item out; return the id of the files that may go now, or ``None`` when there is no such item."""
    removed = await tx.rows(_REMOVE, account_id=account_id, id=item_id)
    return removed[0][0] if removed else None


async def of_job(sql: Rows, account_id: str, job_id: str) -> bytes | None:
    """The stored item that a job made."""
    found = await sql.rows(_OF_JOB, account_id=account_id, job_id=job_id)
    return found[0][0] if found else None


async def has_file(sql: Rows, account_id: str, file_id: str) -> bool:
    """Whether the library of that account holds the item these files belong to."""
    return bool(await sql.rows(_HAS_FILE, account_id=account_id, file_id=file_id))
