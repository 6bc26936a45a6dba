"""PostgreSQL, through psycopg's pool: autocommit, explicit transactions, prepared statements."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any, Self

try:
    import psycopg
    from psycopg_pool import AsyncConnectionPool, PoolTimeout
except ImportError as error:  # pragma: no cover
    from rushes.errors import StartError

    raise StartError("PostgreSQL needs its driver: pip install 'rushes[postgres]'.") from error

from rushes.errors import Duplicate, StoreUnavailable
from rushes.store import Row

_NOW = "(CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) + {shift})"
_CONNECT_SECONDS = 10
# Whatever is searched for is found by keys: no statistics, or the lack of them, shall make a plan that reads all.
_SNAPSHOT = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off
"""
_OTHERS = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' LIMIT 1
"""
_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()
ORDER BY table_name, ordinal_position
"""
_SCHEMA_LOCK = 0x52757368  # "Rush"

Connection = psycopg.AsyncConnection[Row]


class Postgres:
    """A pool of connections to one database."""

    engine = "postgres"

    def __init__(self, pool: AsyncConnectionPool[Connection]) -> None:
        self.clock_shift = 0
        self._pool = pool

    @classmethod
    async def connect(cls, url: str, size: int) -> Self:
        """Open a pool of up to ``size`` connections."""
        pool = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=size,
            open=False,
            timeout=_CONNECT_SECONDS,
            kwargs={"autocommit": True, "connect_timeout": _CONNECT_SECONDS},
        )
        try:
            await pool.open(wait=True, timeout=_CONNECT_SECONDS)
        except PoolTimeout as error:
            await pool.close()
            raise StoreUnavailable(
                "The database of RUSHES_DATABASE_URL does not answer; check its address and that it is running."
            ) from error
        return cls(pool)

    @staticmethod
    async def in_use(url: str) -> bool:
        """Whether the server knows of anybody else in that database."""
        with _translated():
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=_CONNECT_SECONDS) as connection:
                return bool(await _rows(connection, _OTHERS, {}))

    async def columns(self) -> dict[str, list[str]]:
        """From PostgreSQL's own list."""
        found: dict[str, list[str]] = defaultdict(list)
        for table, column in await self.rows(_COLUMNS):
            found[table].append(column)
        return found

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        """Run one read on a connection of the pool."""
        with _translated():
            async with self._pool.connection() as connection:
                return await _rows(connection, _text(sql, self.clock_shift), params)

    async def column(self, sql: str, /, **params: object) -> list[Any]:
        """The values of a read of one column."""
        return [value for (value,) in await self.rows(sql, **params)]

    def version(self) -> int | None:
        """PostgreSQL would have to be asked over its connection."""
        return None

    def seen(self) -> int | None:
        """As little."""
        return None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[PostgresTransaction]:
        """A change. Each statement sees what was committed before it; conditional updates decide races."""
        with _translated():
            async with self._pool.connection() as connection, connection.transaction():
                [(now,)] = await _rows(connection, _text("SELECT $now", self.clock_shift), {})
                yield PostgresTransaction(connection, self.clock_shift, now)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresSnapshot]:
        """Reads of one moment on one connection."""
        with _translated():
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(_SNAPSHOT)
                yield PostgresSnapshot(connection, self.clock_shift)

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()


class PostgresSnapshot:
    """A connection inside ``BEGIN`` … ``COMMIT``."""

    def __init__(self, connection: Connection, shift: int) -> None:
        self._connection = connection
        self._shift = shift

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        """Run one statement."""
        with _translated():
            return await _rows(self._connection, _text(sql, self._shift), params)


class PostgresTransaction(PostgresSnapshot):
    """A change under way."""

    def __init__(self, connection: Connection, shift: int, now: int) -> None:
        super().__init__(connection, shift)
        self.now = now

    async def lock_schema(self) -> None:
        """Hold a lock of the database until the transaction ends."""
        await self.rows("SELECT pg_advisory_xact_lock(:key)", key=_SCHEMA_LOCK)

    async def number_on(self, table: str, column: str) -> None:
        """Set the sequence behind the column."""
        [(last,)] = await self.rows(f"SELECT max({column}) FROM {table}")  # noqa: S608  (names of our own)
        if last is not None:
            text = "SELECT setval(pg_get_serial_sequence(:table, :column), :last)"
            await self.rows(text, table=table, column=column, last=last)


async def _rows(connection: Connection, sql: str, params: dict[str, Any]) -> list[Row]:
    # Bytes, because the text is put together from our own constants: what comes from outside is always a parameter.
    cursor = await connection.execute(sql.encode(), params, prepare=True)
    return await cursor.fetchall() if cursor.description else []


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.IntegrityError as error:
        raise Duplicate(f"A row must be unique and is there already ({error}).") from error
    except (psycopg.OperationalError, PoolTimeout) as error:
        raise StoreUnavailable("The database does not answer; the request can be sent again.") from error


@lru_cache(maxsize=512)
def _text(sql: str, shift: int) -> str:
    text = sql.replace("$now", _NOW.format(shift=shift)).replace("$skip_locked", "FOR UPDATE SKIP LOCKED")
    text = text.replace("$numbered", "OVERRIDING SYSTEM VALUE")
    text = re.sub(r"\$along\(\w+\)", "", text)
    return re.sub(r":([a-z_]+[0-9]*)", r"%(\1)s", text.replace("%", "%%"))
