"""Jobs under leases: one worker at a time, whoever dies, and one entry into the library."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rushes import ids, store
from rushes.config import Config
from rushes.errors import Cancelled, Duplicate, LeaseLost, ProviderFailed
from rushes.model import ENDED, MOVES, Files, Job, JobState, Kind
from rushes.providers.routes import Routes
from rushes.store import Store, accounts, drafts, jobs, turns
from rushes.store.library import VIDEOS
from rushes.studio import Studio
from rushes.turns import Turns
from tests.contract.samples import new_account, queued, video, video_of

pytestmark = pytest.mark.anyio

LEASE_MS = 60_000
HOUR_MS = 3_600_000
ROUTES = Routes(Config())


async def claim(opened: Store, owner: str, limit: int = 100) -> list[Job]:
    return await Turns(opened, ROUTES, LEASE_MS).claim(owner, limit)


async def claim_one(opened: Store, owner: str) -> Job:
    [held] = await claim(opened, owner)
    return held


async def step(opened: Store, before: Job, after: Job, run_in: int | None = LEASE_MS) -> Job:
    async with opened.write() as tx:
        return await jobs.step(tx, before, after, None if run_in is None else tx.now + run_in)


async def waiting(opened: Store, account_id: str, due_in: int) -> Job:
    """A job that waits at its provider."""
    await queued(opened, account_id)
    sent = await claim_one(opened, "the sender")
    sent = await step(opened, sent, replace(sent, state=JobState.SUBMITTING))
    return await step(opened, sent, replace(sent, state=JobState.WAITING, owner=None), due_in)


async def renew(opened: Store, held: list[Job]) -> set[str]:
    async with opened.write() as tx:
        return await jobs.renew(tx, held, LEASE_MS)


async def revision(opened: Store, account_id: str) -> int:
    [(found,)] = await opened.rows("SELECT revision FROM accounts WHERE id = :id", id=account_id)
    return int(found)


async def collecting(studio: Studio, account_id: str, owner: str = "worker") -> Job:
    """A job of that account, held, with only its files and its entry missing."""
    await queued(studio.store, account_id)
    job = await claim_one(studio.store, owner)
    for state in (JobState.SUBMITTING, JobState.WAITING, JobState.COLLECTING):
        job = await studio.keep(job, replace(job, state=state, ticket="ticket", progress=0.5))
    return job


# Claims


async def test_two_owners_never_get_the_same_job(database: Store, tmp_path: Path, database_url: str | None) -> None:
    account_id = await new_account(database)
    asked = [await queued(database, account_id) for _ in range(60)]
    stores = [await store.open(tmp_path, database_url) for _ in range(4)]

    async def work(owner: str, opened: Store) -> list[Job]:
        got: list[Job] = []
        while taken := await claim(opened, owner, 3):
            got += taken
        return got

    try:
        workers = [work(f"{place}-{number}", opened) for place, opened in enumerate(stores) for number in range(4)]
        taken = await asyncio.gather(*workers)
    finally:
        for opened in stores:
            await opened.close()
    got = [job for part in taken for job in part]
    assert sorted(job.id for job in got) == sorted(job.id for job in asked)
    assert {job.attempt for job in got} == {1}
    for number, part in enumerate(taken):
        assert {job.owner for job in part} <= {f"{number // 4}-{number % 4}"}


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_a_claim_takes_no_more_than_its_limit(database: Store, limit: int) -> None:
    account_id = await new_account(database)
    for _ in range(20):
        await queued(database, account_id)
    assert [len(await claim(database, "worker", limit)) for _ in range(2)] == [limit, limit]


async def test_the_longest_due_are_taken_first(database: Store) -> None:
    account_id = await new_account(database)
    waits = {(await waiting(database, account_id, wait)).id: wait for wait in (5_000, 9_000, 1_000, 7_000, 3_000)}
    longest = sorted(waits, key=lambda job_id: waits[job_id])
    database.clock_shift = HOUR_MS
    assert [(await claim(database, "worker", 1))[0].id for _ in range(2)] == longest[:2]
    assert {job.id for job in await claim(database, "worker", 2)} == set(longest[2:4])


async def test_a_job_that_is_not_due_is_not_claimed(database: Store) -> None:
    account_id = await new_account(database)
    later = await waiting(database, account_id, HOUR_MS)
    assert not await turns.anything(database)
    assert await claim(database, "worker") == []
    database.clock_shift = HOUR_MS + 1000
    assert await turns.anything(database)
    assert [job.id for job in await claim(database, "worker")] == [later.id]


async def test_a_held_job_is_not_claimed_until_its_lease_lapses(database: Store) -> None:
    await queued(database, await new_account(database))
    first = await claim_one(database, "first")
    assert (first.owner, first.attempt) == ("first", 1)
    assert await claim(database, "second") == []
    database.clock_shift = LEASE_MS - 5_000
    assert await claim(database, "second") == []
    database.clock_shift = LEASE_MS + 1_000
    second = await claim_one(database, "second")
    assert (second.id, second.owner, second.attempt) == (first.id, "second", 2)
    assert second.claimed - first.claimed >= LEASE_MS


async def test_a_late_finisher_is_fenced(database: Store) -> None:
    account_id = await new_account(database)
    await queued(database, account_id)
    late = await claim_one(database, "same name")
    database.clock_shift = LEASE_MS + 1_000
    holder = await claim_one(database, "same name")
    for after in (replace(late, state=JobState.SUBMITTING), late, replace(late, state=JobState.FAILED)):
        with pytest.raises(LeaseLost):
            await step(database, late, after)
    assert await renew(database, [late]) == set()
    assert await jobs.get(database, account_id, holder.id) == replace(holder, claimed=0)
    await step(database, holder, replace(holder, state=JobState.SUBMITTING))


async def test_a_lapsed_lease_nobody_took_is_still_its_holders(database: Store) -> None:
    await queued(database, await new_account(database))
    held = await claim_one(database, "worker")
    database.clock_shift = LEASE_MS + 1_000
    assert await renew(database, [held]) == {held.id}
    assert await claim(database, "other") == []


async def test_renew_gives_only_what_is_still_held(database: Store) -> None:
    account_id = await new_account(database)
    for _ in range(4):
        await queued(database, account_id)
    kept, ended, put_back, taken = await claim(database, "worker", 4)
    await step(database, ended, replace(ended, state=JobState.FAILED, owner=None), None)
    await step(database, put_back, replace(put_back, owner=None), HOUR_MS)
    database.clock_shift = LEASE_MS - 1_000
    assert await renew(database, [kept]) == {kept.id}
    database.clock_shift = LEASE_MS + 1_000
    assert [job.id for job in await claim(database, "other")] == [taken.id]
    assert await renew(database, [kept, ended, put_back, taken]) == {kept.id}


async def test_a_worker_that_stops_gives_back_what_it_holds(database: Store) -> None:
    account_id = await new_account(database)
    for _ in range(3):
        await queued(database, account_id)
    mine = await claim(database, "mine", 2)
    yours = await claim_one(database, "yours")
    ended, given = mine
    await step(database, ended, replace(ended, state=JobState.FAILED, owner=None), None)
    async with database.write() as tx:
        await jobs.release(tx, "mine")
    again = await claim_one(database, "other")
    assert (again.id, again.attempt) == (given.id, 2)
    assert await renew(database, [yours]) == {yours.id}
    with pytest.raises(LeaseLost):
        await step(database, given, replace(given, state=JobState.SUBMITTING))


# Moves


def advanced(state: JobState) -> list[JobState]:
    """The way to a state."""
    way = [JobState.SUBMITTING, JobState.WAITING, JobState.COLLECTING]
    return way[: way.index(state) + 1] if state in way else []


@pytest.mark.parametrize("state", sorted(set(JobState) - ENDED))
async def test_a_move_outside_the_table_is_refused(database: Store, state: JobState) -> None:
    account_id = await new_account(database)
    await queued(database, account_id)
    job = await claim_one(database, "worker")
    for on_the_way in advanced(state):
        job = await step(database, job, replace(job, state=on_the_way))
    for to in set(JobState) - MOVES[state] - {state}:
        with pytest.raises(ValueError, match="cannot move"):
            await step(database, job, replace(job, state=to))
    row = await jobs.get(database, account_id, job.id)
    assert row is not None
    assert row.state == state


async def test_a_job_that_ended_moves_no_more(database: Store) -> None:
    await queued(database, await new_account(database))
    held = await claim_one(database, "worker")
    for ended in ENDED:
        for to in set(JobState) - MOVES[ended] - {ended}:
            with pytest.raises(ValueError, match="cannot move"):
                await step(database, replace(held, state=ended), replace(held, state=to))


@pytest.mark.parametrize("state", sorted(set(JobState) - ENDED))
async def test_every_move_of_the_table_is_made(database: Store, state: JobState) -> None:
    account_id = await new_account(database)
    for to in MOVES[state]:
        await queued(database, account_id)
        job = await claim_one(database, "worker")
        for on_the_way in [*advanced(state), to]:
            job = await step(database, job, replace(job, state=on_the_way), HOUR_MS)
        row = await jobs.get(database, account_id, job.id)
        assert row is not None
        assert row.state == to


async def test_a_step_from_a_state_the_job_is_not_in_any_more_is_refused(database: Store) -> None:
    await queued(database, await new_account(database))
    held = await claim_one(database, "worker")
    await step(database, held, replace(held, state=JobState.SUBMITTING))
    with pytest.raises(LeaseLost):
        await step(database, held, replace(held, state=JobState.FAILED))


async def test_what_a_step_says_is_kept(database: Store) -> None:
    account_id = await new_account(database)
    asked = await queued(database, account_id)
    held = await claim_one(database, "worker")
    told: dict[str, Any] = {"ticket": "t-1", "progress": 0.25, "tries": 3}
    held = await step(database, held, replace(held, state=JobState.SUBMITTING))
    after = await step(database, held, replace(held, state=JobState.WAITING, **told))
    row = await jobs.get(database, account_id, asked.id)
    assert row == replace(after, claimed=0)
    assert (row.ticket, row.progress, row.tries, row.request, row.credits) == (
        "t-1",
        0.25,
        3,
        asked.request,
        asked.credits,
    )
    assert row.submitted is not None
    assert row.submitted >= asked.created


@pytest.mark.parametrize("error", [ProviderFailed("It broke; try again."), Cancelled("You cancelled it.")])
async def test_a_job_that_failed_is_never_claimed_and_keeps_its_ticket(
    studio: Studio, error: ProviderFailed | Cancelled
) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    await studio.fail(job, error)
    studio.store.clock_shift = 100 * HOUR_MS
    assert not await turns.anything(studio.store)
    assert await claim(studio.store, "other") == []
    row = await jobs.get(studio.store, account_id, job.id)
    assert row is not None
    assert (row.state, row.owner, row.ticket, row.progress) == (JobState.FAILED, None, job.ticket, None)
    assert (row.error_code, row.error_message) == (error.code, error.sentence)
    with pytest.raises(LeaseLost):
        await studio.held(job)


# The entry into the library


async def test_an_entry_is_item_job_and_revision_at_once(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    files = await studio.announce_files(job)
    before = await revision(studio.store, account_id)
    done = await studio.enter(job, video_of(job, files.file_id))
    assert (done.state, done.owner, done.ticket) == (JobState.COMPLETED, None, None)
    assert await VIDEOS.of_job(studio.store, account_id, job.id) is not None
    assert await VIDEOS.has_file(studio.store, account_id, files.file_id)
    assert await revision(studio.store, account_id) == before + 1
    assert await draft_ids(studio.store) == set()


async def draft_ids(opened: Store) -> set[str]:
    return {row[0] for row in await opened.rows("SELECT file_id FROM drafts")}


async def test_an_entry_without_the_lease_enters_nothing(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    late = await collecting(studio, account_id)
    files = await studio.announce_files(late)
    studio.store.clock_shift = LEASE_MS
    holder = await claim_one(studio.store, "other")
    with pytest.raises(LeaseLost):
        await studio.enter(late, video_of(late, files.file_id))
    assert await VIDEOS.of_job(studio.store, account_id, late.id) is None
    assert (await VIDEOS.page(studio.store, account_id, None, 10)).items == []
    assert await revision(studio.store, account_id) == 0
    assert await draft_ids(studio.store) == {files.file_id}
    assert await studio.held(holder) == holder


async def test_files_that_were_condemned_cannot_enter(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    files = await studio.announce_files(job)
    async with studio.store.write() as tx:
        assert await drafts.condemn(tx, files)
    with pytest.raises(LeaseLost):
        await studio.enter(job, video_of(job, files.file_id))
    assert (await VIDEOS.page(studio.store, account_id, None, 10)).items == []
    assert await revision(studio.store, account_id) == 0
    assert await draft_ids(studio.store) == {files.file_id}
    assert (await studio.held(job)).state == JobState.COLLECTING


async def test_files_that_were_never_announced_cannot_enter(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    with pytest.raises(LeaseLost):
        await studio.enter(job, video_of(job, ids.uuid()))
    assert (await VIDEOS.page(studio.store, account_id, None, 10)).items == []


async def test_a_job_enters_once_however_often_it_is_tried(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    files = [await studio.announce_files(job) for _ in range(8)]
    tried = await asyncio.gather(
        *(studio.enter(job, video_of(job, one.file_id)) for one in files), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in tried) == ["Job"] + ["LeaseLost"] * 7
    assert len((await VIDEOS.page(studio.store, account_id, None, 10)).items) == 1
    assert await revision(studio.store, account_id) == 1
    assert len(await draft_ids(studio.store)) == 7


@pytest.mark.parametrize("same", ["job_id", "id", "file_id"])
async def test_the_database_itself_refuses_a_second_entry(studio: Studio, same: str) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    files = await studio.announce_files(job)
    entered = video_of(job, files.file_id)
    await studio.enter(job, entered)
    second = video(account_id, created=entered.created + 1, **{same: getattr(entered, same)})
    with pytest.raises(Duplicate):
        async with studio.store.write() as tx:
            await VIDEOS.add(tx, second)
    assert len((await VIDEOS.page(studio.store, account_id, None, 10)).items) == 1


async def test_two_accounts_may_hold_the_same_item_id(database: Store) -> None:
    mine, yours = await new_account(database), await new_account(database)
    one, other = video(mine), video(yours)
    async with database.write() as tx:
        await VIDEOS.add(tx, one)
        await VIDEOS.add(tx, replace(other, id=one.id))
    async with database.write() as tx:
        removed = await VIDEOS.remove(tx, mine, one.id)
        assert removed
        assert removed.file_id == one.file_id
    assert (await VIDEOS.page(database, mine, None, 10)).items == []
    assert len((await VIDEOS.page(database, yours, None, 10)).items) == 1


# Walls


async def test_another_accounts_job_and_item_are_not_there(studio: Studio) -> None:
    mine, yours = await new_account(studio.store), await new_account(studio.store)
    job = await collecting(studio, mine)
    files = await studio.announce_files(job)
    await studio.enter(job, video_of(job, files.file_id))
    assert await jobs.get(studio.store, mine, job.id) is not None
    assert await jobs.get(studio.store, yours, job.id) is None
    assert await VIDEOS.of_job(studio.store, yours, job.id) is None
    assert not await VIDEOS.has_file(studio.store, yours, files.file_id)
    async with studio.store.write() as tx:
        assert await VIDEOS.remove(tx, yours, job.item_id) is None
    assert (await VIDEOS.page(studio.store, yours, None, 10)).items == []
    assert len((await VIDEOS.page(studio.store, mine, None, 10)).items) == 1
    assert await revision(studio.store, yours) == 0


async def test_a_revoked_or_unknown_key_opens_nothing(studio: Studio) -> None:
    key = await studio.create_key("me", "laptop")
    other = await studio.create_key("me", "phone")
    account = await accounts.of_key(studio.store, key)
    assert account is not None
    assert await accounts.of_key(studio.store, other) == account
    [known] = [found for found in await accounts.keys(studio.store) if found.label == "laptop"]
    assert await studio.revoke_key(known.id)
    assert await studio.revoke_key(known.id), "a repeat succeeds"
    assert not await studio.revoke_key(ids.uuid())
    assert await accounts.of_key(studio.store, key) is None
    assert await accounts.of_key(studio.store, key[:-1]) is None
    assert await accounts.of_key(studio.store, other) == account
    stored = str(await studio.store.rows("SELECT * FROM keys"))
    assert key not in stored
    assert key.removeprefix(ids.KEY_PREFIX) not in stored


# Drafts


async def test_only_old_files_that_nobody_works_on_are_old(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    files = await studio.announce_files(job)
    assert await drafts.old(studio.store, HOUR_MS) == []
    studio.store.clock_shift = HOUR_MS + 1_000
    await studio.renew([job])
    assert await drafts.old(studio.store, HOUR_MS) == [], "its worker is alive"
    await studio.put_back(job, job, 0)
    assert await drafts.old(studio.store, HOUR_MS) == [drafts.Draft(files.file_id, account_id, Kind.VIDEO)]
    assert await drafts.old(studio.store, 2 * HOUR_MS) == []


async def test_files_of_a_worker_that_died_are_old_in_the_end(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    files = await studio.announce_files(await collecting(studio, account_id))
    studio.store.clock_shift = 2 * HOUR_MS
    assert await drafts.old(studio.store, HOUR_MS) == [drafts.Draft(files.file_id, account_id, Kind.VIDEO)]


async def test_old_files_come_oldest_first_and_not_all_at_once(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    made = []
    for _ in range(3):
        made.append((await studio.announce_files(job)).file_id)
        studio.store.clock_shift += 1_000
    await studio.fail(job, ProviderFailed("It broke; try again."))
    studio.store.clock_shift += HOUR_MS
    assert [draft.file_id for draft in await drafts.old(studio.store, HOUR_MS, limit=2)] == made[:2]


async def stored(studio: Studio, files: Files) -> list[bool]:
    return [await studio.blobs.stat(name) is not None for name in files.all]


async def write(studio: Studio, files: Files) -> None:
    for name in files.all:
        with studio.blobs.workspace() as folder:
            (folder / "file").write_bytes(name.encode())
            await studio.blobs.put(name, folder / "file")


async def test_dropped_files_are_gone_with_their_note(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    dropped, kept = await studio.announce_files(job), await studio.announce_files(job)
    await write(studio, dropped)
    await write(studio, kept)
    await studio.drop_files(dropped)
    await studio.drop_files(dropped)
    assert (await stored(studio, dropped), await stored(studio, kept)) == ([False] * 5, [True] * 5)
    assert await draft_ids(studio.store) == {kept.file_id}
    await studio.enter(job, video_of(job, kept.file_id))


async def test_files_of_an_item_in_the_library_are_never_dropped(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    job = await collecting(studio, account_id)
    files = await studio.announce_files(job)
    await write(studio, files)
    await studio.enter(job, video_of(job, files.file_id))
    await studio.drop_files(files)
    assert await stored(studio, files) == [True] * 5


async def test_a_drop_and_an_entry_at_once_end_one_way_or_the_other(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    for number in range(10):
        job = await collecting(studio, account_id)
        files = await studio.announce_files(job)
        await write(studio, files)
        enter, drop = studio.enter(job, video_of(job, files.file_id)), studio.drop_files(files)
        both = (enter, drop) if number % 2 else (drop, enter)
        outcome = await asyncio.gather(*both, return_exceptions=True)
        assert [type(end) for end in outcome if isinstance(end, BaseException)] in ([], [LeaseLost])
        entered = await VIDEOS.has_file(studio.store, account_id, files.file_id)
        assert await stored(studio, files) == [entered] * 5
        assert await draft_ids(studio.store) == set()
        if not entered:
            await studio.fail(job, ProviderFailed("Its files were swept; send it again."))
