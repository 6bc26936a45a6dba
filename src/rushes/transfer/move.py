"""A library goes to another database, another storage, or both: copied, read back, and only then told of.

Files have names that are never used twice, so that they can be carried while the old place is in use, and again for
what came since. Rows go all at once, in one transaction, while nobody else has the database open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from hashlib import file_digest, sha256
from pathlib import Path
from typing import NamedTuple

from rushes.blobs import Blobs
from rushes.errors import DamagedCopy, StartError
from rushes.store import Store, tables

PREFIXES = ("images", "inputs", "results", "sidecars", "uploads", "videos")
"""Where the library's files are."""
_AT_ONCE = 8


class Carried(NamedTuple):
    """One file that was looked at: ``copied``, ``here`` (it was there already), ``gone`` (deleted meanwhile)."""

    name: str
    outcome: str
    size: int


async def carry_files(source: Blobs, target: Blobs) -> AsyncIterator[Carried]:
    """Copy every file that the target lacks, a few at a time, and read each back.

    Raises:
        DamagedCopy: what came back is not what was sent; it has been deleted there.
    """
    waiting: set[asyncio.Task[Carried]] = set()
    try:
        async with aclosing(_compared(source, target)) as files:
            async for name, size, is_there in files:
                if is_there:
                    yield Carried(name, "here", size)
                    continue
                waiting.add(asyncio.create_task(_carry_file(source, target, name, size)))
                if len(waiting) >= _AT_ONCE:
                    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        yield task.result()
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _compared(source: Blobs, target: Blobs) -> AsyncGenerator[tuple[str, int, bool], None]:
    """Every file of the source, and whether the target has it in the same size: two lists, walked side by side."""
    for prefix in PREFIXES:
        async with aclosing(source.listed(prefix)) as here, aclosing(target.listed(prefix)) as there:
            have = await anext(there, None)
            async for name, size in here:
                while have and have[0] < name:
                    have = await anext(there, None)
                yield name, size, have == (name, size)


async def _carry_file(source: Blobs, target: Blobs, name: str, size: int) -> Carried:
    with target.workspace() as folder:
        file = folder / "file"
        try:
            await source.copy(name, file)
        except FileNotFoundError:  # its item was deleted since it was listed
            return Carried(name, "gone", size)
        sent = await asyncio.to_thread(_digest, file)
        await target.put(name, file)
    found = await target.stat(name)
    if found is None or await _digest_of(target.read(name, 0, found.size)) != sent:
        await target.delete(name)
        raise DamagedCopy(f"{name} came out of the new storage otherwise than it went in; it was deleted there.")
    return Carried(name, "copied", size)


def _digest(file: Path) -> bytes:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").digest()


async def _digest_of(chunks: AsyncGenerator[bytes, None]) -> bytes:
    digest = sha256()
    async with aclosing(chunks):
        async for chunk in chunks:
            digest.update(chunk)
    return digest.digest()


async def refuse_used(target: Store) -> None:
    """Make sure that nobody's library is in a database.

    Raises:
        StartError: there is one.
    """
    if not await tables.is_empty(target):
        raise StartError("There is a library in the new database already; name an empty one.")


async def carry_rows(source: Store, target: Store) -> AsyncIterator[tuple[str, int]]:
    """Write every row into an empty database, table by table, all or none; each table and how many rows it had, once
    they have been read back.

    Raises:
        StartError: the database has a library already.
        DamagedCopy: what came back is not what was written; nothing stays there.
    """
    await refuse_used(target)
    columns = await source.columns()
    async with source.snapshot() as old, target.write() as new:
        for table in tables.TABLES:
            carried = await tables.carry(old, new, table, columns[table])
            if await tables.content(new, table, columns[table]) != carried:
                raise DamagedCopy(f"The rows of {table} came out of the new database otherwise than they went in.")
            yield table, carried.rows
