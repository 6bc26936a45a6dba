"""``rushes webhooks``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from typing import Any, TypeVar

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option, in_studio

F = TypeVar("F", bound=Callable[..., Any])


@click.group(epilog=examples("rushes webhooks list", "rushes webhooks test https://example.com/hook"))
def webhooks_group() -> None:
    """See what was sent to webhooks, send it again, and keep the secrets that sign it."""


def _account_option(command: F) -> F:
    return click.option("--account", default="default", show_default=True)(command)


@webhooks_group.command(
    "list", epilog=examples("rushes webhooks list -n 50", "rushes webhooks list --account film-club --json")
)
@data_option
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

    found = in_studio(data, newest)
    width = max((len(delivery.account_name) for delivery in found), default=0)
    for delivery in found:
        click.echo(dumps(_delivery(delivery)) if as_json else _line(delivery, width))


def _line(delivery: Any, width: int) -> str:
    from rushes.cli.tables import one_line
    from rushes.model import timestamp

    tries = f"{delivery.tries} {'try' if delivery.tries == 1 else 'tries'}"
    url = one_line(delivery.url.partition("?")[0])  # a query may be a password
    name = f"{delivery.account_name:{width}}"
    return f"{delivery.id}  {timestamp(delivery.created)}  {delivery.state:9}  {tries:7}  {name}  {url}"


@webhooks_group.command("show", epilog=examples("rushes webhooks show msg_8d0c2f6be1f94b0fa6f2c5f1f3a7d9e4"))
@click.argument("delivery_id", metavar="ID")
@data_option
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show_delivery(delivery_id: str, data: Path | None, as_json: bool) -> None:
    """Show one delivery: what was sent, and what each try came to."""
    from rushes.store import webhooks
    from rushes.wire import dumps

    async def found(studio: Any) -> tuple[Any, list[Any]]:
        return await webhooks.get(studio.store, delivery_id), await webhooks.tries(studio.store, delivery_id)

    delivery, tries = in_studio(data, found)
    if delivery is None:
        raise _no_delivery(delivery_id)
    told, log = {**_delivery(delivery), "body": delivery.body}, [_try(tried) for tried in tries]
    click.echo(dumps({**told, "log": log}) if as_json else "\n".join(_page(told, log)))


def _page(told: dict[str, object], log: list[dict[str, Any]]) -> Iterator[str]:
    from rushes.cli.tables import one_line

    for name, value in told.items():
        yield f"{name:7}  {'-' if value is None else one_line(str(value))}"
    for number, tried in enumerate(log, 1):
        status = tried["status"] or "-"
        yield f"{number:7}  {tried['started']}  {tried['ms']:6} ms  {status:>3}  {tried['told']}".rstrip()


@webhooks_group.command("replay", epilog=examples("rushes webhooks replay msg_8d0c2f6be1f94b0fa6f2c5f1f3a7d9e4"))
@click.argument("delivery_id", metavar="ID")
@data_option
def replay_delivery(delivery_id: str, data: Path | None) -> None:
    """Send a delivery again, under the same webhook-id. A running worker does it, at once."""
    if not in_studio(data, lambda studio: studio.deliveries.replay(delivery_id)):
        raise _no_delivery(delivery_id)
    click.echo("due again", err=True)


@webhooks_group.command("test", epilog=examples("rushes webhooks test https://example.com/hook"))
@click.argument("url")
@data_option
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

    tried = in_studio(data, sent)
    if tried.status is None:
        raise click.ClickException(tried.told)
    saying = f', saying "{tried.told[:200].rstrip()}"' if tried.told else ""
    answered = f"The webhook answered {tried.status} in {tried.took} ms{saying}."
    if not notify.is_success(tried):
        raise click.ClickException(answered)
    click.echo(answered)


@webhooks_group.command("secret", epilog=examples("rushes webhooks secret --account film-club"))
@data_option
@_account_option
def webhook_secret(data: Path | None, account: str) -> None:
    """Print the secret that signs an account's webhooks."""

    async def newest(studio: Any) -> str:
        secrets: list[str] = await studio.deliveries.secrets(await _account_id(studio, account))
        return secrets[0]

    click.echo(in_studio(data, newest))


@webhooks_group.command("rotate", epilog=examples("rushes webhooks rotate --hours 48"))
@data_option
@_account_option
@click.option(
    "--hours", default=24.0, show_default=True, type=click.FloatRange(0, 8760), help="How long the old one still signs."
)
def rotate_webhook_secret(data: Path | None, account: str, hours: float) -> None:
    """Make a new secret and print it. Until the time is up, webhooks carry the signatures of both."""

    if isnan(hours):
        raise click.BadParameter("nan is no number of hours.", param_hint="--hours")

    async def rotated(studio: Any) -> str:
        secret: str = await studio.deliveries.rotate_secret(await _account_id(studio, account), hours)
        return secret

    click.echo(in_studio(data, rotated))


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
