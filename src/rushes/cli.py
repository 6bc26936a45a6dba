"""The command line. Each command is thin; what it does lives where the noun lives."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from rushes import __version__
from rushes.errors import RushesError

_MOST_CREDITS = Decimal(10) ** 12

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def run() -> None:
    """Run a command: exit 0 when it is done, 1 when it failed (one sentence on stderr), 2 when it was used wrongly."""
    try:
        cli(prog_name="rushes")
    except RushesError as error:
        click.echo(f"rushes: {error.sentence}", err=True)
        sys.exit(1)


def _data_option(command: F) -> F:
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="The folder for the database and the files.  [default: $RUSHES_DATA or ./rushes-data]",
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """A self-hosted AI video studio that speaks the Pictory AI Studio API.

    Start with `rushes serve`, make a key with `rushes keys create`, and send it a prompt.
    """


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8700, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@_data_option
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="API processes.")
@click.option("--no-worker", is_flag=True, help="Serve only; `rushes worker` runs elsewhere.")
def serve(host: str, port: int, data: Path | None, processes: int, no_worker: bool) -> None:
    """Serve the API, with one worker beside it."""
    from rushes import config
    from rushes.serve import serve as serve_it

    serve_it(config.load(data=data), host, port, processes, with_worker=not no_worker)


@cli.command()
@_data_option
@click.option("--concurrency", type=click.IntRange(1, 1000), help="Jobs to hold at once; waiting ones do not count.")
def worker(data: Path | None, concurrency: int | None) -> None:
    """Work on jobs, without serving."""
    from rushes import config
    from rushes.serve import run_worker

    run_worker(config.load(data=data, worker_concurrency=concurrency))


@cli.command()
@_data_option
def migrate(data: Path | None) -> None:
    """Bring the database up to date."""
    from rushes import config, store
    from rushes.store import migrations

    settings = config.load(data=data)

    async def apply() -> list[str]:
        database = await store.connect(settings.data, settings.database_url)
        try:
            return await migrations.migrate(database)
        finally:
            await database.close()

    applied = asyncio.run(apply())
    click.echo(f"applied {', '.join(applied)}" if applied else "the database is up to date", err=True)


@cli.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command("create")
@_data_option
@click.option("--account", default="default", show_default=True, help="Made if it is new.")
@click.option("--label", default="", help="To tell it from others in the list.")
def create_key(data: Path | None, account: str, label: str) -> None:
    """Make a key and print it: once, because only its hash is kept."""
    click.echo(_in_studio(data, lambda studio: studio.create_key(account, label)))


@keys.command("list")
@_data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_keys(data: Path | None, as_json: bool) -> None:
    """Show every key ever made, oldest first."""
    from rushes.model import timestamp
    from rushes.store import accounts
    from rushes.wire import dumps

    for key in _in_studio(data, lambda studio: accounts.keys(studio.store)):
        told = {
            "id": key.id,
            "account": key.account_name,
            "label": key.label,
            "created": timestamp(key.created),
            "revoked": timestamp(key.revoked) if key.revoked else None,
        }
        click.echo(dumps(told) if as_json else "  ".join(value or "-" for value in told.values()))


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@_data_option
def revoke_key(key_id: str, data: Path | None) -> None:
    """Close a key for good. ID is what `rushes keys list` shows."""
    if not _in_studio(data, lambda studio: studio.revoke_key(key_id)):
        raise click.ClickException(f"There is no key {key_id}; `rushes keys list` shows the ids.")
    click.echo("revoked", err=True)


@cli.group("accounts")
def accounts_group() -> None:
    """See what accounts spend, and limit it."""


@accounts_group.command("list")
@_data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_accounts(data: Path | None, as_json: bool) -> None:
    """Show every account's AI credits of this month."""
    from rushes.store import credits
    from rushes.wire import dumps, number

    async def balances(studio: Any) -> list[tuple[str, Any]]:
        return await credits.balances(studio.store, studio.config.credits_per_month, await studio.now())

    found = _in_studio(data, balances)
    width = max((len(name) for name, _ in found), default=0)
    for name, (spent, held, limit) in found:
        told = {"account": name, "spent": number(spent), "held": number(held), "limit": number(limit)}
        line = f"{name:{width}}  {spent:,f} spent, {held:,f} held, of {limit:,f} credits"
        click.echo(dumps(told) if as_json else line)


@accounts_group.command("set-credits")
@click.argument("name")
@click.argument("credits", metavar="CREDITS|default")
@_data_option
def set_credits(name: str, credits: str, data: Path | None) -> None:
    """Limit what the account NAME may spend in a calendar month (UTC), in AI credits.

    `default` gives it the server's limit again (RUSHES_CREDITS_PER_MONTH).
    """
    amount = None if credits == "default" else _amount(credits)
    if not _in_studio(data, lambda studio: studio.set_credits(name, amount)):
        raise click.ClickException(f"There is no account {name}; `rushes accounts list` shows them.")
    click.echo("set", err=True)


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
        if 0 <= amount < _MOST_CREDITS and amount == round(amount, 6):
            return amount
    except InvalidOperation:
        pass
    raise click.BadParameter(f"{text!r} is no amount of credits: a number from 0 on, with at most six decimals.")


def _in_studio(data: Path | None, act: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    from rushes import config
    from rushes.studio import Studio

    async def opened() -> T:
        async with Studio.open(config.load(data=data)) as studio:
            return await act(studio)

    return asyncio.run(opened())
