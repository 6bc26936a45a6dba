"""What the commands that open the data themselves share: where it is, and a studio that is open while they act."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from rushes.errors import StartError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def data_option(command: F) -> F:
    """``--data``."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="The folder for the database and the files.  [default: $RUSHES_DATA or ./rushes-data]",
    )(command)


def in_studio(data: Path | None, act: Callable[[Any], Coroutine[Any, Any, T]], *, may_be_new: bool = False) -> T:
    """What ``act`` comes to in the open studio of that folder.

    Raises:
        StartError: it cannot be opened, or there is none yet and it must not be made by the way.
    """
    import asyncio

    from rushes import config, store
    from rushes.studio import Studio

    settings = config.load(data=data)
    # A server's database is taken to be there.
    is_new = settings.database_url is None and not store.exists(settings.data)
    if is_new and not may_be_new:
        raise StartError(
            f"There is no library in {settings.data.absolute()}; name its folder with --data, or start one with "
            "`rushes serve`."
        )

    async def opened() -> T:
        async with Studio.open(settings) as studio:
            return await act(studio)

    done = asyncio.run(opened())
    if is_new:
        click.echo(f"rushes: made a new library in {settings.data.absolute()}", err=True)
    return done
