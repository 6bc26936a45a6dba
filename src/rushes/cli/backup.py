"""``rushes backup``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option


@click.command(epilog=examples("rushes backup /mnt/backups", "rushes backup /mnt/backups --keep 14"))
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@data_option
@click.option("--keep", type=click.IntRange(min=1), help="Delete all backups in DIR but the newest N.")
def backup(folder: Path, data: Path | None, keep: int | None) -> None:
    """Copy the database while it is in use.

    DIR gets a new file with all that was committed when the copy began, checked and whole; its name alone goes to
    stdout. It is SQLite's; PostgreSQL has tools of its own for this.

    The videos and images are not copied: copy their folder afterwards (never before), or let the bucket keep versions.
    """
    from rushes import config, store
    from rushes.errors import StartError
    from rushes.transfer.backup import backup as copied

    settings = config.load(data=data)
    if settings.database_url is not None:
        raise StartError("The database is PostgreSQL's; back it up with pg_dump or pgBackRest.")
    if not store.exists(settings.data):
        raise StartError(f"There is no library in {settings.data.absolute()}; name its folder with --data.")
    with _progress() as tell:
        file, forgotten = copied(settings.data, folder, keep, tell)
    click.echo(str(file))
    told = f"{file.stat().st_size:,} bytes, checked"
    click.echo(f"{told}; {forgotten} older ones deleted" if forgotten else told, err=True)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], object]]:
    """What is told of pages that were copied, and shows a bar where somebody looks."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("copying", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
