"""The same library for the peers: a table of typed columns, indexed as a page reads it.

The sort key and the date that is shown are columns of their own, so that no peer pays for turning one into the
other. ``BENCH_PEERS_DB`` names the file to the servers.
"""

from __future__ import annotations

import json
import os
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

from rushes import wire
from rushes.store import Store
from rushes.store.library import VIDEOS

VARIABLE = "BENCH_PEERS_DB"
FIELDS = (
    "url",
    "id",
    "prompt",
    "aspectRatio",
    "createdDate",
    "model",
    "width",
    "height",
    "duration",
    "previewImageUrl",
    "thumbnailImageUrl",
    "lastFrameImageUrl",
)
_BATCH = 5000
_TABLE = """
CREATE TABLE videos (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL, created BIGINT NOT NULL, url TEXT NOT NULL, prompt TEXT NOT NULL,
    "aspectRatio" TEXT NOT NULL, "createdDate" TEXT NOT NULL, model TEXT NOT NULL, width INTEGER NOT NULL,
    height INTEGER NOT NULL, duration TEXT NOT NULL, "previewImageUrl" TEXT NOT NULL,
    "thumbnailImageUrl" TEXT NOT NULL, "lastFrameImageUrl" TEXT NOT NULL
)
"""
PRAGMAS = (f"PRAGMA mmap_size = {16 * 2**30}", f"PRAGMA cache_size = -{64 * 1024}")
"""What a careful operator sets, and we do: a peer is not to lose by SQLite's small defaults."""
_INDEX = "CREATE INDEX videos_page ON videos (account_id, created DESC, id DESC)"


def database() -> str:
    """The file, for a server."""
    return os.environ[VARIABLE]


async def copy(store: Store, account_id: str, to: Path, origin: str) -> None:
    """Fill ``to`` with an account's videos, links as they would be under ``origin``."""
    half = to.with_suffix(".part")
    half.unlink(missing_ok=True)
    connection = sqlite3.connect(half)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(_TABLE)
    insert = f"INSERT INTO videos (account_id, created, {', '.join(FIELDS)}) VALUES ({', '.join('?' * 14)})"
    page = await VIDEOS.page(store, account_id, None, _BATCH)
    while True:
        connection.executemany(
            insert, [_columns(account_id, facts) for facts in json.loads(wire.page(page.items, None, origin))["items"]]
        )
        if page.last is None:
            break
        page = await VIDEOS.page(store, account_id, page.last, _BATCH)
    connection.execute(_INDEX)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    half.rename(to)


async def copy_beside(store: Store, account_id: str, url: str, origin: str) -> None:
    """The same in a PostgreSQL database of its own at ``url``."""
    import psycopg

    names = ", ".join(f'"{name}"' for name in ("account_id", "created", *FIELDS))
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_TABLE.encode())
        page = await VIDEOS.page(store, account_id, None, _BATCH)
        while True:
            with cursor.copy(f"COPY videos ({names}) FROM STDIN".encode()) as rows:
                for facts in json.loads(wire.page(page.items, None, origin))["items"]:
                    rows.write_row(_columns(account_id, facts))
            if page.last is None:
                break
            page = await VIDEOS.page(store, account_id, page.last, _BATCH)
        cursor.execute(_INDEX.encode())
        cursor.execute("ANALYZE videos")


def _columns(account_id: str, facts: dict[str, Any]) -> tuple[object, ...]:
    return (account_id, _milliseconds(facts["createdDate"]), *(facts[name] for name in FIELDS))


def _milliseconds(date: str) -> int:
    return round(datetime.fromisoformat(date).timestamp() * 1000)
