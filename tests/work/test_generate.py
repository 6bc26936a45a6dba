"""How jobs move when providers misbehave: never paid twice, never left open, nothing left on the disk."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rushes import config, ids
from rushes.errors import (
    ContentRejected,
    JobFailed,
    ModelRetired,
    ProviderFailed,
    ProviderUnreachable,
    StorageFull,
    StoreUnavailable,
)
from rushes.fetch import Fetcher
from rushes.model import Job, JobState, VideoRequest
from rushes.providers import Done, Pending, Refused
from rushes.store import jobs
from rushes.studio import Studio
from rushes.work.generate import Generator
from rushes.work.inputs import InputFiles
from rushes.work.loop import Worker
from tests.conftest import START_SECONDS, Program, wait_until
from tests.media.clips import make
from tests.work.providers import Scripted

pytestmark = pytest.mark.anyio

MODEL = "pixverse5.5"
DAY_MS = 24 * 3600 * 1000
MOST_STEPS = 60


@dataclass
class Set:
    """A studio with one scripted provider, a worker's hand in it, and a clock that a test can move."""

    studio: Studio
    provider: Scripted
    generator: Generator
    account_id: str
    clip: bytes
    owner: str = "the worker"

    async def submit(self, **asked: str) -> Job:
        request = VideoRequest("a red fox in snow", MODEL, "9:16", 5, **asked)  # type: ignore[arg-type]
        return await self.studio.submit_video(self.account_id, request, "http://a.example")

    async def step(self) -> Job | None:
        """Claim what is due and move it on once, as a worker would."""
        claimed = await self.studio.claim(self.owner, 1)
        if not claimed:
            return None
        await self.generator.advance(claimed[0])
        return await self.row(claimed[0])

    async def row(self, job: Job) -> Job:
        found = await jobs.get(self.studio.store, job.account_id, job.id)
        assert found
        return found

    async def run_at(self, job: Job) -> int:
        [(run_at,)] = await self.studio.store.rows("SELECT run_at FROM jobs WHERE id = :id", id=job.id)
        return int(run_at)

    async def wait(self, job: Job) -> float:
        """Seconds until the job is due."""
        return (await self.run_at(job) - await self.studio.now()) / 1000

    def later(self, seconds: float) -> None:
        """Move the database's clock."""
        self.studio.store.clock_shift += int(seconds * 1000)

    async def end(self, job: Job) -> Job:
        """Step until the job has ended, with as much time between as it asks for."""
        for _ in range(MOST_STEPS):
            row = await self.step() or await self.row(job)
            if row.state.ended:
                return row
            self.later(max(0, await self.wait(job)) + 0.01)
        raise AssertionError(f"the job did not end: {row}")

    async def left_on_disk(self) -> list[str]:
        work = self.studio.config.data / "media" / ".work"
        names = await self.studio.blobs.names("videos") + await self.studio.blobs.names("sidecars")
        return names + sorted(str(path) for path in work.iterdir())

    async def count(self, table: str) -> int:
        counts = {"videos": "SELECT count(*) FROM videos", "drafts": "SELECT count(*) FROM drafts"}
        [(count,)] = await self.studio.store.rows(counts[table])
        return int(count)


Opening = Callable[..., Awaitable[Set]]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make(tmp_path_factory.mktemp("clip") / "clip.mp4", width=64, height=112, frames=12).read_bytes()


@asynccontextmanager
async def opened(
    data: Path, database_url: str | None, clip: bytes, *, idempotent: bool = False, **settings: float
) -> AsyncIterator[Set]:
    route = {"provider": "tests.work.providers:Scripted", "idempotent": idempotent}
    told = config.load(data=data, database_url=database_url, models={MODEL: route}, **settings)
    async with Studio.open(told) as studio:
        provider = studio.routes.provider(MODEL)
        assert isinstance(provider, Scripted)
        provider.downloads = [clip]
        fetcher = Fetcher()
        async with studio.store.write() as tx:
            from rushes.store import accounts

            account = await accounts.named(tx, "default")
        yield Set(studio, provider, Generator(studio, InputFiles(studio, fetcher)), account.id, clip)
        await fetcher.close()


@pytest.fixture
async def shoot(tmp_path: Path, database_url: str | None, clip: bytes) -> AsyncIterator[Set]:
    """A set on each engine, with a provider that keeps no idempotency key."""
    async with opened(tmp_path / "data", database_url, clip) as made:
        yield made


@pytest.fixture
async def forgiving(tmp_path: Path, database_url: str | None, clip: bytes) -> AsyncIterator[Set]:
    """The same with a provider that is idempotent."""
    async with opened(tmp_path / "data", database_url, clip, idempotent=True) as made:
        yield made


ODD: list[BaseException] = [
    RuntimeError("odd"),
    OSError("odd"),
    TimeoutError("odd"),
    KeyError("odd"),
    AssertionError(),
    StopAsyncIteration(),
    RecursionError("odd"),
    MemoryError("odd"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    ExceptionGroup("odd", [ValueError("one"), OSError("two")]),
]
BEYOND_EXCEPTION: list[BaseException] = [
    asyncio.CancelledError(),
    GeneratorExit(),
    BaseExceptionGroup("odd", [GeneratorExit()]),
]


# --- how it goes when all goes well ---


async def test_a_job_goes_from_queued_to_the_library_in_one_step_when_the_provider_is_done(shoot: Set) -> None:
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert (row.state, row.owner, row.error_code, row.ticket) == (JobState.COMPLETED, None, None, None)
    assert shoot.provider.calls == [f"submit {job.id}", "poll a ticket", "download a source"]
    assert len(await shoot.left_on_disk()) == 5, "four files and the sidecar, no workspace"
    assert (await shoot.count("videos"), await shoot.count("drafts")) == (1, 0)
    assert await shoot.step() is None


async def test_between_polls_nobody_holds_the_job_and_it_is_due_when_the_provider_said(shoot: Set) -> None:
    shoot.provider.polls = [Pending(20, 0.25), Pending(5), Done("a source")]
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert (row.state, row.owner, row.progress, row.ticket) == (JobState.WAITING, None, 0.25, "a ticket")
    assert 15 < await shoot.wait(job) <= 20
    assert await shoot.step() is None, "not before it is due"
    shoot.later(20)
    row = await shoot.step()
    assert row
    assert (row.state, row.owner, row.progress) == (JobState.WAITING, None, 0.25), "what is known stays known"
    shoot.later(5)
    assert (await shoot.end(job)).state == JobState.COMPLETED
    assert shoot.provider.count("submit") == 1


# --- never pay twice ---


@pytest.mark.parametrize("error", ODD + BEYOND_EXCEPTION[:1], ids=repr)
async def test_a_submission_whose_answer_was_lost_is_outcome_unknown_and_never_sent_again(
    shoot: Set, error: BaseException
) -> None:
    shoot.provider.submits = [error, "a second ticket"]
    row = await shoot.end(await shoot.submit())
    assert (row.state, row.error_code) == (JobState.FAILED, "OUTCOME_UNKNOWN")
    assert row.error_message
    assert "look there before you submit it again" in row.error_message
    shoot.later(DAY_MS)
    assert await shoot.step() is None
    assert shoot.provider.count("submit") == 1


async def test_an_idempotent_provider_is_sent_the_same_job_id_again(forgiving: Set) -> None:
    forgiving.provider.submits = [OSError("the line broke"), TimeoutError(), "a ticket"]
    job = await forgiving.submit()
    assert (await forgiving.end(job)).state == JobState.COMPLETED
    assert forgiving.provider.calls[:3] == [f"submit {job.id}"] * 3


async def crash_in_submit(on: Set, job: Job) -> None:
    """What a kill -9 between the question and the answer leaves: SUBMITTING, no ticket, a lease that runs out."""
    on.provider.submits = [asyncio.Event(), "never answered"]
    [claimed] = await on.studio.claim("the dead worker", 1)
    task = asyncio.create_task(on.generator.advance(claimed))
    while not on.provider.calls:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    row = await on.row(job)
    assert (row.state, row.ticket, row.owner) == (JobState.SUBMITTING, None, "the dead worker")
    on.provider.submits = ["a second ticket"]
    on.later(on.studio.config.lease_seconds)


async def test_a_worker_that_finds_submitting_without_a_ticket_says_outcome_unknown(shoot: Set) -> None:
    job = await shoot.submit()
    await crash_in_submit(shoot, job)
    assert (await shoot.end(job)).error_code == "OUTCOME_UNKNOWN"
    assert shoot.provider.count("submit") == 1


async def test_a_worker_that_finds_submitting_sends_it_again_to_an_idempotent_provider(forgiving: Set) -> None:
    job = await forgiving.submit()
    await crash_in_submit(forgiving, job)
    assert (await forgiving.end(job)).state == JobState.COMPLETED
    assert [call for call in forgiving.provider.calls if call.startswith("submit")] == [f"submit {job.id}"] * 2


async def test_a_ticket_that_cannot_be_kept_is_outcome_unknown_too(shoot: Set) -> None:
    shoot.provider.submits = [{"not": "text"}, "a second ticket"]
    assert (await shoot.end(await shoot.submit())).error_code == "OUTCOME_UNKNOWN"
    assert shoot.provider.count("submit") == 1


# --- what passes, and is waited for ---


async def test_a_provider_that_was_not_reached_gives_the_job_back_and_is_asked_again(shoot: Set) -> None:
    shoot.provider.submits = [ProviderUnreachable("busy")] * 3 + ["a ticket"]
    job = await shoot.submit()
    waits = []
    for _ in range(3):
        row = await shoot.step()
        assert row
        assert (row.state, row.owner, row.ticket) == (JobState.QUEUED, None, None)
        waits.append(await shoot.wait(job))
        shoot.later(waits[-1])
    assert 0.3 < waits[0] < waits[1] < waits[2] < 6, "each wait is longer"
    assert (await shoot.end(job)).state == JobState.COMPLETED
    assert shoot.provider.count("submit") == 4


@pytest.mark.parametrize("where", ["submits", "polls"])
async def test_retry_after_is_honoured(shoot: Set, where: str) -> None:
    good = getattr(shoot.provider, where)[0]
    setattr(shoot.provider, where, [ProviderUnreachable("busy", 77.0), good])
    job = await shoot.submit()
    await shoot.step()
    assert 70 < await shoot.wait(job) <= 77
    assert await shoot.step() is None
    shoot.later(77)
    row = await shoot.step()
    assert row
    assert row.state == JobState.COMPLETED


@pytest.mark.parametrize("error", [ProviderUnreachable("busy"), *ODD[:4], StoreUnavailable("away")], ids=repr)
async def test_a_poll_that_fails_is_asked_again_with_the_same_ticket(shoot: Set, error: Exception) -> None:
    shoot.provider.polls = [error, error, Pending(0.1), error, Done("a source")]
    job = await shoot.submit()
    assert (await shoot.end(job)).state == JobState.COMPLETED
    assert shoot.provider.count("submit") == 1
    assert set(shoot.provider.calls[1:6]) == {"poll a ticket"}


@pytest.mark.parametrize(
    "error", [ProviderUnreachable("cut off"), StorageFull("no room"), OSError("cut off"), TimeoutError()], ids=repr
)
async def test_a_download_that_breaks_is_tried_again_from_the_ticket_without_a_second_submission(
    shoot: Set, error: Exception
) -> None:
    shoot.provider.downloads = [error, error, shoot.clip]
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert (row.state, row.owner, row.ticket) == (JobState.COLLECTING, None, "a ticket")
    assert (await shoot.left_on_disk(), await shoot.count("drafts")) == ([], 0)
    assert (await shoot.end(job)).state == JobState.COMPLETED
    assert (shoot.provider.count("submit"), shoot.provider.count("download")) == (1, 3)
    assert len(await shoot.left_on_disk()) == 5


# --- what ends a job ---


@pytest.mark.parametrize("error", [ContentRejected("No."), ModelRetired("Gone."), ProviderFailed("Broke.")], ids=repr)
@pytest.mark.parametrize("where", ["submit", "poll", "poll raises", "download"])
async def test_what_a_provider_refuses_ends_with_its_code_and_sentence(
    shoot: Set, where: str, error: JobFailed
) -> None:
    if where == "submit":
        shoot.provider.submits = [error]
    elif where == "download":
        shoot.provider.downloads = [error]
    else:
        shoot.provider.polls = [Pending(0.1), Refused(error) if where == "poll" else error]
    row = await shoot.end(await shoot.submit())
    assert (row.state, row.error_code, row.error_message) == (JobState.FAILED, error.code, error.sentence)
    assert (row.owner, row.ticket) == (None, None)
    assert (await shoot.left_on_disk(), await shoot.count("drafts"), await shoot.count("videos")) == ([], 0, 0)


@pytest.mark.parametrize("answer", [Pending(3000), ProviderUnreachable("busy", 3000.0)], ids=repr)
async def test_what_never_ends_is_provider_timeout_after_job_timeout_seconds(shoot: Set, answer: object) -> None:
    shoot.provider.polls = [answer]
    job = await shoot.submit()
    row = await shoot.end(job)
    assert (row.state, row.error_code) == (JobState.FAILED, "PROVIDER_TIMEOUT")
    assert shoot.provider.count("poll") == math.ceil(shoot.studio.config.job_timeout_seconds / 3000) + 1
    assert shoot.provider.count("submit") == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda clip: b"",
        lambda clip: b"<html>502</html>",
        lambda clip: clip[: len(clip) // 2],
        lambda clip: clip[500:],
        None,
    ],
    ids=["empty", "html", "truncated", "headless", "nothing"],
)
async def test_a_result_that_is_no_whole_video_is_provider_error_and_leaves_nothing(
    shoot: Set, spoil: Callable[[bytes], bytes] | None
) -> None:
    shoot.provider.downloads = [spoil(shoot.clip) if spoil else None]
    row = await shoot.end(await shoot.submit())
    assert (row.state, row.error_code) == (JobState.FAILED, "PROVIDER_ERROR")
    assert shoot.provider.count("submit") == 1
    assert (await shoot.left_on_disk(), await shoot.count("drafts"), await shoot.count("videos")) == ([], 0, 0)


@pytest.mark.parametrize("error", ODD + BEYOND_EXCEPTION, ids=repr)
@pytest.mark.parametrize("where", ["polls", "downloads"])
async def test_whatever_a_providers_class_raises_for_ever_the_job_ends(
    shoot: Set, where: str, error: BaseException
) -> None:
    setattr(shoot.provider, where, [error])
    row = await shoot.end(await shoot.submit())
    assert (row.state, row.error_code) == (JobState.FAILED, "PROVIDER_ERROR")
    assert shoot.provider.count("submit") == 1
    assert (await shoot.left_on_disk(), await shoot.count("drafts")) == ([], 0)


@pytest.mark.parametrize(
    "answer",
    [None, "done", 7, Pending(math.nan), Pending(math.inf), Pending("soon"), Done(None), Refused("no")],  # type: ignore[arg-type]
    ids=repr,
)
async def test_whatever_a_providers_poll_answers_the_job_ends_and_is_let_go_of_meanwhile(
    shoot: Set, answer: object
) -> None:
    shoot.provider.polls = [answer]
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert row.owner is None
    assert (await shoot.end(job)).state.ended
    assert shoot.provider.count("submit") == 1


@pytest.mark.parametrize("retry_after", [math.nan, math.inf, -5.0, 1e300])
@pytest.mark.parametrize("where", ["submits", "polls"])
async def test_a_senseless_retry_after_does_not_leave_the_job_held(shoot: Set, where: str, retry_after: float) -> None:
    setattr(shoot.provider, where, [ProviderUnreachable("busy", retry_after), getattr(shoot.provider, where)[0]])
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert row.owner is None
    assert 0 < await shoot.wait(job) <= DAY_MS / 1000
    shoot.later(DAY_MS / 1000)
    row = await shoot.step()
    assert row
    assert row.state == JobState.COMPLETED


async def test_a_worker_that_lost_its_lease_changes_nothing_when_it_comes_back(shoot: Set) -> None:
    gate = asyncio.Event()
    shoot.provider.downloads = [gate, shoot.clip]
    job = await shoot.submit()
    [claimed] = await shoot.studio.claim("the slow worker", 1)
    slow = asyncio.create_task(shoot.generator.advance(claimed))
    while not shoot.provider.count("download"):
        await asyncio.sleep(0.001)
    shoot.later(shoot.studio.config.lease_seconds)
    row = await shoot.step()
    assert row
    assert row.state == JobState.COMPLETED
    kept = await shoot.left_on_disk()
    gate.set()
    from rushes.errors import LeaseLost

    with pytest.raises(LeaseLost):
        await slow
    assert (await shoot.row(job)).state == JobState.COMPLETED
    assert await shoot.count("videos") == 1
    assert {name for name in await shoot.left_on_disk() if ".work" not in name} == {
        name for name in kept if ".work" not in name
    }
    assert await shoot.count("drafts") == 0


# --- a whole worker ---


@asynccontextmanager
async def working(on: Set, release: asyncio.Event | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """A worker of this process, until the block ends; ``release`` is set first, so that nothing hangs in its hand."""
    stop, fetcher = asyncio.Event(), Fetcher()
    task = asyncio.create_task(Worker(on.studio, fetcher).run(stop))
    try:
        yield task
    finally:
        stop.set()
        if release:
            release.set()
        await task
        await fetcher.close()


async def until(true: Callable[[], Awaitable[bool]], seconds: float = START_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.02)


async def test_a_provider_that_hangs_keeps_its_lease_and_does_not_block_others(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    async with opened(tmp_path / "data", database_url, clip, lease_seconds=0.6, worker_concurrency=4) as on:
        gate = asyncio.Event()
        on.provider.polls = [gate, Done("a source")]
        hanging = await on.submit()
        async with working(on, gate) as worker:
            await until(lambda: _is(on, hanging, JobState.WAITING))
            before = await on.row(hanging)
            first_end = await on.run_at(hanging)
            others = [await on.submit() for _ in range(6)]
            for other in others:
                await until(lambda other=other: _is(on, other, JobState.COMPLETED))  # type: ignore[misc]
            await until(lambda: _later(on, hanging, first_end + 1200))
            row = await on.row(hanging)
            assert (row.state, row.owner, row.attempt) == (JobState.WAITING, before.owner, 1)
            gate.set()
            await until(lambda: _is(on, hanging, JobState.COMPLETED))
            assert not worker.done()
        assert on.provider.count("submit") == 7


async def _is(on: Set, job: Job, state: JobState) -> bool:
    return (await on.row(job)).state == state


async def _later(on: Set, job: Job, moment: int) -> bool:
    return await on.run_at(job) >= moment


async def test_one_worker_of_concurrency_4_carries_500_waiting_jobs_that_nobody_holds(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    many = 500
    async with opened(tmp_path / "data", database_url, clip, worker_concurrency=4) as on:
        on.provider.polls = [Pending(3600)]
        await _queue(on, many)
        counts = "SELECT count(*), count(owner) FROM jobs WHERE state = :state"

        async def all_wait() -> bool:
            [(waiting, _)] = await on.studio.store.rows(counts, state=JobState.WAITING)
            return bool(waiting == many)

        async with working(on):
            await until(all_wait, 60)
            await until(lambda: _held_by_nobody(on))
            # and it has a hand free for the next one
            on.provider.polls = [Done("a source")]
            last = await on.submit()
            await until(lambda: _is(on, last, JobState.COMPLETED))
            [(waiting, held)] = await on.studio.store.rows(counts, state=JobState.WAITING)
            assert (waiting, held) == (many, 0)
        assert (on.provider.count("submit"), on.provider.count("poll")) == (many + 1, many + 1)


async def _held_by_nobody(on: Set) -> bool:
    [(held,)] = await on.studio.store.rows("SELECT count(owner) FROM jobs")
    return bool(held == 0)


async def _queue(on: Set, many: int) -> None:
    """So many submissions as one change."""
    model = on.studio.config.video_models[MODEL]
    async with on.studio.store.write() as tx:
        for number in range(many):
            request = VideoRequest(f"take {number}", MODEL, "9:16", 5)
            item_id, price = ids.item_id(tx.now), model.credits(5)
            job = Job(ids.uuid(), on.account_id, item_id, request, price, JobState.QUEUED, tx.now, "http://a.example")
            await jobs.add(tx, job)


# --- real processes ---


def test_a_worker_killed_between_the_question_and_the_answer_leaves_outcome_unknown(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    settings = routed(tmp_path, database_url)
    job = asyncio.run(_submitted(tmp_path, database_url))
    with worker_program(tmp_path, settings) as first:
        wait_until(lambda: (tmp_path / "at-submit").exists(), what="the submission")
        assert first.process
        os.killpg(first.process.pid, 9)
        first.process.wait()
    (tmp_path / "submit").touch()
    with worker_program(tmp_path, settings) as second:
        wait_until(lambda: asyncio.run(_ended(tmp_path, database_url, job)), what="the job's end")
        assert second.process
        second.process.terminate()
        assert second.process.wait(30) == 0
    row = asyncio.run(_job(tmp_path, database_url, job))
    assert row.error_code == "OUTCOME_UNKNOWN"
    assert (tmp_path / "submissions").read_text() == f"{job.id}\n"


def test_a_provider_that_would_end_the_process_does_not_end_the_worker(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    """``sys.exit()`` somewhere in a vendor's library: one job's bad luck, not every job's."""
    (tmp_path / "clip.mp4").write_bytes(clip)
    (tmp_path / "submit").touch()
    settings = routed(tmp_path, database_url, "Exits")
    job = asyncio.run(_submitted(tmp_path, database_url))
    with worker_program(tmp_path, settings) as program:
        wait_until(lambda: asyncio.run(_ended(tmp_path, database_url, job)), what="the job's end")
        assert program.process
        assert program.process.poll() is None
    assert asyncio.run(_job(tmp_path, database_url, job)).state == JobState.COMPLETED


def routed(folder: Path, database_url: str | None, provider: str = "Slow", **settings: str) -> dict[str, str]:
    """Settings of a process whose videos that provider of the tests makes."""
    (folder / "routes.toml").write_text(
        f'[models."{MODEL}"]\nprovider = "tests.work.providers:{provider}"\nfolder = "{folder}"\n'
    )
    return {
        "RUSHES_DATA": str(folder / "data"),
        "RUSHES_DATABASE_URL": database_url or "",
        "RUSHES_CONFIG": str(folder / "routes.toml"),
        "RUSHES_LEASE_SECONDS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        **settings,
    }


class worker_program:  # noqa: N801  (used as a function)
    """``rushes worker`` as a process of its own until the block ends; killed if it still runs then."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.program = Program(["worker"], settings)
        self.log = folder / "worker.log"

    def __enter__(self) -> Program:
        self.program.start(self.log)
        return self.program

    def __exit__(self, *_: object) -> None:
        assert self.program.process
        assert self.program.log
        if self.program.process.poll() is None:
            os.killpg(self.program.process.pid, 9)
            self.program.process.wait()
        self.program.log.close()


async def _submitted(folder: Path, database_url: str | None) -> Job:
    from rushes.store import accounts

    async with Studio.open(config.load(data=folder / "data", database_url=database_url)) as studio:
        async with studio.store.write() as tx:
            account = await accounts.named(tx, "default")
        return await studio.submit_video(account.id, VideoRequest("a fox", MODEL, "9:16", 5), "http://a.example")


async def _job(folder: Path, database_url: str | None, job: Job) -> Job:
    async with Studio.open(config.load(data=folder / "data", database_url=database_url)) as studio:
        row = await jobs.get(studio.store, job.account_id, job.id)
        assert row
        return row


async def _ended(folder: Path, database_url: str | None, job: Job) -> bool:
    return (await _job(folder, database_url, job)).state.ended
