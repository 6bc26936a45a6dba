"""Files whose item has left the library: noted with its removal, so that whatever dies then they are deleted."""

from __future__ import annotations

from rushes.model import FILES, Files, Kind
from rushes.store import Rows, Transaction

_ADD = "INSERT INTO trash (file_id, account_id, kind, created) VALUES (:file_id, :account_id, :kind, :now)"
_REMOVE = "DELETE FROM trash WHERE account_id = :account_id AND file_id = :file_id"
_OLD = "SELECT kind, account_id, file_id FROM trash WHERE created <= $now - :age_ms ORDER BY created LIMIT :limit"


async def add(tx: Transaction, kind: Kind, account_id: str, file_id: str) -> None:
    """From now on the files belong to nothing."""
    await tx.rows(_ADD, kind=kind, account_id=account_id, file_id=file_id, now=tx.now)


async def remove(tx: Transaction, files: Files) -> None:
    """Forget them: they are deleted."""
    await tx.rows(_REMOVE, account_id=files.account_id, file_id=files.file_id)


async def old(sql: Rows, age_ms: int, limit: int = 100) -> list[Files]:
    """Files that nobody has deleted within ``age_ms``, longest waiting first."""
    rows = await sql.rows(_OLD, age_ms=age_ms, limit=limit)
    return [FILES[Kind(kind)](account_id, file_id) for kind, account_id, file_id in rows]
