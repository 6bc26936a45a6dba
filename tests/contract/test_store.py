"""The database: all or nothing, seen at once, opened by many, on both engines alike."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from rushes import ids, store
from rushes.errors import Duplicate, StartError, StoreTooNew, StoreUnavailable
from rushes.store import Store, accounts
from rushes.store.migrations import migrate, migrations
from tests.conftest import free_port
from tests.contract import programs
from tests.contract.samples import new_account

pytestmark = pytest.mark.anyio


async def names(opened: Store) -> set[str]:
    return {row[0] for row in await opened.rows("SELECT name FROM accounts")}


async def add(opened: Store, name: str) -> None:
    async with opened.write() as tx:
        await accounts.named(tx, name)


# All or nothing


async def test_a_change_that_raises_leaves_nothing(database: Store) -> None:
    async def fail() -> None:
        async with database.write() as tx:
            account = await accounts.named(tx, "half")
            await accounts.add_key(tx, account, ids.key(), "")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await names(database) == set()
    await add(database, "next")
    assert await names(database) == {"next"}


async def test_a_statement_that_fails_takes_its_change_along(database: Store) -> None:
    async def fail() -> None:
        async with database.write() as tx:
            await accounts.named(tx, "half")
            for _ in range(2):
                await tx.rows("INSERT INTO server (name, value) VALUES ('a', 'b')")

    with pytest.raises(Duplicate):
        await fail()
    assert await names(database) == set()
    await add(database, "next")
    assert await names(database) == {"next"}


async def test_a_change_sees_itself_and_nobody_else_does(database: Store) -> None:
    async with database.write() as tx:
        await accounts.named(tx, "new")
        assert await tx.rows("SELECT name FROM accounts") == [("new",)]
        assert await names(database) == set()
    assert await names(database) == {"new"}


async def test_a_change_has_one_time(database: Store) -> None:
    async with database.write() as tx:
        first = await accounts.named(tx, "a")
        other = await accounts.named(tx, "b")
        times = await tx.rows("SELECT created FROM accounts")
    assert first != other
    assert times == [(tx.now,), (tx.now,)]


async def test_a_task_cancelled_inside_its_change_leaves_nothing(database: Store) -> None:
    inside = asyncio.Event()

    async def change() -> None:
        async with database.write() as tx:
            await accounts.named(tx, "half")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(change())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names(database) == set()
    await add(database, "next")
    assert await names(database) == {"next"}


async def test_tasks_cancelled_while_they_wait_leave_nothing(database: Store) -> None:
    async with database.write() as tx:
        await accounts.named(tx, "first")
        tasks = [asyncio.create_task(add(database, "first")) for _ in range(20)]
        for _ in range(50):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        outcome = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in outcome} == {asyncio.CancelledError}
    await add(database, "next")
    assert await names(database) == {"first", "next"}


async def test_a_task_cancelled_while_it_waits_for_another_process_leaves_nothing(
    database: Store, tmp_path: Path, database_url: str | None
) -> None:
    other = await store.open(tmp_path, database_url)
    async with database.write() as tx:
        await accounts.named(tx, "taken")
        waiting = asyncio.create_task(add(other, "taken"))
        for _ in range(1000):
            await asyncio.sleep(0)
        waiting.cancel()
    assert [type(end) for end in await asyncio.gather(waiting, return_exceptions=True)] == [asyncio.CancelledError]
    await add(other, "next")
    await other.close()
    assert await names(database) == {"taken", "next"}


async def test_a_cancellation_at_any_moment_leaves_the_store_usable(database: Store) -> None:
    cancelled = set()
    for ticks in range(60):
        task = asyncio.create_task(add(database, f"at {ticks}"))
        for _ in range(ticks % 30 if ticks < 30 else ticks * 20):
            await asyncio.sleep(0)
        task.cancel()
        [end] = await asyncio.gather(task, return_exceptions=True)
        assert end is None or isinstance(end, asyncio.CancelledError)
        cancelled.add(end is not None)
        await add(database, f"after {ticks}")
    assert True in cancelled
    assert {f"after {ticks}" for ticks in range(60)} <= await names(database)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_killed_process_leaves_nothing_half_done(
    database: Store, tmp_path: Path, database_url: str | None, times: int
) -> None:
    for _ in range(times):
        process = programs.start("half", str(tmp_path), database_url or "")
        try:
            programs.go(process)
            assert programs.said(process) == "changed"
            assert await names(database) == set()
        finally:
            programs.end(process)
    await add(database, "half")
    rows = await database.rows("SELECT name, revision FROM accounts")
    assert rows == [("half", 0)]


# Many at once


async def test_what_one_commits_the_others_see_at_once(
    database: Store, tmp_path: Path, database_url: str | None
) -> None:
    others = [await store.open(tmp_path, database_url) for _ in range(2)]
    for number in range(20):
        await add((database, *others)[number % 3], str(number))
        for reader in (database, *others):
            assert str(number) in await names(reader)
    for other in others:
        await other.close()


async def test_no_change_is_lost_among_many_writers(database: Store, tmp_path: Path, database_url: str | None) -> None:
    account_id = await new_account(database)
    others = [await store.open(tmp_path, database_url) for _ in range(3)]

    async def count(opened: Store) -> None:
        for _ in range(10):
            async with opened.write() as tx:
                await accounts.changed(tx, account_id)

    await asyncio.gather(*(count(opened) for opened in (database, *others) for _ in range(3)))
    for other in others:
        await other.close()
    assert await database.rows("SELECT revision FROM accounts") == [(120,)]


async def test_the_same_name_asked_for_at_once_is_one_account(
    database: Store, tmp_path: Path, database_url: str | None
) -> None:
    other = await store.open(tmp_path, database_url)

    async def named(opened: Store) -> str:
        async with opened.write() as tx:
            return (await accounts.named(tx, "same")).id

    found = await asyncio.gather(*(named(opened) for opened in (database, other) for _ in range(5)))
    await other.close()
    assert len(set(found)) == 1


# Opening


@pytest.mark.timeout(90)
async def test_processes_that_open_an_empty_database_at_once_make_it_once(
    tmp_path: Path, database_url: str | None
) -> None:
    crowd = [programs.start("open", str(tmp_path / "new"), database_url or "") for _ in range(8)]
    try:
        for process in crowd:
            programs.go(process)
        told = [json.loads(programs.said(process)) for process in crowd]
    finally:
        for process in crowd:
            programs.end(process)
    engine = "postgres" if database_url else "sqlite"
    assert sorted(map(len, (each["applied"] for each in told)))[:7] == [0] * 7
    assert [name for each in told for name in each["applied"]] == [each.name for each in migrations(engine)]
    assert len({each["secret"] for each in told}) == 1


async def test_a_database_is_brought_up_to_date_once(tmp_path: Path, database_url: str | None) -> None:
    opened = await store.connect(tmp_path, database_url)
    known = [migration.name for migration in migrations(opened.engine)]
    assert [await migrate(opened) for _ in range(3)] == [known, [], []]
    assert await opened.rows("SELECT name FROM migrations ORDER BY number") == [(name,) for name in known]
    await opened.close()


async def test_tasks_that_migrate_at_once_do_it_once(tmp_path: Path, database_url: str | None) -> None:
    stores = [await store.connect(tmp_path, database_url) for _ in range(4)]
    applied = await asyncio.gather(*(migrate(opened) for opened in stores))
    for opened in stores:
        await opened.close()
    assert sorted(map(len, applied))[:3] == [0, 0, 0]


async def test_a_database_of_a_newer_rushes_that_only_added_to_it_is_shared(
    database: Store, tmp_path: Path, database_url: str | None
) -> None:
    await of_a_newer_release(database, serves=list(migrations(database.engine))[-1].number)
    other = await store.open(tmp_path, database_url)
    await other.close()


async def of_a_newer_release(database: Store, serves: int) -> None:
    """As one leaves it that has a migration more, and can be shared with a release that knows so many."""
    async with database.write() as tx:
        await tx.rows(
            "INSERT INTO migrations (number, name, applied, serves) VALUES (9999, 'later', 0, :serves)", serves=serves
        )


async def test_a_database_of_a_newer_rushes_is_left_alone(
    database: Store, tmp_path: Path, database_url: str | None
) -> None:
    await of_a_newer_release(database, serves=9999)
    with pytest.raises(StoreTooNew, match="9999") as caught:
        await store.open(tmp_path, database_url)
    assert "newer Rushes" in caught.value.sentence
    assert (9999,) in await database.rows("SELECT number FROM migrations")


async def test_a_secret_is_made_once_and_kept(database: Store, tmp_path: Path, database_url: str | None) -> None:
    other = await store.open(tmp_path, database_url)
    raced = await asyncio.gather(*(store.secret(opened, "a") for opened in (database, other) for _ in range(5)))
    assert len(set(raced)) == 1
    assert len(raced[0]) == 32
    assert await store.secret(database, "b") != raced[0]
    await other.close()


async def test_the_clock_can_be_moved(database: Store) -> None:
    async with database.write() as tx:
        before = tx.now
    database.clock_shift = 86_400_000
    async with database.write() as tx:
        assert 86_400_000 <= tx.now - before < 86_460_000
        assert await tx.rows("SELECT $now - :now < 60000", now=tx.now) in ([(1,)], [(True,)])
    [(now,)] = await database.rows("SELECT $now")
    assert now >= tx.now


# Both engines alike

COLUMNS = {
    "sqlite": """
        SELECT tables.name, columns.name, lower(columns.type), columns."notnull" OR columns.pk > 0
        FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
        WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite%' ORDER BY tables.name, columns.cid
    """,
    "postgres": """
        SELECT table_name, column_name, data_type, is_nullable = 'NO'
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
    """,
}
SAME = {"integer": "bigint", "blob": "bytea"}
"""What SQLite calls PostgreSQL's types."""

UNIQUE = {
    "sqlite": """
        SELECT tables.name, group_concat(columns.name) FROM sqlite_master AS tables,
            pragma_index_list(tables.name) AS indexes, pragma_index_info(indexes.name) AS columns
        WHERE tables.type = 'table' AND indexes."unique" = 1 GROUP BY indexes.name
    """,
    "postgres": """
        SELECT indrelid::regclass::text, string_agg(attname, ',' ORDER BY attnum)
        FROM pg_index JOIN pg_attribute ON attrelid = indexrelid
        WHERE indisunique AND indrelid::regclass::text !~ '[.]|^pg_' GROUP BY indexrelid, indrelid
    """,
}


async def test_both_engines_have_the_same_tables_and_columns(tmp_path: Path, new_database: Callable[[], str]) -> None:
    shapes = {}
    for engine, url in (("sqlite", None), ("postgres", new_database())):
        opened = await store.open(tmp_path, url)
        assert opened.engine == engine
        rows = await opened.rows(COLUMNS[engine])
        shapes[engine] = [(*row[:2], SAME.get(row[2], row[2]), bool(row[3])) for row in rows]
        await opened.close()
    assert shapes["sqlite"] == shapes["postgres"]
    assert {"accounts", "jobs", "videos", "drafts", "keys"} <= {row[0] for row in shapes["sqlite"]}


async def test_both_engines_keep_the_same_things_unique(tmp_path: Path, new_database: Callable[[], str]) -> None:
    url = new_database()
    for address in (None, url):
        await (await store.open(tmp_path, address)).close()
    async with await psycopg.AsyncConnection.connect(url) as connection:
        postgres = await (await connection.execute(UNIQUE["postgres"].encode())).fetchall()
    sqlite_store = await store.open(tmp_path)
    sqlite = await sqlite_store.rows(UNIQUE["sqlite"])
    await sqlite_store.close()
    # SQLite's name for a plain integer key is the row itself: it has no index to list.
    assert set(sqlite) | {("migrations", "number")} == set(postgres) | {("migrations", "number")}


# What cannot be used


async def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/rushes")):
        with pytest.raises(StartError, match=re.escape(str(folder))) as caught:
            await store.open(folder)
        assert "\n" not in caught.value.sentence


async def test_a_file_that_is_no_database_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "rushes.db").write_bytes(b"not a database at all, " * 1000)
    with pytest.raises(StartError, match=r"rushes\.db"):
        await store.open(tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_postgres_that_does_not_answer_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="RUSHES_DATABASE_URL") as caught:
        await store.open(tmp_path, f"postgresql://rushes:hunter2@127.0.0.1:{free_port()}/rushes")
    assert caught.value.retryable
    assert "hunter2" not in caught.value.sentence
