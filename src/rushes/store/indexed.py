"""Whether the search index holds exactly the items that there are, stretch by stretch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from rushes.model import Kind
from rushes.paging import SortKey
from rushes.store import Rows, Store
from rushes.store.chunks import NUMBERS

_STRETCH = 4000
_OF = "account_id = :account_id AND kind = :kind"
_BETWEEN = "(created, id) > (:created, :id) AND (created, id) <= (:last_created, :last_id)"
_CHUNKS = f"""
SELECT chunk FROM search_chunks WHERE {_OF} AND (created, id) <= (:last_created, :last_id)
AND (last_created, last_id) > (:created, :id)
"""  # noqa: S608
_MEMBERS = f"SELECT created, id FROM search_members WHERE number >= :low AND number < :high AND {_BETWEEN}"  # noqa: S608
_LATEST = SortKey(2**63 - 1, "")


class Stretch(NamedTuple):
    """What a stretch of a library and its index do not have in common."""

    missing: list[SortKey]
    """Items that no search finds."""
    gone: list[SortKey]
    """What searches find and is not there."""


async def stretches(store: Store, account_id: str, kind: Kind) -> AsyncIterator[Stretch]:
    """All of an account's items of a kind, some thousands at a time, each of one moment."""
    after: SortKey | None = SortKey(-(2**63), "")
    while after is not None:
        async with store.snapshot() as sql:
            stretch, after = await _stretch(sql, account_id, kind, after)
        yield stretch


async def _stretch(sql: Rows, account_id: str, kind: Kind, after: SortKey) -> tuple[Stretch, SortKey | None]:
    library = {"account_id": account_id, "kind": str(kind), **after._asdict()}
    there = await _items(sql, account_id, kind, after)
    last = there[-1] if len(there) == _STRETCH else None
    end = last or _LATEST
    library |= {"last_created": end.created, "last_id": end.id}
    found = set(await _indexed(sql, library))
    stretch = Stretch([key for key in there if key not in found], sorted(found - set(there)))
    return stretch, last


async def _items(sql: Rows, account_id: str, kind: Kind, after: SortKey) -> list[SortKey]:
    text = f"""
        SELECT created, id FROM {kind}s WHERE account_id = :account_id AND (created, id) > (:created, :id)
        ORDER BY created, id LIMIT :limit
    """  # noqa: S608
    rows = await sql.rows(text, account_id=account_id, limit=_STRETCH, **after._asdict())
    return [SortKey(*row) for row in rows]


async def _indexed(sql: Rows, library: dict[str, object]) -> list[SortKey]:
    found = []
    for table in ("search_pending", "search_backlog"):
        text = f"SELECT created, id FROM {table} WHERE {_OF} AND {_BETWEEN}"  # noqa: S608
        found += await sql.rows(text, **library)
    between = {name: value for name, value in library.items() if name not in ("account_id", "kind")}
    for (number,) in await sql.rows(_CHUNKS, **library):
        low = number * NUMBERS
        found += await sql.rows(_MEMBERS, low=low, high=low + NUMBERS, **between)
    return [SortKey(*row) for row in found]
