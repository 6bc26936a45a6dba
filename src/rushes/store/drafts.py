"""Files being written: a row before the first byte, so that what a crash leaves behind can be found and deleted."""

from __future__ import annotations

from typing import NamedTuple

from rushes.model import FILES, Files, Kind
from rushes.store import Rows, Transaction

_ADD = """
INSERT INTO drafts (file_id, account_id, kind, job_id, created)
VALUES (:file_id, :account_id, :kind, :job_id, :now)
"""
_CONDEMN = "UPDATE drafts SET condemned = :now WHERE file_id = :file_id RETURNING file_id"
_REMOVE = "DELETE FROM drafts WHERE file_id = :file_id"
_ENTER = f"{_REMOVE} AND condemned IS NULL RETURNING file_id"
# The attempt that wrote it may still be alive while its job is held: such a draft is not old, it is at work.
_OLD = """
SELECT drafts.file_id, drafts.account_id, drafts.kind FROM drafts JOIN jobs ON jobs.id = drafts.job_id
WHERE drafts.created <= $now - :age_ms AND (jobs.owner IS NULL OR jobs.run_at < $now - :age_ms)
ORDER BY drafts.created LIMIT :limit
"""


class Draft(NamedTuple):
    """The files of an attempt that never entered the library."""

    file_id: str
    account_id: str
    kind: Kind

    @property
    def files(self) -> Files:
        """Their names."""
        return FILES[self.kind](self.account_id, self.file_id)


async def add(tx: Transaction, draft: Draft, job_id: str) -> None:
    """Announce files before any of them is written."""
    await tx.rows(_ADD, file_id=draft.file_id, account_id=draft.account_id, kind=draft.kind, job_id=job_id, now=tx.now)


async def enter(tx: Transaction, file_id: str) -> bool:
    """They belong to an item now; ``False`` when they have been condemned: some may be deleted already."""
    return bool(await tx.rows(_ENTER, file_id=file_id))


async def condemn(tx: Transaction, file_id: str) -> bool:
    """From now on they cannot enter the library and may be deleted; ``False`` when they are no draft (any more)."""
    return bool(await tx.rows(_CONDEMN, file_id=file_id, now=tx.now))


async def remove(tx: Transaction, file_id: str) -> None:
    """Forget them: they are deleted."""
    await tx.rows(_REMOVE, file_id=file_id)


async def old(sql: Rows, age_ms: int, limit: int = 100) -> list[Draft]:
    """Drafts nobody has worked on for ``age_ms``, oldest first."""
    rows = await sql.rows(_OLD, age_ms=age_ms, limit=limit)
    return [Draft(file_id, account_id, Kind(kind)) for file_id, account_id, kind in rows]
