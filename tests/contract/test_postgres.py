"""PostgreSQL that is restarted, cut off, frozen, followed by a copy, or behind a pooler: real servers, of our own."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import psycopg
import pytest

from rushes import config, ids, store
from rushes.errors import BadSetting, StoreUnavailable
from rushes.model import Account
from rushes.store import Rows, Store, accounts
from rushes.store import postgres as engine
from rushes.store.library import VIDEOS
from rushes.studio import Studio
from tests.api.takes import VIDEOS as PATH
from tests.api.takes import completed, submit
from tests.conftest import Server, free_port, serving, wait_until
from tests.contract.samples import REQUEST, submitted, video
from tests.servers import postgres
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import Postgres
from tests.transfer.libraries import entered

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")]


@pytest.fixture
def folder() -> Iterator[Path]:
    with postgres.folder() as made:
        yield made


@pytest.fixture
def primary(folder: Path) -> Iterator[Postgres]:
    server = Postgres(folder)
    server.create()
    yield server
    server.stop(signal.SIGQUIT)


@pytest.fixture
def replica(folder: Path, primary: Postgres) -> Iterator[Postgres]:
    server = Postgres(folder)
    server.follow(primary)
    yield server
    server.stop(signal.SIGQUIT)


@asynccontextmanager
async def opened_at(folder: Path, url: str, pool_size: int) -> AsyncIterator[Store]:
    opened = await store.open(folder, url, pool_size=pool_size)
    try:
        yield opened
    finally:
        await opened.close()


async def add(opened: Store, name: str) -> None:
    async with opened.write() as tx:
        await accounts.named(tx, name)


async def names(opened: Rows) -> list[str]:
    return [name for (name,) in await opened.rows("SELECT name FROM accounts ORDER BY name")]


# --- it goes, and comes again ---


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
async def test_after_a_restart_nobody_meets_a_connection_of_before(
    tmp_path: Path, primary: Postgres, how: signal.Signals
) -> None:
    async with opened_at(tmp_path, primary.database(), 4) as opened:
        await asyncio.gather(*(opened.rows("SELECT pg_sleep(0.1)") for _ in range(4)))
        await add(opened, "before")
        primary.stop(how)
        primary.start()
        await asyncio.gather(*(add(opened, f"after {n}") for n in range(8)))
        assert len(await names(opened)) == 9


async def test_while_it_is_away_that_is_told_within_seconds(tmp_path: Path, primary: Postgres) -> None:
    async with opened_at(tmp_path, primary.database(), 2) as opened:
        await add(opened, "before")
        primary.stop(signal.SIGQUIT)
        for attempt in (lambda: names(opened), lambda: add(opened, "lost")):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await attempt()
            assert time.monotonic() - began < 15
        primary.start()
        await add(opened, "after")
        assert await names(opened) == ["after", "before"]


async def test_a_server_that_says_nothing_is_not_waited_for_without_end(
    tmp_path: Path, primary: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_at(tmp_path, primary.database(), 3) as opened:
        await add(opened, "before")
        monkeypatch.setattr(engine, "_STATEMENT_SECONDS", 0.5)
        monkeypatch.setattr(engine.PostgresSnapshot, "seconds", 0.5)
        monkeypatch.setattr(engine._rows, "__kwdefaults__", {"seconds": 0.5})
        with suppress(StoreUnavailable):  # also what it comes to in the end
            async with opened.write() as tx:
                await tx.rows("SELECT 1")
                primary.freeze()
                try:
                    for attempt in (lambda: tx.rows("SELECT 2"), lambda: names(opened), lambda: add(opened, "lost")):
                        began = time.monotonic()
                        with pytest.raises(StoreUnavailable):
                            await attempt()
                        assert time.monotonic() - began < 8
                finally:
                    primary.thaw()
                with pytest.raises(StoreUnavailable):
                    await tx.rows("SELECT 3")
        monkeypatch.undo()
        assert await names(opened) == ["before"]


async def test_a_statement_has_its_time_and_a_migration_as_much_as_it_needs(database: Store) -> None:
    if database.engine != "postgres":
        return
    setting = "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
    async with database.write() as tx:
        assert await tx.rows(setting) == [("30s", "1min")]
        await tx.lock_schema()
        assert (await tx.rows(setting))[0][0] == "0"
    async with database.write() as tx:
        assert await tx.rows(setting) == [("30s", "1min")]
    assert await database.rows(setting) == [("0", "0")], "what a change says holds for that change alone"
    async with database.write() as tx:
        await tx.rows("SELECT set_config('statement_timeout', '50ms', true)")
        with pytest.raises(StoreUnavailable):
            await tx.rows("SELECT pg_sleep(20)")


@pytest.fixture
def served(tmp_path: Path, primary: Postgres) -> Iterator[Server]:
    with serving(tmp_path / "data", primary.database()) as server:
        yield server


def test_the_api_says_503_and_when_while_its_database_is_away_and_goes_on_afterwards(
    served: Server, primary: Postgres
) -> None:
    with served.client() as api:
        completed(api, submit(api, "before"))
        running = submit(api, "meanwhile [sandbox: slow 3s]")
        primary.stop(signal.SIGQUIT)
        try:
            for method, path in (("GET", PATH), ("POST", PATH)):
                began = time.monotonic()
                answer = api.request(method, path, json={"prompt": "lost"} if method == "POST" else None)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
                assert time.monotonic() - began < 12
            ready = httpx2.get(f"{served.url}/readyz")
            assert (ready.status_code, ready.json()["storage"]) == (503, "ok")
            assert ready.json()["database"] != "ok"
            assert ready.elapsed.total_seconds() < 4
            assert httpx2.get(f"{served.url}/healthz").status_code == 200
        finally:
            primary.start()
        wait_until(lambda: api.get(PATH).status_code == 200, 10, "an answer")
        completed(api, running)
        assert [item["prompt"] for item in api.get(PATH).json()["items"]][1:] == ["before"]


# --- an idle worker ---


async def test_a_new_job_begins_within_a_tenth_of_a_second(served: Server) -> None:
    """ "submit → start within 100 ms when idle", as it is told by the database's own clock."""
    async with Studio.open(config.load(data=served.data, database_url=served.database_url)) as studio:
        async with studio.store.write() as tx:
            owner = (await accounts.named(tx, ids.uuid())).id
        waits = []
        for _ in range(15):
            job = await submitted(studio, owner, REQUEST, "http://a.example")
            held = None
            while held is None:
                [(held, now)] = await studio.store.rows("SELECT owner, $now FROM jobs WHERE id = :id", id=job.id)
                await asyncio.sleep(0.002)
            waits.append(now - job.created)
            await studio.cancel_job(owner, job.id)
            await asyncio.sleep(0.3)
    assert sorted(waits)[len(waits) // 2] < 100, waits


# --- a copy that follows ---


@pytest.fixture
async def studio(tmp_path: Path, primary: Postgres, replica: Postgres) -> AsyncIterator[Studio]:
    url = primary.database()
    settings = config.load(data=tmp_path, database_url=url, database_read_url=replica.url(url.rpartition("/")[2]))
    async with Studio.open(settings) as opened:
        yield opened


async def new_account(studio: Studio) -> Account:
    async with studio.store.write() as tx:
        return await accounts.named(tx, ids.uuid())


async def as_it_is(studio: Studio, account: Account) -> Account:
    async with studio.store.write() as tx:
        return await accounts.named(tx, account.name)


async def where(studio: Studio, account: Account) -> str:
    """Which of the two servers an account's list is read from, and how many items it has there."""

    async def look(sql: Store) -> tuple[bool, int]:
        [(follows,)] = await sql.rows("SELECT pg_is_in_recovery()")
        return follows, len((await VIDEOS.page(sql, account.id, None, 100)).items)

    follows, count = await studio.read(account, look)
    return f"{'replica' if follows else 'primary'} {count}"


async def put(studio: Studio, account: Account) -> Account:
    await entered(studio, video(account.id, id=ids.item_id(1_777_000_000_000), file_id=ids.uuid()))
    return await as_it_is(studio, account)


async def until(studio: Studio, account: Account, wanted: str) -> None:
    async with asyncio.timeout(20):
        while await where(studio, account) != wanted:
            await asyncio.sleep(0.05)


async def test_lists_are_read_from_the_copy_once_it_has_what_the_account_did(studio: Studio, replica: Postgres) -> None:
    one, other = await new_account(studio), await new_account(studio)
    one = await put(studio, one)
    await until(studio, one, "replica 1")
    with psycopg.connect(replica.url(), autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
    seen = await where(studio, one)
    one = await put(studio, one)
    assert (seen, await where(studio, one)) == ("replica 1", "primary 2"), "nobody misses what he has just done"
    assert await where(studio, other) == "replica 0", "others do not mind"
    with psycopg.connect(replica.url(), autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_resume()")
    await until(studio, one, "replica 2")


async def test_a_copy_that_is_away_is_done_without(studio: Studio, replica: Postgres) -> None:
    account = await put(studio, await new_account(studio))
    await until(studio, account, "replica 1")
    replica.stop(signal.SIGQUIT)
    began = time.monotonic()
    assert await where(studio, account) == "primary 1"
    assert time.monotonic() - began < 10
    began = time.monotonic()
    assert [await where(studio, account) for _ in range(20)] == ["primary 1"] * 20
    assert time.monotonic() - began < 2, "it is left alone for a while"
    replica.start()
    await until(studio, account, "replica 1")


async def test_a_copy_that_never_answered_does_not_keep_the_server_from_starting(
    tmp_path: Path, primary: Postgres
) -> None:
    read_url = f"postgresql://postgres@127.0.0.1:{free_port()}/none"
    settings = config.load(data=tmp_path, database_url=primary.database(), database_read_url=read_url)
    async with Studio.open(settings) as studio:
        assert await where(studio, await put(studio, await new_account(studio))) == "primary 1"


def test_sqlite_has_no_copies(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="database_read_url needs a database_url"):
        config.load(data=tmp_path, database_read_url="postgresql://a/b")


# --- behind a pooler ---


@pytest.fixture
def pooled(folder: Path, primary: Postgres) -> Iterator[PgBouncer]:
    pooler = PgBouncer(folder, primary)
    yield pooler
    pooler.close()


async def test_everything_goes_through_pgbouncer_by_the_transaction(
    tmp_path: Path, primary: Postgres, pooled: PgBouncer
) -> None:
    """Forty clients' connections on three of the server's."""
    url = pooled.url(primary.database())
    settings = config.load(data=tmp_path, database_url=url, database_prepare=False, database_connections=20)
    async with Studio.open(settings) as studio, Studio.open(settings) as other:
        async with studio.store.write() as tx:
            owner = (await accounts.named(tx, "default")).id
        both = (studio, other) * 60
        jobs = await asyncio.gather(*(submitted(each, owner, REQUEST, "http://a.example") for each in both))
        claims = await asyncio.gather(*(each.turns.claim(f"{n}", 10) for n, each in enumerate(both)))
        claimed = [job.id for some in claims for job in some]
        assert sorted(claimed) == sorted(job.id for job in jobs), "each once"
        for job in [job for some in claims for job in some][:5]:
            assert (await studio.cancel_job(owner, job.id)).replayed is False
        await entered(studio, video(owner, file_id=ids.uuid()))
        async with studio.store.snapshot() as rows:
            assert await rows.rows("SELECT count(*) FROM videos") == [(1,)]
        page = await VIDEOS.page(other.store, owner, None, 10)
        assert len(page.items) == 1
    assert 1 <= pooled.servers(url) <= 3


def test_a_server_behind_pgbouncer_makes_videos(tmp_path: Path, primary: Postgres, pooled: PgBouncer) -> None:
    settings = {"RUSHES_DATABASE_PREPARE": "false"}
    url = pooled.url(primary.database())
    with serving(tmp_path / "data", url, settings=settings) as server, server.client() as api:
        job_id = submit(api, "a fox in snow")
        item = completed(api, job_id)
        assert api.get(PATH, params={"q": "fox"}).json()["items"] == [item]
