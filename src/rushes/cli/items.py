"""``rushes list``, ``show``, ``open`` and ``delete``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import click

from rushes.cli.connection import with_client
from rushes.cli.examples import examples
from rushes.cli.lookup import LAST, ItemId, found, kind_of, library, newest
from rushes.cli.offers import complete_model, complete_ratio
from rushes.cli.sheets import json_option, print_item, print_json
from rushes.cli.tables import Column, cut, is_terminal, one_line, print_rows, terminal_width, when
from rushes.cli.times import Moment
from rushes.cli.waiting import working
from rushes.errors import InvalidQuery, RushesError

if TYPE_CHECKING:
    from rushes.client import Filters, Item
    from rushes.client.synchronous import Client

_PAGE = 100
_TICK = timedelta(milliseconds=1)

id_argument = click.argument("item_id", metavar="ID", type=ItemId())


@click.command(
    "list",
    epilog=examples(
        "rushes list --since 7d --model veo3.1",
        'rushes list -q "red fox" -n 5',
        "rushes list -n 0 --json | jq -r .url",
    ),
)
@click.option("--images", is_flag=True, help="Images instead of videos.")
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(min=0), help="How many; 0: all.")
@click.option("--model", shell_complete=complete_model, help="Only what this model made.")
@click.option("--aspect-ratio", metavar="W:H", shell_complete=complete_ratio, help="Only of this shape.")
@click.option("--since", "created_after", type=Moment(), help="Only from then on: 7d, 12h, 2026-11-01T18:30.")
@click.option("--until", "created_before", type=Moment(), help="Only from before then.")
@click.option("-q", "--search", "q", metavar="WORDS", help="Only with these words in the prompt.")
@click.option("--continues", metavar="ID", type=ItemId(), help="Only what was made from this item.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as the API gives it.")
@with_client
def list_items(client: Client, /, images: bool, count: int, as_json: bool, **filters: Any) -> None:
    """Show the library, newest first."""
    items = islice(_filtered(client, images, count, _asked(client, filters)), count or None)
    if as_json:
        for item in items:
            print_json(item.json)
    elif not print_rows(_IMAGE_COLUMNS if images else _COLUMNS, _rows(items, count)) and is_terminal():
        click.echo("Nothing to show.", err=True)


_COLUMNS = (
    *(Column("ID"), Column("AGE"), Column("MODEL", optional=True), Column("RATIO")),
    *(Column("LENGTH"), Column("PROMPT")),
)
_IMAGE_COLUMNS = (*_COLUMNS[:4], Column("STYLE"), Column("PROMPT"))


def _asked(client: Client, filters: dict[str, Any]) -> Filters:
    """The filters that were given, as the client takes them."""
    given = {name: value for name, value in filters.items() if value is not None}
    if given.get("continues") == LAST:
        given["continues"] = newest(client).id
    if "created_after" in given:
        given["created_after"] -= _TICK  # the API's bound is exclusive, and midnight belongs to its day
    return cast("Filters", given)


def _filtered(client: Client, images: bool, count: int, filters: Filters) -> Iterator[Item]:
    items = library(client, "image" if images else "video")
    asked: Filters = {**filters, "page_size": min(count or _PAGE, _PAGE)}
    for item in items.list(**asked):
        if filters and not client.is_rushes():
            raise InvalidQuery("This server does not filter its lists: only a Rushes does.")
        yield item


def _rows(items: Iterator[Item], count: int) -> Iterable[Sequence[str]]:
    rows = map(_row, items)
    if not is_terminal() or 0 < count <= _PAGE:
        return rows
    with working("reading the library"):  # a table is as wide as its widest row
        return list(rows)


def _row(item: Item) -> Sequence[str]:
    form = item.json.get("duration") or item.json.get("style") or "-"
    return item.id, when(item.created), item.model, item.aspect_ratio, form, item.prompt


@click.command(epilog=examples("rushes show last", "rushes show 20261105184210123a1b2c3d4e5f60718 --json"))
@id_argument
@json_option
@with_client
def show(client: Client, item_id: str, as_json: bool) -> None:
    """Show one video or image.

    ID is what `rushes list` shows, or `last`: the newest video.
    """
    print_item(found(client, item_id), as_json)


@click.command("open", epilog=examples("rushes open last"))
@id_argument
@with_client
def open_item(client: Client, item_id: str) -> None:
    """Open a video or an image in the program that is there for it.

    ID is what `rushes list` shows, or `last`: the newest video.
    """
    from rushes.client.calls import link

    url = link(found(client, item_id).url)
    if click.launch(url):
        raise RushesError(f"Nothing here can open it; it is at {url}.")


@click.command(
    epilog=examples("rushes delete 20261105184210123a1b2c3d4e5f60718", "rushes delete last --yes"),
)
@click.argument("item_ids", metavar="ID...", nargs=-1, required=True, type=ItemId())
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an item.")
@with_client
def delete(client: Client, item_ids: Sequence[str], yes: bool, as_json: bool) -> None:
    """Delete videos and images with their files, for good.

    It asks first. Where nobody can answer it wants --yes. A wrong ID among several deletes nothing.
    """
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("Nobody is here to be asked: say --yes to delete for good.")
    if not client.is_rushes():
        raise InvalidQuery("This server deletes nothing from its library: only a Rushes does.")
    items = [found(client, item_id) for item_id in dict.fromkeys(item_ids)]
    if not yes:
        _confirm(items)
    for item in items:
        library(client, kind_of(item.id)).delete(item.id)
        if as_json:
            print_json({"id": item.id, "deleted": True})
    if not as_json:
        click.echo(f"deleted {len(items)}", err=True)


def _confirm(items: Sequence[Item]) -> None:
    for item in items:
        click.echo(cut(f"{item.id}  {one_line(item.prompt)}", terminal_width()), err=True)
    those = "it" if len(items) == 1 else f"these {len(items)}"
    click.confirm(f"Delete {those} with all files, for good?", abort=True, err=True)
