"""``rushes models`` and ``quota``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rushes.cli.connection import with_client
from rushes.cli.examples import examples
from rushes.cli.offers import offers
from rushes.cli.sheets import json_option, print_json
from rushes.cli.tables import Column, amount, print_rows, print_text

if TYPE_CHECKING:
    from rushes.client import Model
    from rushes.client.synchronous import Client

_COLUMNS = (
    *(Column("MODEL"), Column("MAKES", optional=True), Column("BY"), Column("LENGTHS")),
    *(Column("CREDITS"), Column("RATIOS")),
)


@click.command(epilog=examples("rushes models", "rushes models --json | jq -r .model"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as the API gives it.")
@with_client
def models(client: Client, as_json: bool) -> None:
    """Show what the server can make, and what it costs in AI credits."""
    found = offers(client)
    if as_json:
        for model in found:
            print_json(model.json)
    else:
        print_rows(_COLUMNS, map(_row, found))


def _row(model: Model) -> Sequence[str]:
    credits = amount(model.credits) + ("/s" if model.durations else "")
    provider = model.provider or "not configured"
    return model.name, model.kind, provider, " ".join(model.durations) or "-", credits, " ".join(model.aspect_ratios)


@click.command(epilog=examples("rushes quota", "rushes quota --json | jq .aiCredits"))
@json_option
@with_client
def quota(client: Client, as_json: bool) -> None:
    """Show what the account has spent this month, and what it may."""
    told = client.quota()
    if as_json:
        print_json(told.json)
    else:
        left = amount(max(told.limit - told.used, 0))
        print_text(f"{amount(told.used)} of {amount(told.limit)} credits used this month, {left} left")
