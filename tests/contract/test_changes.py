"""``GET /aistudio/changes``: everything added or deleted, oldest first, and nothing missed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from rushes import ids, store
from rushes.model import Change, Image, ImageRequest, Item, Kind
from rushes.store import Store, changes
from rushes.store.library import LIBRARIES, VIDEOS
from rushes.studio import Studio
from tests.api.library import account_of
from tests.api.takes import Json
from tests.conftest import ENGINES, START_SECONDS, Server, serving
from tests.contract.samples import NOON, new_account, video
from tests.contract.test_idempotency import taking_requests

FEED = "/aistudio/changes"


@pytest.fixture(scope="module", params=ENGINES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with taking_requests(request, tmp_path_factory.mktemp("desk")) as server:
        yield server


@pytest.fixture
def key(desk: Server) -> str:
    """A key to a new account."""
    return desk.key()


@pytest.fixture
def api(desk: Server, key: str) -> Iterator[httpx2.Client]:
    """A client of that account."""
    with desk.client(key) as client:
        yield client


def image(account_id: str, created: int = NOON) -> Image:
    asked = ImageRequest("a heron – „leise“ 🎬", "flux-schnell", "1:1")
    return Image(ids.uuid(), account_id, None, asked, created, 1024, 1024)


def item(account_id: str, kind: Kind, created: int = NOON) -> Item:
    return video(account_id, id=ids.item_id(created), created=created) if kind is Kind.VIDEO else image(account_id)


async def add(opened: Store, entered: Item) -> None:
    async with opened.write() as tx:
        await LIBRARIES[entered.request.kind].add(tx, entered)


async def remove(opened: Store, gone: Item) -> None:
    async with opened.write() as tx:
        await LIBRARIES[gone.request.kind].remove(tx, gone.account_id, gone.id)


def entered(server: Server, *items: Item) -> None:
    async def enter(studio: Studio) -> None:
        for each in items:
            await add(studio.store, each)

    server.do(enter)


def told(answer: httpx2.Response) -> Json:
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    assert list(body) == ["changes", "since", "more"]
    return body


def followed(api: httpx2.Client, since: str = "", limit: int = 100) -> tuple[list[Json], str]:
    """Everything from a token on, and the token to go on with."""
    listed: list[Json] = []
    while True:
        page = told(api.get(FEED, params={"since": since, "limit": limit}))
        assert len(page["changes"]) <= limit
        listed += page["changes"]
        since = page["since"]
        if not page["more"]:
            return listed, since


def short(listed: list[Json]) -> list[tuple[str, str, str]]:
    return [(change["type"], change["kind"], change["id"]) for change in listed]


# "everything added or deleted, oldest first"; "images and videos together"


def test_videos_and_images_come_in_the_order_in_which_they_entered(desk: Server, key: str, api: httpx2.Client) -> None:
    """Not in the order in which they were made."""
    account_id = account_of(desk, key)
    items = [item(account_id, kind, NOON - number) for number, kind in enumerate([*Kind] * 4)]
    entered(desk, *items)
    listed, _ = followed(api)
    assert short(listed) == [("added", each.request.kind, each.id) for each in items]


def test_an_added_item_is_told_as_its_list_shows_it(desk: Server, key: str, api: httpx2.Client) -> None:
    account_id = account_of(desk, key)
    entered(desk, item(account_id, Kind.VIDEO), image(account_id))
    listed, _ = followed(api)
    for change in listed:
        assert list(change) == ["type", "kind", "id", "createdDate", "item"]
        [shown] = api.get(f"/aistudio/{change['kind']}s").json()["items"]
        assert change["item"] == shown
        assert list(change["item"]) == list(shown)
        assert change["createdDate"] == shown["createdDate"]


@pytest.mark.parametrize("kind", Kind)
def test_a_deletion_is_told_after_the_addition_and_in_place_of_it(
    desk: Server, key: str, api: httpx2.Client, kind: Kind
) -> None:
    account_id = account_of(desk, key)
    first, second = item(account_id, kind), item(account_id, kind)
    entered(desk, first, second)
    before, since = followed(api)
    assert len(before) == 2
    assert api.delete(f"/aistudio/{kind}s/{first.id}").status_code == 200
    [change], onward = followed(api, since)
    assert list(change) == ["type", "kind", "id", "createdDate"]
    assert (change["type"], change["kind"], change["id"]) == ("deleted", kind, first.id)
    assert change["createdDate"] == before[0]["createdDate"]
    assert followed(api, onward) == ([], onward)
    assert short(followed(api)[0]) == [("added", kind, second.id), ("deleted", kind, first.id)]


def test_an_empty_account_has_no_changes_and_a_token_to_go_on_with(desk: Server, api: httpx2.Client, key: str) -> None:
    body = told(api.get(FEED))
    assert (body["changes"], body["more"]) == ([], False)
    assert followed(api, body["since"]) == ([], body["since"])
    entered(desk, video(account_of(desk, key)))
    assert len(followed(api, body["since"])[0]) == 1


def test_jobs_and_their_credits_are_no_changes(api: httpx2.Client) -> None:
    job_id = api.post("/aistudio/videos", json={"prompt": "a heron lifts off"}).json()["data"]["jobId"]
    assert api.post(f"/jobs/{job_id}/cancel").status_code == 200
    assert api.delete(f"/jobs/{job_id}/clean").status_code == 200
    assert followed(api)[0] == []


def test_another_accounts_changes_are_not_seen(desk: Server, key: str, api: httpx2.Client) -> None:
    entered(desk, video(account_of(desk, key)))
    with desk.client() as other:
        assert followed(other)[0] == []
    assert len(followed(api)[0]) == 1


# limit


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_a_limit_cuts_the_feed_into_pages_and_loses_nothing(
    desk: Server, key: str, api: httpx2.Client, limit: int
) -> None:
    account_id = account_of(desk, key)
    items = [item(account_id, kind) for kind in [*Kind] * 5]
    entered(desk, *items)
    desk.do(lambda studio: remove(studio.store, items[3]))
    listed, _ = followed(api, limit=limit)
    kept = [("added", each.request.kind, each.id) for each in items if each is not items[3]]
    assert short(listed) == [*kept, ("deleted", items[3].request.kind, items[3].id)]


def test_more_is_true_exactly_while_more_follows(desk: Server, key: str, api: httpx2.Client) -> None:
    account_id = account_of(desk, key)
    entered(desk, *[item(account_id, Kind.VIDEO) for _ in range(4)])
    assert [told(api.get(FEED, params={"limit": limit}))["more"] for limit in (1, 3, 4, 5)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_page_has_100_changes_unless_fewer_are_asked_for(desk: Server, key: str, api: httpx2.Client) -> None:
    account_id = account_of(desk, key)
    entered(desk, *[item(account_id, kind) for kind in [*Kind] * 51])
    body = told(api.get(FEED))
    assert (len(body["changes"]), body["more"]) == (100, True)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "1e2", "99999999999"])
def test_a_wrong_limit_is_400_naming_it(api: httpx2.Client, limit: str) -> None:
    answer = api.get(FEED, params={"limit": limit})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert [each["name"] for each in answer.json()["fields"]] == ["limit"]
    both = api.get(FEED, params={"limit": limit, "since": "no token"})
    assert [each["name"] for each in both.json()["fields"]] == ["limit", "since"]


# "foreign/altered tokens 400 naming since"


def test_a_foreign_or_altered_token_is_400_naming_since(desk: Server, key: str, api: httpx2.Client) -> None:
    account_id = account_of(desk, key)
    entered(desk, *[item(account_id, Kind.VIDEO, NOON + number) for number in range(101)])
    token = told(api.get(FEED, params={"limit": 1}))["since"]
    swapped = "A" if token[-1] != "A" else "B"
    with desk.client() as other:
        foreign = told(other.get(FEED))["since"]
    listed = api.get("/aistudio/videos").json()["nextPageKey"]
    bad = [
        foreign,
        listed,
        token[:-1] + swapped,
        token[:-1],
        token + "A",
        token + "=",
        "0",
        "x",
        "ü",
        "\x00",
        "é" * 999,
    ]
    for since in bad:
        answer = api.get(FEED, params={"since": since})
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST"), since
        assert [each["name"] for each in answer.json()["fields"]] == ["since"]
    assert api.get("/aistudio/videos", params={"nextPageKey": token}).status_code == 400, "nor the other way round"
    assert len(told(api.get(FEED, params={"since": token}))["changes"]) == 100


# "survives restart"


def test_a_token_outlives_the_server(tmp_path: Path, database_url: str | None) -> None:
    with serving(tmp_path / "data", database_url, "--no-worker") as server:
        key = server.key()
        account_id = account_of(server, key)
        entered(server, *[item(account_id, kind) for kind in Kind])
        with server.client(key) as api:
            before = told(api.get(FEED, params={"limit": 1}))
    with serving(tmp_path / "data", database_url, "--no-worker") as server:
        last = video(account_id)
        entered(server, last)
        with server.client(key) as api:
            listed, _ = followed(api, before["since"])
            assert [change["id"] for change in [*before["changes"], *listed]] == [
                change["id"] for change in followed(api)[0]
            ]
            assert listed[-1]["id"] == last.id


# "misses nothing under concurrent commits"


@dataclass
class Pair:
    """A PostgreSQL database opened twice: as two processes have it."""

    one: Store
    other: Store
    url: str
    account_id: str

    async def feed(self, since: int = 0) -> list[Change]:
        return await changes.after(self.one, self.account_id, since, 100)


async def until_blocked(url: str) -> None:
    """Wait until some connection to a PostgreSQL database waits for a lock."""
    async with asyncio.timeout(START_SECONDS):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while not await _blocked(connection):
                await asyncio.sleep(0.01)


async def _blocked(connection: psycopg.AsyncConnection[Any]) -> bool:
    sql = """
        SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND datname = current_database()
    """
    found = await (await connection.execute(sql)).fetchone()
    return bool(found and found[0])


@pytest.fixture
async def pair(tmp_path: Path, new_database: Callable[[], str]) -> AsyncIterator[Pair]:
    url = new_database()
    one, other = await store.open(tmp_path, url), await store.open(tmp_path, url)
    yield Pair(one, other, url, await new_account(one))
    await one.close()
    await other.close()


@pytest.mark.anyio
@pytest.mark.parametrize("kinds", [(Kind.VIDEO, Kind.VIDEO), (Kind.VIDEO, Kind.IMAGE), (Kind.IMAGE, Kind.VIDEO)])
async def test_a_later_change_cannot_be_committed_before_an_earlier_one(pair: Pair, kinds: tuple[Kind, Kind]) -> None:
    """Two changes open at once, the later one ready to commit first, a reader between."""
    first, second = (item(pair.account_id, kind) for kind in kinds)
    async with pair.one.write() as tx:
        await LIBRARIES[first.request.kind].add(tx, first)
        later = asyncio.create_task(add(pair.other, second))
        await until_blocked(pair.url)
        assert not later.done()
        assert await pair.feed() == []
    await later
    assert [(change.revision, change.item_id) for change in await pair.feed()] == [(1, first.id), (2, second.id)]


@pytest.mark.anyio
async def test_a_change_begun_first_and_committed_last_comes_last(pair: Pair) -> None:
    """A reader between takes the other one's revision with it, and finds this one after it."""
    first, second = video(pair.account_id), image(pair.account_id)
    async with pair.one.write() as tx:
        await tx.rows("SELECT 1 FROM videos WHERE account_id = :id", id=pair.account_id)
        await add(pair.other, second)
        [seen] = await pair.feed()
        assert seen.item_id == second.id
        await VIDEOS.add(tx, first)
        assert await pair.feed(seen.revision) == []
    assert [change.item_id for change in await pair.feed(seen.revision)] == [first.id]


@pytest.mark.anyio
async def test_a_deletion_and_an_addition_at_once_come_in_the_order_of_their_commits(pair: Pair) -> None:
    gone, new = video(pair.account_id), image(pair.account_id)
    await add(pair.one, gone)
    [added] = await pair.feed()
    async with pair.one.write() as tx:
        assert await VIDEOS.remove(tx, pair.account_id, gone.id)
        later = asyncio.create_task(add(pair.other, new))
        await until_blocked(pair.url)
        assert await pair.feed(added.revision) == []
    await later
    assert [(change.item_id, change.item is None) for change in await pair.feed(added.revision)] == [
        (gone.id, True),
        (new.id, False),
    ]


@pytest.mark.anyio
async def test_a_change_that_is_rolled_back_leaves_no_gap_that_anyone_waits_for(pair: Pair) -> None:
    async def fail() -> None:
        async with pair.one.write() as tx:
            await VIDEOS.add(tx, video(pair.account_id))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    kept = video(pair.account_id)
    await add(pair.other, kept)
    assert [change.item_id for change in await pair.feed()] == [kept.id]


@dataclass
class Copy:
    """A library kept by following the feed, a few changes at a time."""

    opened: Store
    account_id: str
    items: dict[str, bytes] = field(default_factory=dict)
    since: int = 0
    gone: set[str] = field(default_factory=set)

    async def step(self) -> bool:
        """Take what has come; whether anything had."""
        listed = await changes.after(self.opened, self.account_id, self.since, 7)
        revisions = [change.revision for change in listed]
        assert revisions == sorted(set(revisions))
        for change in listed:
            self.take(change)
        self.since = listed[-1].revision if listed else self.since
        return bool(listed)

    def take(self, change: Change) -> None:
        if change.item is None:
            self.items.pop(change.item_id, None)
            self.gone.add(change.item_id)
        else:
            assert change.item_id not in self.gone, "nothing comes back"
            self.items[change.item_id] = change.item

    async def follow(self, done: asyncio.Event) -> None:
        while not done.is_set():
            await self.step()
            await asyncio.sleep(0)
        while await self.step():
            pass


@pytest.mark.anyio
async def test_who_follows_the_feed_among_many_writers_ends_with_exactly_the_library(
    database: Store, tmp_path: Path, database_url: str | None
) -> None:
    account_id = await new_account(database)
    opened = [await store.open(tmp_path, database_url) for _ in range(3)]
    done, copies = asyncio.Event(), [Copy(database, account_id) for _ in range(2)]
    following = [asyncio.create_task(copy.follow(done)) for copy in copies]
    try:
        dice = random.Random(7)
        await asyncio.gather(*(write(opened[number % 3], account_id, dice, 12) for number in range(9)))
    finally:
        done.set()
        await asyncio.gather(*following)
        for each in opened:
            await each.close()
    library = {kind: await LIBRARIES[kind].page(database, account_id, None, 1000) for kind in Kind}
    kept = sorted([*library[Kind.VIDEO].items, *library[Kind.IMAGE].items])
    assert 0 < len(kept) < 9 * 12
    for copy in copies:
        assert sorted(copy.items.values()) == kept
        assert copy.since == 9 * 12 + len(copy.gone)


async def write(opened: Store, account_id: str, dice: random.Random, many: int) -> None:
    """Add so many items, and delete some of them in between."""
    mine: list[Item] = []
    for _ in range(many):
        mine.append(item(account_id, dice.choice([*Kind])))
        await add(opened, mine[-1])
        if dice.random() < 0.4:
            await remove(opened, mine.pop(dice.randrange(len(mine))))


@pytest.mark.anyio
async def test_deleted_twice_at_once_is_told_once(database: Store, tmp_path: Path, database_url: str | None) -> None:
    account_id = await new_account(database)
    gone = video(account_id)
    await add(database, gone)
    other = await store.open(tmp_path, database_url)
    await asyncio.gather(*(remove(opened, gone) for opened in (database, other) for _ in range(4)))
    await other.close()
    listed = await changes.after(database, account_id, 0, 100)
    assert [(change.item_id, change.item, change.revision) for change in listed] == [(gone.id, None, 2)]
