"""``rushes rebuild``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option

if TYPE_CHECKING:
    from rushes.cli.tally import Tally
    from rushes.config import Config
    from rushes.transfer.rebuild import Counts

_FAILURES = ("missing", "unreadable", "alone", "twice")


@click.command(
    epilog=examples("rushes rebuild", "rushes rebuild --data /mnt/films/rushes-data", "rushes rebuild --json")
)
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object an item.")
def rebuild(data: Path | None, as_json: bool) -> None:
    """Make a lost database anew from the files alone.

    Every video and image comes back from the sidecar beside it, as it was: its id, date, prompt, links, what it was
    made from, its job and its charge; uploads too. The database must not be there, or be empty; all of it is written at
    once, so that a rebuild that breaks off has done nothing.

    What only the database knew does not come back: keys (make new ones), limits and priorities of accounts, jobs that
    were under way or failed, what was deleted (its files, where they are still there, come back), webhooks and their
    secrets.

    Exit 1: a file is left that tells of no item, or an item whose file is gone, and stderr says which; the others are
    back.
    """
    from rushes import config
    from rushes.cli.tally import tally

    settings = config.load(data=data)
    with tally("rebuilding", None, _FAILURES, as_json=as_json) as counted:
        counts = asyncio.run(_rebuild(settings, counted))
        click.echo(f"{counts.uploads:,} uploads, and the accounts {', '.join(counts.accounts)}", err=True)
        click.echo("Keys cannot be restored; make new ones: rushes keys create --account NAME", err=True)


async def _rebuild(settings: Config, counted: Tally) -> Counts:
    from rushes import store
    from rushes.blobs import Blobs
    from rushes.config import secret
    from rushes.errors import StartError
    from rushes.transfer.rebuild import Outcome, restore

    if settings.storage_url is None and not (settings.data / "media").is_dir():
        raise StartError(f"There are no files in {settings.data.absolute()}; name their folder with --data.")
    files = Blobs(settings.data / "media", settings.storage_url, secret)
    await files.open()

    def done(each: Outcome) -> None:
        counted.add(each.outcome, each.item_id, Path(each.name), each.sentence)

    rows = await store.open(settings.data, settings.database_url)
    try:
        return await restore(rows, files, done)
    finally:
        await rows.close()
