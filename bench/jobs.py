"""Jobs a second, from the request to the library, with a provider that costs nothing; and who takes over when one dies.

``python -m bench.jobs [--jobs N] [--rounds R]``, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.figure import Figure, table
from bench.free import HOLD
from bench.programs import PYTHON, WORK, free_port, postgres, running, serving, wait_until
from rushes import config, ids, media
from rushes.store import Store
from rushes.studio import Studio

JOBS, ROUNDS = 300, 3
CONNECTIONS = 8
_MODEL = "pixverse5.5"
_LIMIT_SECONDS = 300
_CONFIG = """
[models."{model}"]
provider = "bench.free:Free"
clip = "{clip}"
notes = "{notes}"
"""


def run(jobs: int = JOBS, rounds: int = ROUNDS) -> list[Figure]:
    """Measure on both databases."""
    WORK.mkdir(exist_ok=True)
    figures = []
    with tempfile.TemporaryDirectory(dir=WORK) as folder, postgres() as url:
        clip = _clip(Path(folder))
        for engine, database in (("SQLite", None), ("PostgreSQL", url)):
            place = _Place(engine, Path(folder) / engine, database, clip)
            figures += asyncio.run(_measure(place, jobs, rounds))
    return figures


@dataclass(frozen=True)
class _Place:
    """Where one database's figures are taken."""

    engine: str
    folder: Path
    database_url: str | None
    clip: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def settings(self) -> dict[str, str]:
        return {"RUSHES_DATABASE_URL": self.database_url or "", "RUSHES_CONFIG": str(self.folder / "rushes.toml")}

    def prepare(self) -> None:
        self.data.mkdir(parents=True)
        text = _CONFIG.format(model=_MODEL, clip=self.clip, notes=self.folder)
        (self.folder / "rushes.toml").write_text(text)

    def command(self, *words: str) -> list[str]:
        return [PYTHON, "-m", "rushes", *words, "--data", str(self.data)]


async def _measure(place: _Place, jobs: int, rounds: int) -> list[Figure]:
    place.prepare()
    async with Studio.open(config.load(data=place.data, database_url=place.database_url)) as studio:
        key = await studio.create_key("default", "bench")
        database = studio.store
        await _scratch(database)
        with _api(place, "--no-worker") as url:
            accepted, inserted = [], []
            for _ in range(rounds):
                accepted.append(await _submit_all(url, key, jobs))
                inserted.append(await _rate(jobs, _inserts(database)))
        await _drop_jobs(database)
        whole, examined = [], []
        with _api(place) as url:
            for number in range(rounds):
                whole.append(await _through(url, key, database, jobs, number))
                examined.append(await _rate(jobs, _examinations(place), config.load().worker_concurrency))
        taken = await _taken_over(place, key)
    rates = [statistics.median(found) for found in (accepted, inserted, whole, examined)]
    return _figures(place.engine, jobs, rates, taken)


def _figures(engine: str, jobs: int, rates: list[float], taken: float) -> list[Figure]:
    accepted, inserted, whole, examined = rates
    lease = config.load().lease_seconds
    return [
        Figure(
            f"jobs accepted, {engine}",
            f"{accepted:,.0f}/s",
            f"{inserted:,.0f}/s (transactions of one INSERT)",
            accepted / inserted,
            "—",
            f"{jobs} by {CONNECTIONS} connections, 1 API process; both through the same store, as durable",
        ),
        Figure(
            f"jobs from request to library, {engine}",
            f"{whole:,.1f}/s",
            f"{examined:,.1f}/s (their stills alone)",
            whole / examined,
            "—",
            "API and one worker, a provider that costs nothing, a clip of 1 s; the stills as many at once",
        ),
        Figure(
            f"kill -9 to pick-up, {engine}",
            f"{taken:.1f} s",
            f"{lease:g} s (the lease)",
            lease / taken,
            "≥ 0.9",
            "another worker takes the job once the lease that was last renewed has run out",
        ),
    ]


@contextmanager
def _api(place: _Place, *options: str) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = place.command("serve", "--port", str(port), *options)
    with serving(command, f"{url}/healthz", "jobs-serve", place.settings):
        yield url


async def _rate(count: int, act: Callable[[int], Awaitable[object]], at_once: int = CONNECTIONS) -> float:
    """How often a second, so many at a time."""
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            await act(number)

    start = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(at_once)))
    return count / (time.perf_counter() - start)


async def _submit_all(url: str, key: str, jobs: int) -> float:
    async with _session(url, key) as session:
        return await _rate(jobs, lambda number: _submit(session, f"a paper boat, number {number}"))


@asynccontextmanager
async def _session(url: str, key: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url, headers={"Authorization": key}) as session:
        yield session


async def _submit(session: aiohttp.ClientSession, prompt: str) -> None:
    body = {"prompt": prompt, "model": _MODEL}
    async with session.post("/pictoryapis/v1/aistudio/videos", json=body) as answer:
        answer.raise_for_status()
        await answer.read()


async def _scratch(database: Store) -> None:
    async with database.write() as tx:
        await tx.rows("CREATE TABLE bench_inserts (id TEXT PRIMARY KEY, body TEXT NOT NULL)")


def _inserts(database: Store) -> Callable[[int], Awaitable[object]]:
    async def insert(number: int) -> None:
        async with database.write() as tx:
            await tx.rows("INSERT INTO bench_inserts VALUES (:id, :body)", id=ids.uuid(), body="x" * 300)

    return insert


async def _drop_jobs(database: Store) -> None:
    """What was accepted with nobody to work on it is not part of the next figure."""
    async with database.write() as tx:
        await tx.rows("DELETE FROM jobs")
        await tx.rows("UPDATE accounts SET held = 0, under_way = 0")


async def _through(url: str, key: str, database: Store, jobs: int, number: int) -> float:
    start = time.perf_counter()
    await _submit_all(url, key, jobs)
    while await _entered(database) < jobs * (number + 1):
        if time.perf_counter() - start > _LIMIT_SECONDS:
            raise RuntimeError(f"{jobs} jobs were not done in {_LIMIT_SECONDS} seconds")
        await asyncio.sleep(0.02)
    return jobs / (time.perf_counter() - start)


async def _entered(database: Store) -> int:
    [(count,)] = await database.rows("SELECT count(*) FROM videos")
    return int(count)


def _examinations(place: _Place) -> Callable[[int], Awaitable[object]]:
    async def examine(number: int) -> None:
        folder = place.folder / f"stills-{ids.uuid()}"
        folder.mkdir()
        await media.stills(place.clip, folder)

    return examine


async def _taken_over(place: _Place, key: str) -> float:
    """Seconds from a worker's kill -9 until another has its job."""
    worker = place.command("worker")
    logs = (place.folder / f"worker-{number}.log" for number in range(2))
    with _api(place, "--no-worker") as url, running(worker, next(logs), place.settings) as first:
        async with _session(url, key) as session:
            await _submit(session, HOLD)
        await _noted(place.folder / "held")
        with running(worker, next(logs), place.settings) as second:
            await _noted(place.folder / f"up-{second.pid}")
            first.kill()
            start = time.perf_counter()
            await _noted(place.folder / "taken")
            return time.perf_counter() - start


async def _noted(note: Path) -> None:
    await asyncio.to_thread(wait_until, note.exists, 60, f"a note {note.name}")


def _clip(folder: Path) -> Path:
    from rushes.providers.sandbox import film
    from rushes.providers.sandbox.ticket import Ticket

    film.draw(Ticket(_MODEL, "ocean waves", 320, 180, 1, 0.0), folder / "clip.mp4")
    return folder / "clip.mp4"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.jobs", description="Jobs a second, and who takes over.")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    told = parser.parse_args()
    print(table(run(told.jobs, told.rounds)))


if __name__ == "__main__":
    # By its own name: what runs in another process cannot be of __main__.
    from bench.jobs import main as measure

    measure()
