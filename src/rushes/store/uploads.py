"""Uploads: what may come under a signed link, and what has come."""

from __future__ import annotations

from typing import NamedTuple

from rushes.errors import UploadTaken
from rushes.store import Rows, Transaction

_ADD = """
INSERT INTO uploads (id, account_id, name, content_type, created, expires)
VALUES (:id, :account_id, :name, :content_type, :now, :expires)
"""
_GET = "SELECT id, account_id, name, content_type, expires, size FROM uploads WHERE id = :id"
_CLAIM = """
UPDATE uploads SET claimed = :until
WHERE id = :id AND size IS NULL AND (claimed IS NULL OR claimed < :now) RETURNING id
"""
_RECEIVED = "UPDATE uploads SET size = :size, claimed = NULL WHERE id = :id AND claimed = :until RETURNING id"
_FREE = "UPDATE uploads SET claimed = NULL WHERE id = :id AND claimed = :until"
_THERE = "SELECT 1 FROM uploads WHERE account_id = :account_id AND name = :name AND size IS NOT NULL"


class Upload(NamedTuple):
    """One file that was announced; ``size`` in bytes once it is there."""

    id: str
    account_id: str
    name: str
    """The blob's, which is also its path."""
    content_type: str
    expires: int
    """When its link stops taking it, in milliseconds."""
    size: int | None = None


async def add(tx: Transaction, upload: Upload) -> None:
    """Note what may come."""
    await tx.rows(
        _ADD,
        id=upload.id,
        account_id=upload.account_id,
        name=upload.name,
        content_type=upload.content_type,
        expires=upload.expires,
        now=tx.now,
    )


async def get(sql: Rows, upload_id: str) -> Upload | None:
    """An upload, whosever it is: its link is the permission."""
    found = await sql.rows(_GET, id=upload_id)
    return Upload(*found[0]) if found else None


async def claim(tx: Transaction, upload_id: str, seconds: float) -> int:
    """Keep others out while the file is received, for so long; return the claim that ends it.

    Raises:
        UploadTaken: the file is there, or is being received.
    """
    until = tx.now + int(seconds * 1000)
    if not await tx.rows(_CLAIM, id=upload_id, until=until, now=tx.now):
        raise UploadTaken("This link takes one file and has it; ask for a new link for another file.")
    return until


async def received(tx: Transaction, upload_id: str, claim: int, size: int) -> bool:
    """The file is there; ``False``: the claim has lapsed and another took it."""
    return bool(await tx.rows(_RECEIVED, id=upload_id, until=claim, size=size))


async def free(tx: Transaction, upload_id: str, claim: int) -> None:
    """The file has not come: the link may be used again."""
    await tx.rows(_FREE, id=upload_id, until=claim)


async def is_there(sql: Rows, account_id: str, name: str) -> bool:
    """Whether that file of that account has come."""
    return bool(await sql.rows(_THERE, account_id=account_id, name=name))
