"""``rushes keys``."""

from __future__ import annotations

from pathlib import Path

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option, in_studio


@click.group(epilog=examples("rushes keys create", "rushes keys list"))
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command("create", epilog=examples("rushes keys create", "rushes keys create --account film-club --label laptop"))
@data_option
@click.option("--account", default="default", show_default=True, help="Made if it is new.")
@click.option("--label", default="", help="To tell it from others in the list.")
def create_key(data: Path | None, account: str, label: str) -> None:
    """Make a key and print it: once, because only its hash is kept."""
    click.echo(in_studio(data, lambda studio: studio.create_key(account, label), may_be_new=True))


@keys.command("list", epilog=examples("rushes keys list", "rushes keys list --json"))
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_keys(data: Path | None, as_json: bool) -> None:
    """Show every key ever made, oldest first."""
    from rushes.model import timestamp
    from rushes.store import accounts
    from rushes.wire import dumps

    for key in in_studio(data, lambda studio: accounts.keys(studio.store)):
        told = {
            "id": key.id,
            "account": key.account_name,
            "label": key.label,
            "created": timestamp(key.created),
            "revoked": timestamp(key.revoked) if key.revoked else None,
        }
        click.echo(dumps(told) if as_json else "  ".join(value or "-" for value in told.values()))


@keys.command("revoke", epilog=examples("rushes keys revoke 5e0f6c1a-93b4-4d5e-8a43-0c8d7a1f2b96"))
@click.argument("key_id", metavar="ID")
@data_option
def revoke_key(key_id: str, data: Path | None) -> None:
    """Close a key for good. ID is what `rushes keys list` shows."""
    if not in_studio(data, lambda studio: studio.revoke_key(key_id)):
        raise click.ClickException(f"There is no key {key_id}; `rushes keys list` shows the ids.")
    click.echo("revoked", err=True)
