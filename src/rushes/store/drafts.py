"""Files being written: a row before the first byte, so that what a crash leaves behind can be found and deleted."""

from __future__ import annotations

from typing import NamedTuple

from rushes.model import FILES, Files, Kind
from rushes.store import Rows, Transaction

_ADD = """
INSERT INTO drafts (account_id, file_id, kind, job_id, created) VALUES (:account_id, :file_id, :kind, :job_id, :now)
"""
_EXPECT = f"""
{_ADD} ON CONFLICT (account_id, file_id) DO UPDATE SET created = :now WHERE drafts.condemned IS NULL RETURNING file_id
"""
_FILES = "account_id = :account_id AND file_id = :file_id"
_CONDEMN = f"UPDATE drafts SET condemned = :now WHERE {_FILES} RETURNING file_id"  # noqa: S608
_REMOVE = f"DELETE FROM drafts WHERE {_FILES}"  # noqa: S608
_ENTER = f"{_REMOVE} AND condemned IS NULL RETURNING file_id"
# The attempt that wrote it may still be alive while its job is held: such a draft is not old, it is at work. What comes
# from elsewhere is held by nobody, and is taken up again where it was left, so that it is given days.
_OLD = """
SELECT drafts.file_id, drafts.account_id, drafts.kind FROM drafts LEFT JOIN jobs ON jobs.id = drafts.job_id
WHERE drafts.created <= $now - :age_ms AND (
    drafts.job_id IS NOT NULL AND (jobs.owner IS NULL OR jobs.run_at < $now - :age_ms)
    OR drafts.job_id IS NULL AND drafts.created <= $now - :kept_ms
)
ORDER BY drafts.created LIMIT :limit
"""
_KEPT_MS = 7 * 86_400_000


class Draft(NamedTuple):
    """Files that have not entered the library (yet)."""

    file_id: str
    account_id: str
    kind: Kind

    @property
    def files(self) -> Files:
        """Their names."""
        return FILES[self.kind](self.account_id, self.file_id)


async def add(tx: Transaction, draft: Draft, job_id: str) -> None:
    """Announce files before any of them is written."""
    await tx.rows(_ADD, **_row(draft), job_id=job_id, now=tx.now)


async def expect(tx: Transaction, draft: Draft) -> bool:
    """Announce files that come from elsewhere, or go on with them; ``False``: they are just being swept."""
    return bool(await tx.rows(_EXPECT, **_row(draft), job_id=None, now=tx.now))


async def enter(tx: Transaction, files: Files) -> bool:
    """They belong to an item now; ``False`` when they have been condemned: some may be deleted already."""
    return bool(await tx.rows(_ENTER, account_id=files.account_id, file_id=files.file_id))


async def condemn(tx: Transaction, files: Files) -> bool:
    """From now on they cannot enter the library and may be deleted; ``False`` when they are no draft (any more)."""
    return bool(await tx.rows(_CONDEMN, account_id=files.account_id, file_id=files.file_id, now=tx.now))


async def remove(tx: Transaction, files: Files) -> None:
    """Forget them: they are deleted."""
    await tx.rows(_REMOVE, account_id=files.account_id, file_id=files.file_id)


async def old(sql: Rows, age_ms: int, limit: int = 100) -> list[Draft]:
    """Drafts nobody has worked on for ``age_ms``, oldest first."""
    rows = await sql.rows(_OLD, age_ms=age_ms, kept_ms=max(age_ms, _KEPT_MS), limit=limit)
    return [Draft(file_id, account_id, Kind(kind)) for file_id, account_id, kind in rows]


def _row(draft: Draft) -> dict[str, object]:
    return {"account_id": draft.account_id, "file_id": draft.file_id, "kind": draft.kind}
