"""The command line. Each command is thin; what it does lives where the noun lives."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
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


@cli.group("webhooks")
def webhooks_group() -> None:
    """See what was sent to webhooks, send it again, and keep the secrets that sign it."""


def _account_option(command: F) -> F:
    return click.option("--account", default="default", show_default=True)(command)


@webhooks_group.command("list")
@_data_option
@click.option("--account", help="Only this account's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("-n", "limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
def list_deliveries(data: Path | None, account: str | None, as_json: bool, limit: int) -> None:
    """Show deliveries, newest first."""
    from rushes.store import webhooks
    from rushes.wire import dumps

    async def newest(studio: Any) -> list[Any]:
        account_id = None if account is None else await _account_id(studio, account)
        return (await webhooks.page(studio.store, account_id, None, limit))[0]

    found = _in_studio(data, newest)
    width = max((len(delivery.account_name) for delivery in found), default=0)
    for delivery in found:
        click.echo(dumps(_delivery(delivery)) if as_json else _line(delivery, width))


def _line(delivery: Any, width: int) -> str:
    from rushes.model import timestamp

    tries = f"{delivery.tries} {'try' if delivery.tries == 1 else 'tries'}"
    url = delivery.url.partition("?")[0]  # a query may be a password
    name = f"{delivery.account_name:{width}}"
    return f"{delivery.id}  {timestamp(delivery.created)}  {delivery.state:9}  {tries:7}  {name}  {url}"


@webhooks_group.command("show")
@click.argument("delivery_id", metavar="ID")
@_data_option
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show_delivery(delivery_id: str, data: Path | None, as_json: bool) -> None:
    """Show one delivery: what was sent, and what each try came to."""
    from rushes.store import webhooks
    from rushes.wire import dumps

    async def found(studio: Any) -> tuple[Any, list[Any]]:
        return await webhooks.get(studio.store, delivery_id), await webhooks.tries(studio.store, delivery_id)

    delivery, tries = _in_studio(data, found)
    if delivery is None:
        raise _no_delivery(delivery_id)
    told, log = {**_delivery(delivery), "body": delivery.body}, [_try(tried) for tried in tries]
    click.echo(dumps({**told, "log": log}) if as_json else "\n".join(_page(told, log)))


def _page(told: dict[str, object], log: list[dict[str, Any]]) -> Iterator[str]:
    for name, value in told.items():
        yield f"{name:7}  {'-' if value is None else value}"
    for number, tried in enumerate(log, 1):
        status = tried["status"] or "-"
        yield f"{number:7}  {tried['started']}  {tried['ms']:6} ms  {status:>3}  {tried['told']}".rstrip()


@webhooks_group.command("replay")
@click.argument("delivery_id", metavar="ID")
@_data_option
def replay_delivery(delivery_id: str, data: Path | None) -> None:
    """Send a delivery again, under the same webhook-id. A running worker does it, at once."""
    if not _in_studio(data, lambda studio: studio.replay_delivery(delivery_id)):
        raise _no_delivery(delivery_id)
    click.echo("due again", err=True)


@webhooks_group.command("test")
@click.argument("url")
@_data_option
@_account_option
def test_webhook(url: str, data: Path | None, account: str) -> None:
    """Send one signed test event to URL now, and say what was answered. Exit 1: it was not a 2xx."""
    from rushes.work import notify

    async def sent(studio: Any) -> Any:
        fetcher = notify.poster(studio.config)
        try:
            return await notify.send_test(studio, fetcher, await _account_id(studio, account), url)
        finally:
            await fetcher.close()

    tried = _in_studio(data, sent)
    if tried.status is None:
        raise click.ClickException(tried.told)
    saying = f', saying "{tried.told[:200].rstrip()}"' if tried.told else ""
    answered = f"The webhook answered {tried.status} in {tried.took} ms{saying}."
    if not notify.is_success(tried):
        raise click.ClickException(answered)
    click.echo(answered)


@webhooks_group.command("secret")
@_data_option
@_account_option
def webhook_secret(data: Path | None, account: str) -> None:
    """Print the secret that signs an account's webhooks."""

    async def newest(studio: Any) -> str:
        secrets: list[str] = await studio.webhook_secrets(await _account_id(studio, account))
        return secrets[0]

    click.echo(_in_studio(data, newest))


@webhooks_group.command("rotate")
@_data_option
@_account_option
@click.option(
    "--hours", default=24.0, show_default=True, type=click.FloatRange(0, 8760), help="How long the old one still signs."
)
def rotate_webhook_secret(data: Path | None, account: str, hours: float) -> None:
    """Make a new secret and print it. Until the time is up, webhooks carry the signatures of both."""

    async def rotated(studio: Any) -> str:
        secret: str = await studio.rotate_webhook_secret(await _account_id(studio, account), hours)
        return secret

    click.echo(_in_studio(data, rotated))


def _delivery(delivery: Any) -> dict[str, object]:
    from rushes.model import timestamp

    return {
        "id": delivery.id,
        "account": delivery.account_name,
        "job": delivery.job_id,
        "url": delivery.url,
        "created": timestamp(delivery.created),
        "state": delivery.state,
        "tries": delivery.tries,
        "due": None if delivery.run_at is None else timestamp(delivery.run_at),
    }


def _try(tried: Any) -> dict[str, Any]:
    from rushes.model import timestamp

    return {"started": timestamp(tried.started), "ms": tried.took, "status": tried.status, "told": tried.told}


def _no_delivery(delivery_id: str) -> click.ClickException:
    return click.ClickException(f"There is no delivery {delivery_id}; `rushes webhooks list` shows the ids.")


async def _account_id(studio: Any, name: str) -> str:
    from rushes.store import accounts

    account = await accounts.find(studio.store, name)
    if account is None:
        raise click.ClickException(f"There is no account {name}; `rushes accounts list` shows them.")
    return account.id


def _in_studio(data: Path | None, act: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    from rushes import config
    from rushes.studio import Studio

    async def opened() -> T:
        async with Studio.open(config.load(data=data)) as studio:
            return await act(studio)

    return asyncio.run(opened())
