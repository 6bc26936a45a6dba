"""The change feed: what entered and left an account's libraries, in the order of its revisions.

A revision is drawn under a lock on the account's row, so that it is in the order of commits: whoever has read up to
one will never see an earlier one appear.
"""

from __future__ import annotations

from rushes.model import Change, Kind
from rushes.store import Rows

# One statement, because one statement sees one moment: read one after the other, a table could tell of a revision
# whose predecessor stood in a table read before.
_AFTER = """
SELECT * FROM (
    SELECT revision, 'video' AS kind, id, created, item FROM videos
    WHERE account_id = :account_id AND revision > :since ORDER BY revision LIMIT :limit
) AS added_videos
UNION ALL SELECT * FROM (
    SELECT revision, 'image' AS kind, id, created, item FROM images
    WHERE account_id = :account_id AND revision > :since ORDER BY revision LIMIT :limit
) AS added_images
UNION ALL SELECT * FROM (
    SELECT revision, kind, item_id, created, CAST(NULL AS BYTEA) FROM tombstones
    WHERE account_id = :account_id AND revision > :since ORDER BY revision LIMIT :limit
) AS deleted
ORDER BY 1 LIMIT :limit
"""


async def after(sql: Rows, account_id: str, since: int, limit: int) -> list[Change]:
    """Up to ``limit`` changes after the revision ``since``, oldest first. An item that has gone again shows only its
    deletion.
    """
    rows = await sql.rows(_AFTER, account_id=account_id, since=since, limit=limit)
    return [Change(revision, Kind(kind), item_id, created, item) for revision, kind, item_id, created, item in rows]
