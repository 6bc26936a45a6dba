"""An item as it is shown alone: a small sheet for people, or its JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from rushes.cli.tables import moment, print_sheet

if TYPE_CHECKING:
    from rushes.client import Item


json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, as the API gives it.")


def print_item(item: Item, as_json: bool) -> None:
    """Print an item."""
    if as_json:
        print_json(item.json)
    else:
        print_sheet(item.prompt, _facts(item))


def print_json(told: object) -> None:
    """Print JSON on a line of its own, as it came."""
    from rushes.wire import dumps

    click.echo(dumps(told))


def _facts(item: Item) -> Iterator[tuple[str, str | None]]:
    told = item.json
    yield "id", item.id
    yield "model", item.model
    yield "style", told.get("style")
    yield "length", told.get("duration")
    yield "size", f"{item.width} x {item.height} ({item.aspect_ratio})"
    yield "made", moment(item.created)
    yield "file", item.url
    yield from _inputs(told)


def _inputs(told: Any) -> Iterator[tuple[str, str | None]]:
    yield "first frame", told.get("firstFrameImageUrl")
    yield "extends", told.get("extendVideoUrl")
    for url in told.get("referenceImageUrls") or [told.get("referenceImageUrl")]:
        yield "reference", url
