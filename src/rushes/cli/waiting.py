"""What a terminal shows while something takes its time. Nothing is drawn where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from rushes.errors import StillRunning

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from rushes.client import Job, Progress
    from rushes.client.synchronous import Client

OnBytes = Callable[[int, int | None], object]


class Left(click.ClickException):
    """Somebody pressed Ctrl-C, and what was begun goes on without us. The message says where to come back to."""

    exit_code = 130

    def show(self, file: IO[Any] | None = None) -> None:
        """It is no error."""
        click.echo(self.message, file=file, err=True)


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C in what another run takes up where this one stopped says so.

    Raises:
        Left: with Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Left("Stopped; the same command goes on from here.") from None


def wait(client: Client, job_id: str, timeout: float | None = None) -> Job:
    """A job when it has ended well; meanwhile, what it waits for.

    Raises:
        JobFailed: it ended otherwise; StillRunning: not within ``timeout`` seconds; Left: with Ctrl-C.
    """
    try:
        return _waited(client, job_id, timeout)
    except KeyboardInterrupt:
        raise Left(f"The job goes on: {_way_back(job_id)}") from None
    except StillRunning as error:
        raise StillRunning(f"{error.sentence.rstrip('.')}: {_way_back(job_id)}", job_id) from None


def _way_back(job_id: str) -> str:
    return f"`rushes jobs show {job_id} --wait` comes back to it."


def _waited(client: Client, job_id: str, timeout: float | None) -> Job:
    if not sys.stderr.isatty():
        return client.jobs.wait(job_id, timeout=timeout, on_progress=_Away(job_id))
    with _job_bars() as bars:
        task = bars.add_task("in progress")
        return client.jobs.wait(
            job_id, timeout=timeout, on_progress=lambda progress: bars.update(task, description=_told(progress))
        )


class _Away:
    """Says once, where nobody watches, that the server has gone: a log would else say nothing for hours."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self._told = False

    def __call__(self, progress: Progress) -> None:
        from rushes.client.items import AWAY

        is_away = progress.waiting_for == AWAY
        if is_away and not self._told:
            click.echo(f"The server does not answer; job {self._job_id} is waited for all the same.", err=True)
        self._told = is_away


def _told(progress: Progress) -> str:
    share = "" if progress.progress is None else f"{progress.progress:.0%}, "
    return share + (f"waiting for {progress.waiting_for}" if progress.waiting_for else progress.state)


def _job_bars() -> Bars:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    line = Column(no_wrap=True, overflow="ellipsis")
    text = TextColumn("{task.description}", markup=False, table_column=line)
    return Progress(SpinnerColumn(), TimeElapsedColumn(), text, console=Console(stderr=True), transient=True)


@contextmanager
def working(saying: str) -> Iterator[None]:
    """A line with a turning sign until the block ends."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(saying):
        yield


@contextmanager
def byte_bars() -> Iterator[Callable[[str], OnBytes | None]]:
    """A bar for each file on its way: give it the file's name, and what comes back is told of its bytes."""
    if not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(12), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield lambda name: _bar(bars, name)


def _bar(bars: Bars, name: str) -> OnBytes:
    task = bars.add_task(name, total=None)

    def show(done: int, total: int | None) -> None:
        bars.update(task, completed=done, total=total, visible=done != total)

    return show
