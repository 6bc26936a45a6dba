"""What a page costs (part C): it "does not depend on depth or on the library's size, filtered or not".

Every statement that a page sends is caught on its way, and carried out under its engine's own account of the work: on
SQLite by counting the steps of its machine, on PostgreSQL by the pages and rows that ``EXPLAIN (ANALYZE)`` tells of.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import apsw
import psycopg
import pytest

from rushes import ids, store
from rushes.model import Kind
from rushes.paging import PAGE_SIZE, Filters, SortKey
from rushes.store import Row, Rows, Store, sqlite
from rushes.store import postgres as pg
from rushes.store.library import LIBRARIES
from tests.contract.samples import NOON

pytestmark = pytest.mark.xdist_group("stock")  # one stock for all of them

ROWS = 100_000
FILTERS = ("model", "aspect_ratio", "created_after", "created_before", "parent")
COMBINATIONS = [names for size in range(len(FILTERS) + 1) for names in itertools.combinations(FILTERS, size)]
ITEM = '{"id":"x","createdDate":"2026-04-09T18:51:47.967Z","prompt":"' + "x" * 600 + '"}'

every_combination = pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)

_NUMBERS = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)"
_FILL = f"""
INSERT INTO {{kind}}s (account_id, created, id, file_id, job_id, item, model, aspect_ratio, revision)
{_NUMBERS}
SELECT :account_id, :noon + n, substr(CAST(10000000 + n AS TEXT), 2), :prefix || CAST(n AS TEXT), NULL,
    CAST(:item AS {{blob}}),
    CASE WHEN n % 10000 = 5000 THEN 'rare' WHEN n % 3 = 0 THEN 'veo3.1' ELSE 'pixverse5.5' END,
    CASE WHEN n % 10000 = 5000 THEN '4:3' WHEN n % 2 = 0 THEN '16:9' ELSE '9:16' END,
    n
FROM numbers
"""
# A parent of everything, and the many that have a child or two.
_DESCEND = """
INSERT INTO lineage (account_id, parent, kind, created, id{more})
SELECT account_id, {parent}, '{kind}', created, id{more} FROM {kind}s WHERE account_id = :account_id
"""


class Work(NamedTuple):
    """What carrying out a page's statements took."""

    plan: str
    cost: int
    """Steps of SQLite's machine, or pages that PostgreSQL looked at."""
    passed_over: int
    """Rows that were read and not shown; ``0`` where only the cost tells (SQLite)."""


class Stocked(Protocol):
    """A database with :data:`ROWS` items of one account, and some of others."""

    account_id: str
    most: int
    """What a page may cost."""

    def work(self, sql: str, params: dict[str, Any]) -> Work: ...


class Caught:
    """Takes a store's place for a page, and keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        self.asked.append((sql, params))
        return []

    async def column(self, sql: str, /, **params: object) -> list[Any]:
        return await self.rows(sql, **params)


async def fill(opened: Store, account_id: str, rows: int) -> None:
    blob = "BLOB" if opened.engine == "sqlite" else "BYTEA"
    bound = {"account_id": account_id, "rows": rows, "noon": NOON, "item": ITEM, "prefix": ids.uuid()}
    more = await _carried(opened)
    async with opened.write() as tx:
        await tx.rows("INSERT INTO accounts (id, name, created, revision) VALUES (:id, :id, 0, 0)", id=account_id)

        for kind in Kind:
            fitted = _FILL.format(kind=kind, blob=blob).replace("CAST(:item AS BYTEA)", "convert_to(:item, 'UTF8')")
            await tx.rows(fitted, **bound)
            for parent in ("'all'", "file_id"):
                await tx.rows(_DESCEND.format(kind=kind, parent=parent, more=more), account_id=account_id)


async def _carried(sql: Rows) -> str:
    """The columns of an item that its lineage repeats, where it does."""
    for names in (", model, aspect_ratio", ""):
        try:
            await sql.rows(f"SELECT parent{names} FROM lineage LIMIT 0")
        except Exception:  # noqa: BLE001  (each engine has an error of its own)
            continue
        return names
    raise AssertionError


async def stock(opened: Store) -> str:
    account_id = ids.uuid()
    await fill(opened, account_id, ROWS)
    for _ in range(20):
        await fill(opened, ids.uuid(), 200)
    return account_id


class Sqlite:
    """The work of a statement, by a connection of its own."""

    # A row of a page takes some thirty steps, an index and a table together.
    most = (PAGE_SIZE + 1) * 100

    def __init__(self, account_id: str, path: Path) -> None:
        self.account_id = account_id
        self._connection = apsw.Connection(str(path))
        self._connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)

    def work(self, sql: str, params: dict[str, Any]) -> Work:
        sql = sqlite._text(sql, 0)
        plan = [row[3] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", params)]
        steps = 0

        def count() -> bool:
            nonlocal steps
            steps += 1
            return False

        self._connection.set_progress_handler(count, 1)
        self._connection.execute(sql, params).fetchall()
        self._connection.set_progress_handler(None)
        return Work("; ".join(plan), steps, 0)


class Postgres:
    """The work of a statement, under a plan for its values and under one for any: prepared statements get either."""

    # A row of a page is looked up in an index four pages deep, and read.
    most = (PAGE_SIZE + 1) * 8

    def __init__(self, account_id: str, url: str) -> None:
        self.account_id = account_id
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        # One page more or less must not depend on what others left to be cleaned.
        self._connection.execute("VACUUM ANALYZE")

    def work(self, sql: str, params: dict[str, Any]) -> Work:
        return max((self._under(mode, sql, params) for mode in ("custom", "generic")), key=lambda work: work.cost)

    def _under(self, mode: str, sql: str, params: dict[str, Any]) -> Work:
        names = list(params)
        spelled = re.sub(r"%\((\w+)\)s", lambda match: f"${names.index(match[1]) + 1}", pg._text(sql, 0))
        text = spelled.replace("%%", "%")
        types = ", ".join("bigint" if isinstance(value, int) else "text" for value in params.values())
        given = ", ".join(str(value) if isinstance(value, int) else f"'{value}'" for value in params.values())
        run = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE page ({given})"
        for line in (f"SET plan_cache_mode = force_{mode}_plan", "DEALLOCATE ALL", f"PREPARE page ({types}) AS {text}"):
            self._connection.execute(line.encode())
        row = self._connection.execute(run.encode()).fetchone()
        assert row
        [told] = row[0]
        nodes = list(_nodes(told["Plan"]))
        over = sum(
            int(node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0))
            * int(node["Actual Loops"])
            for node in nodes
        )
        plan = "; ".join(f"{node['Node Type']} {node.get('Index Name', '')}" for node in nodes)
        return Work(plan, told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"], over)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


@pytest.fixture(scope="module")
def sqlite_stock(tmp_path_factory: pytest.TempPathFactory) -> Sqlite:

    folder = tmp_path_factory.mktemp("stock")

    async def made() -> str:
        opened = await store.open(folder)
        account_id = await stock(opened)
        await opened.close()
        return account_id

    return Sqlite(asyncio.run(made()), folder / "rushes.db")


@pytest.fixture(scope="module")
def postgres_stock(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:

    name = f"stock{ids.uuid().replace('-', '')}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = postgres.replace("/postgres?", f"/{name}?")

    async def made() -> str:
        opened = await store.open(tmp_path_factory.mktemp("stock"), url)
        account_id = await stock(opened)
        await opened.close()
        return account_id

    stocked = Postgres(asyncio.run(made()), url)
    yield stocked
    stocked._connection.close()


@pytest.fixture
def stocked(engine: str, request: pytest.FixtureRequest) -> Stocked:
    """A big library on each engine."""
    return cast("Stocked", request.getfixturevalue(f"{engine}_stock"))


def page_work(stocked: Stocked, kind: Kind, filters: Filters | None, after: SortKey | None) -> Work:
    """The work of all that a page asks of its database."""

    caught = Caught()
    asyncio.run(LIBRARIES[kind].page(cast("Store", caught), stocked.account_id, after, PAGE_SIZE, filters))
    assert caught.asked
    done = [stocked.work(sql, params) for sql, params in caught.asked]
    return Work("; ".join(work.plan for work in done), sum(w.cost for w in done), sum(w.passed_over for w in done))


def asked(names: tuple[str, ...], **told: Any) -> Filters | None:
    values = {
        "model": "pixverse5.5",
        "aspect_ratio": "9:16",
        "created_after": NOON,
        "created_before": NOON + ROWS + 1,
        "parent": "all",
        **told,
    }
    return Filters(**{name: values[name] for name in names}) if names else None


def cheap(stocked: Stocked, work: Work) -> None:
    assert not re.search("TEMP B-TREE|SCAN|Sort|Seq Scan|Hash|Bitmap|Materialize", work.plan), work
    assert work.passed_over <= 5, work
    assert work.cost <= stocked.most, work


NEWEST, MIDDLE, OLDEST = (SortKey(NOON + place, "0") for place in (ROWS, ROWS // 2, 200))


@every_combination
def test_a_page_is_a_walk_along_an_index_however_deep(stocked: Stocked, names: tuple[str, ...]) -> None:
    """Contract: "each combination walks an index in order without a sort and without scanning beyond the page"."""
    for after in (None, NEWEST, MIDDLE, OLDEST):
        cheap(stocked, page_work(stocked, Kind.VIDEO, asked(names), after))


@pytest.mark.parametrize(
    "names", [names for names in COMBINATIONS if {"model", "aspect_ratio"} & {*names}], ids="+".join
)
def test_what_is_rare_is_found_without_reading_what_is_not(stocked: Stocked, names: tuple[str, ...]) -> None:
    """A model or ratio of one in ten thousand; one that no item has; and two of which no item has both."""
    for told in (
        {"model": "rare", "aspect_ratio": "4:3"},
        {"model": "none", "aspect_ratio": "none"},
        {"model": "rare", "aspect_ratio": "9:16"},
        {"model": "veo3.1", "aspect_ratio": "4:3"},
    ):
        for after in (None, MIDDLE):
            cheap(stocked, page_work(stocked, Kind.VIDEO, asked(names, **told), after))


@pytest.mark.parametrize("names", [names for names in COMBINATIONS if "created_after" in names], ids="+".join)
def test_a_walk_stops_at_its_bound(stocked: Stocked, names: tuple[str, ...]) -> None:
    """Contract: "a createdAfter bound with a deep cursor must stop at the bound": only ten are left."""
    bound = {"created_after": MIDDLE.created - 10}
    work = page_work(stocked, Kind.VIDEO, asked(names, **bound), MIDDLE)
    cheap(stocked, work)
    assert work.cost <= stocked.most / 4, work


@pytest.mark.parametrize(
    "names", [(), ("model",), ("aspect_ratio", "created_before"), ("model", "parent")], ids="+".join
)
def test_the_list_of_images_costs_the_same(stocked: Stocked, names: tuple[str, ...]) -> None:
    for after in (None, MIDDLE):
        cheap(stocked, page_work(stocked, Kind.IMAGE, asked(names), after))


def test_another_account_is_not_read_through(stocked: Stocked) -> None:
    """An account with nothing, beside one with a hundred thousand items."""
    for names in COMBINATIONS:
        caught = Caught()

        asyncio.run(LIBRARIES[Kind.VIDEO].page(cast("Store", caught), ids.uuid(), None, PAGE_SIZE, asked(names)))
        for sql, params in caught.asked:
            assert stocked.work(sql, params).cost <= stocked.most / 4, names
