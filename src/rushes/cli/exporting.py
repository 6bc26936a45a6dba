"""``rushes export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option, in_studio
from rushes.cli.waiting import resumable

_FAILURES = ("missing",)


@click.command(epilog=examples("rushes export /mnt/export", "rushes export film-club --account film-club --delete"))
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@data_option
@click.option("--account", default="default", show_default=True, help="Whose library.")
@click.option("--delete", is_flag=True, help="Delete from DIR what has been deleted from the library.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an item.")
def export(folder: Path, data: Path | None, account: str, delete: bool, as_json: bool) -> None:
    """Write the library into a folder that needs no server.

    DIR gets a folder a day with every video and image, its stills and its facts as JSON, index.jsonl with an item a
    line, and index.html, which shows it all when it is opened from the disk.

    What DIR has already is not copied again: after a broken export, or for what is new, give the same command again.
    What has been deleted from the library since stays, is told of as `gone` and stands in no index. Exit 1: a file is
    missing from storage, and stderr says which; the others are out.
    """
    from rushes.cli.tally import tally
    from rushes.transfer.export import export as export_it

    with resumable(), tally("exporting", None, _FAILURES, as_json=as_json) as counted:

        async def exported(studio: Any) -> None:
            async for done in export_it(studio, account, folder, delete=delete):
                counted.add(done.outcome, done.item_id, done.path, done.sentence)

        in_studio(data, exported)
