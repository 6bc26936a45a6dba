"""What a library of any size takes: weighed a row, and reckoned from there; docs/scaling.md quotes it.

``python -m bench.capacity [--videos 60000]`` enters videos, and jobs with their charges, and weighs the databases
before and after. The rest is arithmetic, printed with what it is made of; and a simulation of the workers' cores.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import math
import random
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bench.programs import WORK, postgres
from bench.seed import seed
from rushes import config, ids
from rushes.model import JobState, VideoRequest
from rushes.store import Store, accounts, credits, jobs
from rushes.studio import Studio

VIDEOS = 60_000
JOBS = 3_000
SIZES = (10**6, 10**7, 10**8, 10**9)
_REQUEST = VideoRequest(
    "A heron lifts off from a mirror-still lake at dawn, one long slow shot.", "pixverse5.5", "9:16", 8
)

# Assumed, and to be replaced with one's own.
FILM_BYTES = 6_000_000
"""Of a video of 8 s at 720p, as vendors deliver it."""
STILLS_BYTES = 900_000
"""Preview, thumbnail, last frame and sidecar."""
CORE_SECONDS = 0.6
"""Of a worker, for such a video: half of it its stills (bench.stills), the rest rows and files."""
DAYS = 365
"""In which the library is made."""


class Weights(NamedTuple):
    """Bytes a video takes in a database, all indexes counted."""

    item: float
    """The item with its place in lists, search and change feed."""
    job: float
    """Its job and its charge."""


async def weigh(url: str | None, folder: Path, videos: int) -> Weights:
    """Enter and weigh."""
    async with Studio.open(config.load(data=folder, database_url=url, jobs_per_account=JOBS)) as studio:
        await seed(studio, "default", videos // 3, files=False)  # what an empty database needs is there from here on
        before = await _bytes(studio.store)
        await seed(studio, "default", videos - videos // 3, files=False, number=2)
        middle = await _bytes(studio.store)
        await _jobs(studio)
        after = await _bytes(studio.store)
    return Weights((middle - before) / (videos - videos // 3), (after - middle) / JOBS)


async def _bytes(store: Store) -> int:
    if store.engine == "sqlite":
        [(pages, size)] = await store.rows("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
        return int(pages) * int(size)
    [(size,)] = await store.rows("SELECT pg_database_size(current_database())")
    return int(size)


async def _jobs(studio: Studio) -> None:
    """Jobs that have ended as most do, with what they have cost."""
    async with studio.store.write() as tx:
        account = await accounts.named(tx, "default")
    for _ in range(JOBS):
        await studio.submit(account.id, _REQUEST, "https://videos.example.org")
    while held := await studio.turns.claim("worker", 100):
        for job in held:
            for state in (JobState.SUBMITTING, JobState.WAITING, JobState.COLLECTING):
                job = await studio.keep(job, replace(job, state=state, ticket=ids.uuid()))
            async with studio.store.write() as tx:
                ended = await jobs.ended(tx, job, replace(job, state=JobState.COMPLETED))
                await credits.charge(tx, ended)


def levels(rows: int, per_page: float) -> int:
    """How deep a B-tree of so many rows is."""
    return max(1, math.ceil(math.log(max(rows, 2)) / math.log(per_page)))


def report(weights: Mapping[str, Weights]) -> str:
    """The arithmetic."""
    lines = ["| videos | " + " | ".join(weights) + " | files | a day, for a year | index levels |"]
    lines += ["|---|" + "---|" * (len(weights) + 3)]
    for size in SIZES:
        rows = " | ".join(_told(size * (each.item + each.job)) for each in weights.values())
        files = _told(size * (FILM_BYTES + STILLS_BYTES))
        # 8 KiB pages, some 70 bytes an entry of (account, created, id), two thirds full.
        depth = levels(size, 8192 * 0.67 / 70)
        lines.append(f"| {size:,} | {rows} | {files} | {size / DAYS:,.0f} | {depth} |")
    facts = [
        f"{name}: {each.item:,.0f} bytes an item, {each.job:,.0f} its job and charge" for name, each in weights.items()
    ]
    return "\n".join([*facts, "", *lines])


def simulate(jobs_a_second: float, cores: int, core_seconds: float, jobs: int = 200_000) -> tuple[float, float]:
    """How long a job waits for a core, in seconds: the median and the 99th percentile. They come as they like
    (Poisson), and what each takes varies as lengths and sizes do (log-normal, as wide as its mean).
    """
    chance, free, waits, now = random.Random(1), [0.0] * cores, [], 0.0
    spread = math.sqrt(math.log(2))
    for _ in range(jobs):
        now += chance.expovariate(jobs_a_second)
        begins = max(now, free[0])
        waits.append(begins - now)
        took = chance.lognormvariate(math.log(core_seconds) - spread**2 / 2, spread)
        heapq.heapreplace(free, begins + took)
    waits.sort()
    return waits[jobs // 2], waits[jobs * 99 // 100]


def waits() -> str:
    """A table of it, for what a year's videos come to a second."""
    lines = ["| videos a year | a second | cores | busy | a job waits, half / 99 of 100 |", "|---|---|---|---|---|"]
    for size in SIZES:
        rate = size / (DAYS * 86_400)
        for busy in (0.5, 0.8):
            cores = max(1, math.ceil(rate * CORE_SECONDS / busy))
            half, most = simulate(rate, cores, CORE_SECONDS)
            told = f"{half:.2f} s / {most:.2f} s"
            lines.append(f"| {size:,} | {rate:.2f} | {cores} | {rate * CORE_SECONDS / cores:.0%} | {told} |")
    return "\n".join(lines)


def _told(size: float) -> str:
    for unit, least in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if size >= least:
            return f"{size / least:,.1f} {unit}"
    return f"{size / 1e6:,.0f} MB"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity")
    parser.add_argument("--videos", type=int, default=VIDEOS)
    told = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as name, postgres() as url:
        weights = {
            engine: asyncio.run(weigh(database, Path(name) / engine, told.videos))
            for engine, database in (("SQLite", None), ("PostgreSQL", url))
        }
    print(report(weights), waits(), sep="\n\n")


if __name__ == "__main__":
    main()
