"""What a worker that was killed leaves behind, and what the sweep makes of it: exactly the leavings go."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rushes import config
from rushes.model import Files, Job, JobState, VideoFiles, VideoRequest
from rushes.store import accounts, jobs, uploads
from rushes.store.uploads import Upload
from rushes.studio import Studio
from rushes.work import sweep as work_sweep
from rushes.work.sweep import keep_sweeping, sweep
from tests.conftest import START_SECONDS, wait_until
from tests.contract.samples import submitted
from tests.work.test_processes import routed, worker_program

pytestmark = pytest.mark.anyio

SWEEP_SECONDS = 60.0
DAY_SECONDS = 86_400


@pytest.fixture
async def swept(tmp_path: Path, database_url: str | None) -> AsyncIterator[Studio]:
    """An open studio whose leavings are old after a minute."""
    settings = config.load(data=tmp_path / "data", database_url=database_url, sweep_seconds=SWEEP_SECONDS)
    async with Studio.open(settings) as opened:
        yield opened


async def queued(studio: Studio) -> Job:
    async with studio.store.write() as tx:
        account = await accounts.named(tx, "default")
    return await submitted(studio, account.id, VideoRequest("a fox", "pixverse5.5", "9:16", 5), "http://a.example")


async def draft(studio: Studio, job: Job, files: int) -> Files:
    """An attempt that got as far as ``files`` of its five files."""
    announced = await studio.announce_files(job)
    await put(studio, announced.all[:files])
    return announced


async def put(studio: Studio, names: tuple[str, ...]) -> None:
    with studio.blobs.workspace() as folder:
        for name in names:
            (folder / "file").write_bytes(b"bytes")
            await studio.blobs.put(name, folder / "file")


async def stored(studio: Studio) -> set[str]:
    return {*await studio.blobs.names("videos"), *await studio.blobs.names("sidecars")}


async def drafts(studio: Studio) -> set[str]:
    return {row[0] for row in await studio.store.rows("SELECT file_id FROM drafts")}


def later(studio: Studio, seconds: float) -> None:
    studio.store.clock_shift += int(seconds * 1000)


@pytest.mark.parametrize("files", range(6))
async def test_a_broken_attempt_is_deleted_however_far_it_got(swept: Studio, files: int) -> None:
    attempt = await draft(swept, await queued(swept), files)
    later(swept, SWEEP_SECONDS - 1)
    assert await sweep(swept) == 0, "not before it is old"
    assert await stored(swept) == set(attempt.all[:files])
    later(swept, 1)
    assert await sweep(swept) == 1
    assert (await stored(swept), await drafts(swept)) == (set(), set())
    assert await sweep(swept) == 0


async def test_more_leavings_than_one_look_finds_all_go(swept: Studio) -> None:
    job = await queued(swept)
    for _ in range(130):
        await draft(swept, job, 0)
    later(swept, SWEEP_SECONDS)
    assert await sweep(swept) == 130
    assert await drafts(swept) == set()


async def test_what_is_at_work_stays_however_old(swept: Studio) -> None:
    """A worker may take longer for one download than the leavings of others are kept."""
    job = await queued(swept)
    [held] = await swept.turns.claim("a living worker", 1)
    attempt = await draft(swept, job, 3)
    for _ in range(10):
        later(swept, swept.config.lease_seconds / 2)
        assert await swept.renew([held]) == {job.id}
    assert await sweep(swept) == 0
    assert await stored(swept) == set(attempt.all[:3])


async def test_what_is_in_the_library_stays(swept: Studio) -> None:
    job = await queued(swept)
    attempt, entered = await draft(swept, job, 5), await draft(swept, job, 5)
    async with swept.store.write() as tx:
        await tx.rows("DELETE FROM drafts WHERE file_id = :id", id=entered.file_id)
    later(swept, SWEEP_SECONDS)
    assert await sweep(swept) == 1
    assert await stored(swept) == set(entered.all)
    assert not await stored(swept) & set(attempt.all)


async def test_a_link_that_was_never_used_goes_with_what_was_kept_under_it(swept: Studio) -> None:
    """A server may be killed between the file and its row; one that is just receiving is at work."""
    kept, came, coming = [await announced(swept) for _ in range(3)]
    await put(swept, (kept.name, came.name))
    async with swept.receiving(came) as (file, take):
        file.write_bytes(b"bytes")
        await take(5)
    later(swept, DAY_SECONDS + SWEEP_SECONDS - 1)
    await sweep(swept)
    assert set(await swept.blobs.names("uploads")) == {kept.name, came.name}
    async with swept.receiving(coming) as (file, take):
        later(swept, 1)
        await sweep(swept)
        assert await swept.blobs.names("uploads") == [came.name]
        file.write_bytes(b"bytes")
        await take(5)
    assert {row[0] for row in await swept.store.rows("SELECT id FROM uploads")} == {came.id, coming.id}


async def announced(studio: Studio) -> Upload:
    async with studio.store.write() as tx:
        account = await accounts.named(tx, "default")
    given = await studio.announce_upload(account.id, "png", "image/png", lambda upload: upload.id, None)
    found = await uploads.get(studio.store, given.text)
    assert found is not None
    return found


async def test_what_others_put_among_the_results_does_not_keep_the_rest_from_being_swept(swept: Studio) -> None:
    """A store's console makes a folder by putting an empty file of that name."""
    job = await queued(swept)
    ours = f"results/{job.account_id}/{job.id}-of-nobody"
    for name in ("results/made-by-hand", ours):
        with swept.blobs.workspace() as folder:
            (folder / "file").write_bytes(b"")
            await swept.blobs.put(name, folder / "file")
    await sweep(swept)
    assert ours in await swept.blobs.names("results"), "a database that was restored may not know its job"
    swept.store.clock_shift += 8 * 24 * 3600 * 1000
    await sweep(swept)
    assert await swept.blobs.names("results") == ["results/made-by-hand"]


async def test_a_sweep_that_breaks_off_is_not_the_last(
    swept: Studio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[int] = []

    async def broken(studio: Studio) -> int:
        called.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr("rushes.work.sweep.sweep", broken)
    monkeypatch.setattr("rushes.work.sweep._LONGEST_PAUSE", 0.01)
    sweeping = asyncio.create_task(keep_sweeping(swept))
    async with asyncio.timeout(20):
        while len(called) < 3:
            await asyncio.sleep(0.01)
    sweeping.cancel()
    assert "the sweep broke off" in caplog.text


async def test_the_sweep_goes_on_by_itself(
    tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_sweep, "_LONGEST_PAUSE", 0.05)
    async with Studio.open(config.load(data=tmp_path / "data", database_url=database_url)) as studio:
        task = asyncio.create_task(keep_sweeping(studio))
        for _ in range(3):
            await draft(studio, await queued(studio), 2)
            studio.store.clock_shift += int(studio.config.sweep_seconds * 1000) + 1
            async with asyncio.timeout(START_SECONDS):
                while await drafts(studio) or await stored(studio):
                    await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- after a real kill ---


@asynccontextmanager
async def studio_of(folder: Path, database_url: str | None) -> AsyncIterator[Studio]:
    settings = config.load(data=folder / "data", database_url=database_url, sweep_seconds=SWEEP_SECONDS)
    async with Studio.open(settings) as studio:
        yield studio


async def test_after_a_kill_in_the_middle_of_collecting_the_job_ends_once_and_exactly_the_leavings_go(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    settings = routed(tmp_path, database_url)
    for gate in ("submit", "poll"):
        (tmp_path / gate).touch()
    async with studio_of(tmp_path, database_url) as studio:
        job = await queued(studio)
        with worker_program(tmp_path, settings) as first:
            wait_until((tmp_path / "at-download").exists, what="the download")
            assert first.process
            os.killpg(first.process.pid, signal.SIGKILL)
            first.process.wait()
        [dead] = await drafts(studio)
        left = VideoFiles(job.account_id, dead)
        # as if it had been killed a moment later, with three of its five files named already
        await put(studio, left.all[:3])
        (tmp_path / "download").touch()
        with worker_program(tmp_path, settings) as second:
            async with asyncio.timeout(START_SECONDS):
                while await _state(studio, job) is not JobState.COMPLETED:
                    await asyncio.sleep(0.02)
            assert second.process
            second.process.terminate()
            assert second.process.wait(30) == 0
        assert (tmp_path / "submissions").read_text() == f"{job.id}\n", "never sent twice"
        [(file_id,)] = await studio.store.rows("SELECT file_id FROM videos")
        kept = VideoFiles(job.account_id, file_id)
        assert await stored(studio) == {*left.all[:3], *kept.all}
        later(studio, SWEEP_SECONDS)
        assert await sweep(studio) == 1
        assert (await stored(studio), await drafts(studio)) == (set(kept.all), set())


async def _state(studio: Studio, job: Job) -> JobState:
    row = await jobs.get(studio.store, job.account_id, job.id)
    assert row
    return row.state
