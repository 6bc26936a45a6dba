"""Searching beside a model that looks at everything: the same items in the same order, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from rushes import ids, store
from rushes.model import Kind
from rushes.paging import SortKey
from rushes.search import asked, terms
from rushes.store import Row, Rows, Store, Transaction, search
from rushes.store.chunks import Grain
from tests.contract.samples import NOON, new_account

T = TypeVar("T")

# So fine that a few items fill chunks, split them and wait beside them.
FINE = Grain(pending=3, members=4)
COARSE = Grain()
MOMENTS = tuple(NOON + step for step in range(6))
WORDS = ("fox", "foxglove", "harbour", "neon", "東京の猫", "猫", "สวัสดี", "café", "шторм")
QUERIES = (
    "fox",
    "Fox NEON",
    "harbour café",
    "猫",
    "東京",
    "東京の猫",
    "の猫 fox",
    "cafe",
    "шторм",
    "สวัส",
    "nothing",
    "…",
)
MODELS = ("pixverse5.5", "veo 3")
RATIOS = ("16:9", "9:16")


class Item(NamedTuple):
    """An item of a library, and what it is found by."""

    account_id: str
    kind: Kind
    key: SortKey
    prompt: str
    model: str
    ratio: str


class Filters(NamedTuple):
    """What a search may be narrowed by."""

    model: str | None = None
    aspect_ratio: str | None = None
    created_after: int | None = None
    created_before: int | None = None

    def hold(self, item: Item) -> bool:
        return (
            self.model in (None, item.model)
            and self.aspect_ratio in (None, item.ratio)
            and (self.created_after is None or item.key.created > self.created_after)
            and (self.created_before is None or item.key.created < self.created_before)
        )


ALL = Filters()


async def insert(tx: Transaction, item: Item) -> None:
    """Its row, as it stood before there was an index."""
    told = {"prompt": item.prompt, "model": item.model, "aspectRatio": item.ratio, "url": "\x01/a.mp4"}
    text = json.dumps(told, ensure_ascii=False).replace("\\u0001", "\x01")
    [(revision,)] = await tx.rows(
        "UPDATE accounts SET revision = revision + 1 WHERE id = :id RETURNING revision", id=item.account_id
    )
    await tx.rows(
        f"""INSERT INTO {item.kind}s (account_id, created, id, file_id, item, model, aspect_ratio, revision)
        VALUES (:account_id, :created, :id, :file_id, :item, :model, :ratio, :revision)""",
        account_id=item.account_id,
        file_id=ids.uuid(),
        item=text.encode(),
        model=item.model,
        ratio=item.ratio,
        revision=revision,
        **item.key._asdict(),
    )


async def enter(tx: Transaction, item: Item, grain: Grain = COARSE) -> None:
    await insert(tx, item)
    await search.add(tx, item.kind, item.account_id, *item.key, item.prompt, item.model, item.ratio, grain=grain)


async def enter_late(tx: Transaction, item: Item) -> None:
    """As the migration notes what it finds."""
    await insert(tx, item)
    await tx.rows(
        "INSERT INTO search_backlog (account_id, kind, created, id) VALUES (:account_id, :kind, :created, :id)",
        account_id=item.account_id,
        kind=item.kind,
        **item.key._asdict(),
    )


async def leave(tx: Transaction, item: Item) -> None:
    await tx.rows(
        f"DELETE FROM {item.kind}s WHERE account_id = :account_id AND created = :created AND id = :id",
        account_id=item.account_id,
        **item.key._asdict(),
    )
    await search.remove(tx, item.kind, item.account_id, *item.key)


async def one_page(
    opened: Store, account_id: str, kind: Kind, q: str, filters: Filters, after: SortKey | None, size: int
) -> list[bytes]:
    return await search.page(opened, kind, account_id, asked(q), after=after, size=size, **filters._asdict())


async def stored(opened: Store, item: Item) -> bytes:
    text = f"SELECT item FROM {item.kind}s WHERE account_id = :account_id AND id = :id"
    [(found,)] = await opened.rows(text, account_id=item.account_id, id=item.key.id)
    return bytes(found)


def found_by(items: list[Item], account_id: str, kind: Kind, q: str, filters: Filters) -> list[Item]:
    """The model: look at everything."""
    mine = (item for item in items if (item.account_id, item.kind) == (account_id, kind))
    held = (item for item in mine if asked(q) and terms(item.prompt).issuperset(asked(q)) and filters.hold(item))
    return sorted(held, key=lambda item: item.key, reverse=True)


async def walked(opened: Store, wanted: list[Item], account_id: str, kind: Kind, q: str, size: int) -> None:
    """Walk the whole search and find exactly these."""
    await narrowed(opened, wanted, account_id, kind, q, ALL, size)


async def narrowed(
    opened: Store, wanted: list[Item], account_id: str, kind: Kind, q: str, filters: Filters, size: int
) -> None:
    after: SortKey | None = None
    for start in range(0, len(wanted) + 1, size):
        page = await one_page(opened, account_id, kind, q, filters, after, size)
        assert page == [await stored(opened, item) for item in wanted[start : start + size + 1]]
        if len(page) <= size:
            return
        after = wanted[start + size - 1].key
    raise AssertionError("a walk that does not end")


prompts = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
filters = st.builds(
    Filters,
    st.sampled_from((None, None, *MODELS)),
    st.sampled_from((None, None, *RATIOS)),
    st.sampled_from((None, None, *MOMENTS)),
    st.sampled_from((None, None, *MOMENTS)),
)


class Libraries(RuleBasedStateMachine):
    """Two accounts' videos and images; one of each is searched at a time."""

    run: ClassVar[Callable[[Coroutine[Any, Any, Any]], Any]]
    store: ClassVar[Store]

    def __init__(self) -> None:
        super().__init__()
        self.accounts: list[str] = [self.do(new_account(self.store)) for _ in range(2)]
        self.entered = 0
        self.items: list[Item] = []
        self.late: list[Item] = []

    def do(self, change: Coroutine[Any, Any, T]) -> T:
        result: T = type(self).run(change)
        return result

    def item(self, data: st.DataObject) -> Item:
        self.entered += 1
        name = st.integers(0, 9).map(lambda digit: f"{digit}{self.entered:032d}")
        moment = st.builds(SortKey, st.sampled_from(MOMENTS), name)
        account, kind = st.sampled_from([0, 0, 0, 1]), st.sampled_from([Kind.VIDEO, Kind.VIDEO, Kind.IMAGE])
        drawn = st.tuples(account, kind, moment, prompts, st.sampled_from(MODELS), st.sampled_from(RATIOS))
        number, *rest = data.draw(drawn)
        return Item(self.accounts[number], *rest)

    async def change(self, *changes: Callable[[Transaction], Coroutine[Any, Any, object]]) -> None:
        async with self.store.write() as tx:
            for change in changes:
                await change(tx)

    @initialize(data=st.data(), count=st.integers(0, 25))
    def begin(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            self.enter(data)

    @rule(data=st.data())
    def enter(self, data: st.DataObject) -> None:
        self.items.append(item := self.item(data))
        self.do(self.change(lambda tx: enter(tx, item, FINE)))

    @rule(data=st.data(), count=st.integers(1, 12))
    def find_older_ones(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            self.late.append(item := self.item(data))
            self.do(self.change(lambda tx, item=item: enter_late(tx, item)))  # type: ignore[misc]

    @rule(limit=st.integers(1, 9))
    def catch_up(self, limit: int) -> None:
        async def once() -> int:
            async with self.store.write() as tx:
                return await search.catch_up(tx, limit, grain=FINE)

        caught = 0
        while now := self.do(once()):
            assert now <= limit
            caught += now
        assert caught == len(self.late)
        self.items, self.late = self.items + self.late, []

    @precondition(lambda self: self.items or self.late)
    @rule(data=st.data(), count=st.integers(1, 4))
    def leave(self, data: st.DataObject, count: int) -> None:
        for item in data.draw(st.lists(st.sampled_from(self.items + self.late), max_size=count, unique=True)):
            self.do(self.change(lambda tx, item=item: leave(tx, item)))  # type: ignore[misc]
            (self.items if item in self.items else self.late).remove(item)

    @rule(data=st.data(), q=st.sampled_from(QUERIES), filters=filters, size=st.integers(1, 5))
    def look(self, data: st.DataObject, q: str, filters: Filters, size: int) -> None:
        account_id, kind = self.accounts[data.draw(st.integers(0, 1))], data.draw(st.sampled_from(Kind))
        wanted = found_by(self.items, account_id, kind, q, filters)
        self.do(narrowed(self.store, wanted, account_id, kind, q, filters, size))

    @rule(q=st.sampled_from(QUERIES), after=st.builds(SortKey, st.sampled_from(MOMENTS), st.sampled_from("059")))
    def look_from_anywhere(self, q: str, after: SortKey) -> None:
        wanted = [i for i in found_by(self.items, self.accounts[0], Kind.VIDEO, q, ALL) if i.key < after][:4]
        page = self.do(one_page(self.store, self.accounts[0], Kind.VIDEO, q, ALL, after, 3))
        assert page == [self.do(stored(self.store, item)) for item in wanted]

    def teardown(self) -> None:
        # The next example has the same database.
        self.catch_up(9)
        for q in QUERIES:
            wanted = found_by(self.items, self.accounts[0], Kind.VIDEO, q, ALL)
            self.do(walked(self.store, wanted, self.accounts[0], Kind.VIDEO, q, 3))


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_a_search_finds_what_looking_at_everything_finds(
    runner: asyncio.Runner, tmp_path: Path, database_url: str | None
) -> None:
    opened = runner.run(store.open(tmp_path, database_url))
    machine = type("Machine", (Libraries,), {"run": staticmethod(runner.run), "store": opened})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=25, stateful_step_count=30, deadline=None, database=None, report_multiple_bugs=False
            ),
        )
    finally:
        runner.run(opened.close())


def numbered(account_id: str, number: int, prompt: str = "a fox", created: int | None = None) -> Item:
    key = SortKey(NOON + number if created is None else created, f"{number:033d}")
    return Item(account_id, Kind.VIDEO, key, prompt, MODELS[0], RATIOS[0])


@pytest.mark.anyio
async def test_thousands_of_one_millisecond_come_in_the_order_of_their_ids(database: Store) -> None:
    account_id = await new_account(database)
    items = [numbered(account_id, number * 7919 % 5000, created=NOON) for number in range(5000)]
    async with database.write() as tx:
        for item in items:
            await enter(tx, item)
    await walked(database, found_by(items, account_id, Kind.VIDEO, "fox", ALL), account_id, Kind.VIDEO, "fox", 977)


@pytest.mark.anyio
async def test_the_migration_notes_what_is_there_and_it_is_caught_up_with(database: Store) -> None:
    account_id = await new_account(database)
    items = [numbered(account_id, number, "a fox" if number % 3 else "a wolf") for number in range(250)]
    async with database.write() as tx:
        for item in items:
            await insert(tx, item)
        # The statements of the migration that note them, once more.
        for statement in NOTES:
            await tx.rows(statement)
    caught: list[int] = []
    while not caught or caught[-1]:
        async with database.write() as tx:
            caught.append(await search.catch_up(tx, 100))
    assert caught == [100, 100, 50, 0]
    await walked(database, found_by(items, account_id, Kind.VIDEO, "fox", ALL), account_id, Kind.VIDEO, "fox", 40)


@pytest.mark.anyio
async def test_an_origin_is_found_beside_words_wherever_an_item_stands(database: Store) -> None:
    """Waiting to be indexed, in a chunk, and from before there was an index."""
    account_id, parent = await new_account(database), ids.uuid()
    late, indexed, waiting = (numbered(account_id, number) for number in range(3))
    lineage = """INSERT INTO lineage (account_id, parent, kind, created, id, model, aspect_ratio)
        VALUES (:account_id, :parent, 'video', :created, :id, 'm', '1:1')"""
    async with database.write() as tx:
        for number in range(3, 9):
            await enter_late(tx, numbered(account_id, number))
        await enter_late(tx, late)
        await tx.rows(lineage, account_id=account_id, parent=parent, **late.key._asdict())
    async with database.write() as tx:
        while await search.catch_up(tx, 2):
            pass
        for item, grain in ((indexed, Grain(pending=1, members=4)), (waiting, COARSE)):
            await insert(tx, item)
            await search.add(
                tx, Kind.VIDEO, account_id, *item.key, item.prompt, item.model, item.ratio, (parent,), grain=grain
            )
    told = {**ALL._asdict(), "after": None, "size": 9}
    page = await search.page(database, Kind.VIDEO, account_id, asked("fox"), parent=parent, **told)
    assert page == [await stored(database, item) for item in (waiting, indexed, late)]
    assert await search.page(database, Kind.VIDEO, account_id, asked("fox"), parent=ids.uuid(), **told) == []


def notes(engine: str) -> list[str]:
    from rushes.store.migrations import migrations

    [statements] = [migration.statements for migration in migrations(engine) if migration.name == "search"]
    return [statement for statement in statements if statement.startswith("INSERT")]


NOTES = notes("sqlite")


def test_both_engines_note_alike() -> None:
    assert len(NOTES) == len(Kind)
    assert notes("postgres") == NOTES


@pytest.mark.anyio
async def test_entering_is_part_of_its_change(database: Store) -> None:
    account_id = await new_account(database)

    async def fail() -> None:
        async with database.write() as tx:
            for number in range(300):
                await enter(tx, numbered(account_id, number))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await one_page(database, account_id, Kind.VIDEO, "fox", ALL, None, 10) == []


@pytest.mark.anyio
async def test_items_of_many_writers_are_all_found(database: Store, tmp_path: Path, database_url: str | None) -> None:
    account_id = await new_account(database)
    items = [numbered(account_id, number) for number in range(240)]

    async def some(number: int) -> None:
        opened = await store.open(tmp_path, database_url)
        try:
            for item in items[number::4]:
                async with opened.write() as tx:
                    await enter(tx, item, FINE)
        finally:
            await opened.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: asyncio.run(some(number)), range(4)))
    await walked(database, found_by(items, account_id, Kind.VIDEO, "fox", ALL), account_id, Kind.VIDEO, "fox", 7)


@pytest.mark.anyio
async def test_a_page_is_of_one_moment(database: Store) -> None:
    async with database.snapshot() as sql:
        before = await sql.rows("SELECT name FROM accounts")
        await new_account(database)
        assert await sql.rows("SELECT name FROM accounts") == before
    assert len(await database.rows("SELECT name FROM accounts")) == len(before) + 1


@pytest.mark.anyio
async def test_a_search_that_is_given_up_is_in_nobodys_way(database: Store) -> None:
    account_id = await new_account(database)
    for _ in range(20):
        given_up = asyncio.create_task(one_page(database, account_id, Kind.VIDEO, "fox", ALL, None, 10))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
    assert await one_page(database, account_id, Kind.VIDEO, "fox", ALL, None, 10) == []


@pytest.mark.anyio
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_search_does_not_run_on_the_event_loop(database: Store) -> None:
    numbers = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000000) SELECT max(x) FROM n"
    turns = 0
    async with database.snapshot() as sql:
        read = asyncio.create_task(sql.rows(numbers))
        while not read.done():
            turns += 1
            await asyncio.sleep(0)
    # A read on the loop is done when the loop comes round again.
    assert turns > 100
    assert await read == [(3_000_000,)]


class Bits(list[Row]):
    """Rows that note who goes through them."""

    threads: ClassVar[set[int]] = set()

    def __iter__(self) -> Iterator[Row]:
        self.threads.add(threading.get_ident())
        return super().__iter__()


@pytest.mark.anyio
async def test_what_a_search_has_read_is_not_gone_through_on_the_event_loop(database: Store) -> None:
    account_id = await new_account(database)
    async with database.write() as tx:
        for number in range(20):
            await enter(tx, numbered(account_id, number, f"a fox {number}"), FINE)
    Bits.threads.clear()
    told = {**ALL._asdict(), "after": None, "size": 5}
    assert len(await search.page(cast("Store", Watched(database)), Kind.VIDEO, account_id, asked("fox"), **told)) == 6
    assert Bits.threads
    assert threading.get_ident() not in Bits.threads


# Plans


@dataclass
class Heard:
    """A store, and what a page asks of it."""

    store: Store
    statements: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Rows]:
        async with self.store.snapshot() as self.sql:
            yield self

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        self.statements.append((sql, params))
        return await self.sql.rows(sql, **params)


class Watched(Heard):
    """A store whose bits are told who reads them."""

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        found = await super().rows(sql, **params)
        return Bits(found) if "search_bits" in sql else found


async def plan(opened: Store, text: str, params: dict[str, object]) -> str:
    explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgres": "EXPLAIN"}[opened.engine]
    async with opened.write() as tx:
        if opened.engine == "postgres":
            # Tables of a few rows are quicker read whole: what counts is that they need not be.
            await tx.rows("SET LOCAL enable_seqscan = off")
        return "\n".join(row[-1] for row in await tx.rows(f"{explain} {text}", **params))


@pytest.mark.anyio
async def test_no_statement_of_a_page_looks_at_a_whole_table(database: Store) -> None:
    account_id = await new_account(database)
    async with database.write() as tx:
        for number in range(650):
            await enter(tx, numbered(account_id, number, f"a fox {number}"), Grain(100, 100))
    heard = Heard(database)
    told = {**ALL._asdict(), "after": SortKey(NOON + 640, ""), "size": 300}
    await search.page(cast("Store", heard), Kind.VIDEO, account_id, asked("fox"), **told)
    assert {text.split("FROM ")[1].split()[0] for text, _ in heard.statements} == TABLES
    for text, params in heard.statements:
        explained = await plan(database, text, params)
        assert not any(word in explained for word in ("SCAN", "Seq Scan", "TEMP B-TREE")), f"{text}\n{explained}"


TABLES = {"search_pending", "search_chunks", "search_bits", "search_members"}
