"""The exact walk (B2): whatever comes and goes meanwhile, what stays is shown once, in order."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rushes import ids, store, wire
from rushes.paging import PAGE_SIZE, Cursor, SortKey
from rushes.store import Store
from rushes.store.library import VIDEOS
from tests.contract.samples import NOON, new_account, video

T = TypeVar("T")

SECRET = bytes(32)
MOMENTS = (NOON, NOON + 1, NOON + 2, NOON - 10**9)
PREFIXES = ("", "20260409185147967", "2026040918514796", "a" * 31)

# Characters whose order differs by locale, by UTF-16 and by code point: the list orders by code point alone.
letters = st.text("09aAzZ_-éß�\U0001f600", min_size=33, max_size=33)
item_ids = st.builds(lambda prefix, rest: (prefix + rest)[:33], st.sampled_from(PREFIXES), letters)


@dataclass(eq=False)
class Walk:
    """One client on its way through the list."""

    size: int
    stays: set[SortKey]
    """What was there when it began and has not been deleted since."""
    token: str | None = None
    seen: list[SortKey] = field(default_factory=list)


async def read_page(opened: Store, account_id: str, token: str | None, size: int) -> tuple[list[str], str | None]:
    """A page as the API reads it: the ids it shows, and its token."""
    cursor = Cursor(SECRET, account_id, "videos")
    page = await VIDEOS.page(opened, account_id, cursor.parse(token) if token else None, size)
    answer = json.loads(wire.page(page.items, cursor.token(page.last) if page.last else None, "http://studio.test"))
    return [item["id"] for item in answer["items"]], answer.get("nextPageKey")


async def add(opened: Store, account_id: str, key: SortKey) -> None:
    async with opened.write() as tx:
        await VIDEOS.add(tx, video(account_id, id=key.id, created=key.created))


async def remove(opened: Store, account_id: str, item_id: str) -> str | None:
    async with opened.write() as tx:
        removed = await VIDEOS.remove(tx, account_id, item_id)
    return removed and removed.file_id


class Library(RuleBasedStateMachine):
    """One account's list beside a set of keys; any number of walks under way."""

    run: ClassVar[Callable[[Coroutine[Any, Any, Any]], Any]]
    store: ClassVar[Store]

    def __init__(self) -> None:
        super().__init__()
        self.account_id: str = self.do(new_account(self.store))
        self.there: dict[str, SortKey] = {}
        self.used: set[str] = set()
        self.walks: list[Walk] = []

    def do(self, change: Coroutine[Any, Any, T]) -> T:
        result: T = type(self).run(change)
        return result

    @initialize(keys=st.lists(st.tuples(st.sampled_from(MOMENTS), item_ids), max_size=12))
    def begin(self, keys: list[tuple[int, str]]) -> None:
        for created, item_id in keys:
            self.add(created, item_id)

    @rule(created=st.sampled_from(MOMENTS), item_id=item_ids)
    def add(self, created: int, item_id: str) -> None:
        if item_id not in self.used:
            self.used.add(item_id)
            self.there[item_id] = SortKey(created, item_id)
            self.do(add(self.store, self.account_id, self.there[item_id]))

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = self.there.pop(data.draw(st.sampled_from(sorted(self.there))))
        for walk in self.walks:
            walk.stays.discard(key)
        assert self.do(remove(self.store, self.account_id, key.id)) is not None
        assert self.do(remove(self.store, self.account_id, key.id)) is None

    @rule(size=st.integers(1, 5))
    def set_out(self, size: int) -> None:
        self.walks.append(Walk(size, set(self.there.values())))

    @precondition(lambda self: self.walks)
    @rule(data=st.data())
    def read_on(self, data: st.DataObject) -> None:
        self.step(data.draw(st.sampled_from(self.walks)))

    @precondition(lambda self: self.walks)
    @rule()
    def finish(self) -> None:
        walk = self.walks[0]
        while walk in self.walks:
            self.step(walk)

    @invariant()
    def the_page_from_the_top_is_the_newest(self) -> None:
        shown, token = self.do(read_page(self.store, self.account_id, None, 3))
        newest = sorted(self.there.values(), reverse=True)
        assert (shown, token is None) == ([key.id for key in newest[:3]], len(newest) <= 3)

    def step(self, walk: Walk) -> None:
        shown, walk.token = self.do(read_page(self.store, self.account_id, walk.token, walk.size))
        assert all(item_id in self.there for item_id in shown), "an item was shown that had been deleted"
        walk.seen += [self.there[item_id] for item_id in shown]
        assert all(above > below for above, below in zip(walk.seen, walk.seen[1:], strict=False)), "order, or twice"
        if walk.token is None:
            assert walk.stays <= set(walk.seen), "an item that stayed was left out"
            self.walks = [other for other in self.walks if other is not walk]
        else:
            assert len(shown) == walk.size
            assert any(key < walk.seen[-1] for key in self.there.values()), "a token on the last page"

    def teardown(self) -> None:
        while self.walks:
            self.finish()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_every_walk_shows_what_stays_exactly_once_in_order(
    runner: asyncio.Runner, tmp_path: Path, database_url: str | None
) -> None:
    opened = runner.run(store.open(tmp_path, database_url))
    machine = type("Machine", (Library,), {"run": staticmethod(runner.run), "store": opened})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=40, stateful_step_count=40, deadline=None, database=None, report_multiple_bugs=False
            ),
        )
    finally:
        runner.run(opened.close())


@pytest.mark.anyio
@pytest.mark.parametrize(("items", "pages"), [(0, [0]), (99, [99]), (100, [100]), (101, [100, 1]), (200, [100, 100])])
async def test_a_page_of_exactly_100_gives_no_token(database: Store, items: int, pages: list[int]) -> None:
    account_id, token = await new_account(database), None
    sizes: list[int] = []
    async with database.write() as tx:
        for number in range(items):
            await VIDEOS.add(tx, video(account_id, id=f"{number:033d}", created=NOON + number % 3))
    while not sizes or token:
        shown, token = await read_page(database, account_id, token, PAGE_SIZE)
        sizes.append(len(shown))
    assert sizes == pages


@pytest.mark.anyio
async def test_a_walk_may_change_its_page_size_on_the_way(database: Store) -> None:
    account_id, token, walked = await new_account(database), None, []
    for number in range(20):
        await add(database, account_id, SortKey(NOON, f"{number:033d}"))
    for size in (1, 7, 2, 10):
        shown, token = await read_page(database, account_id, token, size)
        walked += shown
    assert (walked, token) == ([f"{number:033d}" for number in reversed(range(20))], None)


@pytest.mark.anyio
async def test_a_walk_sees_nothing_of_another_account(database: Store) -> None:
    mine, yours = await new_account(database), await new_account(database)
    for number in range(6):
        await add(database, (mine, yours)[number % 2], SortKey(NOON, f"{number:033d}"))
    first, token = await read_page(database, mine, None, 2)
    rest, end = await read_page(database, mine, token, 2)
    assert ([item_id[-1] for item_id in first + rest], end) == (["4", "2", "0"], None)
    assert await remove(database, yours, first[0]) is None


# Walks while others write, each over a connection and in a thread of its own

WRITERS = 3
WALKS = 6
STAYING = 150


@dataclass
class Crowd:
    """Threads that add and delete for as long as somebody walks, and what they have deleted so far."""

    tmp_path: Path
    database_url: str | None
    account_id: str
    gone: set[str] = field(default_factory=set)
    changes: int = 0
    enough: Event = field(default_factory=Event)

    def write(self, number: int) -> None:
        asyncio.run(self._write(random.Random(number)))

    async def _write(self, dice: random.Random) -> None:
        opened = await store.open(self.tmp_path, self.database_url)
        mine: list[str] = []
        try:
            while not self.enough.is_set():
                if len(mine) < 10 or dice.random() < 0.5:
                    key = SortKey(dice.choice(MOMENTS), dice.choice(PREFIXES[1:3]) + ids.uuid().replace("-", "")[:16])
                    await add(opened, self.account_id, key)
                    mine.append(key.id)
                else:
                    going = mine.pop(dice.randrange(len(mine)))
                    assert await remove(opened, self.account_id, going)
                    self.gone.add(going)
                self.changes += 1
        finally:
            await opened.close()

    async def change(self, writers: list[Future[None]]) -> None:
        """Wait until somebody has changed something."""
        before = self.changes
        async with asyncio.timeout(30):
            while self.changes == before and not any(writer.done() for writer in writers):
                await asyncio.sleep(0)


@pytest.mark.anyio
async def test_a_walk_is_exact_while_threads_add_and_delete(
    database: Store, tmp_path: Path, database_url: str | None
) -> None:
    account_id = await new_account(database)
    staying = sorted((SortKey(MOMENTS[n % 4], f"2026040918514796{n:017x}") for n in range(STAYING)), reverse=True)
    async with database.write() as tx:
        for key in staying:
            await VIDEOS.add(tx, video(account_id, id=key.id, created=key.created))
    crowd = Crowd(tmp_path, database_url, account_id)
    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(crowd.write, number) for number in range(WRITERS)]
        try:
            walks = [await whole_walk(database, crowd, writers, size) for size in range(5, 5 + WALKS)]
        finally:
            crowd.enough.set()
        for writer in writers:
            writer.result()
    for seen in walks:
        assert len(seen) == len(set(seen))
        assert [item_id for item_id in seen if item_id in {key.id for key in staying}] == [key.id for key in staying]
    assert any(len(seen) > STAYING for seen in walks), "no walk met an item that came meanwhile"


async def whole_walk(database: Store, crowd: Crowd, writers: list[Future[None]], size: int) -> list[str]:
    seen: list[str] = []
    token: str | None = None
    while not seen or token:
        await crowd.change(writers)
        gone = set(crowd.gone)
        shown, token = await read_page(database, crowd.account_id, token, size)
        assert gone.isdisjoint(shown), "an item was shown that had been deleted before the page was read"
        seen += shown
    return seen
