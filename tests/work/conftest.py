"""One job on its way through a worker's hands, step by step, with a provider that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rushes import config
from rushes.fetch import Fetcher
from rushes.model import Job, VideoRequest
from rushes.store import jobs
from rushes.studio import Studio
from rushes.work.generate import Generator
from rushes.work.inputs import InputFiles
from tests.contract.samples import submitted
from tests.work.providers import Scripted

MODEL = "pixverse5.5"
SCRIPTED = "tests.work.providers:Scripted"
DAY_MS = 24 * 3600 * 1000
MOST_STEPS = 400


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
        return await submitted(self.studio, self.account_id, request, "http://a.example")

    async def step(self) -> Job | None:
        """Claim what is due and move it on once, as a worker would."""
        claimed = await self.studio.turns.claim(self.owner, 1)
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


@asynccontextmanager
async def opened(
    data: Path,
    database_url: str | None,
    clip: bytes,
    *,
    idempotent: bool = False,
    route: Mapping[str, object] = {},
    **settings: object,
) -> AsyncIterator[Set]:
    told_route = {"provider": SCRIPTED, "idempotent": idempotent, **route}
    told = config.load(
        data=data,
        database_url=database_url,
        **{"models": {MODEL: {name: value for name, value in told_route.items() if value is not None}}, **settings},
    )
    async with Studio.open(told) as studio:
        provider = studio.routes.provider(MODEL, SCRIPTED)
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
