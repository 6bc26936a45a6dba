"""What the commands that are clients share: where the server is, the key, and a client that is open while they run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from rushes.errors import JobFailed

if TYPE_CHECKING:
    from rushes.client.asynchronous import AsyncClient
    from rushes.client.synchronous import Client

P = ParamSpec("P")
T = TypeVar("T")

# Somebody waits: a server that is not there is told of after a second or two.
_TRIES = 3

DEFAULT_URL = "http://127.0.0.1:8700"


def with_client(command: Callable[Concatenate[Client, P], T]) -> Callable[..., T]:
    """``--url`` and ``--key``; the command gets a client of that server as its first argument.

    Raises:
        UsageError: there is no key.
    """

    @wraps(command)
    def connected(*args: Any, url: str, key: str | None, **options: Any) -> T:
        from rushes.client.synchronous import Client

        with Client(url, _given(key), tries=_TRIES) as client:
            try:
                return command(client, *args, **options)
            except JobFailed as error:
                raise JobFailed(f"Job {error.job_id} ended with {error.code}: {error.sentence}") from None

    return _url_option(_key_option(connected))


def with_async_client(command: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]) -> Callable[..., T]:
    """The same for a command that does several things at once: Ctrl-C cancels it, whatever it waits for.

    Raises:
        UsageError: there is no key.
    """

    @wraps(command)
    def connected(*args: Any, url: str, key: str | None, **options: Any) -> T:
        import asyncio

        from rushes.client.asynchronous import AsyncClient

        async def run() -> T:
            async with AsyncClient(url, _given(key), tries=_TRIES) as client:
                return await command(client, *args, **options)

        return asyncio.run(run())

    return _url_option(_key_option(connected))


def _given(key: str | None) -> str:
    if not key:
        raise click.UsageError("There is no key: name it with --key, or in RUSHES_KEY.")
    return key


_url_option = click.option(
    "--url",
    envvar="RUSHES_URL",
    default=DEFAULT_URL,
    metavar="URL",
    help=f"The server.  [default: $RUSHES_URL or {DEFAULT_URL}]",
)
_key_option = click.option("--key", envvar="RUSHES_KEY", metavar="KEY", help="The API key.  [default: $RUSHES_KEY]")
