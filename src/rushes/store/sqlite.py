"""SQLite, through apsw: its wheel carries a current library, where the host's may hold the WAL-reset bug."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypeVar

import apsw

from rushes import metrics
from rushes.errors import DamagedCopy, Duplicate, StartError, StoreUnavailable
from rushes.store import Row

T = TypeVar("T")

# https://sqlite.org/wal.html#walresetbug: before this, two connections to one WAL file can lose commits.
_OLDEST = (3, 51, 3)
_BUSY_MS = 30_000
_MMAP_BYTES = 16 * 2**30
_CACHE_KIB = 64 * 1024
# Rows of about 1 KB in a clustered table: with 4,096 every one of them would spill into an overflow page.
_PAGE_BYTES = 8192
_COLUMNS = """
SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' ORDER BY tables.name, columns.cid
"""
_VERSION = "SELECT max(number), count(*) FROM migrations"
_COPIED_PAGES = 1024
_NOW = "(CAST(unixepoch('subsec') * 1000 AS INTEGER) + {shift})"


class Sqlite:
    """One file, and in each process a connection for reads, one for changes and one for searches.

    A page is read in a tenth of a millisecond, so reads run where they are called. A change waits for other
    processes at its beginning and for the disk at its end: those two run in a thread. A search runs in another.
    """

    engine = "sqlite"

    def __init__(self, reader: apsw.Connection, writer: apsw.Connection, searcher: apsw.Connection) -> None:
        self.clock_shift = 0
        self._reader = reader
        self._writer = writer
        self._searcher = searcher
        self._turn = asyncio.Lock()
        self._closed = False
        self._search_turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "sqlite")
        self._search_thread = ThreadPoolExecutor(1, "search")

    @classmethod
    def connect(cls, path: Path) -> Self:
        """Open the file, making it (and its folder) when it is not there."""
        _refuse_old_library()
        try:
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            writer = _connection(path)
            return cls(_connection(path, apsw.SQLITE_OPEN_NOMUTEX), writer, _connection(path))
        except (OSError, apsw.Error) as error:
            raise StartError(
                f"The database {path} cannot be opened ({error}); check that the folder exists and can be written."
            ) from error

    @staticmethod
    def in_use(path: Path) -> bool:
        """Whether anybody has the file open: one who asks for it alone does not get it then."""
        with closing(apsw.Connection(str(path), apsw.SQLITE_OPEN_READWRITE)) as connection:
            try:
                for statement in ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "ROLLBACK"):
                    connection.execute(statement).fetchall()
            except apsw.BusyError:
                return True
            return False

    @staticmethod
    def copy(path: Path, to: Path, on_pages: Callable[[int, int], object]) -> None:
        """Write what is committed now into a new file, checked and safe, while others read and write; ``on_pages`` is
        told how many pages are copied, and of how many.

        Raises:
            StoreUnavailable: there is no room for it; DamagedCopy: what was read is damaged.
        """
        with _translated_copy(), closing(apsw.Connection(str(path), apsw.SQLITE_OPEN_READWRITE)) as source:
            source.set_busy_timeout(_BUSY_MS)
            # One moment to its end: without it, each commit of another process would have the copy begin anew.
            source.execute("BEGIN")
            version = source.execute(_VERSION).fetchall()
            with closing(apsw.Connection(str(to))) as target:
                target.execute("PRAGMA synchronous = OFF")  # it is synced as a whole
                with target.backup("main", source, "main") as copying:
                    while not copying.done:
                        copying.step(_COPIED_PAGES)
                        on_pages(copying.page_count - copying.remaining, copying.page_count)
                target.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file, without its log
                _check_copy(target, version)

    async def columns(self) -> dict[str, list[str]]:
        """From SQLite's own list."""
        found: dict[str, list[str]] = defaultdict(list)
        for table, column in await self.rows(_COLUMNS):
            found[table].append(column)
        return found

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        """Run one read, here and now."""
        return _rows(self._reader, _text(sql, self.clock_shift), params)

    async def column(self, sql: str, /, **params: object) -> list[Any]:
        """The values of a read of one column, here and now: a page without a tuple around each item."""
        return _rows(self._reader, _text(sql, self.clock_shift), params, _column)

    def version(self) -> int | None:
        """SQLite's own count of what others have committed; the reader itself commits nothing."""
        version: int = _rows(self._reader, "PRAGMA data_version", {})[0][0]
        return version

    def seen(self) -> int | None:
        """The same count as of the reader's last transaction: no transaction, no statement."""
        return self._reader.data_version()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqliteTransaction]:
        """A change; one at a time in this process, and by ``BEGIN IMMEDIATE`` among all."""
        async with self._turn:
            if self._closed:
                raise StoreUnavailable("The server is stopping.")
            await self._begin()
            try:
                yield SqliteTransaction(self._writer, self.clock_shift)
            except BaseException:  # also when the caller is cancelled: half a change is no change
                await self._off_loop(self._roll_back)
                raise
            await self._off_loop(self._commit)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SqliteSnapshot]:
        """Reads in a thread of their own; one search at a time in this process."""
        async with self._search_turn:
            snapshot = SqliteSnapshot(self._searcher, self.clock_shift, self._search_thread)
            try:
                await snapshot.rows("BEGIN")
                yield snapshot
            finally:
                await snapshot.end()

    async def close(self) -> None:
        """Close the connections; the last process to do so leaves the file without its log."""
        async with self._turn:  # a change under way ends first
            self._closed = True
            await self._off_loop(self._writer.close)
        await _off_loop(self._search_thread, self._searcher.close)
        self._reader.close()
        self._thread.shutdown()
        self._search_thread.shutdown()

    async def _begin(self) -> None:
        try:
            await self._off_loop(lambda: _rows(self._writer, "BEGIN IMMEDIATE", {}))
        except asyncio.CancelledError:
            await self._off_loop(self._roll_back)
            raise

    def _commit(self) -> None:
        try:
            _rows(self._writer, "COMMIT", {})
        except StoreUnavailable:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # Some failures (a full disk) have already rolled back by themselves.
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    async def _off_loop(self, function: Callable[[], T]) -> T:
        return await _off_loop(self._thread, function)


class SqliteSnapshot:
    """A connection inside ``BEGIN`` … ``COMMIT``, used in its own thread alone."""

    def __init__(self, connection: apsw.Connection, shift: int, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._shift = shift
        self._thread = thread

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        """Run one read in the thread."""
        return await _off_loop(self._thread, lambda: _rows(self._connection, _text(sql, self._shift), params))

    async def end(self) -> None:
        """Let the moment go."""
        await _off_loop(self._thread, self._end)

    def _end(self) -> None:
        # Whoever was cancelled while it began may not have begun.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


class SqliteTransaction:
    """The write connection between ``BEGIN`` and ``COMMIT``."""

    def __init__(self, connection: apsw.Connection, shift: int) -> None:
        self._connection = connection
        self._shift = shift
        self.now: int = _rows(connection, _text("SELECT $now", shift), {})[0][0]

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        """Run one statement of the change."""
        return _rows(self._connection, _text(sql, self._shift), params)

    async def lock_schema(self) -> None:
        """``BEGIN IMMEDIATE`` has done that already."""

    async def lock(self, name: str) -> None:
        """There is only one change at a time."""

    async def number_on(self, table: str, column: str) -> None:
        """SQLite does by itself."""


async def _off_loop(thread: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    # The thread cannot be stopped half-way: a cancelled caller still waits, so that the connection's state is
    # known to the next one.
    future = asyncio.get_running_loop().run_in_executor(thread, function)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()
        raise


def _rows(
    connection: apsw.Connection,
    sql: str,
    params: dict[str, Any],
    fetch: Callable[[apsw.Cursor], list[Any]] = apsw.Cursor.fetchall,
) -> list[Any]:
    try:
        return fetch(connection.execute(sql, params))
    except apsw.ConstraintError as error:
        raise Duplicate(f"A row must be unique and is there already ({error}).") from error
    except apsw.FullError as error:
        metrics.unavailable("database")
        raise StoreUnavailable("The disk that holds the database is full; make room.") from error
    except apsw.ConnectionClosedError as error:
        raise StoreUnavailable("The server is stopping.") from error
    except (apsw.BusyError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
        metrics.unavailable("database")
        raise StoreUnavailable(f"The database cannot be used now ({error}); check its disk and folder.") from error


@contextmanager
def _translated_copy() -> Iterator[None]:
    try:
        yield
    except apsw.FullError as error:
        raise StoreUnavailable("The disk of the backup is full; make room, or name another folder.") from error
    except apsw.CorruptError as error:
        raise DamagedCopy(f"The database is damaged ({error}); restore an earlier backup.") from error
    except (apsw.BusyError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
        raise StoreUnavailable(f"The backup cannot be written ({error}); check its disk and folder.") from error


def _check_copy(copy: apsw.Connection, version: list[Row]) -> None:
    found = copy.execute("PRAGMA integrity_check(1)").fetchall()
    if found != [("ok",)]:
        where = str(found[0][0]).splitlines()[-1]
        raise DamagedCopy(f"The database is damaged ({where}); restore an earlier backup.")
    if copy.execute(_VERSION).fetchall() != version:
        raise DamagedCopy("The copy came out otherwise than the database is; give the command again.")


def _column(cursor: apsw.Cursor) -> list[Any]:
    # apsw gives no row as None, and the value of a single one as itself.
    found = cursor.get
    if isinstance(found, list):
        return found
    return [] if found is None else [found]


@lru_cache(maxsize=512)
def _text(sql: str, shift: int) -> str:
    text = sql.replace("$now", _NOW.format(shift=shift)).replace("$skip_locked", "").replace("$numbered", "")
    # Without statistics it would rather walk the whole clustered table than look each row up from another index.
    return re.sub(r"\$along\((\w+)\)", r"INDEXED BY \1", text)


def _connection(path: Path, mutex: int = apsw.SQLITE_OPEN_FULLMUTEX) -> apsw.Connection:
    # The reader is used by the event loop's thread alone: no lock is needed around each row.
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | mutex
    connection = apsw.Connection(str(path), flags, statementcachesize=256)
    connection.set_busy_timeout(_BUSY_MS)
    # A plan never depends on the values bound: without this SQLite makes it anew for each set of them.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    for pragma in (
        f"page_size = {_PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"mmap_size = {_MMAP_BYTES}",
        f"cache_size = -{_CACHE_KIB}",
        "foreign_keys = ON",
        "temp_store = MEMORY",
    ):
        _insist(connection, f"PRAGMA {pragma}")
    return connection


def _insist(connection: apsw.Connection, sql: str) -> None:
    # To make a new file a WAL file SQLite needs it alone, and does not wait for that by itself.
    end = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute(sql).fetchall()
        except apsw.BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _refuse_old_library() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < _OLDEST:
        raise StartError(
            f"SQLite {apsw.sqlite_lib_version()} can lose commits in WAL mode; install apsw from its wheel, "
            f"which carries {'.'.join(map(str, _OLDEST))} or newer."
        )
