"""``rushes pull``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option, in_studio
from rushes.cli.times import Span
from rushes.cli.waiting import resumable
from rushes.errors import RushesError, Unauthorized

_FAILURES = ("failed", "refused")
_TOLD = ("lost", "damaged", "failed", "refused")
_QUIET = ("here", "deleted")


@click.command(
    epilog=examples(
        "rushes pull --from https://api.pictory.ai --key $PICTORY_KEY",
        "rushes pull --from https://studio.example --key $STUDIO_KEY --account film-club --watch 10m",
        "rushes pull --from https://api.pictory.ai --key $PICTORY_KEY --json > pulled.jsonl",
    )
)
@click.option("--from", "source", metavar="URL", required=True, help="The server whose library it is.")
@click.option("--key", envvar="RUSHES_PULL_KEY", help="The key to it there.  [default: $RUSHES_PULL_KEY]")
@data_option
@click.option("--account", default="default", show_default=True, help="Whose library it goes to; made if it is new.")
@click.option("--watch", type=Span(), metavar="10m", help="Look again every so often, until Ctrl-C.")
@click.option(
    "--at-once", default=16, show_default=True, type=click.IntRange(1, 64), help="Items on their way at a time."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object an item.")
def pull(
    source: str, key: str | None, data: Path | None, account: str, watch: float | None, at_once: int, as_json: bool
) -> None:
    """Mirror the library of another server, the vendor's or a Rushes, into this one.

    Every video and image comes with its facts as they are (ids, dates, order, prompts) and with all its files; stills
    that are missing there are made again from the MP4, and files it was made from are kept beside it where they still
    answer. Only what is new is fetched: after a broken pull, give the same command again. What has been deleted here
    stays deleted.

    At the end it says how many items are new, already here, lost (their link is dead at the source) or damaged (the
    file there is not whole). Exit 1: something could not be fetched now (`failed`), and another run may; or it may not
    be (`refused`): it is larger than RUSHES_INPUT_VIDEO_BYTES, or its link leads to a private address.
    """
    if not key:
        raise click.UsageError("There is no key: name it with --key, or in RUSHES_PULL_KEY.")
    with resumable():
        while watch is not None:
            _try(source, key, data, account, at_once, as_json=as_json)
            time.sleep(watch)
        _pull(source, key, data, account, at_once, as_json=as_json)


def _try(source: str, key: str, data: Path | None, account: str, at_once: int, *, as_json: bool) -> None:
    """A look among many: what goes wrong in it may be right in the next."""
    try:
        _pull(source, key, data, account, at_once, as_json=as_json)
    except Unauthorized:
        raise
    except RushesError as error:
        click.echo(f"rushes: {error.sentence}", err=True)
    except click.exceptions.Exit:
        pass


def _pull(source: str, key: str, data: Path | None, account: str, at_once: int, *, as_json: bool) -> None:
    from rushes.cli.tally import tally
    from rushes.client import AsyncClient, Client
    from rushes.transfer.pull import pull as pull_it

    with Client(source, key) as client:  # before a library is made for nothing
        client.ask("GET", "/aistudio/videos")

    with tally("pulling", None, _FAILURES, told=_TOLD, quiet=_QUIET, as_json=as_json) as counted:

        def done(pulled: Any) -> None:
            counted.add(pulled.outcome, pulled.id, Path(f"{pulled.kind}s", pulled.id), pulled.sentence)

        async def mirrored(studio: Any) -> None:
            async with AsyncClient(source, key) as client:
                await pull_it(studio, account, client, source, done, at_once=at_once)

        in_studio(data, mirrored, may_be_new=True)
