"""``rushes accounts``."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from rushes.cli.dollars import Dollars
from rushes.cli.examples import examples
from rushes.cli.studio import data_option, in_studio

_MOST_CREDITS = Decimal(10) ** 9


@click.group(epilog=examples("rushes accounts list", "rushes accounts set-credits film-club 50000"))
def accounts() -> None:
    """See what accounts spend and cost, and limit it."""


@accounts.command("list", epilog=examples("rushes accounts list", "rushes accounts list --json"))
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_accounts(data: Path | None, as_json: bool) -> None:
    """Show every account's AI credits of this month, and its priority."""
    from rushes.store import accounts, credits
    from rushes.wire import dumps, number

    async def read(studio: Any) -> tuple[list[tuple[str, Any]], dict[str, int]]:
        balances = await credits.balances(studio.store, studio.config.credits_per_month, await studio.now())
        return balances, await accounts.priorities(studio.store)

    found, priorities = in_studio(data, read)
    width = max((len(name) for name, _ in found), default=0)
    for name, (spent, held, limit) in found:
        told = {"account": name, "spent": number(spent), "held": number(held), "limit": number(limit)}
        priority = priorities.get(name, 0)
        line = f"{name:{width}}  {spent:,f} spent, {held:,f} held, of {limit:,f} credits"
        line += f"; priority {priority}" if priority else ""
        click.echo(dumps({**told, "priority": priority}) if as_json else line)


@accounts.command(
    "set-credits",
    epilog=examples("rushes accounts set-credits film-club 50000", "rushes accounts set-credits film-club default"),
)
@click.argument("name")
@click.argument("credits", metavar="CREDITS|default")
@data_option
def set_credits(name: str, credits: str, data: Path | None) -> None:
    """Limit what the account NAME may spend in a calendar month (UTC), in AI credits.

    `default` gives it the server's limit again (RUSHES_CREDITS_PER_MONTH).
    """
    amount = None if credits == "default" else _amount(credits)
    if not in_studio(data, lambda studio: studio.money.set_credits(name, amount)):
        raise click.ClickException(f"There is no account {name}; `rushes accounts list` shows them.")
    click.echo("set", err=True)


@accounts.command(
    "set-budget",
    epilog=examples("rushes accounts set-budget film-club 200", "rushes accounts set-budget film-club default"),
)
@click.argument("name")
@click.argument("dollars", metavar="DOLLARS|default")
@data_option
def set_budget(name: str, dollars: str, data: Path | None) -> None:
    """Limit what the account NAME may cost at the providers in a calendar month (UTC), in US dollars.

    `default` gives it the server's limit again (RUSHES_ACCOUNT_BUDGET), if there is one.
    """
    amount = None if dollars == "default" else Dollars().convert(dollars, None, None)
    if not in_studio(data, lambda studio: studio.money.set_budget(name, amount)):
        raise click.ClickException(f"There is no account {name}; `rushes accounts list` shows them.")
    click.echo("set", err=True)


@accounts.command(
    "set-priority",
    epilog=examples("rushes accounts set-priority film-club 10", "rushes accounts set-priority night-batch -- -5"),
)
@click.argument("name")
@click.argument("priority", type=click.IntRange(-1000, 1000))
@data_option
def set_priority(name: str, priority: int, data: Path | None) -> None:
    """Let the jobs of the account NAME go before those of accounts of lower priority, also those in line already.

    Every account has priority 0 until it is given another. Accounts of the same priority take turns.
    """
    if not in_studio(data, lambda studio: studio.turns.set_priority(name, priority)):
        raise click.ClickException(f"There is no account {name}; `rushes accounts list` shows them.")
    click.echo("set", err=True)


@accounts.command("costs", epilog=examples("rushes accounts costs", "rushes accounts costs --json"))
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show_costs(data: Path | None, as_json: bool) -> None:
    """Show what this month has cost so far at the providers, by account and by provider, in US dollars.

    What is not known to have cost nothing counts as it was expected to (`rushes jobs settle`).
    """
    from rushes.store import budgets
    from rushes.wire import dumps, number

    async def purses(studio: Any) -> list[Any]:
        found = await budgets.purses(studio.store, await studio.now())
        return [(each, studio.money.limit(each.scope) if each.most is None else each.most) for each in found]

    for (scope, spent, held, _), most in in_studio(data, purses):
        told = {"scope": scope, "spent": number(spent), "held": number(held)}
        limit = "" if most is None else f", of {_dollars(most)}"
        line = f"{scope}: {_dollars(spent)} spent, {_dollars(held)} held{limit}"
        click.echo(dumps({**told, "budget": None if most is None else number(most)}) if as_json else line)


def _dollars(amount: Decimal) -> str:
    """To the cent, and as exactly as it is known where that would be nothing."""
    return f"${amount:,.2f}" if amount == 0 or amount >= Decimal("0.01") else f"${amount.normalize():f}"


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
        if 0 <= amount < _MOST_CREDITS and amount == round(amount, 6):
            return amount
    except InvalidOperation:
        pass
    raise click.BadParameter(
        f"{text!r} is no amount of credits: a number from 0 to under a billion, with at most six decimals."
    )
