"""Numbered SQL files, each applied once, in order, under a lock.

``0003_videos.sql`` serves both engines; where they must differ the file comes as a pair,
``0003_videos.sqlite.sql`` and ``0003_videos.postgres.sql``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from rushes.errors import StoreTooNew

if TYPE_CHECKING:
    from rushes.store import Store, Transaction

SERVES = 14
"""A release that knows the migrations up to this one can work on a database that has all of ours: what came since is
only added. So processes of two releases can share a database, whichever starts again meanwhile.
"""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied BIGINT NOT NULL)"
)


_NOTE_SERVES = "UPDATE migrations SET serves = :serves WHERE number = (SELECT max(number) FROM migrations)"


class Migration(NamedTuple):
    """One file: its number, its name, its statements."""

    number: int
    name: str
    statements: tuple[str, ...]


def migrations(engine: str) -> Iterator[Migration]:
    """All of ``engine``'s (``sqlite`` or ``postgres``), in order."""
    for file in sorted(resources.files(__package__).iterdir(), key=lambda file: file.name):
        number, _, rest = file.name.partition("_")
        name, *kind = rest.removesuffix(".sql").split(".")
        if file.name.endswith(".sql") and kind in ([], [engine]):
            yield Migration(int(number), name, tuple(_statements(file.read_text())))


def _statements(text: str) -> Iterator[str]:
    code = "\n".join(line.partition("--")[0].rstrip() for line in text.splitlines())
    return (statement.strip() for statement in code.split(";") if statement.strip())


async def migrate(store: Store) -> list[str]:
    """Bring the database up to date; return the names of what was applied. Safe to call from many processes at once.

    Raises:
        StoreTooNew: the database was written by a newer Rushes.
    """
    known = list(migrations(store.engine))
    async with store.write() as tx:
        await tx.lock_schema()
        await tx.rows(_TABLE)
        done = {row[0] for row in await tx.rows("SELECT number FROM migrations")}
        if done and max(done) > known[-1].number:
            if await _serves(tx) <= known[-1].number:
                return []
            raise StoreTooNew(
                f"The database is at version {max(done)} and this Rushes knows {known[-1].number}; "
                "install the newer Rushes that wrote it."
            )
        applied = [await _apply(tx, migration) for migration in known if migration.number not in done]
        if applied:
            await tx.rows(_NOTE_SERVES, serves=SERVES)
        return applied


async def _serves(tx: Transaction) -> int:
    [(serves,)] = await tx.rows("SELECT serves FROM migrations ORDER BY number DESC LIMIT 1")
    return sys.maxsize if serves is None else int(serves)


async def _apply(tx: Transaction, migration: Migration) -> str:
    for statement in migration.statements:
        await tx.rows(statement)
    note = "INSERT INTO migrations (number, name, applied) VALUES (:number, :name, :now)"
    await tx.rows(note, number=migration.number, name=migration.name, now=tx.now)
    return migration.name
