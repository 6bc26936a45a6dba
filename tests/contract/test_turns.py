"""Whose turn it is: fair among accounts, within what each route bears, by priority; nobody is left standing."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes import config, ids, store
from rushes.errors import BadSetting
from rushes.model import Job, JobState, VideoRequest
from rushes.store import accounts, jobs
from rushes.studio import Studio
from rushes.turns import Places
from tests.contract.samples import REQUEST, new_account, submitted

pytestmark = pytest.mark.anyio

SANDBOX = {"provider": "sandbox"}
TWO_MODELS = {"pixverse5.5": SANDBOX, "veo3.1": SANDBOX}
HOUR_MS = 3_600_000


def asked(model: str = "pixverse5.5") -> VideoRequest:
    return replace(REQUEST, model=model) if model == REQUEST.model else VideoRequest("A heron", model, "9:16", 8)


async def ask(studio: Studio, account: str, times: int = 1, model: str = "pixverse5.5") -> list[Job]:
    """Jobs in line, in their order."""
    return [await submitted(studio, account, asked(model), "http://a.example") for _ in range(times)]


async def served(studio: Studio, times: int = 1000) -> list[Job]:
    """Whom a worker that never has anything in hand takes, one after the other."""
    taken: list[Job] = []
    while len(taken) < times and (some := await studio.turns.claim(ids.uuid(), 1)):
        taken += some
    return taken


async def named(studio: Studio, *names: str) -> list[str]:
    async with studio.store.write() as tx:
        return [(await accounts.named(tx, name)).id for name in names]


async def sent(studio: Studio, job: Job) -> Job:
    """A claimed job, waiting at its provider for an hour."""
    job = await studio.keep(job, replace(job, state=JobState.SUBMITTING))
    return await studio.put_back(job, replace(job, state=JobState.WAITING, ticket="a ticket"), HOUR_MS / 1000)


# --- accounts take turns ---


async def test_one_job_does_not_wait_for_anothers_hundred(studio: Studio) -> None:
    greedy, modest, late = await named(studio, "greedy", "modest", "late")
    await ask(studio, greedy, 100)
    await ask(studio, modest, 2)
    first = await served(studio, 10)
    assert [job.account_id for job in first[:4]] == [greedy, modest, greedy, modest]
    await ask(studio, late)
    assert late in [job.account_id for job in await served(studio, 2)]
    assert len(await served(studio)) == 91


async def test_an_accounts_own_jobs_keep_their_order(studio: Studio) -> None:
    one, two = await named(studio, "one", "two")
    mine, yours = [], []
    for _ in range(5):
        mine += await ask(studio, one)
        yours += await ask(studio, two, 2)
    order = [job.id for job in await served(studio)]
    assert [each for each in order if each in {job.id for job in mine}] == [job.id for job in mine]
    assert [each for each in order if each in {job.id for job in yours}] == [job.id for job in yours]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", range(4))
async def test_while_somebody_waits_nobody_else_is_served_more_than_twice(studio: Studio, seed: int) -> None:
    dice = random.Random(seed)
    names = await named(studio, "a flood", "bursts", "now and then")
    waiting, passed_by = Counter[str](), Counter[tuple[str, str]]()
    for _ in range(300):
        if dice.random() < 0.4:
            account, times = dice.choice([(names[0], 8), (names[1], 3), (names[2], 1)])
            await ask(studio, account, times)
            waiting[account] += times
            continue
        for job in await served(studio, 1):
            waiting[job.account_id] -= 1
            for other in set(names) - {job.account_id}:
                passed_by[other, job.account_id] += 1
                passed_by[job.account_id, other] = 0
                if not waiting[other]:
                    passed_by[other, job.account_id] = 0
            assert max(passed_by.values()) <= 2


async def test_a_job_that_was_put_back_stands_where_it_stood(studio: Studio) -> None:
    one, two = await named(studio, "one", "two")
    [first, *_] = await ask(studio, one, 3)
    [held] = await served(studio, 1)
    assert held.id == first.id
    await ask(studio, two, 3)
    await studio.put_back(held, held, 60)
    assert first.id not in [job.id for job in await served(studio, 3)]
    studio.store.clock_shift += 61_000
    assert [job.id for job in await served(studio, 1)] == [first.id]


async def test_neither_new_jobs_nor_those_under_way_wait_for_all_of_the_others(studio: Studio) -> None:
    [one] = await named(studio, "one")
    await ask(studio, one, 40)
    waiting = {(await sent(studio, job)).id for job in await served(studio, 40)}
    new = {job.id for job in await ask(studio, one, 40)}
    studio.store.clock_shift += HOUR_MS + 1000
    first = {job.id for job in await served(studio, 40)}
    assert first & new
    assert first & waiting


# --- priorities ---


async def test_an_account_of_higher_priority_goes_first_and_two_of_the_same_take_turns(studio: Studio) -> None:
    low, high, higher = await named(studio, "low", "high", "higher")
    assert await studio.turns.set_priority("high", 5)
    assert await studio.turns.set_priority("higher", 5)
    for account in (low, high, higher):
        await ask(studio, account, 3)
    order = [job.account_id for job in await served(studio)]
    assert order == [high, higher] * 3 + [low] * 3


async def test_a_new_priority_holds_for_what_stands_in_line_already(studio: Studio) -> None:
    one, two, three = await named(studio, "one", "two", "three")
    await ask(studio, one, 4)
    await ask(studio, two, 3)
    await studio.turns.set_priority("two", 1)
    assert [job.account_id for job in await served(studio, 2)] == [two, two]
    await studio.turns.set_priority("two", 0)
    await ask(studio, three, 1)
    rest = [job.account_id for job in await served(studio)]
    assert Counter(rest[:3]) == {one: 1, two: 1, three: 1}
    assert rest[3:] == [one] * 3
    assert not await studio.turns.set_priority("nobody", 1)


async def test_a_priority_counts_across_models(tmp_path: Path, database_url: str | None) -> None:
    async with Studio.open(config.load(data=tmp_path, database_url=database_url, models=TWO_MODELS)) as studio:
        low, high = await named(studio, "low", "high")
        await ask(studio, low, 5)
        await studio.turns.set_priority("high", 1)
        await ask(studio, high, 5, "veo3.1")
        assert [job.account_id for job in await served(studio)] == [high] * 5 + [low] * 5


# --- limits ---


@pytest.fixture
async def limited(tmp_path: Path, database_url: str | None) -> AsyncIterator[Studio]:
    """Two jobs of one model at once, three of the provider."""
    told = config.load(
        data=tmp_path,
        database_url=database_url,
        models={"pixverse5.5": {**SANDBOX, "concurrency": 2}, "veo3.1": SANDBOX},
        providers={"sandbox": {"concurrency": 3}},
    )
    async with Studio.open(told) as opened:
        yield opened


async def test_a_route_and_a_provider_have_no_more_under_way_than_they_bear(limited: Studio) -> None:
    [one] = await named(limited, "one")
    await ask(limited, one, 5)
    await ask(limited, one, 5, "veo3.1")
    held = await limited.turns.claim("a worker", 100)
    models = Counter(job.request.model for job in held)
    assert len(held) == 3
    assert models["pixverse5.5"] <= 2
    assert await limited.turns.claim("another worker", 100) == []
    waiting = [await sent(limited, job) for job in held]
    assert await limited.turns.claim("another worker", 100) == [], "what waits at the provider is under way"
    await limited.cancel_job(one, waiting[0].id)
    [next_one] = [job for job in await limited.turns.claim("another worker", 100) if job.id != waiting[0].id]
    await limited.put_back(next_one, next_one, 60)
    assert len(await limited.turns.claim("another worker", 100)) == 1, "what was put back before it was sent is not"


async def test_many_workers_at_once_keep_a_limit(limited: Studio, tmp_path: Path, database_url: str | None) -> None:
    [one] = await named(limited, "one")
    await ask(limited, one, 30)
    others = [await _opened(limited, tmp_path, database_url) for _ in range(2)]
    done = 0
    try:
        while done < 30:
            claims = [each.turns.claim(ids.uuid(), 4) for each in (limited, *others) * 4]
            taken = [job for some in await asyncio.gather(*claims) for job in some]
            under_way = await limited.store.rows("SELECT count(*) FROM jobs WHERE owner IS NOT NULL")
            assert under_way == [(len(taken),)]
            assert 1 <= len(taken) <= 2
            for job in taken:
                await limited.cancel_job(one, job.id)
            done += len(taken)
    finally:
        for other in others:
            await other.store.close()


async def _opened(studio: Studio, tmp_path: Path, database_url: str | None) -> Studio:
    return replace(studio, store=await store.open(tmp_path, database_url))


async def test_a_lapsed_lease_is_no_reason_to_wait_at_a_limit(limited: Studio) -> None:
    [one] = await named(limited, "one")
    await ask(limited, one, 2)
    held = await limited.turns.claim("a worker that dies", 100)
    assert len(held) == 2
    limited.store.clock_shift += HOUR_MS
    assert {job.id for job in await limited.turns.claim("another", 100)} == {job.id for job in held}


@pytest.mark.parametrize("told", [0, -1, "many", 1.5])
def test_a_limit_is_a_number_of_jobs(tmp_path: Path, told: object) -> None:
    with pytest.raises(BadSetting, match="concurrency"):
        config.load(data=tmp_path, models={"pixverse5.5": {**SANDBOX, "concurrency": told}})


# --- the places of a worker ---

HOLDERS = st.lists(st.sampled_from("abcdef"), max_size=40)


@given(places=st.integers(1, 64), come=HOLDERS)
def test_nobody_holds_more_places_than_it_leaves_free_but_one(places: int, come: list[str]) -> None:
    worker = Places(places, one_provider=False, one_account=False)
    for name in come:
        if worker.for_provider(name):
            worker.take(name, [_of("x")])
            assert worker.providers[name] <= worker.free + 1
    assert worker.free >= 0
    if worker.free:
        assert worker.for_provider("whoever comes next") >= 1


@given(places=st.integers(1, 64), come=HOLDERS)
def test_the_same_holds_for_accounts(places: int, come: list[str]) -> None:
    worker = Places(places, one_provider=True, one_account=False)
    for name in come:
        if worker.for_accounts() and name not in worker.crowding():
            worker.take("p", [_of(name)] * worker.for_accounts())
            assert worker.accounts[name] <= worker.free + 1
    if worker.free:
        assert worker.for_accounts() >= 1


@given(places=st.integers(1, 64))
def test_whoever_is_alone_has_them_all(places: int) -> None:
    worker = Places(places, one_provider=True, one_account=True)
    assert worker.for_provider("p") == worker.for_accounts() == places


def _of(account: str) -> Job:
    return replace(JOB, account_id=account)


JOB = Job("an id", "a", "", REQUEST, Decimal(0), JobState.QUEUED, 0, "http://a.example")


async def test_an_account_leaves_as_many_places_free_as_it_holds(studio: Studio) -> None:
    greedy, modest = await named(studio, "greedy", "modest")
    await ask(studio, greedy, 50)
    held = await studio.turns.claim("worker", 16)
    assert len(held) == 8
    assert await studio.turns.claim("worker", 8, held) == []
    await ask(studio, modest, 50)
    more = await studio.turns.claim("worker", 8, held)
    assert Counter(job.account_id for job in more) == {modest: 4}


async def test_an_account_that_is_alone_holds_them_all(studio: Studio) -> None:
    await ask(studio, await new_account(studio.store), 50)
    assert len(await studio.turns.claim("worker", 16)) == 16


# --- what the release before this one left ---


async def test_jobs_of_the_release_before_stand_in_line_in_their_order(studio: Studio) -> None:
    """It put them in the queue due at once, without a turn; so does one of its API processes that still runs."""
    one, two = await named(studio, "one", "two")
    old = [*await ask(studio, one, 3), *await ask(studio, two, 1)]
    async with studio.store.write() as tx:
        await tx.rows("UPDATE jobs SET run_at = created, model = '', turn = NULL")
    order = [job.id for job in await served(studio)]
    assert order == [old[0].id, old[3].id, old[1].id, old[2].id]
    rows = await studio.store.rows("SELECT model, request FROM jobs")
    assert {(model, json.loads(request)["model"]) for model, request in rows} == {("pixverse5.5", "pixverse5.5")}


async def test_a_job_whose_model_has_gone_is_told_so_and_not_left_in_line(studio: Studio, tmp_path: Path) -> None:
    [one] = await named(studio, "one")
    [job] = await ask(studio, one)
    elsewhere = replace(studio, routes=type(studio.routes)(config.load(data=tmp_path, models={"veo3.1": SANDBOX})))
    assert [each.id for each in await elsewhere.turns.claim("worker", 4)] == [job.id]
    assert await jobs.get(studio.store, one, job.id)
