"""``rushes verify``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option, in_studio

if TYPE_CHECKING:
    from rushes.transfer.verify import Fault, Report


@click.command(epilog=examples("rushes verify", "rushes verify --quick", "rushes verify --repair --json"))
@data_option
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@click.option("--quick", is_flag=True, help="Do not read the files: only whether they are there, and how long.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a fault.")
def verify(data: Path | None, repair: bool, quick: bool, as_json: bool) -> None:
    """Prove that every file and row of the library is as it must be.

    Each fault is a line: what kind it is, whose, of which item, what is wrong, what to do. The library may be in use
    meanwhile.

    With --repair, stills are made anew from their MP4, facts from the file, sidecars from the row, counters from what
    they count, the search index from the items. Files that belong to nothing are deleted once they are older than
    RUSHES_SWEEP_SECONDS. No item, no job, no line of the ledger, and no MP4 of one is ever deleted.

    Exit 1: faults are left.
    """
    from rushes.transfer.verify import Verification

    async def verified(studio: Any) -> Report:
        run = Verification(studio, repair, quick)
        with _progress(run.report) as tell:
            async for fault in run.faults():
                tell(_json(fault) if as_json else _line(fault))
        return run.report

    report = in_studio(data, verified)
    click.echo(_summary(report), err=True)
    if report.left:
        raise click.exceptions.Exit(1)


def _line(fault: Fault) -> str:
    told = "mended" if fault.mended else fault.remedy
    return "  ".join((fault.fault, fault.account_id or "-", fault.item_id or "-", fault.what, told))


def _json(fault: Fault) -> str:
    from rushes.wire import dumps

    return dumps(
        {
            "fault": fault.fault,
            "account": fault.account_id or None,
            "item": fault.item_id or None,
            "what": fault.what,
            "mended": fault.mended,
            "remedy": None if fault.mended else fault.remedy,
        }
    )


def _summary(report: Report) -> str:
    from rich.filesize import decimal

    checked = f"{report.items:,} items and {report.files:,} files of {decimal(report.size)} checked"
    mended = f", {report.mended:,} mended" if report.mended else ""
    return f"{checked}: {report.faults:,} faults{mended}" if report.faults else f"{checked}: no faults"


@contextmanager
def _progress(report: Report) -> Iterator[Callable[[str], None]]:
    """What prints a line, above what was checked so far where somebody looks."""
    if not sys.stderr.isatty():
        yield click.echo
        return
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

    class Checked:
        def __rich__(self) -> RenderableType:
            return Text(f"verifying  {_summary(report)}")

    with Live(Checked(), console=Console(stderr=True), transient=True) as live:
        if sys.stdout.isatty():
            yield lambda line: live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            yield click.echo
