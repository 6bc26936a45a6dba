"""What it costs to take the next job, whoever has how many in line.

``python -m bench.turns``, and a part of ``make bench``.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from bench.figure import Figure, table
from bench.programs import WORK, postgres
from rushes import config, ids
from rushes.model import VideoRequest
from rushes.store import Store, accounts, many
from rushes.studio import Studio

SHORT, LONG, ACCOUNTS = 100, 100_000, 100
_CLAIMS = 200
_MODEL = "pixverse5.5"
_JOBS = """
INSERT INTO jobs (id, account_id, item_id, request, origin, credits, created, state, attempt, tries, model, turn)
VALUES {}
"""


def run() -> list[Figure]:
    """On each engine, from a short line and from a long one."""
    return [asyncio.run(_figure(engine)) for engine in ("SQLite", "PostgreSQL")]


async def _figure(engine: str) -> Figure:
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as folder, ExitStack() as stack:
        url = stack.enter_context(postgres()) if engine == "PostgreSQL" else None
        short, long = await _both(Path(folder), url)
    return Figure(
        f"the next job, {LONG:,} of {ACCOUNTS} accounts in line, {engine}",
        f"{long * 1000:.2f} ms",
        f"{short * 1000:.2f} ms with {SHORT} in line",
        short / long,
        "≥ 0.8",
        f"medians of {_CLAIMS} claims of one job, each a transaction",
    )


async def _both(folder: Path, url: str | None) -> tuple[float, float]:
    async with Studio.open(config.load(data=folder, database_url=url)) as studio:
        await _stand(studio.store, LONG)
        long = await _claims(studio)
        async with studio.store.write() as tx:
            await tx.rows("UPDATE jobs SET run_at = 9999999999999, owner = NULL WHERE turn >= 10 AND run_at IS NULL")
        return await _claims(studio), long


async def _stand(store: Store, jobs: int) -> None:
    async with store.write() as tx:
        here = [(await accounts.named(tx, f"account {number}")).id for number in range(ACCOUNTS)]
        request = json.dumps(asdict(VideoRequest("a heron", _MODEL, "9:16", 8)))
        rows = [
            (ids.uuid(), here[n % ACCOUNTS], "", request, "", "12.8", tx.now, "queued", 0, 0, _MODEL, n // ACCOUNTS)
            for n in range(jobs)
        ]
        await many.insert(tx, _JOBS, rows)


async def _claims(studio: Studio) -> float:
    took = []
    for number in range(_CLAIMS):
        start = time.perf_counter()
        [job] = await studio.turns.claim("a worker", 1)
        took.append(time.perf_counter() - start)
        await studio.put_back(job, job, 3600) if number else None
    return statistics.median(took)


if __name__ == "__main__":
    print(table(run()))
    sys.exit(0)
