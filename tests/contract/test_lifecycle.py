"""The ends of a job that a client brings about: cancelled, deleted, cleaned; and what goes with them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, LiteralString

import httpx2
import pytest

from rushes import config, store
from rushes.errors import JobFinished, JobNotFinished, JobNotFound, LeaseLost, ProviderFailed
from rushes.model import Files, Image, ImageRequest, Item, Job, JobState, Kind, Request, VideoRequest
from rushes.store import Row, Rows, Store, Transaction, changes, credits, jobs, trash
from rushes.store.library import LIBRARIES
from rushes.studio import Studio
from rushes.work.sweep import sweep
from tests.api.takes import VIDEOS, ended, submit
from tests.conftest import Server, serving, wait_until
from tests.contract.samples import new_account, submitted, video_of
from tests.contract.test_changes import until_blocked
from tests.media.clips import make

IMAGES = "/aistudio/images"
REQUESTS: dict[Kind, Request] = {
    Kind.VIDEO: VideoRequest("a heron lifts off", "pixverse5.5", "9:16", 5),
    Kind.IMAGE: ImageRequest("a heron lifts off", "flux-schnell", "1:1"),
}
ROOT = Path(__file__).parents[2]
WAY = [JobState.QUEUED, JobState.SUBMITTING, JobState.WAITING, JobState.COLLECTING]


# A worker's hand


async def held(studio: Studio, account_id: str, kind: Kind = Kind.VIDEO, state: JobState = JobState.COLLECTING) -> Job:
    """A job that a worker holds in a state."""
    asked = await submitted(studio, account_id, REQUESTS[kind], "http://a.example")
    [job] = [each for each in await studio.turns.claim("worker", 1000) if each.id == asked.id]
    for step in WAY[1 : WAY.index(state) + 1]:
        job = await studio.keep(job, replace(job, state=step, ticket="ticket"))
    return job


def made(job: Job, files: Files, created: int) -> Item:
    """What a job makes."""
    if isinstance(job.request, VideoRequest):
        return video_of(job, files.file_id, created=created)
    return Image(files.file_id, job.account_id, job.id, job.request, created, 1024, 1024)


async def written(studio: Studio, job: Job) -> Files:
    """The files of an attempt, announced and kept."""
    files = await studio.announce_files(job)
    with studio.blobs.workspace() as folder:
        for name in files.all:
            (folder / "file").write_bytes(b"bytes")
            await studio.blobs.put(name, folder / "file")
    return files


@dataclass(frozen=True)
class Made:
    """A job that went well, and what it made."""

    job: Job
    item: Item

    @property
    def kind(self) -> Kind:
        return self.job.kind


async def completed(studio: Studio, account_id: str, kind: Kind) -> Made:
    job = await held(studio, account_id, kind)
    item = made(job, await written(studio, job), await studio.now())
    return Made(await studio.enter(job, item), item)


async def kept(studio: Studio) -> list[str]:
    """Every file there is."""
    return [name for folder in ("videos", "images", "sidecars") for name in await studio.blobs.names(folder)]


async def state(studio: Studio, job: Job) -> JobState:
    row = await jobs.get(studio.store, job.account_id, job.id)
    assert row
    return row.state


async def feed(studio: Studio, account_id: str) -> list[tuple[str, bool]]:
    """The change feed: ids, and whether they are there."""
    listed = await changes.after(studio.store, account_id, 0, 1000)
    return [(change.item_id, change.item is not None) for change in listed]


async def noted(studio: Studio) -> int:
    """How many items' files are still to be deleted."""
    return len(await trash.old(studio.store, -1_000_000))


async def under_way(studio: Studio, account_id: str) -> tuple[int, int]:
    [row] = await studio.store.rows("SELECT held, under_way FROM accounts WHERE id = :id", id=account_id)
    return int(row[0]), int(row[1])


# Cancel, in every state


@pytest.mark.anyio
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("at", WAY)
async def test_a_job_can_be_cancelled_in_every_state_before_its_end(studio: Studio, at: JobState, kind: Kind) -> None:
    account_id = await new_account(studio.store)
    job = await held(studio, account_id, kind, at)
    await studio.cancel_job(account_id, job.id)
    row = await jobs.get(studio.store, account_id, job.id)
    assert row
    assert (row.state, row.error_code, row.owner, row.ticket) == (JobState.CANCELLED, "CANCELLED", None, job.ticket)
    assert await under_way(studio, account_id) == (0, 0)
    with pytest.raises(LeaseLost):
        await studio.held(job)
    assert await studio.renew([job]) == set()
    if job.ticket:  # its provider has it, and is asked to stop
        [due] = await studio.turns.claim("other", 10)
        assert (due.id, due.state, due.ticket) == (job.id, JobState.CANCELLED, job.ticket)
        await studio.money.withdrawn(due, None)
    studio.store.clock_shift = 10**9
    assert await studio.turns.claim("other", 10) == []


@pytest.mark.anyio
@pytest.mark.parametrize("kind", Kind)
async def test_a_late_finish_of_a_cancelled_job_enters_nothing_and_its_files_go(studio: Studio, kind: Kind) -> None:
    account_id = await new_account(studio.store)
    job = await held(studio, account_id, kind)
    files = await written(studio, job)
    await studio.cancel_job(account_id, job.id)
    for late in (
        studio.enter(job, made(job, files, await studio.now())),
        studio.fail(job, ProviderFailed("It broke; try again.")),
        studio.put_back(job, job, 0),
    ):
        with pytest.raises(LeaseLost):
            await late
    assert (await feed(studio, account_id), await state(studio, job)) == ([], JobState.CANCELLED)
    assert await under_way(studio, account_id) == (0, 0)
    assert [some async for some in credits.entries(studio.store, account_id, 0, 2**60)] == []
    await studio.drop_files(files)
    assert await kept(studio) == []


GATES = ["submit", "poll", "download"]
TOLD = {"submit": "submitting", "poll": "waiting", "download": "collecting"}


@contextmanager
def busy(folder: Path, database_url: str | None, lease: str) -> Iterator[Server]:
    """A server whose worker stops at every gate that is not open: a file in the folder."""
    make(folder / "clip.mp4", width=64, height=112, frames=12)
    (folder / "routes.toml").write_text(
        f'[models."pixverse5.5"]\nprovider = "tests.work.providers:Slow"\nfolder = "{folder}"\n'
    )
    settings = {
        "RUSHES_CONFIG": str(folder / "routes.toml"),
        "RUSHES_LEASE_SECONDS": lease,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with serving(folder / "data", database_url, settings=settings) as server:
        yield server


@pytest.mark.parametrize(("gate", "lease"), [("submit", "60"), ("poll", "60"), ("download", "60"), ("download", "1")])
def test_a_worker_that_is_busy_with_a_cancelled_job_throws_its_work_away(
    tmp_path: Path, database_url: str | None, gate: str, lease: str
) -> None:
    """With the long lease it only finds out when it has finished; with the short one while it works."""
    with busy(tmp_path, database_url, lease) as server, server.client() as api:
        for opened in GATES[: GATES.index(gate)]:
            (tmp_path / opened).touch()
        job_id = submit(api)
        wait_until((tmp_path / f"at-{gate}").exists, 60, "the worker's arrival")
        assert api.get(f"/aistudio/jobs/{job_id}").json()["state"] == TOLD[gate]
        assert api.post(f"/jobs/{job_id}/cancel").content == b'{"success":true}'
        job = api.get(f"/jobs/{job_id}").json()
        assert (job["data"]["status"], job["data"]["error_code"]) == ("failed", "CANCELLED")
        if lease == "60":
            for opened in GATES:
                (tmp_path / opened).touch()
        wait_until(lambda: len(server.do(left)) == 0, 60, "the end of the worker's work")
        # The worker is alive and goes on with others: what it held before has surely been let go of.
        for opened in GATES:
            (tmp_path / opened).touch()
        assert ended(api, submit(api))["data"]["status"] == "completed"
        assert api.get(f"/jobs/{job_id}").json() == job
        assert len(api.get(VIDEOS).json()["items"]) == 1
        assert api.get("/quota").json()["aiCredits"]["used"] == 8
        assert len(server.do(kept)) == 5
        assert (tmp_path / "submissions").read_text().split().count(job_id) == 1


async def left(studio: Studio) -> list[Any]:
    """What is still being written, and workspaces in use."""
    drafts = await studio.store.rows("SELECT file_id FROM drafts")
    return [*drafts, *(studio.config.data / "media" / ".work").iterdir()]


# "cancel of an ended job: 409 JOB_FINISHED"; "under way: 409 JOB_NOT_FINISHED"


def test_an_ended_job_cannot_be_cancelled(server: Server) -> None:
    with server.client() as api:
        job_id = submit(api, "goes wrong [sandbox: fail]")
        before = ended(api, job_id)
        for _ in range(2):
            answer = api.post(f"/jobs/{job_id}/cancel")
            assert (answer.status_code, list(answer.json())) == (409, ["code", "message"])
            assert answer.json()["code"] == "JOB_FINISHED"
        assert api.get(f"/jobs/{job_id}").json() == before
        assert api.delete(f"/jobs/{job_id}/clean").status_code == 200
        assert api.post(f"/jobs/{job_id}/cancel").json()["code"] == "JOB_FINISHED"


def test_a_job_under_way_cannot_be_cleaned(server: Server) -> None:
    with server.client() as api:
        job_id = submit(api, "takes for ever [sandbox: stall]")
        answer = api.delete(f"/jobs/{job_id}/clean")
        assert (answer.status_code, list(answer.json())) == (409, ["code", "message"])
        assert answer.json()["code"] == "JOB_NOT_FINISHED"
        assert api.get(f"/jobs/{job_id}").json()["data"] == {"status": "in-progress"}
        assert api.post(f"/jobs/{job_id}/cancel").status_code == 200
        assert api.delete(f"/jobs/{job_id}/clean").status_code == 200
        assert api.get(f"/jobs/{job_id}").json()["data"] == {"status": "cleaned"}


@pytest.mark.anyio
@pytest.mark.parametrize("at", WAY)
async def test_no_state_before_the_end_can_be_cleaned(studio: Studio, at: JobState) -> None:
    account_id = await new_account(studio.store)
    job = await held(studio, account_id, state=at)
    with pytest.raises(JobNotFinished):
        await studio.clean_job(account_id, job.id)
    assert await state(studio, job) == at


def test_a_failed_job_can_be_cleaned_and_a_repeat_succeeds(server: Server) -> None:
    with server.client() as api:
        job_id = submit(api, "goes wrong [sandbox: fail]")
        ended(api, job_id)
        for _ in range(3):
            answer = api.delete(f"/jobs/{job_id}/clean")
            assert (answer.status_code, answer.content) == (200, b'{"success":true}')
            told = api.get(f"/jobs/{job_id}").content
            assert told == f'{{"job_id":"{job_id}","success":true,"data":{{"status":"cleaned"}}}}'.encode()
        assert api.get("/aistudio/changes").json()["changes"] == []


@pytest.mark.parametrize(("method", "path"), [("DELETE", "clean"), ("POST", "cancel")])
@pytest.mark.parametrize("job_id", ["00000000-0000-4000-8000-000000000000", "x", "%00", "%22"])
def test_an_unknown_job_is_404(server: Server, method: str, path: str, job_id: str) -> None:
    with server.client() as api:
        answer = api.request(method, f"/jobs/{job_id}/{path}")
        assert answer.status_code == 404
        assert answer.json()["data"] == {"error_code": "5000", "error_message": "JOB_NOT_FOUND"}


# "Deleting an item and cleaning its job are the same act: files and item go, the job reads cleaned, one tombstone
# enters the change feed"


@pytest.mark.parametrize("act", ["delete", "clean"])
@pytest.mark.parametrize("path", [VIDEOS, IMAGES])
def test_deleting_an_item_and_cleaning_its_job_are_the_same_act(server: Server, path: str, act: str) -> None:
    with server.client() as api:
        job_id = api.post(path, json={"prompt": "a heron lifts off"}).json()["data"]["jobId"]
        assert ended(api, job_id)["data"]["status"] == "completed"
        [item] = api.get(path).json()["items"]
        links = [link for name, link in item.items() if name == "url" or name.endswith("ImageUrl")]
        assert {httpx2.get(link, trust_env=False).status_code for link in links} == {200}
        acts: dict[str, Callable[[], httpx2.Response]] = {
            "delete": lambda: api.delete(f"{path}/{item['id']}"),
            "clean": lambda: api.delete(f"/jobs/{job_id}/clean"),
        }
        answer = acts[act]()
        assert (answer.status_code, answer.content) == (200, b'{"success":true}')
        assert api.get(path).content == b'{"items":[]}'
        assert api.get(f"{path}/{item['id']}").status_code == 404
        assert {httpx2.get(link, trust_env=False).status_code for link in links} == {404}
        assert api.get(f"/jobs/{job_id}").json() == {"job_id": job_id, "success": True, "data": {"status": "cleaned"}}
        assert api.get(f"/aistudio/jobs/{job_id}").json()["state"] == "cleaned"
        assert [*(server.data / "media").rglob(f"*/{Path(item['url']).parts[-2]}/*.*")] == [], "nor a sidecar"
        assert acts["clean"]().status_code == 200, "a repeat succeeds"
        assert acts["delete"]().status_code == 404, "there is no such item any more"
        told = [(change["type"], change["id"]) for change in api.get("/aistudio/changes").json()["changes"]]
        assert told == [("deleted", item["id"])]


@pytest.mark.anyio
@pytest.mark.parametrize("kind", Kind)
async def test_an_item_without_a_job_can_be_deleted(studio: Studio, kind: Kind) -> None:
    account_id = await new_account(studio.store)
    one = await completed(studio, account_id, kind)
    async with studio.store.write() as tx:
        await tx.rows("UPDATE videos SET job_id = NULL")
        await tx.rows("UPDATE images SET job_id = NULL")
    assert await studio.delete_item(account_id, kind, one.item.id)
    assert not await studio.delete_item(account_id, kind, one.item.id)
    assert (await feed(studio, account_id), await kept(studio)) == ([(one.item.id, False)], [])


@pytest.mark.anyio
@pytest.mark.parametrize("kind", Kind)
async def test_another_accounts_item_and_job_stay(studio: Studio, kind: Kind) -> None:
    mine, yours = await new_account(studio.store), await new_account(studio.store)
    one = await completed(studio, mine, kind)
    assert not await studio.delete_item(yours, kind, one.item.id)
    for act in (studio.clean_job, studio.cancel_job):
        with pytest.raises(JobNotFound):
            await act(yours, one.job.id)
    assert await state(studio, one.job) == JobState.COMPLETED
    assert sorted(await kept(studio)) == sorted(one.item.files.all)


# At once


@pytest.mark.anyio
@pytest.mark.parametrize("kind", Kind)
async def test_a_deletion_and_a_cleaning_at_once_are_one_and_nobody_is_in_anybodys_way(
    studio: Studio, tmp_path: Path, database_url: str | None, kind: Kind
) -> None:
    """One tombstone, no deadlock."""
    account_id = await new_account(studio.store)
    other = replace(studio, store=await store.open(tmp_path, database_url))
    made = [await completed(studio, account_id, kind) for _ in range(6)]
    acts: list[Awaitable[object]] = []
    for one in made:
        for at in (studio, other) * 3:
            acts += [at.delete_item(account_id, kind, one.item.id), at.clean_job(account_id, one.job.id)]
    outcome = await asyncio.gather(*acts, return_exceptions=True)
    await other.store.close()
    assert [end for end in outcome if isinstance(end, BaseException)] == []
    assert sorted(await feed(studio, account_id)) == sorted((one.item.id, False) for one in made)
    assert {await state(studio, one.job) for one in made} == {JobState.CLEANED}
    assert (await kept(studio), await noted(studio)) == ([], 0)


@pytest.mark.anyio
async def test_entries_and_deletions_of_one_account_at_once_do_not_lock_each_other_out(
    studio: Studio, tmp_path: Path, database_url: str | None
) -> None:
    account_id = await new_account(studio.store)
    other = replace(studio, store=await store.open(tmp_path, database_url))
    gone = [await completed(studio, account_id, kind) for kind in [*Kind] * 4]
    come = [await held(studio, account_id, kind) for kind in [*Kind] * 4]
    items = [made(job, await written(studio, job), await studio.now()) for job in come]
    acts: list[Awaitable[object]] = []
    for number, (one, job, item) in enumerate(zip(gone, come, items, strict=True)):
        at = (studio, other)[number % 2]
        acts += [at.delete_item(account_id, one.kind, one.item.id), at.enter(job, item)]
        acts += [other.clean_job(account_id, one.job.id), at.submit(account_id, REQUESTS[one.kind], "http://a.example")]
    outcome = await asyncio.gather(*acts, return_exceptions=True)
    await other.store.close()
    assert [end for end in outcome if isinstance(end, BaseException)] == []
    expected = [(one.item.id, False) for one in gone] + [(item.id, True) for item in items]
    assert sorted(await feed(studio, account_id)) == sorted(expected)
    assert (await under_way(studio, account_id))[1] == len(gone)


@dataclass
class Interrupted:
    """A store in whose changes something else happens before their statement of that number."""

    inner: Store
    number: int
    meanwhile: Callable[[], Awaitable[None]]
    engine: LiteralString = "postgres"
    clock_shift: int = 0

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        return await self.inner.rows(sql, **params)

    async def column(self, sql: str, /, **params: object) -> list[Any]:
        return await self.inner.column(sql, **params)

    async def columns(self) -> dict[str, list[str]]:
        return await self.inner.columns()

    def version(self) -> int | None:
        return self.inner.version()

    def seen(self) -> int | None:
        return self.inner.seen()

    def snapshot(self) -> AbstractAsyncContextManager[Rows]:
        return self.inner.snapshot()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        async with self.inner.write() as tx:
            yield InterruptedChange(tx, self, tx.now)

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class InterruptedChange:
    """A change of such a store."""

    inner: Transaction
    store: Interrupted
    now: int

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        if self.store.number == 0:
            await self.store.meanwhile()
        self.store.number -= 1
        return await self.inner.rows(sql, **params)

    async def lock(self, name: str) -> None:
        await self.inner.lock(name)

    async def lock_schema(self) -> None:
        await self.inner.lock_schema()

    async def number_on(self, table: str, column: str) -> None:
        await self.inner.number_on(table, column)


@pytest.mark.anyio
@pytest.mark.parametrize("statement", range(5))
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("act", ["cancel", "clean", "delete"])
async def test_an_entry_in_the_middle_of_another_change_leaves_item_job_and_feed_as_one(
    tmp_path: Path, new_database: Callable[[], str], act: str, kind: Kind, statement: int
) -> None:
    """On PostgreSQL each statement sees what was committed before it: the job enters its item between two of them."""
    url = new_database()
    async with Studio.open(config.load(data=tmp_path, database_url=url)) as studio:
        account_id = await new_account(studio.store)
        job = await held(studio, account_id, kind)
        item = made(job, await written(studio, job), await studio.now())
        entry: list[asyncio.Task[Job]] = []

        async def enter() -> None:
            entry.append(asyncio.create_task(studio.enter(job, item)))
            await first_of(entry[0], url)

        other = replace(studio, store=Interrupted(studio.store, statement, enter))
        meeting: dict[str, Callable[[], Awaitable[object]]] = {
            "cancel": lambda: other.cancel_job(account_id, job.id),
            "clean": lambda: other.clean_job(account_id, job.id),
            "delete": lambda: other.delete_item(account_id, kind, item.id),
        }
        ends: list[object] = [*await asyncio.gather(meeting[act](), return_exceptions=True)]
        ends += await asyncio.gather(*entry, return_exceptions=True)
        failures = {type(end) for end in ends if isinstance(end, BaseException)}
        assert failures <= {JobFinished, JobNotFinished, LeaseLost}
        there = await LIBRARIES[kind].get(studio.store, account_id, item.id) is not None
        assert there == (await state(studio, job) == JobState.COMPLETED)
        assert await feed(studio, account_id) in ([], [(item.id, there)])


async def first_of(task: asyncio.Task[Job], url: str) -> None:
    """Wait until it has ended, or waits for a lock."""
    blocked = asyncio.create_task(until_blocked(url))
    await asyncio.wait([task, blocked], return_when=asyncio.FIRST_COMPLETED)
    blocked.cancel()
    await asyncio.gather(blocked, return_exceptions=True)


# A crash between the row and its files


@pytest.mark.anyio
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("deleted", [0, 1, 2])
async def test_files_that_a_crash_left_after_their_item_had_gone_are_swept(
    studio: Studio, kind: Kind, deleted: int
) -> None:
    account_id = await new_account(studio.store)
    stays, one = await completed(studio, account_id, kind), await completed(studio, account_id, kind)
    async with studio.store.write() as tx:
        await jobs.clean(tx, account_id, one.job.id)
        assert await LIBRARIES[kind].remove(tx, account_id, one.item.id)
        await trash.add(tx, kind, account_id, one.item.file_id)
    for name in one.item.files.all[:deleted]:
        await studio.blobs.delete(name)
    assert await sweep(studio) == 0, "they may be being deleted at this moment"
    assert sorted(await kept(studio)) == sorted((*stays.item.files.all, *one.item.files.all[deleted:]))
    studio.store.clock_shift += int(studio.config.sweep_seconds * 1000)
    assert await sweep(studio) == 1
    assert sorted(await kept(studio)) == sorted(stays.item.files.all)
    assert (await noted(studio), await sweep(studio)) == (0, 0)


@pytest.mark.anyio
async def test_files_that_cannot_be_deleted_now_are_left_to_the_sweep(studio: Studio) -> None:
    """The item goes all the same: whoever deletes it is told that it is deleted."""
    account_id = await new_account(studio.store)
    one = await completed(studio, account_id, Kind.VIDEO)
    path = studio.config.data / "media" / one.item.files.all[0]
    path.unlink()
    path.mkdir()  # not even root can unlink that
    assert await studio.delete_item(account_id, Kind.VIDEO, one.item.id)
    assert (await feed(studio, account_id), await noted(studio)) == ([(one.item.id, False)], 1)
    assert await state(studio, one.job) == JobState.CLEANED
    path.rmdir()
    studio.store.clock_shift += int(studio.config.sweep_seconds * 1000)
    assert await sweep(studio) == 1
    assert (await kept(studio), await noted(studio)) == ([], 0)
