"""Webhooks' deliveries under leases, their log, and the secrets that sign them."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from pathlib import Path

import pytest

from rushes import store
from rushes.paging import SortKey
from rushes.store import Store, webhooks
from rushes.store.webhooks import Delivery, DeliveryState, Try
from rushes.studio import Studio
from tests.contract.samples import new_account

pytestmark = pytest.mark.anyio

LEASE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HOOK = "https://hooks.test/a?token=1"
TRIED = Try(started=1_775_000_000_000, took=32, status=500, told="no")


async def add(opened: Store, account_id: str, url: str = HOOK) -> str:
    async with opened.write() as tx:
        return await webhooks.add(tx, account_id, None, url, "{}")


async def claim(opened: Store, owner: str, limit: int = 100) -> list[Delivery]:
    """Up to ``limit`` of each lane that has something due."""
    wanted = dict.fromkeys(await webhooks.lanes(opened), limit)
    async with opened.write() as tx:
        return await webhooks.claim(tx, owner, LEASE_MS, wanted)


async def step(opened: Store, held: Delivery, state: DeliveryState, run_in: int | None = None) -> bool:
    async with opened.write() as tx:
        await webhooks.note(tx, held, TRIED)
        return await webhooks.step(tx, held, state, None if run_in is None else tx.now + run_in)


async def row(opened: Store, delivery_id: str) -> Delivery:
    found = await webhooks.get(opened, delivery_id)
    assert found
    return found


async def replay(opened: Store, delivery_id: str) -> bool:
    async with opened.write() as tx:
        return await webhooks.replay(tx, delivery_id)


async def forget(opened: Store, limit: int = 1000) -> int:
    async with opened.write() as tx:
        return await webhooks.forget(tx, limit)


# Claims


async def test_two_owners_never_get_the_same_delivery(
    database: Store, tmp_path: Path, database_url: str | None
) -> None:
    account_id = await new_account(database)
    asked = [await add(database, account_id, f"https://{number % 3}.test/") for number in range(60)]
    stores = [await store.open(tmp_path, database_url) for _ in range(4)]

    async def work(owner: str, opened: Store) -> list[Delivery]:
        got: list[Delivery] = []
        while taken := await claim(opened, owner, 2):
            got += taken
        return got

    try:
        taken = await asyncio.gather(*(work(f"{n}", opened) for n, opened in enumerate(stores) for _ in range(3)))
    finally:
        for opened in stores:
            await opened.close()
    got = [delivery for part in taken for delivery in part]
    assert sorted(delivery.id for delivery in got) == sorted(asked)
    assert {delivery.attempt for delivery in got} == {1}


async def test_each_lane_gives_its_longest_due_and_no_more_than_it_is_asked_for(database: Store) -> None:
    ours, theirs = await new_account(database), await new_account(database)
    due = []
    for wait in (5, 9, 1, 7):
        database.clock_shift = -wait * 1000
        due.append((wait, await add(database, ours)))
    alone, other = await add(database, theirs), await add(database, ours, "http://hooks.test:8080/a")
    database.clock_shift = 0
    lanes = await webhooks.lanes(database)
    assert sorted(lanes) == sorted([f"{ours} hooks.test", f"{theirs} hooks.test", f"{ours} hooks.test:8080"])
    assert lanes[0] == f"{ours} hooks.test", "the one that waits longest stands first"
    oldest = [delivery_id for _, delivery_id in sorted(due, reverse=True)]
    assert {held.id for held in await claim(database, "worker", 2)} == {*oldest[:2], alone, other}
    assert {held.id for held in await claim(database, "worker", 2)} == set(oldest[2:])
    assert await webhooks.lanes(database) == []


async def test_a_held_delivery_is_not_claimed_until_its_lease_lapses(database: Store) -> None:
    asked = await add(database, await new_account(database))
    [first] = await claim(database, "first")
    assert (first.id, first.owner, first.attempt, first.state) == (asked, "first", 1, DeliveryState.DUE)
    database.clock_shift = LEASE_MS - 5_000
    assert await claim(database, "second") == []
    database.clock_shift = LEASE_MS + 1_000
    [second] = await claim(database, "second")
    assert (second.id, second.owner, second.attempt) == (asked, "second", 2)


async def test_a_late_finisher_is_fenced_and_its_try_is_logged_all_the_same(database: Store) -> None:
    asked = await add(database, await new_account(database))
    [late] = await claim(database, "same name")
    database.clock_shift = LEASE_MS + 1_000
    [holder] = await claim(database, "same name")
    assert not await step(database, late, DeliveryState.DELIVERED)
    assert await row(database, asked) == holder
    assert await step(database, holder, DeliveryState.DUE, HOUR_MS)
    assert [tried.status for tried in await webhooks.tries(database, asked)] == [500, 500]
    assert (await row(database, asked)).tries == 1


async def test_one_that_is_put_back_is_due_then_and_not_before(database: Store) -> None:
    asked = await add(database, await new_account(database))
    [held] = await claim(database, "worker")
    assert await step(database, held, DeliveryState.DUE, HOUR_MS)
    assert (await row(database, asked)).owner is None
    database.clock_shift = HOUR_MS - 5_000
    assert await webhooks.lanes(database) == []
    database.clock_shift = HOUR_MS + 1_000
    [again] = await claim(database, "worker")
    assert (again.tries, again.attempt) == (1, 2)


@pytest.mark.parametrize("state", [state for state in DeliveryState if state.ended])
async def test_what_has_ended_is_never_due(database: Store, state: DeliveryState) -> None:
    asked = await add(database, await new_account(database))
    [held] = await claim(database, "worker")
    assert await step(database, held, state)
    database.clock_shift = 20 * DAY_MS
    assert await webhooks.lanes(database) == []
    ended = await row(database, asked)
    assert (ended.state, ended.run_at, ended.owner) == (state, None, None)


async def test_a_worker_that_stops_gives_back_what_it_holds(database: Store) -> None:
    account_id = await new_account(database)
    for _ in range(3):
        await add(database, account_id)
    ended, given = await claim(database, "mine", 2)
    [yours] = await claim(database, "yours")
    assert await step(database, ended, DeliveryState.DELIVERED)
    async with database.write() as tx:
        await webhooks.release(tx, "mine")
    [again] = await claim(database, "other")
    assert (again.id, again.attempt) == (given.id, 2)
    assert await step(database, yours, DeliveryState.DELIVERED)
    assert not await step(database, given, DeliveryState.DELIVERED)


# Replays


@pytest.mark.parametrize("state", DeliveryState)
async def test_a_replay_is_due_at_once_under_the_same_id_with_its_log(database: Store, state: DeliveryState) -> None:
    asked = await add(database, await new_account(database))
    [held] = await claim(database, "worker")
    assert await step(database, held, state, None if state.ended else HOUR_MS)
    assert await replay(database, asked)
    [again] = await claim(database, "worker")
    assert (again.id, again.state, again.tries) == (asked, DeliveryState.DUE, 0)
    assert await step(database, again, DeliveryState.DELIVERED)
    assert len(await webhooks.tries(database, asked)) == 2


async def test_a_replay_takes_a_delivery_out_of_its_holders_hand(database: Store) -> None:
    asked = await add(database, await new_account(database))
    [held] = await claim(database, "worker")
    assert await replay(database, asked)
    assert not await step(database, held, DeliveryState.FAILED)
    assert (await row(database, asked)).state is DeliveryState.DUE


async def test_there_is_nothing_to_replay_under_an_unknown_id(database: Store) -> None:
    assert not await replay(database, "msg_unknown")
    assert await webhooks.get(database, "msg_unknown") is None


# Lists


async def test_pages_hold_every_delivery_once_newest_first(database: Store) -> None:
    accounts = [await new_account(database) for _ in range(2)]
    async with database.write() as tx:  # the same moment for all: the id decides
        told = {account: [await webhooks.add(tx, account, None, HOOK, "{}") for _ in range(11)] for account in accounts}
    database.clock_shift = 1000
    newest = await add(database, accounts[0])
    first, second = (sorted(told[account], reverse=True) for account in accounts)
    assert await pages(database, None) == [newest, *sorted(first + second, reverse=True)]
    assert await pages(database, accounts[0]) == [newest, *first]
    assert await pages(database, accounts[1]) == second


async def pages(opened: Store, account_id: str | None) -> list[str]:
    listed: list[str] = []
    after: SortKey | None = None
    while True:
        page, after = await webhooks.page(opened, account_id, after, 4)
        listed += [delivery.id for delivery in page]
        if after is None:
            return listed


# What is old


async def test_what_ended_is_forgotten_after_30_days_with_its_log(database: Store) -> None:
    account_id = await new_account(database)
    delivered, failed, due = [await add(database, account_id, f"https://{n}.test") for n in range(3)]
    held = {delivery.id: delivery for delivery in await claim(database, "worker")}
    assert await step(database, held[delivered], DeliveryState.DELIVERED)
    database.clock_shift = DAY_MS
    assert await step(database, held[failed], DeliveryState.FAILED)
    assert await step(database, held[due], DeliveryState.DUE, HOUR_MS)
    database.clock_shift = 30 * DAY_MS - 5_000
    assert await forget(database) == 0
    database.clock_shift = 30 * DAY_MS + 5_000
    assert await forget(database) == 1
    assert set(await pages(database, account_id)) == {failed, due}
    assert await webhooks.tries(database, delivered) == []
    database.clock_shift = 400 * DAY_MS
    assert await forget(database) == 1
    assert await pages(database, account_id) == [due], "what is still to be sent stays"


async def test_a_limited_forgetting_takes_the_oldest_and_a_replay_saves_from_it(database: Store) -> None:
    account_id = await new_account(database)
    ended = []
    for day in range(4):
        database.clock_shift = day * DAY_MS
        ended.append(await add(database, account_id))
        [held] = await claim(database, "worker")
        assert await step(database, held, DeliveryState.DELIVERED)
    database.clock_shift = 40 * DAY_MS
    assert await replay(database, ended[0])
    assert [await forget(database, 2), await forget(database, 2)] == [2, 1]
    assert await pages(database, account_id) == [ended[0]]


# Secrets


async def test_a_secret_is_made_once_whoever_asks_first(studio: Studio) -> None:
    account_id, other = await new_account(studio.store), await new_account(studio.store)
    asked = await asyncio.gather(*(studio.deliveries.secrets(account_id) for _ in range(8)))
    [secret] = {secret for secrets in asked for secret in secrets}
    assert secret.startswith("whsec_")
    assert len(b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert await studio.deliveries.secrets(other) != [secret]
    assert await studio.deliveries.secrets(account_id) == [secret]


async def test_a_rotation_keeps_the_old_secret_for_its_hours_and_then_it_is_gone(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    [old] = await studio.deliveries.secrets(account_id)
    new = await studio.deliveries.rotate_secret(account_id, 24)
    assert await studio.deliveries.secrets(account_id) == [new, old]
    studio.store.clock_shift = DAY_MS - 5_000
    assert await studio.deliveries.secrets(account_id) == [new, old]
    studio.store.clock_shift = DAY_MS + 1_000
    assert await studio.deliveries.secrets(account_id) == [new]
    await forget(studio.store)
    assert await studio.store.rows("SELECT secret FROM webhook_secrets") == [(new,)]


async def test_no_earlier_secret_outlives_the_latest_rotation(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    [first] = await studio.deliveries.secrets(account_id)
    second = await studio.deliveries.rotate_secret(account_id, 48)
    third = await studio.deliveries.rotate_secret(account_id, 24)
    assert set(await studio.deliveries.secrets(account_id)) == {first, second, third}
    assert (await studio.deliveries.secrets(account_id))[0] == third
    studio.store.clock_shift = DAY_MS + 1_000
    assert await studio.deliveries.secrets(account_id) == [third]
    fourth = await studio.deliveries.rotate_secret(account_id, 0)
    assert await studio.deliveries.secrets(account_id) == [fourth]


async def test_the_first_rotation_makes_the_first_secret(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    secret = await studio.deliveries.rotate_secret(account_id, 24)
    assert await studio.deliveries.secrets(account_id) == [secret]


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://Hooks.Test/a/b?c=d", "hooks.test"),
        ("http://hooks.test:8080", "hooks.test:8080"),
        ("http://hooks.test?a=/b", "hooks.test"),
        ("http://hooks.test#/b", "hooks.test"),
        ("https://[2001:DB8::1]:99/x", "[2001:db8::1]:99"),
        ("https://me:secret@hooks.test/", "hooks.test"),
        ("nonsense", ""),
    ],
)
def test_a_receiver_is_a_host_and_a_port(url: str, receiver: str) -> None:
    assert webhooks.receiver(url) == receiver
