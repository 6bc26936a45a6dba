"""``rushes doctor``."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option
from rushes.errors import RushesError

if TYPE_CHECKING:
    from rushes.config import Config
    from rushes.providers import Price
    from rushes.providers.routes import Routes

_SECONDS = 30.0
_LITTLE_ROOM = 2 * 2**30


class Finding(NamedTuple):
    """What was tried, how it is, and what there is to say of it."""

    what: str
    state: str
    """``ok``, ``wrong``, or ``untried`` where there is no way to try it without spending."""
    sentence: str


@click.command(epilog=examples("rushes doctor", "rushes doctor --json"))
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(data: Path | None, as_json: bool) -> None:
    """Try what is configured, without spending anything.

    Settings, database, room for files, and each model's provider: its key, and whether it has the model, where the
    provider lets that be asked for free. Exit 1: something is wrong.
    """
    from rushes import config
    from rushes.wire import dumps

    async def examined(settings: Config) -> bool:
        right = True
        async for finding in _findings(settings):
            click.echo(dumps(finding._asdict()) if as_json else f"{finding.state:8}{finding.what}: {finding.sentence}")
            right &= finding.state != "wrong"
        return right

    if not asyncio.run(examined(config.load(data=data))):
        raise SystemExit(1)


async def _findings(config: Config) -> AsyncIterator[Finding]:
    from rushes.providers.routes import Routes

    yield await _database(config)
    yield _room(config)
    if config.storage_url:
        yield await _storage(config)
    if config.sandbox_only:
        yield Finding("models", "ok", "nothing is configured: the sandbox draws them all, and costs nothing")
    routes = Routes(config)
    try:
        for model in config.models:
            yield await _route(config, routes, model)
    finally:
        await routes.close()


async def _database(config: Config) -> Finding:
    from rushes import store

    what = "PostgreSQL" if config.database_url else f"SQLite in {config.data}"
    if config.database_url is None and not store.exists(config.data):
        return Finding(what, "untried", "there is no library yet; `rushes serve` makes one")
    try:
        opened = await store.connect(config.data, config.database_url)
        await opened.rows("SELECT $now")
        await opened.close()
    except RushesError as error:
        return Finding(what, "wrong", error.sentence)
    return Finding(what, "ok", "it answers")


async def _storage(config: Config) -> Finding:
    from rushes.blobs import Blobs
    from rushes.config import secret

    what = str(config.storage_url)
    try:
        files = Blobs(config.data / "media", config.storage_url, secret)
        await files.prove()
    except RushesError as error:
        return Finding(what, "wrong", error.sentence)
    return Finding(what, "ok", "it takes files")


def _room(config: Config) -> Finding:
    folder = next(each for each in (config.data.absolute(), *config.data.absolute().parents) if each.exists())
    free = shutil.disk_usage(folder).free
    state = "ok" if free > _LITTLE_ROOM else "wrong"
    return Finding(f"room in {folder}", state, f"{free / 2**30:,.1f} GiB are free")


async def _route(config: Config, routes: Routes, model: str) -> Finding:
    name = config.models[model].provider
    what = f"{model} at {name}"
    try:
        provider, price = routes.provider(model), routes.price(model)
        async with asyncio.timeout(_SECONDS):
            found = await provider.check()
    except RushesError as error:
        return Finding(what, "wrong", error.sentence)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return Finding(what, "wrong", f"what it answers is not understood ({type(error).__name__}: {error})")
    except TimeoutError:
        return Finding(what, "wrong", f"it did not answer within {_SECONDS:g} seconds")
    costs = _costs(price)
    if found is None:
        return Finding(what, "untried", f"it cannot be asked without spending; {costs}")
    return Finding(what, "ok", f"{found}; {costs}")


def _costs(price: Price | None) -> str:
    if price is None:
        return "its price is not known"
    return f"${price.dollars:f} {'a second' if price.per_second else 'an item'}, by {price.table}"
