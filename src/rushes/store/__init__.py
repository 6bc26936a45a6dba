"""Rows: one SQL text on two engines, SQLite and PostgreSQL.

SQL is written once, in the files named for nouns, with ``:name`` parameters and four words that the engines spell
differently: ``$now`` (the database's clock, milliseconds), ``$skip_locked``, ``$along(index)`` after a table, which
SQLite has to be told and PostgreSQL finds by itself, and ``$numbered`` where rows come with numbers that the database
would give. Those files take whatever has
``rows``: the store itself for a read, a :class:`Transaction` inside a change.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, LiteralString, Protocol

from rushes.store.migrations import migrate

Row = tuple[Any, ...]

_FILE = "rushes.db"


class Rows(Protocol):
    """What runs SQL and gives all its rows."""

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        """Run one statement. A change says ``RETURNING`` where its row count matters."""


class Transaction(Rows, Protocol):
    """A change under way: committed when its block ends, rolled back when it raises."""

    now: int
    """The time of this transaction by the database's clock, in milliseconds since the epoch."""

    async def lock_schema(self) -> None:
        """Wait until no other process changes the schema."""

    async def lock(self, name: str) -> None:
        """Wait until no other change that does this is under way."""

    async def number_on(self, table: str, column: str) -> None:
        """Let the numbers that the database itself gives go on behind those that are there."""


class Store(Rows, Protocol):
    """An open database. ``rows`` on it is for reads of one statement."""

    engine: LiteralString
    clock_shift: int
    """Milliseconds added to the database's clock: how a test moves time."""

    async def column(self, sql: str, /, **params: object) -> list[Any]:
        """The values of a read of one column; none of them may be null."""

    async def columns(self) -> dict[str, list[str]]:
        """The columns of every table."""

    def version(self) -> int | None:
        """A number that is another one after any commit of any process; ``None`` where the engine has none at hand."""

    def seen(self) -> int | None:
        """The :meth:`version` that the last read met, without another look at the database."""

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """A change, all of it or nothing. SQLite runs one at a time; on PostgreSQL conditional updates decide races."""

    def snapshot(self) -> AbstractAsyncContextManager[Rows]:
        """Reads that may take longer than a page of the list, all of one moment and never on the event loop."""

    async def close(self) -> None:
        """Give back every connection."""


async def connect(data: Path, url: str | None = None, *, pool_size: int = 8, prepare: bool = True) -> Store:
    """Connect to the database at ``url`` (PostgreSQL), or to SQLite in the folder ``data``, as it is. PostgreSQL keeps
    up to ``pool_size`` connections, and statements prepared in them where ``prepare`` lets it.

    Raises:
        StartError: the folder cannot be written, or the driver's library is not one to trust data to.
        StoreUnavailable: the database does not answer.
    """
    if url is not None:
        from rushes.store.postgres import Postgres

        return await Postgres.connect(url, pool_size, prepare=prepare)
    from rushes.store.sqlite import Sqlite

    return Sqlite.connect(data / _FILE)


async def in_use(data: Path, url: str | None = None) -> bool:
    """Whether another program has the database open.

    Raises:
        StoreUnavailable: it does not answer.
    """
    if url is not None:
        from rushes.store.postgres import Postgres

        return await Postgres.in_use(url)
    from rushes.store.sqlite import Sqlite

    return Sqlite.in_use(data / _FILE)


def exists(data: Path) -> bool:
    """Whether there is a SQLite database in the folder ``data``."""
    return (data / _FILE).exists()


def copy(data: Path, to: Path, on_pages: Callable[[int, int], object]) -> None:
    """Write what the SQLite database in the folder ``data`` holds now into a new file, while it is in use.

    Raises:
        StoreUnavailable: there is no room for it; DamagedCopy: the database is damaged.
    """
    from rushes.store.sqlite import Sqlite

    Sqlite.copy(data / _FILE, to, on_pages)


async def open(  # noqa: A001
    data: Path, url: str | None = None, *, pool_size: int = 8, prepare: bool = True
) -> Store:
    """Connect and bring the schema up to date."""
    store = await connect(data, url, pool_size=pool_size, prepare=prepare)
    try:
        await migrate(store)
    except BaseException:  # whatever it was goes on up; the connection must not stay open behind it
        await store.close()
        raise
    return store


async def secret(store: Store, name: str) -> bytes:
    """The server's secret of that name, made on first use: the same for every process, for good."""
    async with store.write() as tx:
        await tx.rows(
            "INSERT INTO server (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING",
            name=name,
            value=secrets.token_hex(32),
        )
        [(value,)] = await tx.rows("SELECT value FROM server WHERE name = :name", name=name)
    return bytes.fromhex(value)
