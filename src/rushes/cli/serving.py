"""``rushes serve``, ``worker`` and ``migrate``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option


@click.command(
    epilog=examples("rushes serve", "rushes serve --host 0.0.0.0 --port 80 --data /srv/rushes --processes 4")
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8700, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@data_option
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="API processes.")
@click.option("--no-worker", is_flag=True, help="Serve only; `rushes worker` runs elsewhere.")
def serve(host: str, port: int, data: Path | None, processes: int, no_worker: bool) -> None:
    """Serve the API, with one worker beside it."""
    from rushes import config
    from rushes.serve import serve as serve_it

    serve_it(config.load(data=data), host, port, processes, with_worker=not no_worker)


@click.command(epilog=examples("rushes worker --data /srv/rushes --concurrency 8"))
@data_option
@click.option("--concurrency", type=click.IntRange(1, 1000), help="Jobs to hold at once; waiting ones do not count.")
def worker(data: Path | None, concurrency: int | None) -> None:
    """Work on jobs, without serving."""
    from rushes import config
    from rushes.serve import run_worker

    run_worker(config.load(data=data, worker_concurrency=concurrency))


@click.command(epilog=examples("rushes migrate --data /srv/rushes"))
@data_option
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
