"""What a command says that does the same to many things: each as it is done with, and how many came to what."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress


class Tally:
    """Counts outcomes and prints a line for each thing: JSON where that was asked for, cells apart by tabs where
    nobody looks, and on a terminal only what went wrong, above the bar.
    """

    def __init__(
        self,
        failures: Collection[str],
        told: Collection[str],
        quiet: Collection[str],
        bar: Progress | None,
        *,
        as_json: bool,
    ) -> None:
        self._counts: Counter[str] = Counter()
        self._failures = failures
        self._told = told
        self._quiet = quiet
        self._bar = bar
        self._as_json = as_json

    def add(self, outcome: str, item_id: str | None, path: Path, sentence: str) -> None:
        """Tell of one thing that is done with."""
        from rushes.cli.tables import one_line
        from rushes.wire import dumps

        self._counts[outcome] += 1
        shown = click.format_filename(path)
        if outcome in self._quiet:
            pass
        elif self._as_json:
            click.echo(dumps({"outcome": outcome, "id": item_id, "path": shown, "sentence": sentence or None}))
        elif not sys.stdout.isatty():
            click.echo("\t".join([outcome, one_line(item_id or "-"), one_line(shown)]))
        if outcome in self._told:
            self._complain(one_line(f"{shown}: {sentence}"))
        if self._bar:
            self._bar.advance(self._bar.task_ids[0])

    def _complain(self, sentence: str) -> None:
        if self._bar:
            self._bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(sentence, err=True)

    @property
    def failed(self) -> bool:
        """Whether anything went wrong."""
        return any(self._counts[outcome] for outcome in self._failures)

    def __str__(self) -> str:
        """``98 new, 2 here``: the most first."""
        return ", ".join(f"{count:,} {outcome}" for outcome, count in self._counts.most_common()) or "nothing"


@contextmanager
def tally(
    doing: str,
    total: int | None,
    failures: Collection[str],
    *,
    told: Collection[str] | None = None,
    quiet: Collection[str] = (),
    as_json: bool,
) -> Iterator[Tally]:
    """A tally with a bar on a terminal, and its sum at the end. Exits with 1 when something went wrong. Outcomes that
    are ``told`` (the failures, unless they are named) have their sentence shown, those that are ``quiet`` no line.
    """
    told = failures if told is None else told
    if sys.stderr.isatty() and not (as_json and sys.stdout.isatty()):
        with _bar(doing, total) as bar:
            counted = Tally(failures, told, quiet, bar, as_json=as_json)
            yield counted
    else:
        counted = Tally(failures, told, quiet, None, as_json=as_json)
        yield counted
    click.echo(str(counted), err=True)
    if counted.failed:
        raise click.exceptions.Exit(1)


def _bar(doing: str, total: int | None) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    known = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    unknown = (TextColumn("{task.completed:,.0f}"), SpinnerColumn())
    columns = unknown if total is None else known
    bar = Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True), transient=True)
    bar.add_task(doing, total=total)
    return bar
