"""Every table, and the way of its rows into another database, whichever engines the two are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from rushes.store import Row, Rows, Store, Transaction, many

_AT_ONCE = 1000
# In an order in which nothing is named before it is there, each with its primary key.
TABLES = {
    "server": ("name",),
    "accounts": ("id",),
    "keys": ("id",),
    "budgets": ("scope",),
    "jobs": ("id",),
    "drafts": ("account_id", "file_id"),
    "videos": ("account_id", "created", "id"),
    "images": ("account_id", "created", "id"),
    "lineage": ("account_id", "parent", "kind", "created", "id"),
    "tombstones": ("account_id", "revision"),
    "trash": ("account_id", "file_id"),
    "ledger": ("account_id", "created", "id"),
    "idempotency": ("account_id", "route", "name"),
    "uploads": ("id",),
    "webhook_secrets": ("secret",),
    "deliveries": ("id",),
    "delivery_tries": ("delivery_id", "number"),
    "search_chunks": ("account_id", "kind", "created", "id"),
    "search_members": ("number",),
    "search_bits": ("chunk", "term"),
    "search_pending": ("account_id", "kind", "created", "id"),
    "search_backlog": ("account_id", "kind", "created", "id"),
}
_OWN = "migrations"
"""Each database's own."""
_NUMBERED = {"search_chunks": "chunk"}
"""Columns whose numbers the database gives."""


class Content(NamedTuple):
    """How many rows there are, and what is in them, in whatever order: the same on both engines for the same rows."""

    rows: int = 0
    digest: int = 0

    def __add__(self, other: object) -> Content:
        """With these rows too."""
        if not isinstance(other, Content):
            return NotImplemented
        return Content(self.rows + other.rows, (self.digest + other.digest) % 2**256)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Content:
        """What is in some rows."""
        return cls(len(rows), sum(int.from_bytes(sha256(repr(row).encode()).digest()) for row in rows) % 2**256)


async def is_empty(store: Store) -> bool:
    """Whether nobody has ever used this database."""
    return not await store.rows("SELECT 1 FROM accounts LIMIT 1")


async def carry(source: Rows, target: Transaction, table: str, columns: Sequence[str]) -> Content:
    """Write every row of a table into the other database's; what was read."""
    names, carried = ", ".join(columns), Content()
    text = f"INSERT INTO {table} ({names}) $numbered VALUES {{}}"  # noqa: S608  (names of our own)
    async for rows in _read(source, table, columns):
        await many.insert(target, text, rows)
        carried += Content.of(rows)
    if column := _NUMBERED.get(table):
        await target.number_on(table, column)
    return carried


async def content(sql: Rows, table: str, columns: Sequence[str]) -> Content:
    """What is in a table."""
    found = Content()
    async for rows in _read(sql, table, columns):
        found += Content.of(rows)
    return found


async def _read(sql: Rows, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
    """All rows, along the primary key: what is read costs the same at the end as at the beginning."""
    key = TABLES[table]
    at = [columns.index(column) for column in key]
    select, order = f"SELECT {', '.join(columns)} FROM {table}", f"ORDER BY {', '.join(key)} LIMIT :limit"  # noqa: S608
    after = f"WHERE ({', '.join(key)}) > ({', '.join(f':{column}' for column in key)})"
    rows = await sql.rows(f"{select} {order}", limit=_AT_ONCE)
    while rows:
        yield rows
        last = {column: rows[-1][place] for column, place in zip(key, at, strict=True)}
        rows = await sql.rows(f"{select} {after} {order}", limit=_AT_ONCE, **last) if len(rows) == _AT_ONCE else []
