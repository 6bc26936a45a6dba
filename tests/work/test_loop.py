"""A whole worker: many jobs at once, some of them waiting, some stuck."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rushes import config, ids
from rushes.fetch import Fetcher
from rushes.model import Job, JobState, VideoRequest
from rushes.providers import Done, Pending
from rushes.store import accounts, jobs
from rushes.work.loop import Worker, downloader
from tests.conftest import START_SECONDS
from tests.contract.samples import submitted
from tests.work.conftest import MODEL, SCRIPTED, Set, opened
from tests.work.providers import Scripted

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def working(
    on: Set, release: asyncio.Event | None = None, hosts: frozenset[str] = frozenset()
) -> AsyncIterator[asyncio.Task[None]]:
    """A worker of this process, until the block ends; ``release`` is set first, so that nothing hangs in its hand."""
    stop, fetcher = asyncio.Event(), Fetcher(hosts)
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


OTHER_MODEL = "veo3.1"


async def test_a_provider_that_hangs_leaves_places_for_the_others(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    other_route = {"provider": "tests.work.providers:OtherScripted"}
    models = {MODEL: {"provider": SCRIPTED}, OTHER_MODEL: other_route}
    async with opened(tmp_path / "data", database_url, clip, models=models, worker_concurrency=4) as on:
        gate = asyncio.Event()
        on.provider.submits = [*[gate] * 20, "a ticket"]
        answering = on.studio.routes.provider(OTHER_MODEL)
        assert isinstance(answering, Scripted)
        answering.downloads = [clip]
        hanging = [await on.submit() for _ in range(20)]
        async with working(on, gate):
            await until(lambda: _sent(on, hanging, 2))
            request = VideoRequest("a heron", OTHER_MODEL, "9:16", 8)
            for _ in range(6):
                job = await submitted(on.studio, on.account_id, request, "http://a.example")
                await until(lambda job=job: _is(on, job, JobState.COMPLETED))  # type: ignore[misc]
            assert await _sent(on, hanging, 2), "it holds what it leaves free, and no more"


async def test_an_account_whose_inputs_hang_leaves_places_for_the_others(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    frame = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/frame.png"
    opening = opened(tmp_path / "data", database_url, clip, input_seconds=14, worker_concurrency=4)
    async with opening as on, silent:
        async with on.studio.store.write() as tx:
            modest = (await accounts.named(tx, "modest")).id
        for _ in range(20):
            await on.submit(first_frame_image_url=frame)
        async with working(on, hosts=frozenset({"127.0.0.1"})):
            await until(lambda: _held(on, 2))
            for _ in range(4):
                request = VideoRequest("a heron", MODEL, "9:16", 5)
                job = await submitted(on.studio, modest, request, "http://a.example")
                await until(lambda job=job: _is(on, job, JobState.COMPLETED), 11)  # type: ignore[misc]


async def _held(on: Set, many: int) -> bool:
    return await on.studio.store.rows("SELECT count(owner) FROM jobs") == [(many,)]


async def _sent(on: Set, jobs_: list[Job], many: int) -> bool:
    return [(await on.row(job)).state for job in jobs_].count(JobState.SUBMITTING) == many


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


async def test_names_that_stay_silent_keep_no_other_look_up_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer, ask = set[str](), threading.Event(), socket.getaddrinfo

    def silent(host: str, *more: Any, **told: Any) -> Any:
        if not host.endswith(".silent.test"):
            return ask(host, *more, **told)
        asked.add(host)
        answer.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    fetcher, loop = downloader(config.load(worker_concurrency=40)), asyncio.get_running_loop()
    fetching = [
        asyncio.create_task(fetcher.fetch(f"http://{n}.silent.test/", tmp_path / "file", max_bytes=1, seconds=60))
        for n in range(40)
    ]
    try:
        await until(lambda: asyncio.sleep(0, len(asked) == 40))
        async with asyncio.timeout(START_SECONDS):
            assert await loop.getaddrinfo("localhost", 80)
    finally:
        answer.set()
        await asyncio.gather(*fetching, return_exceptions=True)
        await fetcher.close()
