"""PostgreSQL, through psycopg's pool: autocommit, explicit transactions, prepared statements."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import lru_cache
from typing import Any, Self
from zlib import crc32

try:
    import psycopg
    from psycopg_pool import AsyncConnectionPool, PoolTimeout
except ImportError as error:  # pragma: no cover
    from rushes.errors import StartError

    raise StartError("PostgreSQL needs its driver: pip install 'rushes[postgres]'.") from error

from rushes import metrics
from rushes.errors import Duplicate, StoreUnavailable
from rushes.store import Row

_NOW = "(CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT) + {shift})"
_CONNECT_SECONDS = 10.0
_MIGRATION_SECONDS = 24 * 3600.0
_RECONNECT_SECONDS = 2.0
_WAIT_SECONDS = 5.0
"""How long whoever needs a connection waits for one."""
_STATEMENT_SECONDS = 30.0
"""What one statement may take, by our clock and, in a change, by the server's."""
_CONNECTION: dict[str, Any] = {
    "application_name": "rushes",
    "connect_timeout": 10,
    # A host that has gone says nothing: what was sent and not acknowledged for so long ends the connection.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}
# Said with the first statement of each change, so that it holds behind a pooler too: a process that is frozen in the
# middle of one does not keep its locks.
_BEGIN = """
SELECT $now, set_config('statement_timeout', '30s', true),
    set_config('idle_in_transaction_session_timeout', '60s', true)
"""
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
_SCHEMA_LOCK = _LOCKS = 0x52757368  # "Rush"

Connection = psycopg.AsyncConnection[Row]


class Postgres:
    """A pool of connections to one database."""

    engine = "postgres"

    def __init__(self, pool: AsyncConnectionPool[Connection], *, prepare: bool) -> None:
        self.clock_shift = 0
        self._pool = pool
        self._prepare = prepare

    @classmethod
    async def connect(cls, url: str, size: int, *, prepare: bool = True, seconds: float = _CONNECT_SECONDS) -> Self:
        """Open a pool of up to ``size`` connections. Without ``prepare`` no statement outlives its transaction: so it
        has to be where a pooler hands out connections by the transaction.
        """
        pool = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=size,
            open=False,
            timeout=min(seconds, _WAIT_SECONDS),
            # It gives up soon and begins again with the next request: what waits longer and longer between its tries
            # would still be waiting when the server is back.
            reconnect_timeout=_RECONNECT_SECONDS,
            kwargs={"autocommit": True, **({} if prepare else {"prepare_threshold": None}), **_CONNECTION},
        )
        try:
            await pool.open(wait=True, timeout=seconds)
        except PoolTimeout as error:
            await pool.close()
            raise StoreUnavailable(
                "The database of RUSHES_DATABASE_URL does not answer; check its address and that it is running."
            ) from error
        return cls(pool, prepare=prepare)

    @staticmethod
    async def in_use(url: str) -> bool:
        """Whether the server knows of anybody else in that database."""
        with _translated():
            async with await psycopg.AsyncConnection.connect(url, **_CONNECTION) as connection:
                return bool(await _rows(connection, _OTHERS, {}, prepare=False))

    async def columns(self) -> dict[str, list[str]]:
        """From PostgreSQL's own list."""
        found: dict[str, list[str]] = defaultdict(list)
        for table, column in await self.rows(_COLUMNS):
            found[table].append(column)
        return found

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        """Run one read on a connection of the pool; on another, if that one had been cut off meanwhile."""
        text = _text(sql, self.clock_shift)
        with _translated():
            try:
                return await self._read(text, params)
            except _Stale:
                await self._pool.check()
                return await self._read(text, params)

    async def _read(self, text: str, params: dict[str, Any]) -> list[Row]:
        async with self._pool.connection() as connection:
            with _noticed(connection):
                return await _rows(connection, text, params, prepare=self._prepare)

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
            try:
                ends, transaction = await self._begin()
            except _Stale:
                await self._pool.check()
                ends, transaction = await self._begin()
            try:
                yield transaction
            except BaseException:  # also when the caller is cancelled: half a change is no change
                with _limited(transaction.connection, _STATEMENT_SECONDS):
                    await ends.__aexit__(*sys.exc_info())
                raise
            with _limited(transaction.connection, _STATEMENT_SECONDS):
                await ends.aclose()

    async def _begin(self) -> tuple[AsyncExitStack, PostgresTransaction]:
        async with AsyncExitStack() as ends:
            connection = await ends.enter_async_context(self._pool.connection())
            with _noticed(connection):
                with _limited(connection, _STATEMENT_SECONDS):
                    await ends.enter_async_context(connection.transaction())
                text = _text(_BEGIN, self.clock_shift)
                [(now, *_)] = await _rows(connection, text, {}, prepare=self._prepare)
            return ends.pop_all(), PostgresTransaction(connection, self.clock_shift, now, prepare=self._prepare)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresSnapshot]:
        """Reads of one moment on one connection."""
        with _translated():
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(_SNAPSHOT)
                yield PostgresSnapshot(connection, self.clock_shift, prepare=self._prepare)

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()


class PostgresSnapshot:
    """A connection inside ``BEGIN`` … ``COMMIT``."""

    seconds = _STATEMENT_SECONDS
    """What one statement may take."""

    def __init__(self, connection: Connection, shift: int, *, prepare: bool) -> None:
        self.connection = connection
        self._shift = shift
        self._prepare = prepare

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        """Run one statement."""
        with _translated():
            text = _text(sql, self._shift)
            return await _rows(self.connection, text, params, prepare=self._prepare, seconds=self.seconds)


class PostgresTransaction(PostgresSnapshot):
    """A change under way."""

    def __init__(self, connection: Connection, shift: int, now: int, *, prepare: bool) -> None:
        super().__init__(connection, shift, prepare=prepare)
        self.now = now

    async def lock_schema(self) -> None:
        """Hold a lock of the database until the transaction ends, however long its statements take."""
        self.seconds = _MIGRATION_SECONDS
        await self.rows("SELECT set_config('statement_timeout', '0', true)")
        await self.rows("SELECT pg_advisory_xact_lock(:key)", key=_SCHEMA_LOCK)

    async def lock(self, name: str) -> None:
        """Hold a lock of the database until the transaction ends."""
        await self.rows("SELECT pg_advisory_xact_lock(:key, :word)", key=_LOCKS, word=crc32(name.encode()) >> 1)

    async def number_on(self, table: str, column: str) -> None:
        """Set the sequence behind the column."""
        [(last,)] = await self.rows(f"SELECT max({column}) FROM {table}")  # noqa: S608  (names of our own)
        if last is not None:
            text = "SELECT setval(pg_get_serial_sequence(:table, :column), :last)"
            await self.rows(text, table=table, column=column, last=last)


async def _rows(
    connection: Connection, sql: str, params: dict[str, Any], *, prepare: bool, seconds: float = _STATEMENT_SECONDS
) -> list[Row]:
    # Bytes, because the text is put together from our own constants: what comes from outside is always a parameter.
    with _limited(connection, seconds):
        cursor = await connection.execute(sql.encode(), params, prepare=prepare)
        return await cursor.fetchall() if cursor.description else []


@contextmanager
def _limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Cut the connection off when its server says nothing for so long: to cancel the wait would only ask that same
    server to cancel the statement, and wait on.
    """
    over = False

    def cut_off() -> None:
        nonlocal over
        over = True
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as same:
            same.shutdown(socket.SHUT_RDWR)

    timer = asyncio.get_running_loop().call_later(seconds, cut_off)
    try:
        yield
    except psycopg.OperationalError as error:
        if over:
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()


class _Stale(Exception):
    """A connection of the pool had been cut off before it was asked anything: nothing has happened."""


@contextmanager
def _noticed(connection: Connection) -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        if connection.broken:
            raise _Stale from error
        raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.IntegrityError as error:
        raise Duplicate(f"A row must be unique and is there already ({error}).") from error
    except (psycopg.OperationalError, PoolTimeout, TimeoutError, _Stale) as error:
        metrics.unavailable("database")
        raise StoreUnavailable("The database does not answer; the request can be sent again.") from error


@lru_cache(maxsize=512)
def _text(sql: str, shift: int) -> str:
    text = sql.replace("$now", _NOW.format(shift=shift)).replace("$skip_locked", "FOR UPDATE SKIP LOCKED")
    text = text.replace("$numbered", "OVERRIDING SYSTEM VALUE")
    text = re.sub(r"\$along\(\w+\)", "", text)
    return re.sub(r":([a-z_]+[0-9]*)", r"%(\1)s", text.replace("%", "%%"))
