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
UPDATE uploads SET claimant = :claimant, claimed = :until
WHERE id = :id AND size IS NULL AND (claimed IS NULL OR claimed < :now) RETURNING id
"""
_RENEW = "UPDATE uploads SET claimed = :until WHERE id = :id AND claimant = :claimant"
_RECEIVED = """
UPDATE uploads SET size = :size, claimant = NULL, claimed = NULL WHERE id = :id AND claimant = :claimant RETURNING id
"""
_FREE = "UPDATE uploads SET claimant = NULL, claimed = NULL WHERE id = :id AND claimant = :claimant"
_REMOVE = "DELETE FROM uploads WHERE id = :id"
# One that is being received is not old: its link was good when it began.
_UNUSED = """
SELECT id, account_id, name, content_type, expires, size FROM uploads
WHERE size IS NULL AND expires <= $now - :age_ms AND (claimed IS NULL OR claimed < $now - :age_ms)
ORDER BY expires LIMIT :limit
"""
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


async def claim(tx: Transaction, upload_id: str, claimant: str, lease_ms: int) -> None:
    """Keep others out while the file is received, for one lease.

    Raises:
        UploadTaken: the file is there, or is being received.
    """
    if not await tx.rows(_CLAIM, id=upload_id, claimant=claimant, until=tx.now + lease_ms, now=tx.now):
        raise UploadTaken(
            "This link takes one file, and has it or is just receiving it; ask for a new link for another file."
        )


async def renew(tx: Transaction, upload_id: str, claimant: str, lease_ms: int) -> None:
    """Keep others out for another lease."""
    await tx.rows(_RENEW, id=upload_id, claimant=claimant, until=tx.now + lease_ms)


async def received(tx: Transaction, upload_id: str, claimant: str, size: int) -> bool:
    """The file is there; ``False``: the lease has lapsed and another took it."""
    return bool(await tx.rows(_RECEIVED, id=upload_id, claimant=claimant, size=size))


async def free(tx: Transaction, upload_id: str, claimant: str) -> None:
    """The file has not come: the link may be used again."""
    await tx.rows(_FREE, id=upload_id, claimant=claimant)


async def unused(sql: Rows, age_ms: int, limit: int = 100) -> list[Upload]:
    """Uploads whose link was over ``age_ms`` ago without their file, oldest first."""
    return [Upload(*row) for row in await sql.rows(_UNUSED, age_ms=age_ms, limit=limit)]


async def remove(tx: Transaction, upload_id: str) -> None:
    """Forget an upload: no file of it is left."""
    await tx.rows(_REMOVE, id=upload_id)


async def is_there(sql: Rows, account_id: str, name: str) -> bool:
    """Whether that file of that account has come."""
    return bool(await sql.rows(_THERE, account_id=account_id, name=name))
