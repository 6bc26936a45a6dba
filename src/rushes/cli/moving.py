"""``rushes move``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option
from rushes.errors import StartError

if TYPE_CHECKING:
    from rushes.blobs import Blobs
    from rushes.cli.tally import Tally
    from rushes.store import Store

_DATABASES = ("postgresql://", "postgres://")
_BUCKETS = ("s3://", "gs://", "az://")
_STOP = "stop every `rushes serve` and `rushes worker`"


class Place(NamedTuple):
    """Where a library is: rows in a database or in the folder, files in a bucket or in the folder."""

    folder: Path
    database: str | None
    bucket: str | None

    @property
    def rows(self) -> str:
        """What names the place of its rows."""
        return self.database or str(self.folder.absolute())

    @property
    def files(self) -> str:
        """What names the place of its files."""
        return self.bucket or str(self.folder.absolute())

    def settings(self, old: Place) -> str:
        """What is to be set from now on."""
        told = {"RUSHES_DATABASE_URL": self.database, "RUSHES_STORAGE_URL": self.bucket}
        told |= {"RUSHES_DATA": str(self.folder)} if self.folder != old.folder else {}
        return " ".join(f"{name}={value}" for name, value in told.items() if value)


@click.command(
    epilog=examples(
        "rushes move --to s3://films/library",
        "rushes move --to postgresql://db.example/rushes --to s3://films/library",
        "rushes move --to /mnt/new/rushes-data",
    )
)
@click.option(
    "--to",
    "targets",
    multiple=True,
    required=True,
    metavar="URL|DIR",
    help="postgresql://… for the rows, s3://…, gs://… or az://… for the files, a folder for both; also several.",
)
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
def move(targets: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Take the library to another database, another storage, or both.

    Everything is copied and read back; the old place stays as it was. Files can be copied while the library is in use,
    and what is there already is not copied again: after a broken move, or for what came since, give the same command
    again. Rows are copied all at once, into an empty database, and only while nobody uses the library.

    At the end it says what to set from now on. Exit 1: it is not all there yet, and stderr says why.
    """
    from rushes import config

    settings = config.load(data=data)
    old = Place(settings.data, settings.database_url, settings.storage_url)
    new = _new(old, targets)
    asyncio.run(_move(old, new, as_json=as_json))


def _new(old: Place, targets: tuple[str, ...]) -> Place:
    rows = [each for each in targets if each.startswith(_DATABASES)]
    files = [each.rstrip("/") for each in targets if each.startswith(_BUCKETS)]
    folders = [each for each in targets if "://" not in each]
    if len(rows) + len(files) + len(folders) != len(targets) or max(len(rows), len(files), len(folders)) > 1:
        raise click.UsageError("Name at most one database (postgresql://…), one bucket (s3://…) and one folder.")
    if folders:
        return Place(Path(folders[0]), next(iter(rows), None), next(iter(files), None))
    return Place(old.folder, next(iter(rows), old.database), next(iter(files), old.bucket))


async def _move(old: Place, new: Place, *, as_json: bool) -> None:
    from rushes import store
    from rushes.cli.tally import tally

    await _check(old, new)
    async with _opened(old) as (rows, files):
        if new.files != old.files:
            with tally("moving", None, (), as_json=as_json) as counted:
                await _carry_files(files, new, counted)
        if new.rows != old.rows:
            await _carry_rows(rows, new)
    if await store.in_use(old.folder, old.database):
        raise StartError(f"The library is in use: {_STOP}, and give the same command again for what has come since.")
    click.echo(f"Start with {new.settings(old)} from now on; what is in the old place was left there.", err=True)


async def _check(old: Place, new: Place) -> None:
    from rushes import store
    from rushes.transfer.move import refuse_used

    if old.database is None and not store.exists(old.folder):
        raise StartError(f"There is no library in {old.folder.absolute()}; name its folder with --data.")
    if (new.rows, new.files) == (old.rows, old.files):
        raise StartError("The library is there already; name another place.")
    if new.rows == old.rows:
        return
    if await store.in_use(old.folder, old.database):
        raise StartError(f"The library is in use: {_STOP} first, or bring only its files (--to s3://…).")
    async with _database(new) as there:
        await refuse_used(there)


@asynccontextmanager
async def _opened(place: Place) -> AsyncIterator[tuple[Store, Blobs]]:
    files = await _files(place)
    async with _database(place) as rows:
        yield rows, files


@asynccontextmanager
async def _database(place: Place) -> AsyncIterator[Store]:
    from rushes import store

    opened = await store.open(place.folder, place.database)
    try:
        yield opened
    finally:
        await opened.close()


async def _files(place: Place) -> Blobs:
    from rushes.blobs import Blobs
    from rushes.config import secret

    files = Blobs(place.folder / "media", place.bucket, secret)
    await files.open()
    return files


async def _carry_files(old: Blobs, place: Place, counted: Tally) -> None:
    from rushes.transfer.move import carry_files

    new = await _files(place)
    await new.prove()
    async for each in carry_files(old, new):
        counted.add(each.outcome, None, Path(each.name), "")


async def _carry_rows(old: Store, place: Place) -> None:
    from rushes.transfer.move import carry_rows

    async with _database(place) as new:
        counts = [(table, count) async for table, count in carry_rows(old, new)]
    click.echo(f"{sum(count for _, count in counts):,} rows of {len(counts)} tables copied and read back", err=True)
