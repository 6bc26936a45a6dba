"""What the commands that open the data themselves share: where it is, and a studio that is open while they act."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def data_option(command: F) -> F:
    """``--data``."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="The folder for the database and the files.  [default: $RUSHES_DATA or ./rushes-data]",
    )(command)


def in_studio(data: Path | None, act: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """What ``act`` comes to in the open studio of that folder. Raises what opening it raises."""
    import asyncio

    from rushes import config
    from rushes.studio import Studio

    async def opened() -> T:
        async with Studio.open(config.load(data=data)) as studio:
            return await act(studio)

    return asyncio.run(opened())
